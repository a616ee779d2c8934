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
/// A plan that does not name the quota gives 0; one that is unlimited gives what the present plan gives. What add-ons or
/// overrides give is not prorated, and neither is a plan that is only considered: a hint says what the plan sells.
pub(crate) fn limit(view: &View<'_>, plan: &Plan, quota: &Quota, present: Amount, period: Period) -> Amount {
    let meter = view.meter();
    let in_effect = view.effect.plan.is_some_and(|current| current.index == plan.index);
    let planned =
        plan.entry(meter.index).is_some() && matches!(view.snapshot.instead(meter.index), Instead::AsPlanned);
    if meter.on_plan_change() == OnPlanChange::Prorate && in_effect && planned {
        weighted(view, quota, present, period).unwrap_or(present)
    } else {
        present
    }
}

fn weighted(view: &View<'_>, quota: &Quota, present: Amount, period: Period) -> Option<Amount> {
    let (subscription, end) = (view.effect.subscription()?, period.end?);
    let mut sum = 0i128;
    let mut since = period.start;
    let mut add = |limit: Amount, until: DateTime<Utc>| {
        sum += i128::from(limit.get()) * micros(since, until);
        since = until;
    };
    let changes = view.snapshot.facts().plan_changes.iter();
    // A change that is ahead of this process's clock has happened all the same.
    let of_period = |at: DateTime<Utc>| period.start < at && at < end;
    for change in changes.filter(|change| change.subscription == subscription.id && of_period(change.at)) {
        let before = view.catalog.plan(change.from.as_str());
        add(before.map_or(Amount::ZERO, |before| of(view, before, quota, present)), change.at);
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
