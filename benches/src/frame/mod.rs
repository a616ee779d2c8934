//! The frame of every benchmark: contenders take turns in one process, round by round.
//!
//! Whatever else the machine does, it does to all of them. A ratio is taken within each round, and the median of those
//! ratios is reported with its quartiles: so a slow second in the middle of a run makes no side look better.

mod claim;
mod contender;
mod series;
mod table;

pub(crate) use claim::{Claim, Target};
pub(crate) use contender::{Contender, Field};
pub(crate) use series::{Spread, float};
pub(crate) use table::{Section, Table, duration, number};

/// How long a run may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Enough rounds for figures to quote.
    Full,
    /// A first look, or a machine that is busy anyway.
    Quick,
}

impl Pace {
    /// This many when there is time, and a quarter of them, at least 3, when there is not.
    pub(crate) fn of(self, rounds: usize) -> usize {
        match self {
            Self::Full => rounds,
            Self::Quick => (rounds / 4).max(3),
        }
    }
}
