//! Candidates: what each step looked at, and why it counts or does not.

use chrono::SecondsFormat;

use super::{Candidate, StepKind};
use crate::Amount;
use crate::catalog::{Catalog, FeatureKind, Plan};
use crate::decision::{Decision, QuotaStatus, Reason};
use crate::evaluate::{View, steps};
use crate::policy::{Effect, Policy, Truth, When};
use crate::snapshot::{GrantView, Instead};
use crate::subscription::{Access, Subscription};

pub(super) fn of(step: StepKind, view: &View<'_>, decision: &Decision) -> Vec<Candidate> {
    match step {
        StepKind::Known => {
            let feature = view.feature;
            let why = format!("a {} of the catalog", feature.kind());
            vec![Candidate::new(feature.key(), true, why)]
        }
        StepKind::Guardrails => {
            let guardrails = view.snapshot.policies().guardrails_of(view.feature.index, view.request.action);
            guardrails.into_iter().map(|policy| policy_candidate(view, policy)).collect()
        }
        StepKind::Grants => view.grants().map(|grant| grant_candidate(view, &grant)).collect(),
        StepKind::Plan => plan_candidates(view, decision),
        StepKind::Policies => {
            let policies = view.snapshot.policies().policies_of(view.feature.index, view.request.action);
            policies.into_iter().map(|policy| policy_candidate(view, policy)).collect()
        }
        StepKind::Default => {
            vec![Candidate::new(decision.reason.code(), true, default_why(view, decision.reason))]
        }
    }
}

pub(super) fn unknown(feature: &str, catalog: &Catalog) -> Candidate {
    let near =
        catalog.features().iter().map(|known| (strsim::damerau_levenshtein(known.key(), feature), known));
    let near = near.filter(|(distance, _)| *distance <= 3).min_by_key(|(distance, _)| *distance);
    let why = match near {
        Some((_, known)) => format!("the catalog has no such feature; did you mean `{}`?", known.key()),
        None => "the catalog has no such feature".into(),
    };
    Candidate::new(feature, false, why)
}

fn grant_candidate(view: &View<'_>, candidate: &GrantView<'_>) -> Candidate {
    let grant = candidate.grant;
    let no = |why: String| Candidate::new(grant.id.as_str(), false, why);
    if let Some(voided) = grant.voided_at {
        return no(format!("voided at {}", show(voided)));
    }
    if let Some(user) = &grant.user
        && Some(user) != view.request.subject.user.as_ref()
    {
        return no(format!("only for user `{user}`"));
    }
    if !grant.actions.contains(view.request.action) {
        return no(format!("does not cover {}", view.request.action));
    }
    if let Some(pattern) = &grant.resource
        && !pattern.matches(view.request.resource)
    {
        return no(format!("only for resource `{pattern}`"));
    }
    if view.now < grant.starts_at {
        return no(format!("starts at {}", show(grant.starts_at)));
    }
    if let Some(end) = grant.ends_at
        && end <= view.now
    {
        return no(format!("ended at {}", show(end)));
    }
    let kind = grant.kind.as_str();
    let why = match grant.amount {
        None => format!("a {kind} grant without a limit"),
        Some(amount) => format!("a {kind} grant of {amount}, {} left", amount.saturating_sub(candidate.used)),
    };
    Candidate::new(grant.id.as_str(), true, why)
}

fn policy_candidate(view: &View<'_>, policy: &Policy) -> Candidate {
    let no = |why: String| Candidate::new(policy.id.as_str(), false, why);
    if let Some(start) = policy.starts_at
        && view.now < start
    {
        return no(format!("starts at {}", show(start)));
    }
    if let Some(end) = policy.ends_at
        && end <= view.now
    {
        return no(format!("ended at {}", show(end)));
    }
    if !policy.target.matches(view.request) {
        return no("its target is another company, user or resource".into());
    }
    let effect = match policy.effect {
        Effect::Allow => "allows",
        Effect::Deny => "denies",
    };
    let condition = match &policy.when {
        When::Always => {
            return Candidate::new(policy.id.as_str(), true, format!("{effect} without a condition"));
        }
        When::Broken { why, .. } => {
            let applies = policy.effect == Effect::Deny;
            let why = format!("its stored condition cannot be read ({why}), which counts as unknown");
            return Candidate::new(policy.id.as_str(), applies, why);
        }
        When::Holds(condition) => condition,
    };
    let attributes = view.attributes();
    let truth = condition.evaluate(&attributes);
    let unmet = condition.unmet(&attributes).map(ToString::to_string).unwrap_or_default();
    let (applies, why) = match (truth, policy.effect) {
        (Truth::True, _) => (true, format!("{effect}: its condition is true")),
        (Truth::Unknown, Effect::Deny) => (true, format!("denies: its condition is unknown at {unmet}")),
        (Truth::Unknown, Effect::Allow) => (false, format!("its condition is unknown at {unmet}")),
        (Truth::False, _) => (false, format!("its condition is false at {unmet}")),
    };
    Candidate::new(policy.id.as_str(), applies, why)
}

