//! The steps that look at grants and at the plan, and what an allow by policy says.

use super::allowance::{Allowance, add};
use super::outcome::Outcome;
use super::{Horizon, View};
use crate::Amount;
use crate::bucket::Bucket;
use crate::catalog::{EntryKind, FeatureKind};
use crate::decision::{QuotaStatus, Reason, Source};
use crate::grant::Grant;
use crate::period::{Interval, Period};
use crate::policy::{Applied, Effect};

/// Step 2: a grant without an amount allows. Of several, the smallest id is the source.
pub(crate) fn grants(view: &View<'_>, horizon: &mut Horizon) -> Option<Outcome> {
    if !view.snapshot.has_grants() {
        return None;
    }
    let grant = unlimited_grant(view, horizon)?;
    let outcome = Outcome::new(Reason::AllowedByGrant, Source::Grant(grant.id.clone()));
    Some(unlimited(view, outcome, horizon))
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
pub(crate) fn plan(view: &View<'_>, horizon: &mut Horizon) -> Option<Outcome> {
    match view.feature.kind() {
        FeatureKind::Flag => flag(view),
        FeatureKind::Meter => meter(view, horizon),
        FeatureKind::Gauge => gauge(view),
        FeatureKind::Value => value(view),
    }
}

/// Step 4: what a policy says that applies.
pub(crate) fn policy(view: &View<'_>, applied: Applied<'_>, horizon: &mut Horizon) -> Outcome {
    let source = Source::Policy(applied.policy.id.clone());
    match applied.policy.effect {
        Effect::Deny => Outcome::new(Reason::PolicyDenied, source),
        Effect::Allow => unlimited(view, Outcome::new(Reason::AllowedByPolicy, source), horizon),
    }
}

fn flag(view: &View<'_>) -> Option<Outcome> {
    let plan = view.effect.plan?;
    view.given(plan)?;
    Some(Outcome::new(Reason::AllowedByPlan, Source::Plan(plan.key())))
}

fn meter(view: &View<'_>, horizon: &mut Horizon) -> Option<Outcome> {
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
    Some(outcome.with_quota(allowance.status))
}

fn gauge(view: &View<'_>) -> Option<Outcome> {
    let plan = view.effect.plan?;
    let status = gauge_status(view, plan)?;
    let source = Source::Plan(plan.key());
    let reason =
        if gauge_fits(&status, view.request.amount) { Reason::AllowedByPlan } else { Reason::QuotaExceeded };
    Some(Outcome::new(reason, source).with_quota(status))
}

/// Whether `amount` more may be held. Even an unlimited gauge must be able to hold the number.
pub(crate) fn gauge_fits(status: &QuotaStatus, amount: Amount) -> bool {
    let held = status.used.checked_add(amount);
    held.is_some_and(|held| amount.is_zero() || status.limit.is_none_or(|limit| held <= limit))
}

/// How a gauge stands under a plan; `None` if the plan does not include it.
pub(crate) fn gauge_status<'a>(view: &View<'a>, plan: &'a crate::catalog::Plan) -> Option<QuotaStatus> {
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

fn value(view: &View<'_>) -> Option<Outcome> {
    let default = || view.feature.default_value().cloned();
    let named = view.effect.plan.and_then(|plan| Some((plan, view.given_of(plan, view.feature)?)));
    let Some((plan, given)) = named else {
        return Some(Outcome::new(Reason::AllowedByDefault, Source::Default).with_value(default()));
    };
    if !given.entry.actions.contains(view.request.action) {
        return None;
    }
    let value = match &given.entry.kind {
        EntryKind::Value(value) => Some(value.clone()),
        _ => default(),
    };
    Some(Outcome::new(Reason::AllowedByPlan, Source::Plan(plan.key())).with_value(value))
}

/// Adds what an allow without a limit shows: a meter is still counted, a value has its value.
fn unlimited(view: &View<'_>, outcome: Outcome, horizon: &mut Horizon) -> Outcome {
    match view.feature.kind() {
        FeatureKind::Flag => outcome,
        FeatureKind::Meter => outcome.with_quota(uncapped_status(view, horizon)),
        FeatureKind::Gauge => outcome.with_quota(held(view, None)),
        FeatureKind::Value => outcome.with_value(value(view).and_then(|plan| plan.value)),
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
