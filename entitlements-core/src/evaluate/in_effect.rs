//! Which plan is in effect: the subscription's if it gives access, else the catalog's default.

use chrono::{DateTime, Utc};

use super::Horizon;
use crate::catalog::{Anchor, Catalog, Plan, Quota};
use crate::period::{Interval, Period};
use crate::snapshot::{Snapshot, Standing};
use crate::subscription::Subscription;

/// The plan in effect, and the subscription behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InEffect<'a> {
    /// The plan, if one is in effect.
    pub(crate) plan: Option<&'a Plan>,
    snapshot: &'a Snapshot,
    /// Of the subscription that gives access, if one does.
    standing: Option<&'a Standing>,
}

impl<'a> InEffect<'a> {
    #[inline]
    pub(crate) fn at(snapshot: &'a Snapshot, catalog: &'a Catalog, now: DateTime<Utc>) -> Self {
        match snapshot.standings().next() {
            Some(newest) if newest.gives_access(now) => {
                Self { plan: plan_of(newest, catalog), snapshot, standing: Some(newest) }
            }
            _ => Self::of_older(snapshot, catalog, now),
        }
    }

    /// Apart, so that most decisions do not touch the older subscriptions.
    #[inline(never)]
    fn of_older(snapshot: &'a Snapshot, catalog: &'a Catalog, now: DateTime<Utc>) -> Self {
        match snapshot.standings().skip(1).find(|standing| standing.gives_access(now)) {
            Some(standing) => Self { plan: plan_of(standing, catalog), snapshot, standing: Some(standing) },
            None => Self { plan: catalog.default_plan(), snapshot, standing: None },
        }
    }

    /// The subscription that gives access, if one does.
    pub(crate) fn subscription(&self) -> Option<&'a Subscription> {
        self.snapshot.subscription(self.standing?)
    }

    /// Whether a subscription gives access.
    pub(crate) const fn is_subscribed(&self) -> bool {
        self.standing.is_some()
    }

    /// Whether there are subscriptions, and none gives access.
    pub(crate) fn is_lapsed(&self) -> bool {
        self.standing.is_none() && self.snapshot.standings().next().is_some()
    }

    /// The plan of the newest subscription, with access or without, if the catalog knows it.
    pub(crate) fn newest_plan(&self, catalog: &'a Catalog) -> Option<&'a Plan> {
        self.snapshot.standings().next().and_then(|newest| plan_of(newest, catalog))
    }

    pub(crate) fn plan_key(&self) -> Option<&'static str> {
        self.plan.map(Plan::key)
    }

    /// Marks the instants at which another plan may be in effect.
    #[inline]
    pub(crate) fn mark(&self, horizon: &mut Horizon) {
        let Some(standing) = self.standing else { return };
        if standing.until < DateTime::<Utc>::MAX_UTC {
            horizon.at(standing.until);
        }
        if let Some(end) = standing.trial_end {
            horizon.at(end);
        }
    }

    /// The period of `quota` that contains `now`.
    pub(crate) fn period(&self, quota: &Quota, now: DateTime<Utc>) -> Period {
        match (quota.anchor, self.subscription()) {
            (Anchor::Subscription, Some(subscription)) if quota.every != Interval::Lifetime => {
                quota.every.period(subscription.anchor, now).clipped_at(subscription.started_at)
            }
            _ => quota.every.calendar_period(now),
        }
    }

    /// The period of `quota` before `period`, if there was one.
    pub(crate) fn period_before(&self, quota: &Quota, period: Period) -> Option<Period> {
        let before = period.start.checked_sub_signed(chrono::TimeDelta::microseconds(1))?;
        match (quota.anchor, self.subscription()) {
            (_, _) if quota.every == Interval::Lifetime => None,
            (Anchor::Subscription, Some(subscription)) if before < subscription.started_at => None,
            _ => Some(self.period(quota, before)),
        }
    }
}

fn plan_of<'a>(standing: &Standing, catalog: &'a Catalog) -> Option<&'a Plan> {
    standing.plan.and_then(|index| catalog.plans.get(index.get()))
}
