//! Three-valued truth, and what conditions read.

use std::ops::Not;

use chrono::{DateTime, Utc};

use crate::Request;

/// What a condition says: it holds, it does not, or that cannot be known.
///
/// A missing attribute, or one of another type than the condition needs, makes a test *unknown*. `and`, `or` and `!` are
/// Kleene's: they say *unknown* only where the unknown part could matter, so the order of the parts never does.
///
/// ```
/// use entitlements_core::policy::Truth;
///
/// assert_eq!(Truth::Unknown.and(Truth::False), Truth::False);
/// assert_eq!(Truth::Unknown.or(Truth::False), Truth::Unknown);
/// assert_eq!(!Truth::Unknown, Truth::Unknown);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// An attribute is missing or of the wrong type, and it matters.
    Unknown,
}

impl Truth {
    /// Whether both hold.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, Self::True) => Self::True,
            _ => Self::Unknown,
        }
    }

    /// Whether at least one of the two holds.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::True, _) | (_, Self::True) => Self::True,
            (Self::False, Self::False) => Self::False,
            _ => Self::Unknown,
        }
    }

    /// The word in explanations: `true`, `false` or `unknown`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Unknown => "unknown",
        }
    }
}

impl Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

impl From<Option<bool>> for Truth {
    fn from(holds: Option<bool>) -> Self {
        holds.map_or(Self::Unknown, Self::from)
    }
}

/// Everything that conditions read.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    /// The request: `context.…`, `subject.company`, `subject.user`, `resource`.
    pub request: &'a Request<'a>,
    /// The plan in effect, the default plan included: `plan`.
    pub plan: Option<&'a str>,
    /// The instant of the question: `now`, and the time of day.
    pub now: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::Truth::{False, True, Unknown};

    #[test]
    fn the_tables_are_kleenes() {
        for (a, b, and, or) in [
            (True, True, True, True),
            (True, False, False, True),
            (True, Unknown, Unknown, True),
            (False, False, False, False),
            (False, Unknown, False, Unknown),
            (Unknown, Unknown, Unknown, Unknown),
        ] {
            assert_eq!((a.and(b), b.and(a)), (and, and), "{a:?} and {b:?}");
            assert_eq!((a.or(b), b.or(a)), (or, or), "{a:?} or {b:?}");
            assert_eq!(!a.and(b), (!a).or(!b), "{a:?}, {b:?}");
        }
        assert_eq!([!True, !False, !Unknown], [False, True, Unknown]);
    }
}
