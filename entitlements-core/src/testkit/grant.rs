//! Cases about grants.

use super::fixtures::{
    at, company, debit, facts, feature, grant, grant_id, granted, now, recorded, units, used, user,
};
use crate::grant::{Grant, GrantKind};
use crate::id::GrantId;
use crate::store::{Inserted, Page, PageRequest, Store, StoreErrorKind};
use crate::{Action, ActionSet, Amount};

fn with_everything(id: &str, company: &str) -> Grant {
    Grant {
        user: Some(user("ann")),
        feature: feature("reports"),
        actions: ActionSet::from_iter([Action::View, Action::Export]),
        resource: Some("report:*".parse().unwrap()),
        amount: Some(Amount::MAX),
        kind: GrantKind::Trial,
        ends_at: Some(at("2026-12-24T00:00:00Z")),
        reason: Some("ticket 812: \"é\"\nsecond line".into()),
        created_at: at("2026-11-02T00:00:00.000001Z"),
        ..grant(id, company)
    }
}

/// A grant comes back as it was made, with every field it may have and without.
pub async fn a_grant_is_read_back_as_it_was_made(store: &impl Store) {
    for made in [grant("bare", "acme"), with_everything("full", "acme")] {
        store.insert_grant(&made).await.unwrap();
        assert_eq!(store.find_grant(&made.id).await.unwrap(), Some(made.clone()));
        assert!(facts(store, "acme").await.grants.contains(&made));
    }
}

/// Each kind, each set of actions and each kind of resource pattern comes back.
pub async fn every_kind_of_grant_is_kept(store: &impl Store) {
    let kinds = [GrantKind::Trial, GrantKind::Promotional, GrantKind::Manual, GrantKind::Beta];
    let patterns = ["*", "report:*", "report:7", " "];
    for (number, action) in Action::ALL.into_iter().enumerate() {
        let made = Grant {
            kind: kinds[number % kinds.len()],
            actions: ActionSet::NONE.with(action),
            resource: Some(patterns[number % patterns.len()].parse().unwrap()),
            ..grant(&format!("g{number}"), "acme")
        };
        store.insert_grant(&made).await.unwrap();
        assert_eq!(store.find_grant(&made.id).await.unwrap(), Some(made));
    }
}

/// An unknown grant is none, not an error; it cannot be voided either.
pub async fn an_unknown_grant_is_none(store: &impl Store) {
    store.insert_grant(&grant("g", "acme")).await.unwrap();
    let before = facts(store, "acme").await;
    assert_eq!(store.find_grant(&grant_id("h")).await.unwrap(), None);
    assert_eq!(store.void_grant(&grant_id("h"), now()).await.unwrap(), None);
    assert_eq!(facts(store, "acme").await, before);
}

/// A second grant of a taken id changes nothing, whichever company it is for.
pub async fn a_taken_grant_id_changes_nothing(store: &impl Store) {
    store.insert_grant(&grant("g", "acme")).await.unwrap();
    let (acme, other) = (facts(store, "acme").await, facts(store, "other").await);
    for second in [with_everything("g", "acme"), grant("g", "other"), grant("g", "acme")] {
        assert_eq!(store.insert_grant(&second).await.unwrap(), Inserted::Taken);
    }
    assert_eq!(store.find_grant(&grant_id("g")).await.unwrap(), Some(grant("g", "acme")));
    assert_eq!(facts(store, "acme").await, acme);
    assert_eq!(facts(store, "other").await, other);
}

/// The next load shows a grant, with the revision that its insertion answered.
pub async fn a_grant_is_loaded_with_its_revision(store: &impl Store) {
    let inserted = store.insert_grant(&grant("g", "acme")).await.unwrap();
    let facts = facts(store, "acme").await;
    assert_eq!(facts.grants, [grant("g", "acme")]);
    assert_eq!(inserted, Inserted::Now(facts.revision));
}

/// Voiding sets the instant once; a second voiding is none and changes nothing.
pub async fn a_grant_is_voided_once(store: &impl Store) {
    let (first, second) = (now(), at("2026-11-08T00:00:00Z"));
    store.insert_grant(&with_everything("g", "acme")).await.unwrap();
    let revision = store.void_grant(&grant_id("g"), first).await.unwrap().unwrap();
    assert_eq!(store.void_grant(&grant_id("g"), second).await.unwrap(), None);
    let expected = Grant { voided_at: Some(first), ..with_everything("g", "acme") };
    assert_eq!(store.find_grant(&grant_id("g")).await.unwrap(), Some(expected));
    assert_eq!(facts(store, "acme").await.revision, revision);
}

/// A voided id stays taken.
pub async fn a_voided_grant_keeps_its_id(store: &impl Store) {
    store.insert_grant(&grant("g", "acme")).await.unwrap();
    store.void_grant(&grant_id("g"), now()).await.unwrap();
    assert_eq!(store.insert_grant(&grant("g", "acme")).await.unwrap(), Inserted::Taken);
    assert_eq!(facts(store, "acme").await.grants, []);
}

