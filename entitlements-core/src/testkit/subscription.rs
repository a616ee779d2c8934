//! Cases about subscriptions, add-ons and overrides.

use super::fixtures::{
    addon, at, company, facts, feature, now, overriding, plan, subscription, subscription_id, units,
};
use chrono::{DateTime, TimeDelta, Utc};

use crate::Amount;
use crate::facts::PlanChange;
use crate::store::{Store, StoreErrorKind};
use crate::subscription::{Subscription, SubscriptionStatus};

fn with_everything(id: &str, company: &str) -> Subscription {
    Subscription {
        plan: plan("enterprise"),
        status: SubscriptionStatus::Trialing,
        seats: Some(Amount::MAX),
        trial_end: Some(at("2026-11-19T00:00:00Z")),
        past_due_since: Some(at("2026-11-06T00:00:00.000001Z")),
        cancel_at: Some(at("2026-12-24T00:00:00Z")),
        cancel_at_period_end: true,
        ..subscription(id, company)
    }
}

/// A subscription comes back as it was put, with every field it may have and without.
pub async fn a_subscription_is_read_back_as_it_was_put(store: &impl Store) {
    for put in [subscription("bare", "acme"), with_everything("full", "acme")] {
        store.put_subscription(&put, now()).await.unwrap();
        assert_eq!(store.subscription(&put.id).await.unwrap(), Some(put));
    }
}

/// Each status comes back, also a word that the library does not know.
pub async fn every_status_is_kept(store: &impl Store) {
    for word in [
        "trialing",
        "active",
        "past_due",
        "canceled",
        "incomplete",
        "incomplete_expired",
        "unpaid",
        "paused",
        "on_holiday",
    ] {
        let put = Subscription { status: word.to_owned().into(), ..subscription("s", "acme") };
        store.put_subscription(&put, now()).await.unwrap();
        assert_eq!(store.subscription(&put.id).await.unwrap(), Some(put));
    }
}

/// An unknown id has no subscription and no history; neither is an error.
pub async fn an_unknown_subscription_is_none(store: &impl Store) {
    store.put_subscription(&subscription("s", "acme"), now()).await.unwrap();
    assert_eq!(store.subscription(&subscription_id("t")).await.unwrap(), None);
    assert_eq!(store.subscription_history(&subscription_id("t")).await.unwrap(), []);
}

/// Putting another state of a subscription replaces the one before.
pub async fn putting_a_subscription_again_replaces_it(store: &impl Store) {
    store.put_subscription(&with_everything("s", "acme"), now()).await.unwrap();
    let first = facts(store, "acme").await.revision;
    let second = store.put_subscription(&subscription("s", "acme"), now()).await.unwrap();
    assert!(first < second);
    let facts = facts(store, "acme").await;
    assert_eq!(facts.subscriptions, [subscription("s", "acme")]);
    assert_eq!(facts.revision, second);
}

/// Putting the stored state again changes nothing, and answers the company's revision as it is.
pub async fn putting_the_stored_state_again_changes_nothing(store: &impl Store) {
    store.put_subscription(&with_everything("s", "acme"), now()).await.unwrap();
    store.put_subscription(&subscription("t", "acme"), now()).await.unwrap();
    let before = facts(store, "acme").await;
    let later = at("2026-11-08T00:00:00Z");
    let again = store.put_subscription(&with_everything("s", "acme"), later).await.unwrap();
    assert_eq!(again, before.revision);
    assert_eq!(facts(store, "acme").await, before);
    assert_eq!(store.subscription_history(&subscription_id("s")).await.unwrap().len(), 1);
}

/// The history holds every state in order, also one that comes back.
pub async fn the_history_grows_with_every_change(store: &impl Store) {
    let (first, second) = (subscription("s", "acme"), with_everything("s", "acme"));
    let mut expected = Vec::new();
    for (day, state) in [(7, &first), (8, &second), (9, &first)] {
        let at = at(&format!("2026-11-{day:02}T00:00:00Z"));
        store.put_subscription(state, at).await.unwrap();
        store.put_subscription(state, now()).await.unwrap();
        expected.push((at, state.clone()));
    }
    store.put_subscription(&subscription("t", "acme"), now()).await.unwrap();
    assert_eq!(store.subscription_history(&first.id).await.unwrap(), expected);
}

/// The history is in the order of the writes, whatever the instants say.
pub async fn the_history_is_in_the_order_of_the_writes(store: &impl Store) {
    let (later, earlier) = (at("2026-11-09T00:00:00Z"), at("2026-11-08T00:00:00Z"));
    store.put_subscription(&subscription("s", "acme"), later).await.unwrap();
    store.put_subscription(&with_everything("s", "acme"), earlier).await.unwrap();
    let history = store.subscription_history(&subscription_id("s")).await.unwrap();
    assert_eq!(history.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [later, earlier]);
}

/// A subscription of another company is refused, and nothing changes for either.
pub async fn a_subscription_never_moves_to_another_company(store: &impl Store) {
    store.put_subscription(&subscription("s", "acme"), now()).await.unwrap();
    let (acme, other) = (facts(store, "acme").await, facts(store, "other").await);
    for stolen in [subscription("s", "other"), with_everything("s", "other")] {
        let error = store.put_subscription(&stolen, now()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unsupported);
    }
    assert_eq!(facts(store, "acme").await, acme);
    assert_eq!(facts(store, "other").await, other);
    assert_eq!(store.subscription_history(&subscription_id("s")).await.unwrap().len(), 1);
}

