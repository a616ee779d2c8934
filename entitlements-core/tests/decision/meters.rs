use entitlements_core::{Action, Amount};
use serde_json::json;

use crate::world::{World, amount, at, numbers, why};

#[test]
fn a_quota_allows_up_to_its_limit_and_not_beyond() {
    let world = World::on("starter").used_monthly("reports", 9);
    let decision = world.ask_amount("reports", 1);
    assert_eq!(why(&decision), "allowed_by_plan plan starter");
    assert_eq!(numbers(&decision), "10/9/1/0");
    assert_eq!(decision.quota.unwrap().resets_at, Some(at("2026-12-10T09:00:00Z")));
    assert_eq!(decision.expires_at, Some(at("2026-12-10T09:00:00Z")));
    assert_eq!(why(&world.ask_amount("reports", 2)), "quota_exceeded plan starter");
}

#[test]
fn an_exhausted_quota_is_final_and_names_the_plans_that_have_more() {
    let world = World::on("starter").used_monthly("reports", 10).policy(&json!(
        {"id": "all", "effect": "allow", "target": {"features": ["reports"]}}
    ));
    let decision = world.ask_amount("reports", 1);
    assert_eq!(why(&decision), "quota_exceeded plan starter");
    assert_eq!(decision.upgrade, ["pro", "enterprise"]);
}

#[test]
fn zero_units_ask_only_whether_the_meter_is_included() {
    let world = World::on("starter").used_monthly("reports", 10);
    assert_eq!(why(&world.ask_amount("reports", 0)), "allowed_by_plan plan starter");
    assert_eq!(why(&World::on("starter").ask_amount("ai_in", 0)), "feature_not_in_plan plan starter");
}

#[test]
fn usage_of_another_period_does_not_count() {
    let world = World::on("starter").used("reports", "plan/month/subscription", "2026-10-10T09:00:00Z", 10);
    assert_eq!(numbers(&world.ask_amount("reports", 1)), "10/0/10/0");
}

#[test]
fn a_default_plan_counts_by_the_calendar() {
    let world = World::with_default_plan("starter").used(
        "reports",
        "plan/month/subscription",
        "2026-11-01T00:00:00Z",
        4,
    );
    let decision = world.ask_amount("reports", 1);
    assert_eq!(numbers(&decision), "10/4/6/0");
    assert_eq!(decision.quota.unwrap().resets_at, Some(at("2026-12-01T00:00:00Z")));
}

#[test]
fn the_first_period_begins_with_the_subscription() {
    let trial_end = at("2026-11-30T09:00:00Z");
    let world = World::new()
        .subscription("starter", "trialing".parse().unwrap(), |subscription| {
            subscription.anchor = trial_end;
            subscription.trial_end = Some(trial_end);
        })
        .used_monthly("reports", 3);
    let decision = world.ask_amount("reports", 1);
    assert_eq!(numbers(&decision), "10/3/7/0");
    assert_eq!(decision.quota.unwrap().resets_at, Some(trial_end));
}

#[test]
fn an_unlimited_quota_is_counted() {
    let decision = World::on("enterprise").used_monthly("reports", 5000).ask_amount("reports", 1);
    assert_eq!(numbers(&decision), "-/5000/-/0");
}

#[test]
fn a_sum_that_no_counter_can_hold_is_refused() {
    let world = World::on("enterprise").used_monthly("reports", 1);
    let subject = world.company();
    let request =
        entitlements_core::Request::new(&subject, "reports", Action::Create).with_amount(Amount::MAX);
    assert_eq!(why(&world.decide(&request)), "quota_exceeded plan enterprise");
}

#[test]
fn a_soft_quota_counts_beyond_its_limit() {
    let decision = World::on("starter").used_monthly("soft", 8).ask_amount("soft", 100);
    assert_eq!(numbers(&decision), "10/8/2/0");
    let decision = World::on("starter").used_monthly("soft", 13).ask_amount("soft", 1);
    assert!(decision.is_allowed());
    assert_eq!(numbers(&decision), "10/13/0/3");
    assert!(decision.quota.unwrap().soft);
}

#[test]
fn parallel_quotas_hold_at_the_same_time() {
    let world = World::on("starter");
    assert_eq!(numbers(&world.ask_amount("burst", 1)), "5/0/5/0");
    assert_eq!(why(&world.ask_amount("burst", 6)), "quota_exceeded plan starter");
    let world = World::on("starter").used_monthly("burst", 18);
    assert_eq!(numbers(&world.ask_amount("burst", 1)), "20/18/2/0");
    assert_eq!(why(&world.ask_amount("burst", 3)), "quota_exceeded plan starter");
    let decision = world.ask_amount("burst", 1);
    assert_eq!(decision.expires_at, Some(at("2026-11-24T13:00:00Z")));
}

#[test]
fn meters_of_a_pool_share_its_quota() {
    let world = World::on("pro").used_monthly("ai_tokens", 990);
    let decision = world.ask_amount("ai_out", 10);
    assert_eq!(why(&decision), "allowed_by_plan plan pro");
    assert_eq!(decision.feature, "ai_out");
    assert_eq!(decision.quota.unwrap().meter, "ai_tokens");
    assert_eq!(why(&world.ask_amount("ai_in", 11)), "quota_exceeded plan pro");
}

