use entitlements_core::{Action, SubscriptionStatus};

use crate::world::{World, why};

#[test]
fn what_no_plan_offers_is_not_granted() {
    assert_eq!(why(&World::on("enterprise").ask("secret", Action::View)), "not_granted default -");
    assert_eq!(why(&World::new().ask("secret", Action::View)), "not_granted default -");
    assert!(World::new().ask("secret", Action::View).upgrade.is_empty());
}

#[test]
fn without_a_subscription_and_a_default_plan_there_is_no_subscription() {
    let decision = World::new().ask("boardroom", Action::View);
    assert_eq!(why(&decision), "no_subscription default -");
    assert_eq!(decision.plan, None);
    assert_eq!(decision.upgrade, ["pro", "enterprise"]);
}

#[test]
fn an_ended_subscription_is_inactive() {
    let world = World::new().subscribed("pro", SubscriptionStatus::Canceled);
    let decision = world.ask("boardroom", Action::View);
    assert_eq!(why(&decision), "subscription_inactive plan pro");
    assert_eq!(decision.plan, None);
}

#[test]
fn with_a_default_plan_an_ended_subscription_matters_only_for_what_it_included() {
    let world = World::with_default_plan("starter").subscribed("pro", SubscriptionStatus::Canceled);
    assert_eq!(why(&world.ask("boardroom", Action::View)), "subscription_inactive plan pro");
    assert_eq!(why(&world.ask("sso", Action::View)), "feature_not_in_plan plan starter");
    assert!(world.ask("report_builder", Action::View).is_allowed());
}
