//! Quotas of meters that are prorated: the limit of a period in which the plan changed.

use super::calendar::Instant;
use super::catalog::{Entry, Feature, Kind, Quota, What};
use super::in_effect::{Present, quota_period};
use super::world::World;

/// The limit of a quota of the present plan, before add-ons: the mean of what the plans of the period give, weighted by
/// how long each was in effect.
pub(crate) fn limit(
    world: &World,
    present: &Present<'_>,
    meter: &Feature,
    quota: &Quota,
    now: Instant,
) -> Option<i128> {
    let limit = quota.limit?;
    let (Some(sub), Kind::Meter { change, .. }) = (present.sub, &meter.kind) else { return Some(limit) };
    // A plan that is only considered shows what it would give for a whole period.
    if change != "prorate" || quota.every == "lifetime" || present.is_considered {
        return Some(limit);
    }
    let span = quota_period(quota, Some(sub), None, now).0;
    let end = span.end.unwrap();
    let mut changes: Vec<_> = (world.changes.iter())
        .filter(|change| {
            change.sub == sub.id && span.start < change.at && change.at <= now && change.at < end
        })
        .collect();
    changes.sort_by_key(|change| change.at);

    let given_by = |plan: Option<&str>| match plan.and_then(|plan| world.catalog.plan_entry(plan, meter)) {
        Some(Entry { what: What::Meter(quotas), .. }) => {
            let is_same = |other: &&Quota| other.every == quota.every && other.calendar == quota.calendar;
            quotas.iter().find(is_same).map_or(0, |other| other.limit.unwrap_or(limit))
        }
        _ => 0,
    };
    let mut sum = 0;
    let mut since = span.start;
    for change in changes {
        sum += given_by(Some(&change.from)) * i128::from(change.at - since);
        since = change.at;
    }
    sum += limit * i128::from(end - since);
    Some(sum.div_euclid(i128::from(end - span.start)))
}
