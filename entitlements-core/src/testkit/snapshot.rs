//! Cases about reading what is known.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::json;

use super::fixtures::{
    addon, at, company, debit, december, facts, feature, grant, grant_id, granted, monthly, now, overriding,
    policy, recorded, subscription, used, used_in,
};
use crate::facts::{Facts, Revision};
use crate::policy::{Effect, Policy};
use crate::store::{Inserted, Policies, Store};
use crate::subscription::{Subscription, SubscriptionStatus};
use crate::usage::{Counter, Debit};
use crate::{Amount, Grant};

/// A company that was never written to has empty facts, with the current revision of the policies.
pub async fn a_company_never_written_to_has_empty_facts(store: &impl Store) {
    assert_eq!(facts(store, "nobody").await, Facts::empty(company("nobody")));
    let Inserted::Now(revision) = store.insert_policy(&policy("p")).await.unwrap() else { panic!("taken") };
    let expected = Facts { policies_revision: revision, ..Facts::empty(company("nobody")) };
    assert_eq!(facts(store, "nobody").await, expected);
}

/// Every part of what is known is loaded, with the revision of the last write.
pub async fn every_part_of_the_facts_is_loaded(store: &impl Store) {
    store.put_subscription(&subscription("s", "acme"), now()).await.unwrap();
    store.put_addon(&company("acme"), &addon("report_pack", 2)).await.unwrap();
    store.put_override(&company("acme"), &overriding("reports", 500)).await.unwrap();
    let Inserted::Now(revision) = store.insert_grant(&grant("g", "acme")).await.unwrap() else {
        panic!("taken")
    };
    recorded(store, &debit("acme", "k", 3, [monthly(10)])).await;

    let facts = facts(store, "acme").await;
    assert_eq!(facts.company, company("acme"));
    assert_eq!(facts.revision, revision);
    assert_eq!(facts.subscriptions, [subscription("s", "acme")]);
    assert_eq!(facts.addons, [addon("report_pack", 2)]);
    assert_eq!(facts.overrides, [overriding("reports", 500)]);
    assert_eq!(facts.grants, [grant("g", "acme")]);
    assert_eq!(facts.usage.len(), 1);
    assert_eq!(used_in(&facts, &monthly(10)), 3);
}

/// A load shows nothing of another company.
pub async fn facts_of_other_companies_are_not_loaded(store: &impl Store) {
    store.put_subscription(&subscription("s", "acme"), now()).await.unwrap();
    store.put_addon(&company("acme"), &addon("report_pack", 2)).await.unwrap();
    store.put_override(&company("acme"), &overriding("reports", 500)).await.unwrap();
    store.insert_grant(&grant("g", "acme")).await.unwrap();
    recorded(store, &debit("acme", "k", 3, [monthly(10)])).await;
    assert_eq!(facts(store, "other").await, Facts::empty(company("other")));
}

/// The end of a grant is exclusive: it is loaded just before its end and not at its end.
pub async fn ended_grants_are_left_out(store: &impl Store) {
    let end = at("2026-11-09T00:00:00Z");
    store.insert_grant(&Grant { ends_at: Some(end), ..grant("g", "acme") }).await.unwrap();
    let before = store.load(&company("acme"), end - TimeDelta::microseconds(1)).await.unwrap();
    assert_eq!(before.grants.len(), 1);
    assert_eq!(store.load(&company("acme"), end).await.unwrap().grants, []);
}

/// A voided grant is not loaded, and the load shows the revision of the voiding.
pub async fn voided_grants_are_left_out(store: &impl Store) {
    store.insert_grant(&grant("g", "acme")).await.unwrap();
    let revision = store.void_grant(&grant_id("g"), now()).await.unwrap().unwrap();
    let facts = facts(store, "acme").await;
    assert_eq!(facts.grants, []);
    assert_eq!(facts.revision, revision);
}

/// A grant that starts later is loaded, so that a cached load stays right when it starts.
pub async fn grants_that_start_later_are_loaded(store: &impl Store) {
    let later = Grant { starts_at: at("2027-01-01T00:00:00Z"), ..grant("g", "acme") };
    store.insert_grant(&later).await.unwrap();
    assert_eq!(facts(store, "acme").await.grants, [later]);
}

