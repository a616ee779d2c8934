//! How much of a meter or gauge there is, where it comes from, and how it is shown.

use super::calendar::{Instant, calendar_period};
use super::catalog::{Entry, Feature, Kind, Quota, What};
use super::in_effect::{Present, quota_period};
use super::world::{Award, MAX, Shown, World};

/// Where units of a meter may be taken from, in burn order.
pub(crate) struct Allowance {
    pub(crate) buckets: Vec<Bucket>,
    pub(crate) shown: Shown,
}

pub(crate) struct Bucket {
    pub(crate) reason: &'static str,
    pub(crate) source: String,
    /// The most units that fit.
    pub(crate) room: i128,
}

/// One quota of a plan, at one instant.
struct PlanQuota {
    limit: Option<i128>,
    used: i128,
    resets_at: Option<Instant>,
    soft: bool,
}

impl PlanQuota {
    fn left(&self) -> Option<i128> {
        self.limit.map(|limit| (limit - self.used).max(0))
    }

    fn room(&self) -> i128 {
        match self.left() {
            Some(left) if !self.soft => left,
            _ => MAX - self.used,
        }
    }
}

fn reset_for<'p>(meter: &Feature, present: &Present<'p>) -> Option<&'p str> {
    if meter.kind.changes_by("reset") { present.plan } else { None }
}

fn plan_quota(
    world: &World,
    present: &Present<'_>,
    meter: &Feature,
    quota: &Quota,
    now: Instant,
) -> PlanQuota {
    let (span, before, bucket) = quota_period(quota, present.sub, reset_for(meter, present), now);
    let limit = quota.limit.map(|limit| {
        let unused =
            before.map_or(0, |before| (limit - world.used(&meter.key, &bucket, before.start)).max(0));
        (limit + unused.min(quota.rollover)).min(MAX)
    });
    let used = world.used(&meter.key, &bucket, span.start);
    PlanQuota { limit, used, resets_at: span.end, soft: quota.soft }
}

/// The allowance of a meter: the amount grants that cover it, and what the plan includes; `None` if there is neither.
pub(crate) fn of_meter(
    world: &World,
    present: &Present<'_>,
    meter: &Feature,
    included: Option<&Entry>,
    grants: &[&Award],
    now: Instant,
) -> Option<Allowance> {
    let mut grants = grants.to_vec();
    grants.sort_by_key(|grant| (grant.ends_at.unwrap_or(Instant::MAX), grant.created_at, grant.id.clone()));
    let mut buckets = Vec::new();
    let mut shown = Shown {
        meter: meter.key.clone(),
        limit: Some(0),
        used: 0,
        remaining: Some(0),
        overage: 0,
        resets_at: None,
        soft: false,
    };
    for grant in grants {
        let full = grant.amount.unwrap();
        let used = world.used(&grant.feature, &format!("grant/{}", grant.id), 0);
        let left = (full - used).max(0);
        shown.limit = shown.limit.map(|limit| limit + full);
        shown.used += used;
        shown.remaining = shown.remaining.map(|remaining| remaining + left);
        buckets.push(Bucket {
            reason: "allowed_by_grant",
            source: format!("grant {}", grant.id),
            room: left,
        });
    }
    if let Some(Entry { what: What::Meter(quotas), .. }) = included {
        let quotas: Vec<PlanQuota> =
            quotas.iter().map(|quota| plan_quota(world, present, meter, quota, now)).collect();
        let room = quotas.iter().map(PlanQuota::room).min().unwrap();
        let source = format!("plan {}", present.plan.unwrap());
        buckets.push(Bucket { reason: "allowed_by_plan", source, room });
        let rank = |quota: &PlanQuota| {
            (quota.left().unwrap_or(i128::MAX), std::cmp::Reverse(quota.resets_at.unwrap_or(Instant::MAX)))
        };
        let quota = quotas.iter().min_by_key(|quota| rank(quota)).unwrap();
        shown.limit = shown.limit.zip(quota.limit).map(|(a, b)| a + b);
        shown.used += quota.used;
        shown.remaining = shown.remaining.zip(quota.left()).map(|(a, b)| a + b);
        shown.overage = quota.limit.map_or(0, |limit| (quota.used - limit).max(0));
        shown.resets_at = quota.resets_at;
        shown.soft = quota.soft;
    }
    shown.limit = shown.limit.map(|units| units.min(MAX));
    shown.used = shown.used.min(MAX);
    shown.remaining = shown.remaining.map(|units| units.min(MAX));
    (!buckets.is_empty()).then_some(Allowance { buckets, shown })
}

/// What is shown of a meter that an unlimited grant or a policy allows: counted, without a limit.
pub(crate) fn uncapped(
    world: &World,
    present: &Present<'_>,
    meter: &Feature,
    named: Option<&Entry>,
    allowance: Option<&Allowance>,
    now: Instant,
) -> Shown {
    let span = match named {
        Some(Entry { what: What::Meter(quotas), .. }) => quota_period(&quotas[0], present.sub, None, now).0,
        _ => calendar_period("month", now),
    };
    let beside = allowance.map_or(0, |allowance| allowance.shown.used);
    Shown {
        meter: meter.key.clone(),
        limit: None,
        used: (world.used(&meter.key, "uncapped", span.start) + beside).min(MAX),
        remaining: None,
        overage: 0,
        resets_at: span.end,
        soft: false,
    }
}

/// What is shown of a gauge, under a limit or without.
pub(crate) fn of_gauge(world: &World, gauge: &Feature, limit: Option<i128>) -> Shown {
    let used = world.level(&gauge.key);
    Shown {
        meter: gauge.key.clone(),
        limit,
        used,
        remaining: limit.map(|limit| (limit - used).max(0)),
        overage: limit.map_or(0, |limit| (used - limit).max(0)),
        resets_at: None,
        soft: false,
    }
}

/// The limit of a gauge: the seats that are paid for, or what the entry says.
pub(crate) fn gauge_limit(present: &Present<'_>, gauge: &Feature, limit: Option<i128>) -> Option<i128> {
    let seats = present.sub.and_then(|sub| sub.seats);
    if matches!(gauge.kind, Kind::Gauge { seats: true, .. }) && seats.is_some() { seats } else { limit }
}
