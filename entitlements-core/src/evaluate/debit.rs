//! The plan of a debit: where an allowed consumption may take its units from.

use chrono::{DateTime, Utc};

use super::allowance::{Allowance, QuotaNow, quotas_now};
use super::in_effect::InEffect;
use super::{Horizon, View, steps};
use crate::Amount;
use crate::bucket::Bucket;
use crate::catalog::{Catalog, Feature, OnPlanChange, Plan};
use crate::decision::{Decision, Reason};
use crate::id::{FeatureKey, InvalidId, PlanKey};
use crate::period::{Interval, Period};
use crate::request::Request;
use crate::snapshot::{GrantView, Snapshot};
use crate::usage::{Counter, DebitBucket};

/// Where a consumption may take its units from, and what its receipt will show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DebitPlan {
    pub(crate) buckets: Vec<DebitBucket>,
    pub(crate) tallies: Vec<Counter>,
    pub(crate) limit: Option<Amount>,
    pub(crate) resets_at: Option<DateTime<Utc>>,
}

/// Plans the debit of an allowed consumption; `None` if the decision is a denial.
pub(crate) fn plan_debit(
    request: &Request<'_>,
    decision: &Decision,
    snapshot: &Snapshot,
    catalog: &Catalog,
    now: DateTime<Utc>,
) -> Option<DebitPlan> {
    if !decision.is_allowed() || !snapshot.is_bound_to(catalog) {
        return None;
    }
    let effect = InEffect::at(snapshot, catalog, now);
    let feature = catalog.feature(request.feature)?;
    let view = View { request, snapshot, catalog, now, feature, effect: &effect };
    let mut scratch = Horizon::new(now);
    let uncapped =
        decision.reason == Reason::AllowedByPolicy || steps::unlimited_grant(&view, &mut scratch).is_some();
    let planned = if uncapped { uncapped_debit(&view) } else { allowance_debit(&view) };
    planned.ok()
}

/// Plans the count of what has happened: as consumption would be, and without a limit where nothing gives one.
pub(crate) fn plan_record(
    request: &Request<'_>,
    snapshot: &Snapshot,
    catalog: &Catalog,
    at: DateTime<Utc>,
) -> Option<DebitPlan> {
    if !snapshot.is_bound_to(catalog) {
        return plan_record(request, &snapshot.rebind(catalog), catalog, at);
    }
    let effect = InEffect::at(snapshot, catalog, at);
    let feature = catalog.feature(request.feature)?;
    let view = View { request, snapshot, catalog, now: at, feature, effect: &effect };
    if steps::unlimited_grant(&view, &mut Horizon::new(at)).is_some() {
        return uncapped_debit(&view).ok();
    }
    let planned = allowance_debit(&view).ok()?;
    if planned.buckets.is_empty() { uncapped_debit(&view).ok() } else { Some(planned) }
}

fn uncapped_debit(view: &View<'_>) -> Result<DebitPlan, InvalidId> {
    let status = steps::uncapped_status(view, &mut Horizon::new(view.now));
    let period = steps::uncapped_period(view);
    let counter = Counter {
        meter: FeatureKey::new(view.meter().key())?,
        bucket: Bucket::Uncapped,
        period,
        limit: None,
        alerts: Vec::new(),
    };
    Ok(DebitPlan {
        buckets: vec![DebitBucket { counters: vec![counter] }],
        tallies: tallies(view, period)?,
        limit: None,
        resets_at: status.resets_at,
    })
}

fn allowance_debit(view: &View<'_>) -> Result<DebitPlan, InvalidId> {
    let mut horizon = Horizon::new(view.now);
    let mut buckets: Vec<_> =
        view.amount_grants(&mut horizon).map(|(grant, amount)| grant_bucket(&grant, amount)).collect();
    let status = Allowance::under(view, view.effect.plan, &mut Horizon::new(view.now)).status;
    if let Some(plan) = view.effect.plan
        && let Some(given) = view.given(plan)
    {
        let counters = quotas_now(view, plan, given)
            .map(|quota| quota_counter(view, plan, &quota))
            .collect::<Result<Vec<_>, _>>()?;
        if !counters.is_empty() {
            buckets.push(DebitBucket { counters: shown_first(counters, status.resets_at) });
        }
    }
    let period = steps::uncapped_period(view);
    Ok(DebitPlan {
        buckets,
        tallies: tallies(view, period)?,
        limit: status.limit,
        resets_at: status.resets_at,
    })
}

/// The counter that the receipt shows comes first.
fn shown_first(mut counters: Vec<Counter>, resets_at: Option<DateTime<Utc>>) -> Vec<Counter> {
    counters.sort_by_key(|counter| counter.period.end != resets_at);
    counters
}

fn grant_bucket(view: &GrantView<'_>, amount: Amount) -> DebitBucket {
    let counter = Counter {
        meter: view.grant.feature.clone(),
        bucket: Bucket::Grant(view.grant.id.clone()),
        period: Interval::Lifetime.calendar_period(view.grant.starts_at),
        limit: Some(amount),
        alerts: Vec::new(),
    };
    DebitBucket { counters: vec![counter] }
}

fn quota_counter(view: &View<'_>, plan: &Plan, now: &QuotaNow<'_>) -> Result<Counter, InvalidId> {
    let meter = view.meter();
    let scope =
        (meter.on_plan_change() == OnPlanChange::Reset).then(|| PlanKey::new(plan.key())).transpose()?;
    let quota = now.quota;
    Ok(Counter {
        meter: FeatureKey::new(meter.key())?,
        bucket: Bucket::Plan { every: quota.every, anchor: quota.anchor, plan: scope },
        period: kept(view, now),
        limit: if quota.is_soft() { None } else { now.limit },
        alerts: now.limit.map_or_else(Vec::new, |limit| thresholds(limit, &quota.alerts)),
    })
}

/// How long the counter matters: one period longer where unused units roll over.
fn kept(view: &View<'_>, now: &QuotaNow<'_>) -> Period {
    if now.quota.rollover.is_zero() {
        return now.period;
    }
    let next = now.period.end.map(|end| view.effect.period(now.quota, end));
    Period { end: next.and_then(|next| next.end), ..now.period }
}

/// Units at which each percentage of `limit` is reached.
fn thresholds(limit: Amount, percentages: &[u16]) -> Vec<(u16, Amount)> {
    let at = |percent: u16| {
        let units = (u128::from(limit.get()) * u128::from(percent)).div_ceil(100).max(1);
        u64::try_from(units).ok().and_then(Amount::new).map(|units| (percent, units))
    };
    percentages.iter().filter_map(|percent| at(*percent)).collect()
}

/// A meter that shares a pool is counted under its own name as well.
fn tallies(view: &View<'_>, period: Period) -> Result<Vec<Counter>, InvalidId> {
    if !view.feature.is_pooled() {
        return Ok(Vec::new());
    }
    Ok(vec![part(view.feature, period)?])
}

fn part(feature: &Feature, period: Period) -> Result<Counter, InvalidId> {
    let meter = FeatureKey::new(feature.key())?;
    Ok(Counter { meter, bucket: Bucket::Part, period, limit: None, alerts: Vec::new() })
}
