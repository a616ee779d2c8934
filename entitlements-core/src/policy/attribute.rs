//! Attributes as conditions find them, and how two of them compare.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::Truth;

/// A number. Every whole number of JSON fits, so that no comparison rounds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Whole(i128),
    Float(f64),
}

impl Number {
    fn of(number: &serde_json::Number) -> Option<Self> {
        if let Some(whole) = number.as_i64() {
            return Some(Self::Whole(whole.into()));
        }
        if let Some(whole) = number.as_u64() {
            return Some(Self::Whole(whole.into()));
        }
        number.as_f64().map(Self::Float)
    }

    fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(&b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
            (Self::Whole(a), Self::Float(b)) => compare_exactly(a, b),
            (Self::Float(a), Self::Whole(b)) => compare_exactly(b, a).map(Ordering::reverse),
        }
    }
}

/// Compares without rounding the whole number to a float, which would make neighbours beyond 2^53 equal.
fn compare_exactly(whole: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    let floor = float.floor();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is beyond an i128 is beyond every number of JSON"
    )]
    let below = floor as i128;
    Some(whole.cmp(&below).then(if float > floor { Ordering::Less } else { Ordering::Equal }))
}

/// What a condition found at a path.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'a> {
    Text(&'a str),
    Number(Number),
    Bool(bool),
    Instant(DateTime<Utc>),
    List(&'a [Value]),
    Object,
}

impl<'a> Found<'a> {
    /// What a JSON value is; `null` is nothing.
    pub(super) fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Null => None,
            Value::Bool(flag) => Some(Self::Bool(*flag)),
            Value::Number(number) => Number::of(number).map(Self::Number),
            Value::String(text) => Some(Self::Text(text)),
            Value::Array(list) => Some(Self::List(list)),
            Value::Object(_) => Some(Self::Object),
        }
    }

    pub(super) const fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) const fn list(self) -> Option<&'a [Value]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    pub(super) const fn is_scalar(self) -> bool {
        !matches!(self, Self::List(_) | Self::Object)
    }

    /// The instant this is, or writes down in RFC 3339.
    pub(super) fn instant(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Instant(instant) => Some(instant),
            Self::Text(text) => DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.to_utc()),
            _ => None,
        }
    }

    /// Whether the two are the same scalar. Lists, objects and two of different types cannot be compared.
    pub(super) fn equals(self, other: Self) -> Truth {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => (a == b).into(),
            (Self::Number(a), Self::Number(b)) => a.compare(b).map(Ordering::is_eq).into(),
            (Self::Bool(a), Self::Bool(b)) => (a == b).into(),
            _ => self.compare_instants(other).map(Ordering::is_eq).into(),
        }
    }

    /// Which of the two is larger: numbers, or instants where one of them is `now`.
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.compare(b),
            _ => self.compare_instants(other),
        }
    }

    fn compare_instants(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Instant(_), _) | (_, Self::Instant(_)) => Some(self.instant()?.cmp(&other.instant()?)),
            _ => None,
        }
    }

    /// Whether an element of `list` is the same scalar: an element that cannot be compared is unknown.
    pub(super) fn is_among(self, list: &'a [Value]) -> Truth {
        let mut truth = Truth::False;
        for element in list {
            truth = truth.or(Found::of(element).map_or(Truth::Unknown, |element| self.equals(element)));
            if truth == Truth::True {
                break;
            }
        }
        truth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_and_floats_compare_without_rounding() {
        use Ordering::{Equal, Greater, Less};
        for (whole, float, expected) in [
            (1, 1.0, Equal),
            (1, 1.5, Less),
            (2, 1.5, Greater),
            (-1, -1.5, Greater),
            (-2, -1.5, Less),
            (0, -0.0, Equal),
            (9_007_199_254_740_993, 9_007_199_254_740_992.0, Greater),
            (i128::from(i64::MAX), 9_223_372_036_854_775_808.0, Less),
            (i128::from(u64::MAX), 18_446_744_073_709_551_616.0, Less),
            (i128::from(u64::MAX), 1e300, Less),
            (i128::from(i64::MIN), -9_223_372_036_854_775_808.0, Equal),
            (i128::from(i64::MIN), -1e300, Greater),
        ] {
            assert_eq!(Number::Whole(whole).compare(Number::Float(float)), Some(expected), "{whole} {float}");
            let reverse = Some(expected.reverse());
            assert_eq!(Number::Float(float).compare(Number::Whole(whole)), reverse, "{float} {whole}");
        }
        assert_eq!(Number::Whole(0).compare(Number::Float(f64::NAN)), None);
    }
}
