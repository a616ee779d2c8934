//! What must hold of a decision, whatever the world is.

use std::cmp::Reverse;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use entitlements_core::id::PlanKey;
use entitlements_core::policy::{Attributes, Effect, Policy};
use entitlements_core::{Catalog, Decision, Reason, Recording, Snapshot, Source, diff, evaluate, explain};

use crate::catalogs;
use crate::dice::Dice;
use crate::facts::{Question, World};

pub(crate) fn check(dice: &mut Dice<'_>, world: &World, catalog: &Catalog) {
    let snapshot = world.snapshot(catalog);
    for question in &world.questions {
        let decision = evaluate(&question.request(), &snapshot, catalog, question.now);
        explained(question, &snapshot, catalog, &decision);
        outlives(dice, question, &snapshot, catalog, &decision);
        unordered(question, world, catalog, &decision);
        ranked(question, world, &decision);
        // What takes long, now and then.
        match dice.below(8) {
            0 => rebound(question, world, catalog, &decision),
            1 => replayed(question, world, &snapshot, catalog),
            2 if dice.chance(60) => drop(diff(catalog, catalogs::other(catalog), [&snapshot], question.now)),
            _ => {}
        }
        if let Some(quota) = &decision.quota {
            let is_over = quota.limit.is_some_and(|limit| quota.used > limit);
            assert!(!quota.overage.is_zero() <= is_over, "{decision:?}");
            assert!(quota.resets_at.is_none_or(|end| end > question.now), "{decision:?}");
        }
        assert!(decision.upgrade.is_empty() || !decision.is_allowed());
        for plan in &decision.upgrade {
            let plan = PlanKey::new(*plan).expect("a name");
            let _ = snapshot.on_plan(&plan, catalog, question.now).expect("a name");
        }
    }
}

fn explained(question: &Question, snapshot: &Snapshot, catalog: &Catalog, decision: &Decision) {
    let explanation = explain(&question.request(), snapshot, catalog, question.now);
    assert_eq!(explanation.decision, *decision);
    assert_eq!(explanation.steps.len(), 6);
    assert!(explanation.counterfactual.is_empty() || !decision.is_allowed());
    assert!(!explanation.to_string().is_empty());
    assert!(serde_json::to_string(&explanation).is_ok());
}

/// Until it expires, the decision is the same.
fn outlives(
    dice: &mut Dice<'_>,
    question: &Question,
    snapshot: &Snapshot,
    catalog: &Catalog,
    decision: &Decision,
) {
    let now = question.now;
    let Some(end) = decision.expires_at else { return };
    assert!(end > now, "{decision:?} expires in the past");
    let last = end.checked_sub_signed(TimeDelta::nanoseconds(1)).unwrap_or(now).max(now);
    let between = Some(dice.instant()).filter(|at| (now..=last).contains(at));
    for at in between.into_iter().chain([last]) {
        let later = evaluate(&question.request(), snapshot, catalog, at);
        let later = Decision { expires_at: decision.expires_at, ..later };
        assert_eq!(later, *decision, "at {at:?}, asked at {now:?}");
    }
}

/// The order of facts and policies never matters.
fn unordered(question: &Question, world: &World, catalog: &Catalog, decision: &Decision) {
    let mut facts = world.facts.clone();
    facts.subscriptions.reverse();
    facts.grants.reverse();
    facts.addons.reverse();
    facts.overrides.reverse();
    facts.usage.reverse();
    facts.gauges.reverse();
    let mut policies = world.policies.clone();
    policies.policies.reverse();
    let reversed = World { facts, policies, questions: Vec::new() };
    let again = evaluate(&question.request(), &reversed.snapshot(catalog), catalog, question.now);
    assert_eq!(again, *decision, "reversed");
}

/// The compiled policies say what looking at all of them by rank says.
fn ranked(question: &Question, world: &World, decision: &Decision) {
    if decision.reason == Reason::UnknownFeature {
        return;
    }
    let request = question.request();
    let attributes = Attributes { request: &request, plan: decision.plan, now: question.now };
    let applying = || world.policies.policies.iter().filter(|policy| policy.applies(&attributes).is_some());
    let guardrail = applying().filter(|policy| policy.guardrail).min_by_key(|policy| &policy.id);
    let said = match &decision.source {
        Source::Guardrail(id) => Some(id),
        _ => None,
    };
    assert_eq!(said, guardrail.map(|policy| &policy.id), "{decision:?}");
    let rank =
        |policy: &&Policy| (Reverse(policy.priority), policy.effect == Effect::Allow, policy.id.clone());
    let first = applying().filter(|policy| !policy.guardrail).min_by_key(rank);
    match &decision.source {
        Source::Policy(id) => {
            let first = first.expect("a policy applies");
            assert_eq!(
                (id, decision.is_allowed()),
                (&first.id, first.effect == Effect::Allow),
                "{decision:?}"
            );
        }
        Source::Default | Source::Plan(_)
            if !decision.is_allowed() && decision.reason != Reason::QuotaExceeded =>
        {
            assert_eq!(first, None, "{decision:?}");
        }
        _ => {}
    }
}

/// A snapshot that was bound to another catalog decides the same.
fn rebound(question: &Question, world: &World, catalog: &Catalog, decision: &Decision) {
    let elsewhere = world.snapshot(catalogs::other(catalog));
    let again = evaluate(&question.request(), &elsewhere, catalog, question.now);
    assert_eq!(again, *decision, "bound to another catalog");
}

/// A recording says the same, also after it was text. Policies are kept to the microsecond, and in the years that RFC 3339
/// can write, so it is not asked of others.
fn replayed(question: &Question, world: &World, snapshot: &Snapshot, catalog: &Catalog) {
    let kept =
        |at: &DateTime<Utc>| at.timestamp_subsec_nanos() % 1000 == 0 && (0..=9999).contains(&at.year());
    let storable = world.policies.policies.iter().all(|policy| {
        policy.starts_at.iter().chain(&policy.ends_at).all(kept)
            && policy.starts_at.is_none_or(|start| policy.ends_at.is_none_or(|end| start < end))
            && (policy.effect == Effect::Deny || !policy.guardrail)
    });
    if !storable {
        return;
    }
    let recording = Recording::capture(&question.request(), snapshot, catalog, question.now);
    let text = serde_json::to_string(&recording).expect("plain data");
    let read: Recording = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(read, recording, "{text}");
    if let Err(error) = read.replay(catalog) {
        panic!("{error}\n{text}");
    }
}
