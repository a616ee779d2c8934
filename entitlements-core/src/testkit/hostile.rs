//! Cases about ids that try to be mistaken for each other: none of them may meet.

use super::fixtures::{
    addon, company, debit, facts, feature, grant, grant_id, granted, key, monthly, overriding, policy,
    receipt_id, recorded, subscription, subscription_id, units, used, user,
};
use crate::Grant;
use crate::bucket::Bucket;
use crate::policy::{Policy, Target};
use crate::store::{Inserted, Store};
use crate::usage::{Counter, Debit, DebitOutcome};

/// Texts that differ only in what a careless store loses: separators, wildcards, case, normalisation, quotes, length.
#[must_use]
pub fn hostile_ids() -> Vec<String> {
    let mut ids: Vec<String> = [
        "a",
        "A",
        "a ",
        " a",
        "a:b",
        "a/b",
        "a%b",
        "a%3Ab",
        "a_b",
        "a*",
        "*",
        "a?",
        "{a}",
        "a}b{",
        "[a]",
        "a,b",
        "a|b",
        "a\\b",
        "a'b",
        "a''b",
        "a\"b",
        "'; DROP TABLE companies; --",
        "$1",
        "?1",
        "null",
        "NULL",
        "0",
        "1",
        "01",
        "1.0",
        "1e3",
        "-1",
        "true",
        "é",
        "e\u{301}",
        "É",
        "ﬁ",
        "fi",
        "ß",
        "ss",
        "İ",
        "i",
        "\u{1F600}",
        "\u{1F469}\u{200D}\u{1F680}",
        "a\u{200B}",
        "a\u{00A0}",
        "\u{202E}a",
        "\u{FEFF}a",
        "\u{2028}",
    ]
    .map(str::to_owned)
    .into();
    ids.push("x".repeat(255));
    ids.push(format!("{}y", "x".repeat(254)));
    ids.push("é".repeat(127));
    ids
}

/// Companies with hostile ids keep their facts apart.
pub async fn hostile_companies_never_mix(store: &impl Store) {
    let ids = hostile_ids();
    for (number, id) in (1..).zip(&ids) {
        store.put_addon(&company(id), &addon("pack", number)).await.unwrap();
        recorded(store, &debit(id, "k", u64::from(number), [monthly(None)])).await;
    }
    for (number, id) in (1..).zip(&ids) {
        let facts = facts(store, id).await;
        assert_eq!(facts.company, company(id));
        assert_eq!(facts.addons, [addon("pack", number)], "{id:?}");
        assert_eq!(used(store, id, &monthly(None)).await, u64::from(number), "{id:?}");
        let receipt = store.receipt(&company(id), &key("k")).await.unwrap().unwrap();
        assert_eq!((receipt.company.as_str(), receipt.amount.get()), (id.as_str(), u64::from(number)));
    }
}

/// Grants and subscriptions with hostile ids, features, users and companies come back as they are.
pub async fn hostile_grants_and_subscriptions_come_back(store: &impl Store) {
    let ids = hostile_ids();
    for (id, other) in ids.iter().zip(ids.iter().rev()) {
        let made = Grant {
            feature: feature(other),
            user: Some(user(other)),
            reason: Some(id.clone()),
            ..grant(id, other)
        };
        assert!(matches!(store.insert_grant(&made).await.unwrap(), Inserted::Now(_)), "{id:?}");
        store.put_subscription(&subscription(id, other), super::fixtures::now()).await.unwrap();
    }
    for (id, other) in ids.iter().zip(ids.iter().rev()) {
        let found = store.find_grant(&grant_id(id)).await.unwrap().unwrap();
        assert_eq!((found.id, found.company), (grant_id(id), company(other)));
        assert_eq!((found.feature, found.user), (feature(other), Some(user(other))));
        let found = store.subscription(&subscription_id(id)).await.unwrap().unwrap();
        assert_eq!(found, subscription(id, other));
        let facts = facts(store, other).await;
        assert_eq!(facts.grants.len(), 1, "{other:?}");
        assert_eq!(facts.subscriptions, [subscription(id, other)]);
    }
}

/// Policies with hostile ids and targets come back as they are, in ascending order of bytes.
pub async fn hostile_policies_come_back_in_order(store: &impl Store) {
    let mut ids = hostile_ids();
    for id in &ids {
        let target = Target {
            companies: Some(vec![company(id)]),
            users: Some(vec![user(id)]),
            features: Some(vec![feature(id)]),
            ..Target::default()
        };
        let stored = Policy { name: Some(id.clone()), target, ..policy(id) };
        assert!(matches!(store.insert_policy(&stored).await.unwrap(), Inserted::Now(_)), "{id:?}");
        assert_eq!(store.find_policy(&stored.id).await.unwrap(), Some(stored));
    }
    ids.sort();
    let policies = store.policies().await.unwrap().policies;
    assert_eq!(policies.iter().map(|policy| policy.id.as_str()).collect::<Vec<_>>(), ids);
}

/// Keys, receipt ids and users that look alike are different ones.
pub async fn hostile_keys_never_mix(store: &impl Store) {
    let ids = hostile_ids();
    for id in &ids {
        let taken =
            Debit { receipt: receipt_id(id), user: Some(user(id)), ..debit("acme", id, 1, [monthly(None)]) };
        recorded(store, &taken).await;
        let again = store.debit(&taken).await.unwrap();
        assert!(matches!(again, DebitOutcome::Duplicate(receipt) if receipt.key == key(id)), "{id:?}");
    }
    for id in &ids {
        let receipt = store.receipt(&company("acme"), &key(id)).await.unwrap().unwrap();
        assert_eq!((receipt.key, receipt.id, receipt.user), (key(id), receipt_id(id), Some(user(id))));
    }
    assert_eq!(used(store, "acme", &monthly(None)).await, ids.len() as u64);
    store.refund(&company("acme"), &receipt_id(&ids[0]), super::fixtures::now()).await.unwrap();
    assert_eq!(used(store, "acme", &monthly(None)).await, ids.len() as u64 - 1);
}

/// Meters, grants as buckets, add-ons and overrides that look alike are different ones.
pub async fn hostile_counters_never_mix(store: &impl Store) {
    let ids = hostile_ids();
    let of_meter = |id: &str| Counter { meter: feature(id), ..monthly(None) };
    let of_grant = |id: &str| Counter { bucket: Bucket::Grant(grant_id(id)), ..granted("g", None) };
    for (number, id) in (1_u64..).zip(&ids) {
        recorded(store, &debit("acme", &format!("m{number}"), number, [of_meter(id)])).await;
        recorded(store, &debit("acme", &format!("g{number}"), number, [of_grant(id)])).await;
        store.put_addon(&company("acme"), &addon(id, 1)).await.unwrap();
        store.put_override(&company("acme"), &overriding(id, number)).await.unwrap();
    }
    let facts = facts(store, "acme").await;
    for (number, id) in (1_u64..).zip(&ids) {
        let mut found = facts.usage.iter().filter(|c| c.meter == feature(id)).map(|c| c.used);
        assert_eq!(found.next(), Some(units(number)), "{id:?}");
        let mut found = facts.usage.iter().filter(|c| c.bucket == of_grant(id).bucket).map(|c| c.used);
        assert_eq!((found.next(), found.next()), (Some(units(number)), None), "{id:?}");
        assert!(facts.overrides.contains(&overriding(id, number)), "{id:?}");
    }
    assert_eq!((facts.addons.len(), facts.overrides.len()), (ids.len(), ids.len()));
}