/// Voiding leaves spent units spent.
pub async fn voiding_leaves_spent_units_spent(store: &impl Store) {
    store.insert_grant(&Grant { amount: Some(units(10)), ..grant("g", "acme") }).await.unwrap();
    recorded(store, &debit("acme", "k", 4, [granted("g", 10)])).await;
    store.void_grant(&grant_id("g"), now()).await.unwrap();
    assert_eq!(used(store, "acme", &granted("g", 10)).await, 4);
}

/// Of many that insert one id at once, exactly one does.
pub async fn racing_insertions_of_one_id_store_one<S: Store + Clone>(store: &S) {
    let racers: Vec<_> = (0..16)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.insert_grant(&grant("g", &format!("c{number}"))).await })
        })
        .collect();
    let mut winners = Vec::new();
    for (number, racer) in racers.into_iter().enumerate() {
        if let Inserted::Now(_) = racer.await.unwrap().unwrap() {
            winners.push(format!("c{number}"));
        }
    }
    let stored = store.find_grant(&grant_id("g")).await.unwrap().unwrap();
    assert_eq!(winners, [stored.company.as_str()]);
}

/// Of many that void one grant at once, exactly one does.
pub async fn racing_voids_void_once<S: Store + Clone>(store: &S) {
    store.insert_grant(&grant("g", "acme")).await.unwrap();
    let racers: Vec<_> = (0..16)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.void_grant(&grant_id("g"), now()).await })
        })
        .collect();
    let mut revisions = Vec::new();
    for racer in racers {
        revisions.extend(racer.await.unwrap().unwrap());
    }
    assert_eq!(revisions, [facts(store, "acme").await.revision]);
}

/// The list is in ascending order of creation, then of the bytes of the ids; voided and ended grants stay in it.
pub async fn grants_are_listed_in_order_of_creation(store: &impl Store) {
    let day = |day: u32| at(&format!("2026-11-{day:02}T00:00:00Z"));
    for (id, created_at) in [("a", day(3)), ("b", day(1)), ("B", day(1)), ("é", day(1)), ("c", day(2))] {
        store.insert_grant(&Grant { created_at, ..grant(id, "acme") }).await.unwrap();
    }
    store.insert_grant(&Grant { created_at: day(1), ..grant("x", "other") }).await.unwrap();
    store.void_grant(&grant_id("c"), now()).await.unwrap();
    let page = list(store, &PageRequest::first(10)).await;
    assert_eq!(ids(&page), ["B", "b", "é", "c", "a"]);
    assert_eq!(page.next, None);
    assert_eq!(page.items[3].voided_at, Some(now()));
}

/// Pages follow each other without a gap or a repetition, and the last has no next one.
pub async fn pages_of_grants_follow_each_other(store: &impl Store) {
    for number in 0..6 {
        store.insert_grant(&grant(&format!("g{number}"), "acme")).await.unwrap();
    }
    for limit in 1..=7 {
        let mut request = PageRequest::first(limit);
        let mut seen = Vec::new();
        loop {
            let page = list(store, &request).await;
            assert!(!page.items.is_empty() && page.items.len() <= limit);
            seen.extend(page.items.iter().map(|grant| grant.id.clone()));
            match page.next {
                Some(next) => request.cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(
            seen.iter().map(GrantId::as_str).collect::<Vec<_>>(),
            ["g0", "g1", "g2", "g3", "g4", "g5"]
        );
    }
}

/// A page begins after the last item of the page before, also when grants have been made since.
pub async fn new_grants_do_not_move_the_next_page(store: &impl Store) {
    for id in ["b", "d", "f"] {
        store.insert_grant(&grant(id, "acme")).await.unwrap();
    }
    let first = list(store, &PageRequest::first(2)).await;
    for id in ["a", "c", "e"] {
        store.insert_grant(&grant(id, "acme")).await.unwrap();
    }
    let second = list(store, &PageRequest { limit: 2, cursor: first.next }).await;
    assert_eq!(ids(&second), ["e", "f"]);
}

/// A company without grants has one empty page.
pub async fn a_company_without_grants_has_an_empty_page(store: &impl Store) {
    store.insert_grant(&grant("g", "other")).await.unwrap();
    assert_eq!(list(store, &PageRequest::first(10)).await, Page { items: Vec::new(), next: None });
}

/// A cursor that no page gave is refused.
pub async fn a_cursor_that_no_page_gave_is_refused(store: &impl Store) {
    store.insert_grant(&grant("g", "acme")).await.unwrap();
    for cursor in ["", "g", "x:g", "99999999999999999999:g", "1:"] {
        let request = PageRequest { limit: 10, cursor: Some(cursor.into()) };
        let error = store.list_grants(&company("acme"), &request).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{cursor:?}");
    }
}

async fn list(store: &impl Store, request: &PageRequest) -> Page<Grant> {
    store.list_grants(&company("acme"), request).await.unwrap()
}

fn ids(page: &Page<Grant>) -> Vec<&str> {
    page.items.iter().map(|grant| grant.id.as_str()).collect()
}
