use chrono::TimeDelta;
use entitlements_core::catalog::Value;
use entitlements_core::subscription::Access;
use entitlements_core::{Action, Subscription, SubscriptionStatus};
use serde_json::json;

use crate::world::{World, at, numbers, why};

#[test]
fn an_unknown_feature_is_denied() {
    let decision = World::on("enterprise").ask("raports", Action::View);
    assert_eq!(why(&decision), "unknown_feature default -");
    assert_eq!(decision.feature, "raports");
}

#[test]
fn a_plan_allows_the_actions_it_includes_and_no_others() {
    let world = World::on("starter");
    assert_eq!(why(&world.ask("report_builder", Action::Create)), "allowed_by_plan plan starter");
    let decision = world.ask("report_builder", Action::Export);
    assert_eq!(why(&decision), "feature_not_in_plan plan starter");
    assert_eq!(decision.upgrade, ["pro", "enterprise"]);
}

#[test]
fn a_plan_takes_over_what_it_extends() {
    assert!(World::on("enterprise").ask("boardroom", Action::View).is_allowed());
}

#[test]
fn trialing_and_active_give_access_and_every_other_status_does_not() {
    for (status, allowed) in [
        ("trialing", true),
        ("active", true),
        ("past_due", false),
        ("canceled", false),
        ("incomplete", false),
        ("incomplete_expired", false),
        ("unpaid", false),
        ("paused", false),
        ("something_new", false),
    ] {
        let world = World::new().subscribed("pro", status.parse().unwrap());
        assert_eq!(world.ask("boardroom", Action::View).is_allowed(), allowed, "{status}");
    }
}

#[test]
fn a_past_due_subscription_has_access_until_the_end_of_grace() {
    let world = World::new().subscription("pro", SubscriptionStatus::PastDue, |subscription| {
        subscription.past_due_since = Some(at("2026-11-20T00:00:00Z"));
    });
    let decision = world.ask("boardroom", Action::View);
    assert!(decision.is_allowed());
    assert_eq!(decision.expires_at, Some(at("2026-11-27T00:00:00Z")));
    let decision = world.later("2026-11-27T00:00:00Z").ask("boardroom", Action::View);
    assert_eq!(why(&decision), "subscription_inactive plan pro");
}

#[test]
fn a_scheduled_cancellation_keeps_access_until_it_takes_effect() {
    let world = World::new().subscription("pro", SubscriptionStatus::Active, |subscription| {
        subscription.cancel_at_period_end = true;
    });
    let decision = world.ask("boardroom", Action::View);
    assert!(decision.is_allowed());
    assert_eq!(decision.expires_at, Some(at("2026-12-10T09:00:00Z")));
    let decision = world.later("2026-12-10T09:00:00Z").ask("boardroom", Action::View);
    assert_eq!(why(&decision), "subscription_inactive plan pro");
}

#[test]
fn the_end_of_a_trial_may_change_the_decision() {
    let world = World::new().subscription("pro", SubscriptionStatus::Trialing, |subscription| {
        subscription.trial_end = Some(at("2026-11-30T00:00:00Z"));
    });
    assert_eq!(world.ask("boardroom", Action::View).expires_at, Some(at("2026-11-30T00:00:00Z")));
}

#[test]
fn without_anything_to_come_a_decision_does_not_expire() {
    assert_eq!(World::on("pro").ask("boardroom", Action::View).expires_at, None);
}

#[test]
fn of_two_subscriptions_one_with_access_counts() {
    let world = World::on("pro").subscription("starter", SubscriptionStatus::Canceled, |subscription| {
        subscription.created_at = at("2026-11-20T00:00:00Z");
    });
    assert!(world.ask("boardroom", Action::View).is_allowed());
}

#[test]
fn a_default_plan_serves_companies_without_a_subscription() {
    let decision = World::with_default_plan("starter").ask("report_builder", Action::View);
    assert_eq!(why(&decision), "allowed_by_plan plan starter");
    assert_eq!(decision.plan, Some("starter"));
}

#[test]
fn a_value_that_no_plan_names_is_allowed_with_its_default() {
    let decision = World::new().ask("upload_mb", Action::View);
    assert_eq!(why(&decision), "allowed_by_default default -");
    assert_eq!(decision.value, Some(Value::Integer(10)));
}

