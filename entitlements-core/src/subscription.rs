//! Subscriptions: which plan a company pays for, and whether that gives access.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::Amount;
use crate::id::{CompanyId, PlanKey, SubscriptionId};

/// The state of a subscription, in the billing provider's words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum SubscriptionStatus {
    /// Tried before it is paid.
    Trialing,
    /// Paid, or not yet due.
    Active,
    /// A payment failed.
    PastDue,
    /// Ended.
    Canceled,
    /// The first payment is missing.
    Incomplete,
    /// The first payment never came.
    IncompleteExpired,
    /// Payments failed for good.
    Unpaid,
    /// Paused.
    Paused,
    /// A word this library does not know; it gives no access.
    Other(Arc<str>),
}

impl SubscriptionStatus {
    /// The status in the billing provider's words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Canceled => "canceled",
            Self::Incomplete => "incomplete",
            Self::IncompleteExpired => "incomplete_expired",
            Self::Unpaid => "unpaid",
            Self::Paused => "paused",
            Self::Other(word) => word,
        }
    }
}

impl FromStr for SubscriptionStatus {
    type Err = Infallible;

    fn from_str(word: &str) -> Result<Self, Infallible> {
        Ok(match word {
            "trialing" => Self::Trialing,
            "active" => Self::Active,
            "past_due" => Self::PastDue,
            "canceled" => Self::Canceled,
            "incomplete" => Self::Incomplete,
            "incomplete_expired" => Self::IncompleteExpired,
            "unpaid" => Self::Unpaid,
            "paused" => Self::Paused,
            other => Self::Other(other.into()),
        })
    }
}

impl From<String> for SubscriptionStatus {
    fn from(word: String) -> Self {
        let Ok(status) = word.parse();
        status
    }
}

impl From<SubscriptionStatus> for String {
    fn from(status: SubscriptionStatus) -> Self {
        status.as_str().into()
    }
}

impl fmt::Display for SubscriptionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which plan a company pays for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// The subscription's id at the billing provider.
    pub id: SubscriptionId,
    /// Who pays.
    pub company: CompanyId,
    /// The plan; it may be unknown to the catalog, and then gives nothing.
    pub plan: PlanKey,
    /// The state.
    pub status: SubscriptionStatus,
    /// How many seats are paid for, if seats are sold.
    pub seats: Option<Amount>,
    /// When it began; subscription periods are clipped here.
    pub started_at: DateTime<Utc>,
    /// Where its periods are anchored: the billing cycle anchor.
    pub anchor: DateTime<Utc>,
    /// The first instant of the paid period.
    pub current_period_start: DateTime<Utc>,
    /// The first instant after the paid period.
    pub current_period_end: DateTime<Utc>,
    /// When the trial ends or ended, if there is one.
    pub trial_end: Option<DateTime<Utc>>,
    /// Since when payments fail.
    pub past_due_since: Option<DateTime<Utc>>,
    /// The first instant without access, if a cancellation is scheduled or done.
    pub cancel_at: Option<DateTime<Utc>>,
    /// Whether it ends with the paid period.
    pub cancel_at_period_end: bool,
    /// When it was created, for the order among several.
    pub created_at: DateTime<Utc>,
}

impl Subscription {
    /// When a scheduled cancellation takes effect, if one is scheduled.
    #[must_use]
    pub fn ends_at(&self) -> Option<DateTime<Utc>> {
        let period_end = self.cancel_at_period_end.then_some(self.current_period_end);
        match (self.cancel_at, period_end) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Whether the subscription gives access at `now`, and until when without any write.
    ///
    /// An allow-list: `trialing` and `active` do, `past_due` does for `grace` after payments began to fail, and
    /// everything else, unknown words included, does not. A scheduled cancellation gives access until it takes effect.
    #[must_use]
    pub fn access(&self, now: DateTime<Utc>, grace: TimeDelta) -> Access {
        let until = match self.status {
            SubscriptionStatus::Trialing | SubscriptionStatus::Active => None,
            SubscriptionStatus::PastDue => match self.past_due_since {
                Some(since) => Some(since.checked_add_signed(grace).unwrap_or(DateTime::<Utc>::MAX_UTC)),
                None => return Access::None,
            },
            _ => return Access::None,
        };
        let until = match (until, self.ends_at()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if until.is_some_and(|until| until <= now) { Access::None } else { Access::Until(until) }
    }
}

/// Whether a subscription gives access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It does; without any write until the instant, or for ever.
    Until(Option<DateTime<Utc>>),
    /// It does not.
    None,
}