/// The end of a period is exclusive: its usage is loaded just before its end and not at its end.
pub async fn usage_of_ended_periods_is_left_out(store: &impl Store) {
    let end = monthly(10).period.end.unwrap();
    recorded(store, &debit("acme", "k", 3, [monthly(10)])).await;
    let before = store.load(&company("acme"), end - TimeDelta::microseconds(1)).await.unwrap();
    assert_eq!(used_in(&before, &monthly(10)), 3);
    assert_eq!(store.load(&company("acme"), end).await.unwrap().usage, []);
}

/// A period that starts later is loaded, and a period without an end is loaded for ever.
pub async fn usage_of_other_periods_is_loaded(store: &impl Store) {
    let later = Counter { period: december(), ..monthly(10) };
    recorded(store, &debit("acme", "later", 1, [later.clone()])).await;
    recorded(store, &debit("acme", "lifetime", 2, [granted("g", 10)])).await;
    assert_eq!(used(store, "acme", &later).await, 1);
    let much_later = store.load(&company("acme"), at("2126-01-01T00:00:00Z")).await.unwrap();
    assert_eq!(used_in(&much_later, &granted("g", 10)), 2);
}

/// The last debit says when a period ends: one that is made longer is loaded for longer.
pub async fn the_end_of_a_period_is_that_of_the_last_debit(store: &impl Store) {
    recorded(store, &debit("acme", "first", 1, [monthly(10)])).await;
    let mut longer = monthly(10);
    longer.period.end = december().end;
    recorded(store, &debit("acme", "second", 1, [longer])).await;
    let facts = store.load(&company("acme"), at("2026-12-24T00:00:00Z")).await.unwrap();
    assert_eq!(used_in(&facts, &monthly(10)), 2);
}

/// A subscription is loaded whatever its state is.
pub async fn ended_subscriptions_are_loaded(store: &impl Store) {
    let ended = Subscription {
        status: SubscriptionStatus::Canceled,
        current_period_end: at("2020-01-01T00:00:00Z"),
        ..subscription("s", "acme")
    };
    store.put_subscription(&ended, now()).await.unwrap();
    assert_eq!(facts(store, "acme").await.subscriptions, [ended]);
}

/// A new store has no policies, at revision 0.
pub async fn a_new_store_has_no_policies(store: &impl Store) {
    assert_eq!(store.policies().await.unwrap(), Policies::default());
}

/// Every policy is read, also disabled and ended ones, in ascending order of the bytes of their ids.
pub async fn every_policy_is_read_in_order_of_ids(store: &impl Store) {
    let disabled = Policy { enabled: false, ..policy("b") };
    let ended = Policy { ends_at: Some(at("2020-01-01T00:00:00Z")), effect: Effect::Deny, ..policy("B") };
    for policy in [&policy("é"), &disabled, &policy("aa"), &ended, &policy("a")] {
        store.insert_policy(policy).await.unwrap();
    }
    let policies = store.policies().await.unwrap().policies;
    assert_eq!(policies, [ended, policy("a"), policy("aa"), disabled, policy("é")]);
}

/// Each write takes a larger revision than every write before it, to whichever company or policy; the next load shows it.
pub async fn revisions_come_out_of_one_growing_sequence(store: &impl Store) {
    let mut last = Revision(0);
    for round in 0..3 {
        let (acme, other) = (company("acme"), company("other"));
        let inserted = |inserted| match inserted {
            Inserted::Now(revision) => revision,
            Inserted::Taken => panic!("taken"),
        };
        let grant = grant(&format!("g{round}"), "other");
        let policy = policy(&format!("p{round}"));
        let seats = Some(Amount::from(round));
        let subscription = Subscription { seats, ..subscription("s", "acme") };
        for revision in [
            store.put_subscription(&subscription, now()).await.unwrap(),
            inserted(store.insert_grant(&grant).await.unwrap()),
            store.put_addon(&acme, &addon("report_pack", 1)).await.unwrap(),
            inserted(store.insert_policy(&policy).await.unwrap()),
            store.put_override(&other, &overriding("reports", 5)).await.unwrap(),
            store.replace_policy(&policy).await.unwrap().unwrap(),
            store.void_grant(&grant.id, now()).await.unwrap().unwrap(),
            store.put_addon(&acme, &addon("report_pack", 0)).await.unwrap(),
            store.remove_policy(&policy.id).await.unwrap().unwrap(),
            store.remove_override(&other, &feature("reports")).await.unwrap().unwrap(),
        ] {
            assert!(last < revision, "{revision} does not follow {last}");
            last = revision;
        }
        assert_eq!(facts(store, "other").await.revision, last);
        let of_acme = facts(store, "acme").await.revision;
        let of_policies = facts(store, "acme").await.policies_revision;
        assert!(of_acme < of_policies && of_policies < last, "{of_acme} < {of_policies} < {last}");
        assert_eq!(store.policies().await.unwrap().revision, of_policies);
    }
}