#[test]
fn addons_add_to_the_limit_times_their_quantity() {
    let world = World::on("starter").addon("pack", 2).used_monthly("reports", 60);
    assert_eq!(numbers(&world.ask_amount("reports", 1)), "110/60/50/0");
}

#[test]
fn an_override_of_a_quota_counts_instead_of_the_plans() {
    let world = World::on("starter")
        .overridden("reports", json!({"limit": 3, "every": "month"}))
        .used_monthly("reports", 3);
    assert_eq!(why(&world.ask_amount("reports", 1)), "quota_exceeded plan starter");
}

#[test]
fn counting_starts_at_zero_on_a_new_plan_where_the_meter_says_so() {
    let world = World::on("pro").used("fresh", "plan/month/subscription/starter", "2026-11-10T09:00:00Z", 9);
    assert_eq!(numbers(&world.ask_amount("fresh", 1)), "100/0/100/0");
}

#[test]
fn unused_units_roll_over_up_to_the_bound() {
    let world = || World::on("starter").later("2026-12-24T12:00:00Z");
    assert_eq!(numbers(&world().ask_amount("rolling", 1)), "14/0/14/0");
    assert_eq!(numbers(&world().used_monthly("rolling", 8).ask_amount("rolling", 1)), "12/0/12/0");
    assert_eq!(numbers(&World::on("starter").ask_amount("rolling", 1)), "10/0/10/0");
}

#[test]
fn a_prorated_limit_is_the_mean_of_the_plans_weighted_by_time() {
    // The period lasts 30 days from the tenth; 12 of them are over on the 22nd.
    let world = World::on("pro").changed_from("starter", "2026-11-22T09:00:00Z").used_monthly("prorated", 7);
    assert_eq!(numbers(&world.ask_amount("prorated", 1)), "64/7/57/0");
    let world = World::on("starter").changed_from("pro", "2026-11-22T09:00:00Z").used_monthly("prorated", 50);
    assert_eq!(numbers(&world.ask_amount("prorated", 1)), "46/50/0/4");
}

#[test]
fn a_prorated_limit_knows_nothing_of_changes_in_other_periods() {
    let world = World::on("pro").changed_from("starter", "2026-11-10T09:00:00Z");
    assert_eq!(numbers(&world.ask_amount("prorated", 1)), "100/0/100/0");
}

#[test]
fn a_prorated_limit_does_not_depend_on_how_far_the_clock_is_behind_the_change() {
    let limit = |now: &str| {
        let world = World::on("pro").changed_from("starter", "2026-11-22T09:00:00Z").later(now);
        world.ask_amount("prorated", 1).quota.unwrap().limit
    };
    assert_eq!(limit("2026-11-22T08:59:59Z"), limit("2026-11-22T09:00:01Z"));
}

#[test]
fn a_plan_without_the_meter_counts_as_none_of_it() {
    let world = World::on("starter").changed_from("gold", "2026-11-22T09:00:00Z");
    assert_eq!(numbers(&world.ask_amount("prorated", 1)), "6/0/6/0");
}

#[test]
fn an_upgrade_is_offered_for_what_the_plan_sells() {
    let world = World::on("starter").used_monthly("prorated", 10);
    assert_eq!(world.ask_amount("prorated", 90).upgrade, ["pro", "enterprise"]);
    assert!(world.ask_amount("prorated", 91).upgrade.is_empty());
}

#[test]
fn an_amount_grant_is_spent_before_the_plan() {
    let world = World::on("starter").used_monthly("reports", 4).granted("g", "reports", |grant| {
        grant.amount = Some(amount(20));
    });
    let decision = world.ask_amount("reports", 26);
    assert_eq!(why(&decision), "allowed_by_grant grant g");
    assert_eq!(numbers(&decision), "30/4/26/0");
    assert_eq!(why(&world.ask_amount("reports", 27)), "quota_exceeded plan starter");
}

#[test]
fn a_spent_grant_leaves_the_plan_as_source() {
    let world = World::on("starter").granted("g", "reports", |grant| grant.amount = Some(amount(20))).used(
        "reports",
        "grant/g",
        "1970-01-01T00:00:00Z",
        20,
    );
    let decision = world.ask_amount("reports", 1);
    assert_eq!(why(&decision), "allowed_by_plan plan starter");
    assert_eq!(numbers(&decision), "30/20/10/0");
}

#[test]
fn an_amount_grant_alone_is_enough() {
    let world = World::new().granted("g", "reports", |grant| grant.amount = Some(amount(2)));
    assert_eq!(why(&world.ask_amount("reports", 2)), "allowed_by_grant grant g");
    assert!(!world.ask_amount("reports", 3).is_allowed());
}

#[test]
fn grants_are_spent_by_earliest_end_then_age_then_id() {
    let world = World::new()
        .granted("never", "reports", |grant| grant.amount = Some(amount(1)))
        .granted("late", "reports", |grant| {
            grant.amount = Some(amount(1));
            grant.ends_at = Some(at("2027-02-01T00:00:00Z"));
        })
        .granted("early", "reports", |grant| {
            grant.amount = Some(amount(1));
            grant.ends_at = Some(at("2027-01-01T00:00:00Z"));
        });
    assert_eq!(why(&world.ask_amount("reports", 1)), "allowed_by_grant grant early");
}
