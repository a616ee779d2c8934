//! The steps that look at grants and at the plan, and what an allow by policy says.

use super::allowance::{Allowance, add};
use super::outcome::{Outcome, Shown};
use super::{Horizon, View};
use crate::Amount;
use crate::bucket::Bucket;
use crate::catalog::{EntryKind, FeatureKind, Plan, Value};
use crate::decision::{QuotaStatus, Reason, Source};
use crate::grant::Grant;
use crate::period::{Interval, Period};
use crate::policy::{Applied, Effect};

/// Step 2: a grant without an amount allows. Of several, the smallest id is the source.
#[inline]
pub(crate) fn grants(view: &View<'_>, shown: &mut Shown, horizon: &mut Horizon) -> Option<Outcome> {
    if !view.snapshot.has_grants() {
        return None;
    }
    let grant = unlimited_grant(view, horizon)?;
    show_unlimited(view, shown, horizon);
    Some(Outcome::new(Reason::AllowedByGrant, Source::Grant(grant.id.clone())))
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
pub(crate) fn plan(view: &View<'_>, shown: &mut Shown, horizon: &mut Horizon) -> Option<Outcome> {
    match view.feature.kind() {
        FeatureKind::Flag => flag(view),
        FeatureKind::Meter => meter(view, shown, horizon),
        FeatureKind::Gauge => gauge(view, shown),
        FeatureKind::Value => value(view, shown),
    }
}

/// Step 4: what a policy says that applies.
#[inline]
pub(crate) fn policy(
    view: &View<'_>,
    applied: Applied<'_>,
    shown: &mut Shown,
    horizon: &mut Horizon,
) -> Outcome {
    let reason = match applied.effect() {
        Effect::Deny => Reason::PolicyDenied,
        Effect::Allow => {
            show_unlimited(view, shown, horizon);
            Reason::AllowedByPolicy
        }
    };
    Outcome::new(reason, Source::Policy(applied.id().clone()))
}

#[inline]
fn flag(view: &View<'_>) -> Option<Outcome> {
    let plan = view.effect.plan.filter(|plan| gives_flag(view, plan))?;
    Some(Outcome::new(Reason::AllowedByPlan, Source::Plan(plan.key())))
}

/// Whether the company would have the requested flag and action on `plan`.
#[inline]
pub(crate) fn gives_flag<'a>(view: &View<'a>, plan: &'a Plan) -> bool {
    if view.snapshot.differs() {
        return view.given(plan).is_some();
    }
    plan.includes(view.feature.index, view.request.action)
}

fn meter(view: &View<'_>, shown: &mut Shown, horizon: &mut Horizon) -> Option<Outcome> {
    let allowance = Allowance::under(view, view.effect.plan, horizon);
    if !allowance.included {
        return None;
    }
    let plan = || view.effect.plan.map(|plan| Source::Plan(plan.key()));
    let outcome = if allowance.fits(view.request.amount) {
        let source = allowance.source.or(allowance.first).or_else(plan)?;
        let reason = match source {
            Source::Grant(_) => Reason::AllowedByGrant,
            _ => Reason::AllowedByPlan,
        };
        Outcome::new(reason, source)
    } else {
        // Only grants can be short without a plan in effect.
        Outcome::new(Reason::QuotaExceeded, plan().or(allowance.first).unwrap_or(Source::Default))
    };
    shown.quota = Some(allowance.status);
    Some(outcome)
}

fn gauge(view: &View<'_>, shown: &mut Shown) -> Option<Outcome> {
    let plan = view.effect.plan?;
    let status = gauge_status(view, plan)?;
    let fits = gauge_fits(&status, view.request.amount);
    let reason = if fits { Reason::AllowedByPlan } else { Reason::QuotaExceeded };
    shown.quota = Some(status);
    Some(Outcome::new(reason, Source::Plan(plan.key())))
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

fn value(view: &View<'_>, shown: &mut Shown) -> Option<Outcome> {
    let (plan, value) = planned_value(view)?;
    shown.value = value;
    Some(match plan {
        Some(plan) => Outcome::new(Reason::AllowedByPlan, Source::Plan(plan.key())),
        None => Outcome::new(Reason::AllowedByDefault, Source::Default),
    })
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

/// Shows what an allow without a limit shows: a meter is still counted, a value has its value.
#[inline]
fn show_unlimited(view: &View<'_>, shown: &mut Shown, horizon: &mut Horizon) {
    match view.feature.kind() {
        FeatureKind::Flag => {}
        FeatureKind::Meter => shown.quota = Some(uncapped_status(view, horizon)),
        FeatureKind::Gauge => shown.quota = Some(held(view, None)),
        FeatureKind::Value => shown.value = planned_value(view).and_then(|(_, value)| value),
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
