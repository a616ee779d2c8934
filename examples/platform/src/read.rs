//! Readers: from a JSON value to a type, or to what is wrong with the value.

use std::fmt::Display;
use std::str::FromStr;

use chrono::{DateTime, SubsecRound, Utc};
use entitlements_core::grant::GrantKind;
use entitlements_core::id::check_id;
use entitlements_core::{Action, ActionSet, Amount, Context, ResourcePattern};
use serde_json::Value;

/// The longest note, in characters.
const MAX_NOTE: usize = 1000;

/// What reads itself from text: ids, actions, resource patterns.
pub(crate) fn parsed<T: FromStr<Err: Display>>(value: &Value) -> Result<T, String> {
    word(value)?.parse().map_err(|error: T::Err| error.to_string())
}

/// A text with the bounds of an id: 1 to 255 bytes, no control characters.
pub(crate) fn name(value: &Value) -> Result<String, String> {
    let text = word(value)?;
    check_id(text).map_err(|error| error.to_string())?;
    Ok(text.into())
}

/// A note for people: bounded, without control characters other than line breaks and tabs.
pub(crate) fn note(value: &Value) -> Result<String, String> {
    let text = word(value)?;
    if text.chars().count() > MAX_NOTE {
        return Err(format!("must have at most {MAX_NOTE} characters"));
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err("must not contain control characters".into());
    }
    Ok(text.into())
}

pub(crate) fn word(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| expected("text", value))
}

pub(crate) fn flag(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| expected("true or false", value))
}

/// 0 to 2^63 − 1.
pub(crate) fn amount(value: &Value) -> Result<Amount, String> {
    value.as_u64().and_then(Amount::new).ok_or_else(|| match value {
        Value::Number(_) => format!("must be a whole number from 0 to {}", Amount::MAX),
        other => expected("a whole number", other),
    })
}

/// 1 to 2^63 − 1.
pub(crate) fn some_amount(value: &Value) -> Result<Amount, String> {
    amount(value).ok().filter(|amount| !amount.is_zero()).ok_or_else(|| match value {
        Value::Number(_) => format!("must be a whole number from 1 to {}", Amount::MAX),
        other => expected("a whole number", other),
    })
}

pub(crate) fn quantity(value: &Value) -> Result<u32, String> {
    value.as_u64().and_then(|number| u32::try_from(number).ok()).ok_or_else(|| match value {
        Value::Number(_) => format!("must be a whole number from 0 to {}", u32::MAX),
        other => expected("a whole number", other),
    })
}

/// An RFC 3339 instant, to the microsecond.
pub(crate) fn instant(value: &Value) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(word(value)?)
        .map(|instant| instant.to_utc().trunc_subsecs(6))
        .map_err(|_| "must be an RFC 3339 instant such as 2026-12-24T00:00:00Z".into())
}

pub(crate) fn actions(value: &Value) -> Result<ActionSet, String> {
    let list = value.as_array().ok_or_else(|| expected("a list of actions", value))?;
    if list.is_empty() {
        return Err("the list must not be empty; leave it out for every action".into());
    }
    list.iter().map(parsed::<Action>).collect()
}

pub(crate) fn kind(value: &Value) -> Result<GrantKind, String> {
    use GrantKind::{Beta, Manual, Promotional, Trial};

    let word = word(value)?;
    [Trial, Promotional, Manual, Beta].into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| {
        format!("unknown kind `{}`, expected one of trial, promotional, manual, beta", word.escape_debug())
    })
}

pub(crate) fn resources(value: &Value) -> Result<ResourcePattern, String> {
    parsed(value)
}

pub(crate) fn context(value: &Value) -> Result<Context, String> {
    Context::from_json(value.clone()).ok_or_else(|| expected("an object", value))
}

/// The value as it is.
#[expect(clippy::unnecessary_wraps, reason = "it is one reader among others")]
pub(crate) fn any(value: &Value) -> Result<Value, String> {
    Ok(value.clone())
}

fn expected(what: &str, found: &Value) -> String {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    format!("expected {what}, found {found}")
}

#[cfg(test)]
mod tests {
    use entitlements_core::id::CompanyId;
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_whole_and_fit_a_store() {
        assert_eq!(amount(&json!(0)), Ok(Amount::ZERO));
        assert_eq!(amount(&json!(i64::MAX)), Ok(Amount::MAX));
        for wrong in [json!(-1), json!(1.0), json!(9_223_372_036_854_775_808_u64), json!(1e30), json!("1")] {
            assert!(amount(&wrong).is_err(), "{wrong}");
        }
        assert!(some_amount(&json!(0)).is_err());
        assert_eq!(some_amount(&json!(1)), Ok(Amount::ONE));
    }

    #[test]
    fn instants_have_an_offset_and_are_kept_to_the_microsecond() {
        let read = instant(&json!("2026-12-24T01:00:00.1234567+01:00")).unwrap();
        assert_eq!(read.to_rfc3339(), "2026-12-24T00:00:00.123456+00:00");
        for wrong in [json!("2026-12-24"), json!("2026-12-24T00:00:00"), json!(0), json!("soon")] {
            assert!(instant(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn actions_are_known_words_and_not_none() {
        assert_eq!(actions(&json!(["view", "view"])), Ok(ActionSet::NONE.with(Action::View)));
        assert!(actions(&json!([])).is_err());
        assert!(actions(&json!(["look"])).unwrap_err().starts_with("unknown action `look`"));
        assert!(actions(&json!("view")).is_err());
    }

    #[test]
    fn ids_are_checked() {
        assert!(parsed::<CompanyId>(&json!("acme")).is_ok());
        for wrong in [json!(""), json!("a\nb"), json!("x".repeat(256)), json!(7)] {
            assert!(parsed::<CompanyId>(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_note_may_have_lines_and_no_other_control_characters() {
        assert!(note(&json!("ticket 812\nsee there")).is_ok());
        assert!(note(&json!("a\u{0}")).is_err());
        assert!(note(&json!("é".repeat(1000))).is_ok());
        assert!(note(&json!("é".repeat(1001))).is_err());
    }
}