/// A company may have several subscriptions.
pub async fn a_company_may_have_several_subscriptions(store: &impl Store) {
    store.put_subscription(&subscription("s", "acme"), now()).await.unwrap();
    store.put_subscription(&with_everything("t", "acme"), now()).await.unwrap();
    let mut ids: Vec<_> = facts(store, "acme").await.subscriptions.into_iter().map(|s| s.id).collect();
    ids.sort();
    assert_eq!(ids, [subscription_id("s"), subscription_id("t")]);
}

/// The same state put by many at once is one entry of the history.
pub async fn racing_puts_of_one_state_are_one_change<S: Store + Clone>(store: &S) {
    let racers: Vec<_> = (0..16)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.put_subscription(&subscription("s", "acme"), now()).await })
        })
        .collect();
    let mut revisions = Vec::new();
    for racer in racers {
        revisions.push(racer.await.unwrap().unwrap());
    }
    revisions.dedup();
    assert_eq!(revisions, [facts(store, "acme").await.revision]);
    assert_eq!(store.subscription_history(&subscription_id("s")).await.unwrap().len(), 1);
}

/// A quantity of an add-on is set, not added.
pub async fn the_quantity_of_an_addon_is_set(store: &impl Store) {
    for quantity in [2, 5, 1, u32::MAX] {
        let revision = store.put_addon(&company("acme"), &addon("report_pack", quantity)).await.unwrap();
        let facts = facts(store, "acme").await;
        assert_eq!(facts.addons, [addon("report_pack", quantity)]);
        assert_eq!(facts.revision, revision);
    }
}

/// A quantity of 0 takes an add-on away, and no other one; it may be set again.
pub async fn a_quantity_of_zero_takes_an_addon_away(store: &impl Store) {
    let acme = company("acme");
    store.put_addon(&acme, &addon("never_had", 0)).await.unwrap();
    store.put_addon(&acme, &addon("report_pack", 2)).await.unwrap();
    store.put_addon(&acme, &addon("seat_pack", 3)).await.unwrap();
    store.put_addon(&acme, &addon("report_pack", 0)).await.unwrap();
    assert_eq!(facts(store, "acme").await.addons, [addon("seat_pack", 3)]);
    store.put_addon(&acme, &addon("report_pack", 1)).await.unwrap();
    assert_eq!(facts(store, "acme").await.addons.len(), 2);
}

/// An override is replaced by the next one for the same feature of the same company only.
pub async fn an_override_is_replaced(store: &impl Store) {
    let acme = company("acme");
    store.put_override(&acme, &overriding("reports", 5)).await.unwrap();
    store.put_override(&acme, &overriding("forecast", true)).await.unwrap();
    store.put_override(&company("other"), &overriding("reports", 7)).await.unwrap();
    let revision = store.put_override(&acme, &overriding("reports", false)).await.unwrap();
    let mut facts_of_acme = facts(store, "acme").await;
    facts_of_acme.overrides.sort_by(|a, b| a.feature.cmp(&b.feature));
    assert_eq!(facts_of_acme.overrides, [overriding("forecast", true), overriding("reports", false)]);
    assert_eq!(facts_of_acme.revision, revision);
    assert_eq!(facts(store, "other").await.overrides, [overriding("reports", 7)]);
}

/// An override is taken away once; a second time, or another company's, is none and changes nothing.
pub async fn an_override_is_taken_away_once(store: &impl Store) {
    let (acme, reports) = (company("acme"), feature("reports"));
    store.put_override(&acme, &overriding("reports", 5)).await.unwrap();
    assert_eq!(store.remove_override(&company("other"), &reports).await.unwrap(), None);
    assert_eq!(store.remove_override(&acme, &feature("forecast")).await.unwrap(), None);
    let revision = store.remove_override(&acme, &reports).await.unwrap().unwrap();
    assert_eq!(store.remove_override(&acme, &reports).await.unwrap(), None);
    let facts = facts(store, "acme").await;
    assert_eq!(facts.overrides, []);
    assert_eq!(facts.revision, revision);
}

/// Seats from none to the largest number come back.
pub async fn seats_are_kept(store: &impl Store) {
    for seats in [None, Some(units(0)), Some(units(1)), Some(Amount::MAX)] {
        let put = Subscription { seats, ..subscription("s", "acme") };
        store.put_subscription(&put, now()).await.unwrap();
        assert_eq!(store.subscription(&put.id).await.unwrap().unwrap().seats, seats);
    }
}

/// A subscription that gets another plan leaves a plan change, and nothing else does.
pub async fn another_plan_is_one_plan_change(store: &impl Store) {
    let on = |key: &str| Subscription { plan: plan(key), ..subscription("s", "acme") };
    let change = |at: DateTime<Utc>, from: &str| PlanChange {
        subscription: subscription_id("s"),
        at,
        from: plan(from),
    };
    let day = |days: i64| now() + TimeDelta::days(days);
    store.put_subscription(&on("starter"), day(0)).await.unwrap();
    assert_eq!(facts(store, "acme").await.plan_changes, []);
    store.put_subscription(&on("pro"), day(2)).await.unwrap();
    store.put_subscription(&on("pro"), day(3)).await.unwrap();
    let paused = Subscription { status: SubscriptionStatus::Paused, ..on("pro") };
    store.put_subscription(&paused, day(4)).await.unwrap();
    store.put_subscription(&on("starter"), day(1)).await.unwrap();
    let expected = [change(day(1), "pro"), change(day(2), "starter")];
    assert_eq!(facts(store, "acme").await.plan_changes, expected);
    assert_eq!(facts(store, "other").await.plan_changes, []);
}
