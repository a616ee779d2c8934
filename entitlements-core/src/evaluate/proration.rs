//! Proration: the limit of a period in which the plan changed, for meters that say `on_plan_change = "prorate"`.

use chrono::{DateTime, Utc};

use super::View;
use crate::Amount;
use crate::catalog::{EntryKind, OnPlanChange, Plan, Quota};
use crate::period::Period;
use crate::snapshot::Instead;

/// The limit of `quota` in `period`: the mean of the limits that the plans of the period give, each weighted by how long
/// it is in effect, rounded down. The present plan is taken to stay until the period ends.
///
/// A plan that does not name the quota gives 0; one that is unlimited gives what the present plan gives.
pub(crate) fn limit(view: &View<'_>, plan: &Plan, quota: &Quota, present: Amount, period: Period) -> Amount {
    let planned = matches!(view.snapshot.instead(view.meter().index), Instead::AsPlanned);
    if view.meter().on_plan_change() != OnPlanChange::Prorate || !planned {
        return present;
    }
    weighted(view, plan, quota, present, period).unwrap_or(present)
}

fn weighted(view: &View<'_>, plan: &Plan, quota: &Quota, present: Amount, period: Period) -> Option<Amount> {
    let (subscription, end) = (view.effect.subscription()?, period.end?);
    let mut sum = 0i128;
    let mut since = period.start;
    let mut add = |limit: Amount, until: DateTime<Utc>| {
        sum += i128::from(limit.get()) * micros(since, until);
        since = until;
    };
    let changes = view.snapshot.facts().plan_changes.iter();
    let of_period = |at: DateTime<Utc>| period.start < at && at <= view.now && at < end;
    for change in changes.filter(|change| change.subscription == subscription.id && of_period(change.at)) {
        let before = view.catalog.plan(change.from.as_str());
        add(before.map_or(Amount::ZERO, |before| of(view, before, quota, present)), change.at);
    }
    // A plan that is only considered would begin now.
    if let Some(current) = view.effect.plan.filter(|current| current.index != plan.index) {
        add(of(view, current, quota, present), view.now);
    }
    add(present, end);
    let mean = sum.checked_div(micros(period.start, end))?;
    u64::try_from(mean).ok().and_then(Amount::new)
}

/// What `plan` gives of the same quota.
fn of(view: &View<'_>, plan: &Plan, quota: &Quota, present: Amount) -> Amount {
    let quotas = match plan.entry(view.meter().index).map(|entry| &entry.kind) {
        Some(EntryKind::Meter(quotas)) => quotas.as_slice(),
        _ => &[],
    };
    let same = quotas.iter().find(|other| other.every == quota.every && other.anchor == quota.anchor);
    same.map_or(Amount::ZERO, |same| same.limit.unwrap_or(present))
}

fn micros(since: DateTime<Utc>, until: DateTime<Utc>) -> i128 {
    i128::from(until.timestamp_micros()) - i128::from(since.timestamp_micros())
}
