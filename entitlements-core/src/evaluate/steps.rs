//! The steps that look at grants and at the plan, and what an allow by policy says.
//!
//! A step that decides says so, and writes what it says into the decision.

use super::allowance::{Allowance, add};
use super::{Horizon, View};
use crate::Amount;
use crate::bucket::Bucket;
use crate::catalog::{EntryKind, FeatureKind, Plan, Value};
use crate::decision::{Decision, QuotaStatus, Reason, Source};
use crate::grant::Grant;
use crate::period::{Interval, Period};
use crate::policy::{Applied, Effect};

/// Step 2: a grant without an amount allows. Of several, the smallest id is the source.
#[inline]
pub(crate) fn grants(view: &View<'_>, decision: &mut Decision, horizon: &mut Horizon) -> bool {
    if !view.snapshot.has_grants() {
        return false;
    }
    let Some(grant) = unlimited_grant(view, horizon) else { return false };
    decision.settle(Reason::AllowedByGrant, Source::Grant(grant.id.clone()));
    unlimited(view, decision, horizon);
    true
}

/// The grant without an amount that covers the request, if there is one.
pub(crate) fn unlimited_grant<'a>(view: &View<'a>, horizon: &mut Horizon) -> Option<&'a Grant> {
    let mut found: Option<&Grant> = None;
    for candidate in view.grants() {
        if candidate.grant.amount.is_none()
            && view.covers(&candidate, horizon)
            && found.is_none_or(|grant| candidate.grant.id < grant.id)
        {
            found = Some(candidate.grant);
        }
    }
    found
}

/// Step 3: the plan includes feature and action, and the quota has room or has not.
#[inline]
pub(crate) fn plan(view: &View<'_>, decision: &mut Decision, horizon: &mut Horizon) -> bool {
    match view.feature.kind() {
        FeatureKind::Flag => flag(view, decision),
        FeatureKind::Meter => meter(view, decision, horizon),
        FeatureKind::Gauge => gauge(view, decision),
        FeatureKind::Value => value(view, decision),
    }
}

/// Step 4: what a policy says that applies.
#[inline]
pub(crate) fn policy(view: &View<'_>, applied: Applied<'_>, decision: &mut Decision, horizon: &mut Horizon) {
    let source = Source::Policy(applied.id.clone());
    match applied.effect {
        Effect::Deny => decision.settle(Reason::PolicyDenied, source),
        Effect::Allow => {
            decision.settle(Reason::AllowedByPolicy, source);
            unlimited(view, decision, horizon);
        }
    }
}

#[inline]
fn flag(view: &View<'_>, decision: &mut Decision) -> bool {
    let Some(plan) = view.effect.plan.filter(|plan| gives_flag(view, plan)) else { return false };
    decision.settle(Reason::AllowedByPlan, Source::Plan(plan.key()));
    true
}

/// Whether the company would have the requested flag and action on `plan`.
#[inline]
pub(crate) fn gives_flag<'a>(view: &View<'a>, plan: &'a Plan) -> bool {
    if view.snapshot.differs() {
        return view.given(plan).is_some();
    }
    plan.includes(view.feature.index, view.request.action)
}

fn meter(view: &View<'_>, decision: &mut Decision, horizon: &mut Horizon) -> bool {
    let allowance = Allowance::under(view, view.effect.plan, horizon);
    if !allowance.included {
        return false;
    }
    let plan = || view.effect.plan.map(|plan| Source::Plan(plan.key()));
    if allowance.fits(view.request.amount) {
        let Some(source) = allowance.source.or(allowance.first).or_else(plan) else { return false };
        let reason = match source {
            Source::Grant(_) => Reason::AllowedByGrant,
            _ => Reason::AllowedByPlan,
        };
        decision.settle(reason, source);
    } else {
        // Only grants can be short without a plan in effect.
        decision.settle(Reason::QuotaExceeded, plan().or(allowance.first).unwrap_or(Source::Default));
    }
    decision.quota = Some(allowance.status);
    true
}

fn gauge(view: &View<'_>, decision: &mut Decision) -> bool {
    let status = view.effect.plan.and_then(|plan| Some((plan, gauge_status(view, plan)?)));
    let Some((plan, status)) = status else { return false };
    let fits = gauge_fits(&status, view.request.amount);
    let reason = if fits { Reason::AllowedByPlan } else { Reason::QuotaExceeded };
    decision.settle(reason, Source::Plan(plan.key()));
    decision.quota = Some(status);
    true
}

