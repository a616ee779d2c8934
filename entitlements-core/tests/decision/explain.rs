//! Explanations: what a support engineer reads.

use entitlements_core::{
    Action, Explanation, Request, StepKind, StepOutcome, SubscriptionStatus, evaluate, explain,
};
use serde_json::json;

use crate::world::{World, amount, at, policy};

fn explained(world: &World, request: &Request<'_>) -> Explanation {
    let snapshot = world.snapshot();
    let explanation = explain(request, &snapshot, &world.catalog, world.now);
    assert_eq!(explanation.decision, evaluate(request, &snapshot, &world.catalog, world.now));
    assert_eq!(explanation.steps.iter().map(|step| step.step).collect::<Vec<_>>(), StepKind::ALL);
    explanation
}

fn changes(explanation: &Explanation) -> Vec<String> {
    let change = |change: &entitlements_core::Change| format!("{} {}", change.kind.as_str(), change.value);
    explanation.counterfactual.iter().map(change).collect()
}

fn decided(explanation: &Explanation) -> (StepKind, StepOutcome) {
    let step = explanation.steps.iter().find(|step| step.outcome != StepOutcome::Next).unwrap();
    (step.step, step.outcome)
}

#[test]
fn an_allow_names_the_step_and_needs_no_change() {
    let world = World::on("pro");
    let explanation = explained(&world, &Request::new(&world.company(), "boardroom", Action::View));
    assert_eq!(decided(&explanation), (StepKind::Plan, StepOutcome::Allow));
    assert!(explanation.counterfactual.is_empty());
    assert!(explanation.steps[4].candidates.is_empty());
    assert_eq!(
        explanation.to_string(),
        "view boardroom: allowed, allowed_by_plan\n  known      next\n    + boardroom: a flag of the catalog\n  \
         guardrails next\n  grants     next\n  plan       allow\n    + sub_0: active: gives plan `pro`\n    \
         + pro: includes view boardroom\n  policies   next\n  default    next\n"
    );
}

#[test]
fn a_feature_that_is_not_in_the_plan_names_plans_and_a_grant() {
    let world = World::on("starter");
    let explanation = explained(&world, &Request::new(&world.company(), "boardroom", Action::View));
    assert_eq!(decided(&explanation), (StepKind::Default, StepOutcome::Deny));
    assert_eq!(changes(&explanation), ["plan pro", "plan enterprise", "grant boardroom"]);
}

#[test]
fn an_exhausted_quota_names_the_reset_the_plans_and_the_missing_units() {
    let world = World::on("starter").used_monthly("reports", 8);
    let subject = world.company();
    let request = Request::new(&subject, "reports", Action::Create).with_amount(amount(5));
    let explanation = explained(&world, &request);
    assert_eq!(decided(&explanation), (StepKind::Plan, StepOutcome::Deny));
    assert_eq!(
        changes(&explanation),
        ["units 2", "instant 2026-12-10T09:00:00Z", "plan pro", "plan enterprise", "grant 3"]
    );
    let plan = explanation.steps[3].candidates.last().unwrap();
    assert_eq!(plan.why, "8 of 10 reports used until 2026-12-10T09:00:00Z; 5 more does not fit");
}

#[test]
fn a_grant_that_does_not_cover_says_why() {
    let world = World::on("starter")
        .granted("later", "boardroom", |grant| grant.starts_at = at("2026-12-01T00:00:00Z"))
        .granted("other", "boardroom", |grant| grant.resource = Some("report:*".parse().unwrap()));
    let explanation = explained(&world, &Request::new(&world.company(), "boardroom", Action::View));
    let why: Vec<_> =
        explanation.steps[2].candidates.iter().map(|c| (c.id.as_str(), c.why.as_str())).collect();
    assert_eq!(why, [("later", "starts at 2026-12-01T00:00:00Z"), ("other", "only for resource `report:*`")]);
    assert_eq!(changes(&explanation)[0], "instant 2026-12-01T00:00:00Z");
}

#[test]
fn a_policy_that_nearly_allows_names_the_part_that_is_missing() {
    let condition =
        json!({"condition": {"all": [{"eq": ["plan", "starter"]}, {"eq": ["context.region", "eu"]}]}});
    let world = World::on("starter").policy(&policy("eu", "allow", "boardroom", &condition));
    let explanation = explained(&world, &Request::new(&world.company(), "boardroom", Action::View));
    let candidate = &explanation.steps[4].candidates[0];
    assert!(!candidate.applies);
    assert_eq!(candidate.why, r#"its condition is unknown at {"eq":["context.region","eu"]}"#);
    assert_eq!(changes(&explanation)[0], "condition eu");
}

#[test]
fn a_guardrail_leaves_only_its_own_condition_to_change() {
    let rule = json!({"guardrail": true, "condition": {"ne": ["context.region", "eu"]}});
    let world = World::on("pro").policy(&policy("residency", "deny", "boardroom", &rule));
    let explanation = explained(&world, &Request::new(&world.company(), "boardroom", Action::View));
    assert_eq!(decided(&explanation), (StepKind::Guardrails, StepOutcome::Deny));
    assert_eq!(changes(&explanation), ["condition residency"]);
    assert!(explanation.steps[0].candidates[0].applies);
}

#[test]
fn an_inactive_subscription_says_so() {
    let world = World::new().subscribed("pro", SubscriptionStatus::Unpaid);
    let explanation = explained(&world, &Request::new(&world.company(), "boardroom", Action::View));
    assert_eq!(explanation.steps[3].candidates[0].why, "unpaid: gives no access to plan `pro`");
    assert_eq!(explanation.steps[5].candidates[0].id, "subscription_inactive");
}

#[test]
fn an_unknown_feature_is_guessed() {
    let world = World::on("pro");
    let explanation = explained(&world, &Request::new(&world.company(), "bordroom", Action::View));
    assert_eq!(decided(&explanation), (StepKind::Known, StepOutcome::Deny));
    assert_eq!(
        explanation.steps[0].candidates[0].why,
        "the catalog has no such feature; did you mean `boardroom`?"
    );
}