#[test]
fn a_value_that_the_plan_names_is_the_plans() {
    let decision = World::on("pro").ask("upload_mb", Action::View);
    assert_eq!(why(&decision), "allowed_by_plan plan pro");
    assert_eq!(decision.value, Some(Value::Integer(50)));
}

#[test]
fn access_that_is_asked_for_ends_at_the_instant_it_names() {
    let end = at("2026-12-01T00:00:00Z");
    let world = World::new().subscription("pro", SubscriptionStatus::Active, |subscription| {
        subscription.cancel_at = Some(end);
    });
    let subscription = &world.facts.subscriptions[0];
    let access = |now| subscription.access(now, world.catalog.past_due_grace());
    assert_eq!(access(end - TimeDelta::nanoseconds(1)), Access::Until(Some(end)));
    assert_eq!(access(end), Access::None);
}

#[test]
fn of_several_subscriptions_with_access_the_newest_counts() {
    let created = |instant: &'static str| move |s: &mut Subscription| s.created_at = at(instant);
    let world = World::new()
        .subscription("pro", SubscriptionStatus::Active, created("2026-11-11T00:00:00Z"))
        .subscription("starter", SubscriptionStatus::Active, created("2026-11-12T00:00:00Z"))
        .subscription("enterprise", SubscriptionStatus::Canceled, created("2026-11-13T00:00:00Z"));
    assert_eq!(why(&world.ask("report_builder", Action::View)), "allowed_by_plan plan starter");
}

#[test]
fn an_override_that_cannot_be_read_takes_away() {
    let world = World::on("pro").overridden("boardroom", json!("sometimes"));
    assert_eq!(why(&world.ask("boardroom", Action::View)), "feature_not_in_plan plan pro");
}

#[test]
fn an_override_gives_instead_of_the_plan() {
    let world = World::on("starter").overridden("boardroom", json!(true)).overridden("upload_mb", json!(77));
    assert_eq!(why(&world.ask("boardroom", Action::View)), "allowed_by_plan plan starter");
    assert_eq!(world.ask("upload_mb", Action::View).value, Some(Value::Integer(77)));
}

#[test]
fn an_override_of_false_takes_away() {
    let world = World::on("pro").overridden("boardroom", json!(false));
    assert_eq!(why(&world.ask("boardroom", Action::View)), "feature_not_in_plan plan pro");
}

#[test]
fn an_override_needs_a_plan_to_differ_from() {
    let world = World::new().overridden("boardroom", json!(true));
    assert_eq!(why(&world.ask("boardroom", Action::View)), "no_subscription default -");
}

#[test]
fn an_addon_gives_a_flag_that_the_plan_does_not_name() {
    assert_eq!(why(&World::on("starter").ask("sso", Action::View)), "feature_not_in_plan plan starter");
    let world = World::on("starter").addon("single_sign_on", 1);
    assert_eq!(why(&world.ask("sso", Action::View)), "allowed_by_plan plan starter");
}

#[test]
fn a_gauge_has_room_until_its_limit() {
    let world = World::on("starter").held("seats", 4);
    let decision = world.ask_amount("seats", 1);
    assert_eq!(why(&decision), "allowed_by_plan plan starter");
    assert_eq!(numbers(&decision), "5/4/1/0");
    let decision = world.ask_amount("seats", 2);
    assert_eq!(why(&decision), "quota_exceeded plan starter");
    assert_eq!(decision.upgrade, ["pro", "enterprise"]);
    assert_eq!(decision.quota.unwrap().resets_at, None);
}

#[test]
fn paid_seats_win_even_over_unlimited() {
    let world = World::new()
        .subscription("enterprise", SubscriptionStatus::Active, |subscription| {
            subscription.seats = Some(3u32.into());
        })
        .held("seats", 3);
    assert_eq!(numbers(&world.ask_amount("seats", 1)), "3/3/0/0");
    let world = World::on("enterprise").held("seats", 1000);
    assert_eq!(numbers(&world.ask_amount("seats", 1)), "-/1000/-/0");
}

#[test]
fn a_gauge_above_its_limit_shows_the_overage() {
    assert_eq!(numbers(&World::on("pro").held("storage", 130).ask_amount("storage", 1)), "100/130/0/30");
}

#[test]
fn a_subscription_to_an_unknown_plan_gives_nothing() {
    let world = World::on("gold");
    assert_eq!(why(&world.ask("boardroom", Action::View)), "feature_not_in_plan default -");
}
