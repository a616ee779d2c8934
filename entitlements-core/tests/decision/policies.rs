use std::sync::Arc;

use entitlements_core::facts::Revision;
use entitlements_core::policy::PolicySet;
use entitlements_core::store::Policies;
use entitlements_core::{Action, Request, Snapshot, evaluate};
use serde_json::json;

use crate::world::{World, at, numbers, policy, why};

#[test]
fn a_policy_allows_what_plan_and_grants_do_not() {
    let world = World::on("starter").policy(&policy(
        "eu",
        "allow",
        "boardroom",
        &json!({"condition": {"eq": ["context.region", "eu"]}}),
    ));
    let allowed = world.ask_in("boardroom", Action::View, json!({"region": "eu"}));
    assert_eq!(why(&allowed), "allowed_by_policy policy eu");
    for context in [json!({"region": "us"}), json!({}), json!({"region": 1}), json!({"region": null})] {
        assert_eq!(
            why(&world.ask_in("boardroom", Action::View, context)),
            "feature_not_in_plan plan starter"
        );
    }
}

#[test]
fn a_deny_applies_when_its_condition_is_unknown() {
    let world = World::on("starter")
        .policy(&policy("a", "allow", "boardroom", &json!({"priority": 1})))
        .policy(&policy(
            "no",
            "deny",
            "boardroom",
            &json!({"priority": 9, "condition": {"eq": ["context.region", "us"]}}),
        ));
    assert_eq!(
        why(&world.ask_in("boardroom", Action::View, json!({"region": "us"}))),
        "policy_denied policy no"
    );
    assert_eq!(why(&world.ask("boardroom", Action::View)), "policy_denied policy no");
    assert!(world.ask_in("boardroom", Action::View, json!({"region": "eu"})).is_allowed());
}

#[test]
fn the_plan_comes_before_an_ordinary_deny_and_after_a_guardrail() {
    let world = World::on("pro").policy(&policy("no", "deny", "boardroom", &json!({})));
    assert!(world.ask("boardroom", Action::View).is_allowed());
    let world = World::on("pro").granted("g", "boardroom", |_| {}).policy(&policy(
        "never",
        "deny",
        "boardroom",
        &json!({"guardrail": true}),
    ));
    assert_eq!(why(&world.ask("boardroom", Action::View)), "policy_denied guardrail never");
}

#[test]
fn larger_priority_decides_then_deny_then_the_smaller_id() {
    let world = World::new()
        .policy(&policy("a", "allow", "secret", &json!({"priority": 5})))
        .policy(&policy("b", "deny", "secret", &json!({"priority": 5})))
        .policy(&policy("c", "deny", "secret", &json!({"priority": 5})));
    assert_eq!(why(&world.ask("secret", Action::View)), "policy_denied policy b");
    let world = world.policy(&policy("z", "allow", "secret", &json!({"priority": 6})));
    assert_eq!(why(&world.ask("secret", Action::View)), "allowed_by_policy policy z");
}

#[test]
fn of_several_guardrails_the_smallest_id_is_the_source_whatever_the_priority() {
    let world = World::new()
        .policy(&policy("b", "deny", "secret", &json!({"guardrail": true, "priority": 9})))
        .policy(&policy("a", "deny", "secret", &json!({"guardrail": true, "priority": 1})));
    assert_eq!(why(&world.ask("secret", Action::View)), "policy_denied guardrail a");
}

#[test]
fn a_disabled_policy_does_not_count_and_one_with_dates_only_between_them() {
    let world = World::new().policy(&policy("off", "allow", "secret", &json!({"enabled": false})));
    assert!(!world.ask("secret", Action::View).is_allowed());
    let dates = json!({"startsAt": "2026-11-25T00:00:00Z", "endsAt": "2026-11-26T00:00:00Z"});
    let world = || World::new().policy(&policy("day", "allow", "secret", &dates.clone()));
    assert_eq!(world().ask("secret", Action::View).expires_at, Some(at("2026-11-25T00:00:00Z")));
    let during = world().later("2026-11-25T00:00:00Z").ask("secret", Action::View);
    assert!(during.is_allowed());
    assert_eq!(during.expires_at, Some(at("2026-11-26T00:00:00Z")));
    assert!(!world().later("2026-11-26T00:00:00Z").ask("secret", Action::View).is_allowed());
}

#[test]
fn a_policy_reads_the_plan_in_effect() {
    let rule = || policy("p", "allow", "secret", &json!({"condition": {"eq": ["plan", "pro"]}}));
    assert!(World::on("pro").policy(&rule()).ask("secret", Action::View).is_allowed());
    assert!(!World::on("starter").policy(&rule()).ask("secret", Action::View).is_allowed());
    assert!(World::with_default_plan("pro").policy(&rule()).ask("secret", Action::View).is_allowed());
}

#[test]
fn a_time_condition_sets_the_instant_of_the_next_change() {
    let world = World::new().policy(&policy(
        "office",
        "allow",
        "secret",
        &json!({"condition": {"time_between": ["09:00", "17:00"]}}),
    ));
    let decision = world.ask("secret", Action::View);
    assert!(decision.is_allowed());
    assert_eq!(decision.expires_at, Some(at("2026-11-24T17:00:00Z")));
}

#[test]
fn a_meter_allowed_by_a_policy_is_counted_without_a_limit() {
    let world = World::new().policy(&policy("p", "allow", "reports", &json!({}))).used(
        "reports",
        "uncapped",
        "2026-11-01T00:00:00Z",
        7,
    );
    let decision = world.ask_amount("reports", 100);
    assert_eq!(why(&decision), "allowed_by_policy policy p");
    assert_eq!(numbers(&decision), "-/7/-/0");
}

#[test]
fn a_target_of_users_or_resources_needs_one() {
    let by_user = json!({"target": {"features": ["secret"], "users": ["ada"]}});
    let world = World::new().policy(&policy("p", "allow", "secret", &by_user));
    assert!(world.ask_as("ada", "secret", Action::View).is_allowed());
    assert!(!world.ask("secret", Action::View).is_allowed());
    let by_resource = |pattern: &str| json!({"target": {"features": ["secret"], "resources": [pattern]}});
    let world = World::new().policy(&policy("p", "allow", "secret", &by_resource("report:*")));
    assert!(world.ask_about("secret", Action::View, "report:1").is_allowed());
    assert!(!world.ask("secret", Action::View).is_allowed());
    let world = World::new().policy(&policy("p", "allow", "secret", &by_resource("*")));
    assert!(world.ask("secret", Action::View).is_allowed());
}

#[test]
fn a_decision_shows_the_later_of_the_writes_to_the_company_and_to_the_policies() {
    let mut world = World::on("starter");
    for (company, policies, shown) in [(3, 9, 9), (9, 3, 9)] {
        world.facts.revision = Revision(company);
        let set = PolicySet::compile(
            &Policies { revision: Revision(policies), policies: Vec::new() },
            &world.catalog,
        );
        let snapshot = Snapshot::new(world.facts.clone(), Arc::new(set), &world.catalog);
        let subject = world.company();
        let request = Request::new(&subject, "reports", Action::Create);
        assert_eq!(evaluate(&request, &snapshot, &world.catalog, world.now).as_of, Revision(shown));
    }
}
