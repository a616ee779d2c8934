//! Cases about policies.

use serde_json::json;

use super::fixtures::{at, company, condition, facts, feature, policy, policy_id, user};
use crate::Action;
use crate::policy::{Effect, Policy, Target, When};
use crate::store::{Inserted, Page, PageRequest, Store};

fn with_everything(id: &str) -> Policy {
    Policy {
        name: Some("EU \"export\" é".into()),
        priority: i64::MIN,
        effect: Effect::Deny,
        guardrail: true,
        enabled: false,
        starts_at: Some(at("2026-11-01T00:00:00.000001Z")),
        ends_at: Some(at("2026-12-01T00:00:00Z")),
        target: Target {
            companies: Some(vec![company("acme"), company("b, \"c\"")]),
            users: Some(vec![user("ann")]),
            features: Some(vec![feature("benchmarking")]),
            actions: Some(vec![Action::Export, Action::View]),
            resources: Some(vec!["report:*".parse().unwrap(), "*".parse().unwrap()]),
        },
        when: condition(&json!({"all": [{"eq": ["context.region", "eu"]}, {"lt": ["context.seats", 25]}]})),
        ..policy(id)
    }
}

/// A policy comes back as it was stored, with every field it may have and without.
pub async fn a_policy_is_read_back_as_it_was_stored(store: &impl Store) {
    for stored in [policy("bare"), with_everything("full")] {
        store.insert_policy(&stored).await.unwrap();
        assert_eq!(store.find_policy(&stored.id).await.unwrap(), Some(stored.clone()));
        assert!(store.policies().await.unwrap().policies.contains(&stored));
    }
}

/// An unknown policy is none, not an error.
pub async fn an_unknown_policy_is_none(store: &impl Store) {
    store.insert_policy(&policy("p")).await.unwrap();
    assert_eq!(store.find_policy(&policy_id("q")).await.unwrap(), None);
}

/// A second policy of a taken id changes nothing.
pub async fn a_taken_policy_id_changes_nothing(store: &impl Store) {
    store.insert_policy(&policy("p")).await.unwrap();
    let before = store.policies().await.unwrap();
    assert_eq!(store.insert_policy(&with_everything("p")).await.unwrap(), Inserted::Taken);
    assert_eq!(store.policies().await.unwrap(), before);
}

/// Replacing changes every field, of that policy alone.
pub async fn replacing_a_policy_changes_every_field(store: &impl Store) {
    store.insert_policy(&with_everything("p")).await.unwrap();
    store.insert_policy(&policy("q")).await.unwrap();
    store.replace_policy(&policy("p")).await.unwrap().unwrap();
    assert_eq!(store.policies().await.unwrap().policies, [policy("p"), policy("q")]);
    store.replace_policy(&with_everything("p")).await.unwrap().unwrap();
    assert_eq!(store.policies().await.unwrap().policies, [with_everything("p"), policy("q")]);
}

/// An unknown policy can be neither replaced nor removed, and nothing changes.
pub async fn an_unknown_policy_is_neither_replaced_nor_removed(store: &impl Store) {
    store.insert_policy(&policy("p")).await.unwrap();
    let before = store.policies().await.unwrap();
    assert_eq!(store.replace_policy(&policy("q")).await.unwrap(), None);
    assert_eq!(store.remove_policy(&policy_id("q")).await.unwrap(), None);
    assert_eq!(store.policies().await.unwrap(), before);
}

/// A removed policy is gone, cannot be removed again, and leaves its id free.
pub async fn a_policy_is_removed_once(store: &impl Store) {
    store.insert_policy(&with_everything("p")).await.unwrap();
    store.insert_policy(&policy("q")).await.unwrap();
    let revision = store.remove_policy(&policy_id("p")).await.unwrap().unwrap();
    assert_eq!(store.remove_policy(&policy_id("p")).await.unwrap(), None);
    assert_eq!(store.find_policy(&policy_id("p")).await.unwrap(), None);
    assert_eq!(list(store, &PageRequest::first(10)).await.items, [policy("q")]);
    let policies = store.policies().await.unwrap();
    assert_eq!((policies.revision, policies.policies), (revision, vec![policy("q")]));
    assert!(matches!(store.insert_policy(&policy("p")).await.unwrap(), Inserted::Now(_)));
}

