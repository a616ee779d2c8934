//! Quotas: how many units, per which period, and what happens beyond.

use crate::Amount;
use crate::period::Interval;

/// Where a quota's periods are anchored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Anchor {
    /// At the calendar, in UTC: the first of the month, Monday, midnight.
    Calendar,
    /// At the subscription's billing cycle.
    #[default]
    Subscription,
}

/// What happens to a consumption that does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overage {
    /// It is refused.
    #[default]
    Block,
    /// It is counted beyond the limit.
    Allow,
}

/// How many units of a meter, per which period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Units per period; `None` is unlimited, and still counted.
    pub limit: Option<Amount>,
    /// How long a period is.
    pub every: Interval,
    /// Where the periods are anchored.
    pub anchor: Anchor,
    /// What happens beyond the limit.
    pub over: Overage,
    /// How many unused units of the period before are added at most.
    pub rollover: Amount,
    /// The percentages of the limit that raise an alert when usage crosses them; ascending, 1 to 1000.
    pub alerts: Vec<u16>,
}

impl Quota {
    /// Whether consumption beyond the limit is counted instead of refused.
    #[must_use]
    pub fn is_soft(&self) -> bool {
        self.over == Overage::Allow
    }
}