/// Whether `amount` more may be held. Even an unlimited gauge must be able to hold the number.
pub(crate) fn gauge_fits(status: &QuotaStatus, amount: Amount) -> bool {
    let held = status.used.checked_add(amount);
    held.is_some_and(|held| amount.is_zero() || status.limit.is_none_or(|limit| held <= limit))
}

/// How a gauge stands under a plan; `None` if the plan does not include it.
pub(crate) fn gauge_status<'a>(view: &View<'a>, plan: &'a Plan) -> Option<QuotaStatus> {
    let given = view.given(plan)?;
    let EntryKind::Gauge(limit) = given.entry.kind else { return None };
    let seats = view.effect.subscription().and_then(|subscription| subscription.seats);
    let limit = match seats {
        Some(seats) if view.feature.limit_from_seats() => Some(seats),
        _ => add(limit, Some(given.add)),
    };
    Some(held(view, limit))
}

/// A gauge's status under a limit.
pub(crate) fn held(view: &View<'_>, limit: Option<Amount>) -> QuotaStatus {
    let used = view.snapshot.gauge(view.feature.index);
    QuotaStatus {
        meter: view.feature.key(),
        limit,
        used,
        remaining: limit.map(|limit| limit.saturating_sub(used)),
        overage: limit.map_or(Amount::ZERO, |limit| used.saturating_sub(limit)),
        resets_at: None,
        soft: false,
    }
}

fn value(view: &View<'_>, decision: &mut Decision) -> bool {
    let Some((plan, value)) = planned_value(view) else { return false };
    match plan {
        Some(plan) => decision.settle(Reason::AllowedByPlan, Source::Plan(plan.key())),
        None => decision.settle(Reason::AllowedByDefault, Source::Default),
    }
    decision.value = value;
    true
}

/// The value of a `value` feature, and the plan that names it; `None` if the plan does not include the action.
fn planned_value<'a>(view: &View<'a>) -> Option<(Option<&'a Plan>, Option<Value>)> {
    let default = || view.feature.default_value().cloned();
    let named = view.effect.plan.and_then(|plan| Some((plan, view.given_of(plan, view.feature)?)));
    let Some((plan, given)) = named else { return Some((None, default())) };
    if !given.entry.actions.contains(view.request.action) {
        return None;
    }
    let value = match &given.entry.kind {
        EntryKind::Value(value) => Some(value.clone()),
        _ => default(),
    };
    Some((Some(plan), value))
}

/// Adds what an allow without a limit shows: a meter is still counted, a value has its value.
#[inline]
fn unlimited(view: &View<'_>, decision: &mut Decision, horizon: &mut Horizon) {
    match view.feature.kind() {
        FeatureKind::Flag => {}
        FeatureKind::Meter => decision.quota = Some(uncapped_status(view, horizon)),
        FeatureKind::Gauge => decision.quota = Some(held(view, None)),
        FeatureKind::Value => decision.value = planned_value(view).and_then(|(_, value)| value),
    }
}

/// How a meter stands that is counted without a limit.
pub(crate) fn uncapped_status(view: &View<'_>, horizon: &mut Horizon) -> QuotaStatus {
    let period = uncapped_period(view);
    if let Some(end) = period.end {
        horizon.at(end);
    }
    let meter = view.meter();
    let uncapped = view.snapshot.used(meter.index, period.start, |bucket| *bucket == Bucket::Uncapped);
    let planned = Allowance::under(view, view.effect.plan, horizon).status.used;
    QuotaStatus {
        meter: meter.key(),
        limit: None,
        used: uncapped.saturating_add(planned),
        remaining: None,
        overage: Amount::ZERO,
        resets_at: period.end,
        soft: false,
    }
}

/// The period in which a meter without a limit is counted: the plan's, or else the month of the calendar.
pub(crate) fn uncapped_period(view: &View<'_>) -> Period {
    let quota = view.effect.plan.and_then(|plan| {
        let given = view.given_of(plan, view.meter())?;
        match &given.entry.kind {
            EntryKind::Meter(quotas) => quotas.first(),
            _ => None,
        }
    });
    match quota {
        Some(quota) => view.effect.period(quota, view.now),
        None => Interval::Month.calendar_period(view.now),
    }
}
