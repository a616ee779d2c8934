//! What a rule reads from the head of a request: how many units, and which resource.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use entitlements_core::Amount;
use entitlements_core::id::check_id;
use http::HeaderMap;
use http::header::HeaderName;
use http::request::Parts;

use crate::denial::Denial;
use crate::matching::RouteParams;

type By<T> = Arc<dyn Fn(&Parts, &RouteParams<'_>) -> Option<T> + Send + Sync>;

/// Where something is read from.
#[derive(Clone)]
pub(crate) enum Origin<T> {
    /// A header, by the name that was written.
    Header(String),
    /// A parameter of the rule's path.
    Param(String),
    /// Whatever the application makes of the head.
    By(By<T>),
}

impl<T> Origin<T> {
    pub(crate) fn by(read: impl Fn(&Parts, &RouteParams<'_>) -> Option<T> + Send + Sync + 'static) -> Self {
        Self::By(Arc::new(read))
    }

    /// What is wrong with it, for a rule with these parameters in its path.
    pub(crate) fn problem(&self, params: &[&str]) -> Option<String> {
        match self {
            Self::Header(name) if HeaderName::try_from(name).is_err() => {
                Some(format!("`{name}` is no name of a header"))
            }
            Self::Param(name) if !params.contains(&name.as_str()) => {
                Some(format!("its path has no parameter `{name}`"))
            }
            _ => None,
        }
    }
}

impl<T> fmt::Debug for Origin<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => f.debug_tuple("Header").field(name).finish(),
            Self::Param(name) => f.debug_tuple("Param").field(name).finish(),
            Self::By(_) => f.write_str("By"),
        }
    }
}

/// How many units a request is to pay: at least 1, or the request makes no sense.
pub(crate) fn units(from: &Origin<i64>, parts: &Parts, params: &RouteParams<'_>) -> Result<Amount, Denial> {
    let invalid = || Denial::Invalid {
        detail: match from {
            Origin::Header(name) => format!("the header `{name}` must hold a whole number, at least 1"),
            Origin::Param(name) => format!("`{name}` in the path must be a whole number, at least 1"),
            Origin::By(_) => "the request must ask for a whole number of units, at least 1".into(),
        },
    };
    let number = match from {
        Origin::Header(name) => only(&parts.headers, name).and_then(number),
        Origin::Param(name) => params.get(name).and_then(number),
        Origin::By(units) => units(parts, params),
    };
    let units = number.and_then(|number| u64::try_from(number).ok()).and_then(Amount::new);
    units.filter(|units| !units.is_zero()).ok_or_else(invalid)
}

/// The resource of a request. Only the application may say that there is none.
pub(crate) fn resource(
    from: &Origin<String>,
    parts: &Parts,
    params: &RouteParams<'_>,
) -> Result<Option<String>, Denial> {
    let (resource, place) = match from {
        Origin::Header(name) => {
            (only(&parts.headers, name).map(str::to_owned), format!("the header `{name}`"))
        }
        Origin::Param(name) => (params.decoded(name).map(Cow::into_owned), format!("`{name}` in the path")),
        Origin::By(resource) => return resource(parts, params).map(valid).transpose(),
    };
    resource
        .map(valid)
        .transpose()?
        .map(Some)
        .ok_or_else(|| Denial::Invalid { detail: format!("{place} must name a resource") })
}

/// The path may be taken for that of either of two rules.
pub(crate) fn two_rules() -> Denial {
    Denial::Invalid { detail: "the path is spelt in a way that can be read as another path".into() }
}

/// The path has not got the parameters of its rule in any spelling. Whoever reads them would take them for missing, and a
/// policy about a resource would not be asked.
pub(crate) fn no_params() -> Denial {
    Denial::Invalid { detail: "the path does not have the parameters that its rule names".into() }
}

/// The resource, if it can be the name of one.
pub(crate) fn valid(resource: String) -> Result<String, Denial> {
    match check_id(&resource) {
        Ok(()) => Ok(resource),
        Err(error) => Err(Denial::Invalid { detail: format!("the name of a resource {error}") }),
    }
}

/// The value of a header that is there once, as text.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { std::str::from_utf8(value.as_bytes()).ok() }
}

/// Digits, and nothing else.
fn number(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_digits_alone() {
        assert_eq!(number("007"), Some(7));
        for text in ["", "+7", "-7", " 7", "7 ", "7.0", "1e3", "0x7", "٧", "9223372036854775808"] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }
}