/// Loads that run beside writes never mix the states before and after one.
pub async fn a_load_is_one_consistent_view<S: Store + Clone>(store: &S) {
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            let mut quantities = BTreeMap::from([(Revision(0), Vec::new())]);
            for quantity in 1..=100 {
                let pack = addon("report_pack", quantity);
                let revision = store.put_addon(&company("acme"), &pack).await.unwrap();
                quantities.insert(revision, vec![pack]);
            }
            quantities
        }
    });
    let readers = [(); 2].map(|()| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut seen = Vec::new();
            while seen.last().is_none_or(|facts: &Facts| facts.addons != [addon("report_pack", 100)]) {
                seen.push(facts(&store, "acme").await);
                tokio::task::yield_now().await;
            }
            seen
        })
    });
    let quantities = writer.await.unwrap();
    for reader in readers {
        for facts in reader.await.unwrap() {
            assert_eq!(quantities.get(&facts.revision), Some(&facts.addons), "{facts:?}");
        }
    }
}

/// Instants are kept to the microsecond; what is finer is cut off everywhere alike.
pub async fn instants_are_kept_to_the_microsecond(store: &impl Store) {
    let (fine, kept) = (at("2026-11-07T09:00:00.123456789Z"), at("2026-11-07T09:00:00.123456Z"));
    let fine_grant = Grant { starts_at: fine, created_at: fine, ..grant("g", "acme") };
    store.insert_grant(&fine_grant).await.unwrap();
    let fine_subscription = Subscription { anchor: fine, trial_end: Some(fine), ..subscription("s", "acme") };
    store.put_subscription(&fine_subscription, fine).await.unwrap();
    store.insert_policy(&Policy { starts_at: Some(fine), ..policy("p") }).await.unwrap();
    let mut counter = monthly(10);
    counter.period.start = fine;
    let receipt = recorded(store, &Debit { at: fine, ..debit("acme", "k", 1, [counter]) }).await;

    let facts = facts(store, "acme").await;
    assert_eq!(facts.grants, [Grant { starts_at: kept, created_at: kept, ..grant("g", "acme") }]);
    let expected = Subscription { anchor: kept, trial_end: Some(kept), ..subscription("s", "acme") };
    assert_eq!(facts.subscriptions, [expected]);
    assert_eq!(facts.usage[0].period_start, kept);
    assert_eq!(store.policies().await.unwrap().policies[0].starts_at, Some(kept));
    assert_eq!((receipt.at, receipt.split[0].period_start), (kept, kept));
    let history = store.subscription_history(&fine_subscription.id).await.unwrap();
    assert_eq!(history[0].0, kept);
    store.put_subscription(&fine_subscription, fine).await.unwrap();
    assert_eq!(store.subscription_history(&fine_subscription.id).await.unwrap().len(), 1);
}

/// A value of JSON comes back as it was put.
pub async fn the_value_of_an_override_is_kept(store: &impl Store) {
    let values = [
        json!(false),
        json!(true),
        json!(0),
        json!(1.5),
        json!(u64::MAX),
        json!("unlimited"),
        json!("\"quoted\" \\ é \u{1F600}"),
        json!({"limit": 10, "every": "month", "alerts": [80, 100]}),
        json!(null),
    ];
    for value in values {
        let put = overriding("reports", value);
        store.put_override(&company("acme"), &put).await.unwrap();
        assert_eq!(facts(store, "acme").await.overrides, [put]);
    }
}
