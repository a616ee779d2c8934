//! Which plan is in effect: the subscription's if it gives access, else the catalog's default.

use chrono::{DateTime, Utc};

use super::Horizon;
use crate::catalog::{Anchor, Catalog, Plan, Quota};
use crate::period::{Interval, Period};
use crate::snapshot::Snapshot;
use crate::subscription::{Access, Subscription};

/// The plan in effect, and the subscription behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InEffect<'a> {
    /// The plan, if one is in effect.
    pub(crate) plan: Option<&'a Plan>,
    /// The subscription that gives access, if one does.
    pub(crate) subscription: Option<&'a Subscription>,
    /// The newest subscription, if none gives access.
    pub(crate) inactive: Option<(&'a Subscription, Option<&'a Plan>)>,
    until: Option<DateTime<Utc>>,
}

impl<'a> InEffect<'a> {
    pub(crate) fn at(snapshot: &'a Snapshot, catalog: &'a Catalog, now: DateTime<Utc>) -> Self {
        let mut inactive = None;
        for (subscription, index) in snapshot.subscriptions() {
            let plan = index.and_then(|index| catalog.plans.get(index.get()));
            match subscription.access(now, catalog.past_due_grace()) {
                Access::Until(until) => {
                    return Self { plan, subscription: Some(subscription), inactive: None, until };
                }
                Access::None => {
                    inactive.get_or_insert((subscription, plan));
                }
            }
        }
        Self { plan: catalog.default_plan(), subscription: None, inactive, until: None }
    }

    pub(crate) fn plan_key(&self) -> Option<&'static str> {
        self.plan.map(Plan::key)
    }

    /// Marks the instants at which another plan may be in effect.
    pub(crate) fn mark(&self, horizon: &mut Horizon) {
        if let Some(until) = self.until {
            horizon.at(until);
        }
        if let Some(end) = self.subscription.and_then(|subscription| subscription.trial_end) {
            horizon.at(end);
        }
    }

    /// The period of `quota` that contains `now`.
    pub(crate) fn period(&self, quota: &Quota, now: DateTime<Utc>) -> Period {
        match (quota.anchor, self.subscription) {
            (Anchor::Subscription, Some(subscription)) if quota.every != Interval::Lifetime => {
                quota.every.period(subscription.anchor, now).clipped_at(subscription.started_at)
            }
            _ => quota.every.calendar_period(now),
        }
    }

    /// The period of `quota` before `period`, if there was one.
    pub(crate) fn period_before(&self, quota: &Quota, period: Period) -> Option<Period> {
        let before = period.start.checked_sub_signed(chrono::TimeDelta::microseconds(1))?;
        match (quota.anchor, self.subscription) {
            (_, _) if quota.every == Interval::Lifetime => None,
            (Anchor::Subscription, Some(subscription)) if before < subscription.started_at => None,
            _ => Some(self.period(quota, before)),
        }
    }
}