/// Every change takes the next revision for the policies as a whole, and no company's.
pub async fn every_change_of_a_policy_takes_a_revision(store: &impl Store) {
    store.put_addon(&company("acme"), &super::fixtures::addon("report_pack", 1)).await.unwrap();
    let of_acme = facts(store, "acme").await.revision;
    let Inserted::Now(inserted) = store.insert_policy(&policy("p")).await.unwrap() else { panic!("taken") };
    let replaced = store.replace_policy(&policy("p")).await.unwrap().unwrap();
    let removed = store.remove_policy(&policy_id("p")).await.unwrap().unwrap();
    assert!(of_acme < inserted && inserted < replaced && replaced < removed);
    let facts = facts(store, "acme").await;
    assert_eq!((facts.revision, facts.policies_revision), (of_acme, removed));
}

/// Policies are listed in pages, in ascending order of the bytes of their ids.
pub async fn pages_of_policies_follow_each_other(store: &impl Store) {
    for id in ["é", "b", "B", "a/b", "a"] {
        store.insert_policy(&policy(id)).await.unwrap();
    }
    for limit in 1..=6 {
        let mut request = PageRequest::first(limit);
        let mut seen = Vec::new();
        loop {
            let page = list(store, &request).await;
            assert!(!page.items.is_empty() && page.items.len() <= limit);
            seen.extend(page.items.iter().map(|policy| policy.id.to_string()));
            match page.next {
                Some(next) => request.cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, ["B", "a", "a/b", "b", "é"]);
    }
}

/// The next page begins at the right place also when the last policy of the page before is gone.
pub async fn a_removed_policy_does_not_move_the_next_page(store: &impl Store) {
    for id in ["a", "b", "c", "d"] {
        store.insert_policy(&policy(id)).await.unwrap();
    }
    let first = list(store, &PageRequest::first(2)).await;
    store.remove_policy(&policy_id("b")).await.unwrap();
    let second = list(store, &PageRequest { limit: 2, cursor: first.next }).await;
    assert_eq!(second.items, [policy("c"), policy("d")]);
    assert_eq!(second.next, None);
}

/// A store without policies has one empty page.
pub async fn a_store_without_policies_has_an_empty_page(store: &impl Store) {
    assert_eq!(list(store, &PageRequest::first(10)).await, Page { items: Vec::new(), next: None });
}

/// A stored condition that cannot be read makes that policy broken, and no other, and no error; its text is kept.
pub async fn a_broken_condition_breaks_its_policy_alone(store: &impl Store) {
    let text = "{\"frobnicate\": [\"é\"]";
    let broken = Policy {
        when: When::Broken { stored: text.into(), why: "no such operator".into() },
        ..with_everything("b")
    };
    store.insert_policy(&broken).await.unwrap();
    store.insert_policy(&with_everything("c")).await.unwrap();
    let policies = store.policies().await.unwrap().policies;
    assert!(matches!(&policies[0].when, When::Broken { stored, .. } if stored == text), "{policies:?}");
    assert_eq!(Policy { when: broken.when.clone(), ..policies[0].clone() }, broken);
    assert_eq!(policies[1], with_everything("c"));
    let found = store.find_policy(&broken.id).await.unwrap().unwrap();
    assert!(matches!(&found.when, When::Broken { stored, .. } if stored == text));
}

/// Each priority comes back.
pub async fn priorities_are_kept(store: &impl Store) {
    for (number, priority) in [i64::MIN, -1, 0, 1, i64::MAX].into_iter().enumerate() {
        let stored = Policy { priority, ..policy(&format!("p{number}")) };
        store.insert_policy(&stored).await.unwrap();
        assert_eq!(store.find_policy(&stored.id).await.unwrap(), Some(stored));
    }
}

async fn list(store: &impl Store, request: &PageRequest) -> Page<Policy> {
    store.list_policies(request).await.unwrap()
}
