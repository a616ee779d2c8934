//! Fail modes: what happens when it cannot be decided.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What happens to a request when the facts cannot be reached.
///
/// None of the modes covers damage or mistakes inside; those are answered with 500. Nothing that a mode decides is
/// remembered as if it were a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailMode {
    /// It is answered with 503.
    Closed,
    /// What the last facts of the company say counts, if they are not older than `max_age` and nothing newer is known;
    /// otherwise 503. What asks for units of a meter is answered with 503.
    LastKnown {
        /// How old a decision may be.
        max_age: Duration,
    },
    /// It passes, unless the last facts of the company, however old, or a guardrail deny it. What it consumes is counted
    /// when the facts can be reached again.
    Open,
}

impl FailMode {
    /// [`LastKnown`](Self::LastKnown) for 15 minutes.
    #[must_use]
    pub const fn last_known() -> Self {
        Self::LastKnown { max_age: Duration::from_mins(15) }
    }
}

impl fmt::Display for FailMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::LastKnown { .. } => "last-known",
            Self::Open => "open",
        })
    }
}

/// A word that names no fail mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFailMode(String);

impl fmt::Display for UnknownFailMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown fail mode `{}`, expected one of closed, last-known, open", self.0)
    }
}

impl std::error::Error for UnknownFailMode {}

/// Reads `closed`, `last-known` (15 minutes) or `open`.
impl FromStr for FailMode {
    type Err = UnknownFailMode;

    fn from_str(word: &str) -> Result<Self, UnknownFailMode> {
        match word {
            "closed" => Ok(Self::Closed),
            "last-known" => Ok(Self::last_known()),
            "open" => Ok(Self::Open),
            other => Err(UnknownFailMode(other.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_survives_its_word() {
        for mode in [FailMode::Closed, FailMode::last_known(), FailMode::Open] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert!("Open".parse::<FailMode>().is_err());
    }
}
