//! Counterfactuals: the single changes that would allow what was denied. Units, instants, plans and grants are tried
//! out before they are named; of a policy the part of its condition is named that stands in the way.

use chrono::{DateTime, Utc};

use super::candidates::show;
use super::{Change, ChangeKind};
use crate::catalog::FeatureKind;
use crate::decision::{Decision, Reason, Source};
use crate::evaluate::{Horizon, View, evaluate, offer};
use crate::grant::{Grant, GrantKind};
use crate::id::{FeatureKey, GrantId};
use crate::policy::{Effect, Policy, When};
use crate::{ActionSet, Amount, Request};

/// How often the clock is moved on to look for an instant that allows.
const INSTANTS: usize = 16;

pub(super) fn changes(view: &View<'_>, decision: &Decision) -> Vec<Change> {
    let mut changes = Vec::new();
    match &decision.source {
        Source::Guardrail(id) | Source::Policy(id) => changes.extend(other_circumstances(view, id.as_str())),
        _ => {
            changes.extend(fewer_units(view, decision));
            changes.extend(met_conditions(view));
        }
    }
    changes.extend(waiting(view, decision));
    changes.extend(other_plans(view, decision));
    changes.extend(a_grant(view, decision));
    changes
}

/// Fewer units, if some are left.
fn fewer_units(view: &View<'_>, decision: &Decision) -> Option<Change> {
    let left = decision.quota?.remaining?;
    let request = Request { amount: left, ..*view.request };
    let allowed = !left.is_zero() && decide(view, &request, view.now).is_allowed();
    allowed.then(|| Change {
        kind: ChangeKind::Units,
        value: left.to_string(),
        why: format!("{left} units are left, {} were asked for", view.request.amount),
    })
}

/// An allow policy whose condition is not met. It would decide if no policy that ranks before it applied, and none did.
fn met_conditions(view: &View<'_>) -> Option<Change> {
    let attributes = view.attributes();
    let policies = view.snapshot.policies().policies_of(view.feature.index, view.request.action);
    let near = policies.into_iter().find(|policy| {
        policy.effect == Effect::Allow
            && policy.is_active(view.now)
            && policy.target.matches(view.request)
            && matches!(policy.when, When::Holds(_))
    })?;
    let When::Holds(condition) = &near.when else { return None };
    // A quota that refuses is final: no policy is asked after it.
    if view.effect.plan.is_some_and(|plan| view.given(plan).is_some()) {
        return None;
    }
    let unmet = condition.unmet(&attributes)?;
    Some(Change {
        kind: ChangeKind::Condition,
        value: near.id.as_str().into(),
        why: format!("policy `{}` allows when {unmet} holds, too", near.id),
    })
}

/// Circumstances in which the policy that denied does not apply.
fn other_circumstances(view: &View<'_>, id: &str) -> Option<Change> {
    let policies = view.snapshot.policies();
    let (feature, action) = (view.feature.index, view.request.action);
    let all =
        policies.guardrails_of(feature, action).into_iter().chain(policies.policies_of(feature, action));
    let policy: &Policy = all.into_iter().find(|policy| policy.id.as_str() == id)?;
    let When::Holds(condition) = &policy.when else { return None };
    Some(Change {
        kind: ChangeKind::Condition,
        value: policy.id.as_str().into(),
        why: format!("it denies unless {} is false", condition.to_json()),
    })
}

/// The first instant at which, without any write, the request is allowed.
fn waiting(view: &View<'_>, decision: &Decision) -> Option<Change> {
    let mut expiry = decision.expires_at;
    for _ in 0..INSTANTS {
        let instant = expiry?;
        let then = decide(view, view.request, instant);
        if then.is_allowed() {
            return Some(Change {
                kind: ChangeKind::Instant,
                value: show(instant),
                why: format!("allowed from then on: {}", then.reason),
            });
        }
        expiry = then.expires_at.filter(|next| *next > instant);
    }
    None
}

fn other_plans<'a>(view: &View<'a>, decision: &Decision) -> impl Iterator<Item = Change> + use<'a> {
    let plans = offer::upgrade(view, decision.reason, &mut Horizon::new(view.now));
    let feature = view.feature.key();
    let kind = view.feature.kind();
    plans.into_iter().map(move |plan| Change {
        kind: ChangeKind::Plan,
        value: plan.into(),
        why: match kind {
            FeatureKind::Meter | FeatureKind::Gauge => format!("plan `{plan}` has room for it"),
            _ => format!("plan `{plan}` includes `{feature}`"),
        },
    })
}

/// A grant to the company: the missing units of a meter, or else the feature as such.
fn a_grant(view: &View<'_>, decision: &Decision) -> Option<Change> {
    if decision.reason == Reason::QuotaExceeded && view.feature.kind() == FeatureKind::Meter {
        let left = decision.quota?.remaining.unwrap_or(Amount::ZERO);
        let missing = view.request.amount.saturating_sub(left);
        return granted(view, Some(missing))?.is_allowed().then(|| Change {
            kind: ChangeKind::Grant,
            value: missing.to_string(),
            why: format!("a grant of {missing} more units would cover it"),
        });
    }
    let feature = view.feature.key();
    granted(view, None)?.is_allowed().then(|| Change {
        kind: ChangeKind::Grant,
        value: feature.into(),
        why: format!("a grant of `{feature}` to the company would allow it"),
    })
}

/// The decision if the company had one grant more.
fn granted(view: &View<'_>, amount: Option<Amount>) -> Option<Decision> {
    let mut facts = view.snapshot.facts().clone();
    facts.grants.push(Grant {
        id: GrantId::new("counterfactual").ok()?,
        company: facts.company.clone(),
        user: None,
        feature: FeatureKey::new(view.feature.key()).ok()?,
        actions: ActionSet::ALL,
        resource: None,
        amount,
        kind: GrantKind::Manual,
        starts_at: view.now,
        ends_at: None,
        reason: None,
        created_at: view.now,
        voided_at: None,
    });
    let snapshot = view.snapshot.with_facts(facts, view.catalog);
    Some(evaluate(view.request, &snapshot, view.catalog, view.now))
}

fn decide(view: &View<'_>, request: &Request<'_>, at: DateTime<Utc>) -> Decision {
    evaluate(request, view.snapshot, view.catalog, at)
}
