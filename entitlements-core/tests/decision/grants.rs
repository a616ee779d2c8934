use entitlements_core::id::UserId;
use entitlements_core::{Action, ActionSet, GrantKind};

use crate::world::{World, amount, at, numbers, why};

#[test]
fn a_grant_allows_what_no_plan_includes() {
    let decision = World::new().granted("g", "secret", |_| {}).ask("secret", Action::View);
    assert_eq!(why(&decision), "allowed_by_grant grant g");
}

#[test]
fn a_grant_counts_from_its_start_until_before_its_end() {
    let world = |now: &str| {
        World::new()
            .granted("g", "secret", |grant| {
                grant.kind = GrantKind::Trial;
                grant.starts_at = at("2026-11-24T12:00:00Z");
                grant.ends_at = Some(at("2026-12-01T00:00:00Z"));
            })
            .later(now)
            .ask("secret", Action::View)
    };
    let before = world("2026-11-24T11:59:59.999999Z");
    assert!(!before.is_allowed());
    assert_eq!(before.expires_at, Some(at("2026-11-24T12:00:00Z")));
    let first = world("2026-11-24T12:00:00Z");
    assert!(first.is_allowed());
    assert_eq!(first.expires_at, Some(at("2026-12-01T00:00:00Z")));
    assert!(world("2026-11-30T23:59:59.999999Z").is_allowed());
    assert!(!world("2026-12-01T00:00:00Z").is_allowed());
}

#[test]
fn a_grant_to_one_user_serves_that_user_only() {
    let world = World::new().granted("g", "secret", |grant| grant.user = Some(UserId::new("ada").unwrap()));
    assert!(world.ask_as("ada", "secret", Action::View).is_allowed());
    assert!(!world.ask_as("bob", "secret", Action::View).is_allowed());
    assert!(!world.ask("secret", Action::View).is_allowed());
}

#[test]
fn a_grant_covers_its_actions_and_resources_only() {
    let world = World::new().granted("g", "secret", |grant| {
        grant.actions = ActionSet::NONE.with(Action::View);
        grant.resource = Some("report:*".parse().unwrap());
    });
    assert!(world.ask_about("secret", Action::View, "report:7").is_allowed());
    assert!(!world.ask_about("secret", Action::Export, "report:7").is_allowed());
    assert!(!world.ask_about("secret", Action::View, "chart:7").is_allowed());
    assert!(!world.ask("secret", Action::View).is_allowed());
}

#[test]
fn of_several_grants_the_smallest_id_is_the_source() {
    let world = World::new().granted("b", "secret", |_| {}).granted("a", "secret", |_| {});
    assert_eq!(why(&world.ask("secret", Action::View)), "allowed_by_grant grant a");
}

#[test]
fn a_grant_without_an_amount_makes_a_meter_unlimited() {
    let world = World::on("starter").used_monthly("reports", 10).granted("g", "reports", |_| {});
    let decision = world.ask_amount("reports", 1000);
    assert_eq!(why(&decision), "allowed_by_grant grant g");
    assert_eq!(numbers(&decision), "-/10/-/0");
}

#[test]
fn a_grant_of_the_pool_serves_its_meters() {
    let world = World::new().granted("g", "ai_tokens", |grant| grant.amount = Some(amount(5)));
    assert_eq!(why(&world.ask_amount("ai_in", 5)), "allowed_by_grant grant g");
    assert!(!world.ask_amount("ai_in", 6).is_allowed());
}

#[test]
fn a_grant_of_one_meter_of_a_pool_does_not_serve_the_other() {
    let world = World::new().granted("g", "ai_in", |grant| grant.amount = Some(amount(5)));
    assert!(world.ask_amount("ai_in", 5).is_allowed());
    assert!(!world.ask_amount("ai_out", 1).is_allowed());
}

#[test]
fn a_grant_makes_a_gauge_unlimited() {
    let world = World::on("starter").held("seats", 5).granted("g", "seats", |_| {});
    assert_eq!(numbers(&world.ask_amount("seats", 100)), "-/5/-/0");
}