fn plan_candidates(view: &View<'_>, decision: &Decision) -> Vec<Candidate> {
    let mut found: Vec<_> = view
        .snapshot
        .facts()
        .subscriptions
        .iter()
        .map(|subscription| subscribed(view, subscription))
        .collect();
    let Some(plan) = view.effect.plan else {
        let why = match view.effect.subscription() {
            Some(subscription) => format!("the catalog does not know the plan `{}`", subscription.plan),
            None => "no subscription gives access, and the catalog has no default plan".into(),
        };
        found.push(Candidate::new("no plan", false, why));
        return found;
    };
    if view.effect.subscription().is_none() {
        found.push(Candidate::new(plan.key(), true, "the catalog's default plan is in effect"));
    }
    match view.snapshot.instead(view.meter().index) {
        Instead::AsPlanned => {}
        Instead::TakenAway => {
            found.push(Candidate::new("override", true, "takes the feature away from this company"));
        }
        Instead::Given(_) => {
            found.push(Candidate::new("override", true, "counts instead of the plan for this company"));
        }
    }
    if view.snapshot.addons(view.meter().index).is_some() {
        found.push(Candidate::new("add-ons", true, "add to the plan"));
    }
    found.push(included(view, plan, decision));
    found
}

fn subscribed(view: &View<'_>, subscription: &Subscription) -> Candidate {
    let status = &subscription.status;
    let plan = &subscription.plan;
    match subscription.access(view.now, view.catalog.past_due_grace()) {
        Access::Until(Some(until)) => {
            let why = format!("{status}: gives plan `{plan}` until {}", show(until));
            Candidate::new(subscription.id.as_str(), true, why)
        }
        Access::Until(None) => {
            Candidate::new(subscription.id.as_str(), true, format!("{status}: gives plan `{plan}`"))
        }
        Access::None => {
            let why = format!("{status}: gives no access to plan `{plan}`");
            Candidate::new(subscription.id.as_str(), false, why)
        }
    }
}

fn included(view: &View<'_>, plan: &Plan, decision: &Decision) -> Candidate {
    let (feature, action) = (view.feature.key(), view.request.action);
    if view.feature.kind() == FeatureKind::Value {
        let named = view.given_of(plan, view.feature).is_some();
        let why = if named { "names the value" } else { "does not name the value, so the default counts" };
        return Candidate::new(plan.key(), named, why);
    }
    if view.given(plan).is_none() {
        return Candidate::new(plan.key(), false, format!("does not include {action} {feature}"));
    }
    let status = match view.feature.kind() {
        FeatureKind::Meter => decision.quota,
        FeatureKind::Gauge => steps::gauge_status(view, plan),
        FeatureKind::Flag | FeatureKind::Value => None,
    };
    let fits = decision.reason != Reason::QuotaExceeded;
    let why = match status {
        Some(status) => quota_why(&status, view.request.amount, fits),
        None => format!("includes {action} {feature}"),
    };
    Candidate::new(plan.key(), fits, why)
}

fn quota_why(status: &QuotaStatus, amount: Amount, fits: bool) -> String {
    let of = status.limit.map_or_else(|| "without a limit".into(), |limit| format!("of {limit}"));
    let until = status.resets_at.map_or_else(String::new, |end| format!(" until {}", show(end)));
    let verdict = if fits { "fits" } else { "does not fit" };
    format!("{} {of} {} used{until}; {amount} more {verdict}", status.used, status.meter)
}

fn default_why(view: &View<'_>, reason: Reason) -> String {
    let (feature, action) = (view.feature.key(), view.request.action);
    match reason {
        Reason::NotGranted => format!("no plan sells {action} {feature}, and no grant or policy allows it"),
        Reason::NoSubscription => {
            "the company has no subscription, and the catalog has no default plan".into()
        }
        Reason::SubscriptionInactive => "no subscription of the company gives access".into(),
        _ => format!("the plan in effect does not include {action} {feature}"),
    }
}

pub(super) fn show(instant: chrono::DateTime<chrono::Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
