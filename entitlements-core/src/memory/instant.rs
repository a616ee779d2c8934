//! Instants are kept to the microsecond, as databases keep them.

use chrono::{DateTime, Utc};

use crate::grant::Grant;
use crate::policy::Policy;
use crate::subscription::Subscription;
use crate::usage::{Counter, Debit};

/// `instant` without what is finer than a microsecond.
pub(super) fn kept(instant: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(instant.timestamp_micros()).unwrap_or(instant)
}

pub(super) fn kept_subscription(subscription: &Subscription) -> Subscription {
    Subscription {
        started_at: kept(subscription.started_at),
        anchor: kept(subscription.anchor),
        current_period_start: kept(subscription.current_period_start),
        current_period_end: kept(subscription.current_period_end),
        trial_end: subscription.trial_end.map(kept),
        past_due_since: subscription.past_due_since.map(kept),
        cancel_at: subscription.cancel_at.map(kept),
        created_at: kept(subscription.created_at),
        ..subscription.clone()
    }
}

pub(super) fn kept_grant(grant: &Grant) -> Grant {
    Grant {
        starts_at: kept(grant.starts_at),
        ends_at: grant.ends_at.map(kept),
        created_at: kept(grant.created_at),
        voided_at: grant.voided_at.map(kept),
        ..grant.clone()
    }
}

pub(super) fn kept_policy(policy: &Policy) -> Policy {
    Policy { starts_at: policy.starts_at.map(kept), ends_at: policy.ends_at.map(kept), ..policy.clone() }
}

pub(super) fn kept_debit(debit: &Debit) -> Debit {
    let mut debit = debit.clone();
    debit.at = kept(debit.at);
    debit.resets_at = debit.resets_at.map(kept);
    let counters = debit.buckets.iter_mut().flat_map(|bucket| &mut bucket.counters);
    for Counter { period, .. } in counters.chain(&mut debit.tallies) {
        period.start = kept(period.start);
        period.end = period.end.map(kept);
    }
    debit
}
