//! Usage: debits of meters, their receipts, and what a store answers.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Amount;
use crate::bucket::Bucket;
use crate::id::{CompanyId, FeatureKey, IdempotencyKey, ReceiptId, UserId};
use crate::period::Period;

/// One counter that a debit adds to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// The meter.
    pub meter: FeatureKey,
    /// The bucket.
    pub bucket: Bucket,
    /// The period.
    pub period: Period,
    /// The most units the counter may hold after the debit; `None` if there is no such number.
    pub limit: Option<Amount>,
    /// The numbers of units that raise an alert when the counter reaches them: (percentage, units).
    pub alerts: Vec<(u16, Amount)>,
}

/// One place a debit may take units from: it fits as far as *every* one of its counters has room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebitBucket {
    /// The counters; never empty. The first is the one that is shown.
    pub counters: Vec<Counter>,
}

/// One atomic consumption, as the handle asks a store for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debit {
    /// Who pays.
    pub company: CompanyId,
    /// On behalf of which user.
    pub user: Option<UserId>,
    /// Names the operation; unique per company.
    pub key: IdempotencyKey,
    /// The id of the receipt, if there will be one.
    pub receipt: ReceiptId,
    /// The meter that was asked for; a member of a pool keeps its own name.
    pub meter: FeatureKey,
    /// Units; at least 1.
    pub amount: Amount,
    /// Where units may be taken from, in burn order. Empty: the debit is refused.
    pub buckets: Vec<DebitBucket>,
    /// Counters that receive the whole amount beside, without a limit.
    pub tallies: Vec<Counter>,
    /// What the receipt shows as limit: the sum over the buckets; `None` is unlimited.
    pub limit: Option<Amount>,
    /// What the receipt shows as the end of the period.
    pub resets_at: Option<DateTime<Utc>>,
    /// When: before the end of every counter's period, or no store makes it. Retention relies on that: a counter whose period
    /// is over holds nothing of what was taken later.
    pub at: DateTime<Utc>,
}

impl Debit {
    /// Whether it makes sense to a store: it asks for at least one unit, every bucket has a counter, no counter is named
    /// twice, and the period of none is over by then.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let counters = self.buckets.iter().flat_map(|bucket| &bucket.counters).chain(&self.tallies);
        let mut seen = HashSet::new();
        !self.amount.is_zero()
            && self.buckets.iter().all(|bucket| !bucket.counters.is_empty())
            && counters.into_iter().all(|counter| {
                counter.period.end.is_none_or(|end| self.at < end)
                    && seen.insert((&counter.meter, &counter.bucket, counter.period.start))
            })
    }
}

impl Debit {
    /// The same, for usage that has happened: what its buckets have no room for is taken from the last of them, beyond its
    /// limits.
    #[must_use]
    pub fn in_full(mut self) -> Self {
        if let Some(last) = self.buckets.last_mut() {
            last.counters.iter_mut().for_each(|counter| counter.limit = None);
        }
        self
    }

    /// Whether another debit takes from the same buckets under the same limits: a store can make both in one go.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.company == other.company
            && self.meter == other.meter
            && self.limit == other.limit
            && self.resets_at == other.resets_at
            && self.buckets == other.buckets
            && self.tallies == other.tallies
    }

    /// Whether a store can make these debits in one go: they are well formed, [alike](Self::is_like), and each has a key
    /// of its own.
    #[must_use]
    pub fn is_group(debits: &[Self]) -> bool {
        let mut keys = HashSet::new();
        let Some(first) = debits.first() else { return true };
        debits.iter().all(|debit| debit.is_well_formed() && first.is_like(debit) && keys.insert(&debit.key))
    }

    /// Whether it makes sense to a store as an event of `company`: it is well formed, and there is a bucket to take from.
    #[must_use]
    pub fn is_event_of(&self, company: &CompanyId) -> bool {
        self.company == *company && !self.buckets.is_empty() && self.is_well_formed()
    }
}

/// How many units of a debit came out of one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The meter of the counter.
    pub meter: FeatureKey,
    /// The bucket.
    pub bucket: Bucket,
    /// The first instant of the period.
    pub period_start: DateTime<Utc>,
    /// Units.
    pub amount: Amount,
}

/// Proof of a consumption: what was taken, from where, and the numbers of then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The receipt's id.
    pub id: ReceiptId,
    /// Who paid.
    pub company: CompanyId,
    /// On behalf of which user.
    pub user: Option<UserId>,
    /// The operation.
    pub key: IdempotencyKey,
    /// The meter.
    pub meter: FeatureKey,
    /// Units.
    pub amount: Amount,
    /// When.
    pub at: DateTime<Utc>,
    /// Every counter that was added to, with how much; a refund takes exactly this back.
    pub split: Vec<Split>,
    /// Units used after it, over the buckets it could take from.
    pub used: Amount,
    /// The limit of then; `None` is unlimited.
    pub limit: Option<Amount>,
    /// The end of the period of then.
    pub resets_at: Option<DateTime<Utc>>,
    /// When it was given back, if it was.
    pub refunded_at: Option<DateTime<Utc>>,
}

impl Receipt {
    /// Units left after it; `None` is unlimited.
    #[must_use]
    pub fn remaining(&self) -> Option<Amount> {
        self.limit.map(|limit| limit.saturating_sub(self.used))
    }

    /// Whether another call with the same key asks for the same thing.
    #[must_use]
    pub fn is_same_call(&self, meter: &FeatureKey, amount: Amount, user: Option<&UserId>) -> bool {
        self.meter == *meter && self.amount == amount && self.user.as_ref() == user
    }
}

/// What became of a debit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DebitOutcome {
    /// It was made, just now.
    Recorded(Receipt),
    /// It had been made before, by the same key and arguments; nothing changed.
    Duplicate(Receipt),
    /// The key had been used before with other arguments; nothing changed.
    Conflict,
    /// It does not fit; nothing changed, and the key stays free.
    Refused,
}

/// What became of a usage event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordOutcome {
    /// It was recorded, just now.
    Recorded,
    /// It had been recorded before.
    Duplicate,
    /// Its key had been used with other arguments.
    Conflict,
}

/// An alert that waits to be sent: usage reached a percentage of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageAlert {
    /// The company.
    pub company: CompanyId,
    /// The meter.
    pub meter: FeatureKey,
    /// The bucket.
    pub bucket: Bucket,
    /// The first instant of the period.
    pub period_start: DateTime<Utc>,
    /// The percentage of the limit.
    pub percent: u16,
    /// The units that were reached.
    pub threshold: Amount,
    /// Units used when it was crossed.
    pub used: Amount,
    /// When it was crossed.
    pub at: DateTime<Utc>,
}
