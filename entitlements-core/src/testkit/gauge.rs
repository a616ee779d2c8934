//! Cases about gauges: holders and levels.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::Barrier;

use super::fixtures::{at, company, facts, feature, grant, held, holder, now, units};
use super::hostile::hostile_ids;
use crate::Amount;
use crate::gauge::{AcquireOutcome, Holder, LevelOutcome};
use crate::store::{PageRequest, Store};

const RACERS: u64 = 64;

async fn acquire(store: &impl Store, name: &str, limit: impl Into<Option<u64>>) -> AcquireOutcome {
    acquire_at(store, name, limit, now()).await
}

async fn acquire_at(
    store: &impl Store,
    name: &str,
    limit: impl Into<Option<u64>>,
    at: DateTime<Utc>,
) -> AcquireOutcome {
    let limit = limit.into().map(units);
    store.acquire(&company("acme"), &feature("seats"), &holder(name), limit, at).await.unwrap()
}

async fn release(store: &impl Store, name: &str) -> bool {
    store.release(&company("acme"), &feature("seats"), &holder(name)).await.unwrap()
}

async fn set_level(store: &impl Store, level: u64, limit: impl Into<Option<u64>>) -> LevelOutcome {
    let limit = limit.into().map(units);
    store.set_level(&company("acme"), &feature("seats"), units(level), limit).await.unwrap()
}

/// The holders of the gauge, page by page.
async fn holders(store: &impl Store, name: &str, gauge: &str, limit: usize) -> Vec<Holder> {
    let (mut all, mut request) = (Vec::new(), PageRequest::first(limit));
    loop {
        let page = store.list_holders(&company(name), &feature(gauge), &request).await.unwrap();
        assert!(page.items.len() <= limit, "{page:?}");
        all.extend(page.items);
        match page.next {
            Some(next) => request.cursor = Some(next),
            None => return all,
        }
    }
}

fn acquired(used: u64) -> AcquireOutcome {
    AcquireOutcome::Acquired(units(used))
}

/// A gauge that nobody holds anything of has no holders, and is zero.
pub async fn an_unused_gauge_is_zero(store: &impl Store) {
    assert_eq!(facts(store, "acme").await.gauges, []);
    assert_eq!(holders(store, "acme", "seats", 10).await, []);
    assert!(!release(store, "ada").await);
    assert_eq!(held(store, "acme", "seats").await, 0);
}

/// Holders are counted one by one, up to the limit exactly.
pub async fn holders_fill_a_gauge_up_to_its_limit(store: &impl Store) {
    assert_eq!(acquire(store, "ada", 2).await, acquired(1));
    assert_eq!(acquire(store, "bob", 2).await, acquired(2));
    assert_eq!(acquire(store, "cid", 2).await, AcquireOutcome::Refused);
    assert_eq!(held(store, "acme", "seats").await, 2);
    assert_eq!(acquire(store, "cid", 3).await, acquired(3));
    assert_eq!(acquire(store, "dan", None).await, acquired(4));
}

/// A holder that is refused changes nothing at all.
pub async fn a_refused_holder_changes_nothing(store: &impl Store) {
    assert_eq!(acquire(store, "ada", 0).await, AcquireOutcome::Refused);
    assert_eq!(facts(store, "acme").await.gauges, []);
    acquire(store, "ada", 1).await;
    let before = facts(store, "acme").await;
    assert_eq!(acquire(store, "bob", 1).await, AcquireOutcome::Refused);
    assert_eq!(facts(store, "acme").await, before);
    let names: Vec<_> =
        holders(store, "acme", "seats", 10).await.into_iter().map(|found| found.holder).collect();
    assert_eq!(names, [holder("ada")]);
    assert!(!release(store, "bob").await);
}

/// Who holds a unit holds one, however often it is acquired, and since the first time.
pub async fn a_holder_counts_once(store: &impl Store) {
    acquire(store, "ada", 5).await;
    let again = acquire_at(store, "ada", 5, at("2026-11-08T00:00:00Z")).await;
    assert_eq!(again, AcquireOutcome::Held(units(1)));
    assert_eq!(held(store, "acme", "seats").await, 1);
    let expected = Holder { holder: holder("ada"), since: now() };
    assert_eq!(holders(store, "acme", "seats", 10).await, [expected]);
}

/// Who holds a unit keeps it when the limit falls below what is held.
pub async fn a_holder_needs_no_room(store: &impl Store) {
    for name in ["ada", "bob", "cid"] {
        acquire(store, name, 3).await;
    }
    assert_eq!(acquire(store, "ada", 1).await, AcquireOutcome::Held(units(3)));
    assert_eq!(acquire(store, "ada", 0).await, AcquireOutcome::Held(units(3)));
    assert_eq!(acquire(store, "dan", 1).await, AcquireOutcome::Refused);
    release(store, "bob").await;
    assert_eq!(acquire(store, "dan", 2).await, AcquireOutcome::Refused);
    assert_eq!(acquire(store, "dan", 3).await, acquired(3));
}

/// A unit is given back once, and can then be acquired by another.
pub async fn a_unit_is_released_once(store: &impl Store) {
    acquire(store, "ada", 1).await;
    assert!(release(store, "ada").await);
    assert!(!release(store, "ada").await);
    assert_eq!(held(store, "acme", "seats").await, 0);
    assert_eq!(acquire(store, "bob", 1).await, acquired(1));
    assert!(!release(store, "ada").await);
    assert_eq!(held(store, "acme", "seats").await, 1);
}

/// Who comes back holds a unit since then.
pub async fn a_holder_that_comes_back_is_new(store: &impl Store) {
    acquire(store, "ada", 1).await;
    release(store, "ada").await;
    let later = at("2026-11-08T00:00:00.123456Z");
    assert_eq!(acquire_at(store, "ada", 1, later).await, acquired(1));
    let expected = Holder { holder: holder("ada"), since: later };
    assert_eq!(holders(store, "acme", "seats", 10).await, [expected]);
}

/// Gauges, and companies, are apart.
pub async fn gauges_are_apart(store: &impl Store) {
    acquire(store, "ada", 1).await;
    let (acme, other) = (company("acme"), company("other"));
    let one = Some(units(1));
    let elsewhere = store.acquire(&other, &feature("seats"), &holder("ada"), one, now()).await.unwrap();
    assert_eq!(elsewhere, acquired(1));
    let beside = store.acquire(&acme, &feature("desks"), &holder("ada"), one, now()).await.unwrap();
    assert_eq!(beside, acquired(1));
    assert!(!store.release(&other, &feature("desks"), &holder("ada")).await.unwrap());
    assert!(store.release(&other, &feature("seats"), &holder("ada")).await.unwrap());
    assert_eq!(held(store, "acme", "seats").await, 1);
    assert_eq!(held(store, "acme", "desks").await, 1);
    assert_eq!(held(store, "other", "seats").await, 0);
}

/// A level replaces the level before, up to the limit.
pub async fn a_level_is_set_up_to_the_limit(store: &impl Store) {
    assert_eq!(set_level(store, 7, 10).await, LevelOutcome::Set(units(7)));
    assert_eq!(set_level(store, 10, 10).await, LevelOutcome::Set(units(10)));
    assert_eq!(held(store, "acme", "seats").await, 10);
    assert_eq!(set_level(store, 11, 10).await, LevelOutcome::Refused);
    assert_eq!(held(store, "acme", "seats").await, 10);
    assert_eq!(set_level(store, Amount::MAX.get(), None).await, LevelOutcome::Set(Amount::MAX));
}

/// A first level beyond the limit is refused, and leaves nothing.
pub async fn a_first_level_has_to_fit(store: &impl Store) {
    assert_eq!(set_level(store, 3, 2).await, LevelOutcome::Refused);
    assert_eq!(facts(store, "acme").await.gauges, []);
    assert_eq!(set_level(store, 0, 0).await, LevelOutcome::Set(units(0)));
}

/// A level that is not higher is always taken, also when the limit has fallen below it.
pub async fn a_lower_level_is_always_taken(store: &impl Store) {
    set_level(store, 10, 10).await;
    assert_eq!(set_level(store, 10, 3).await, LevelOutcome::Set(units(10)));
    assert_eq!(set_level(store, 8, 3).await, LevelOutcome::Set(units(8)));
    assert_eq!(set_level(store, 9, 3).await, LevelOutcome::Refused);
    assert_eq!(set_level(store, 5, 0).await, LevelOutcome::Set(units(5)));
    assert_eq!(set_level(store, 0, 0).await, LevelOutcome::Set(units(0)));
    assert_eq!(held(store, "acme", "seats").await, 0);
}

/// Holders and a level of one gauge are used together.
pub async fn holders_and_a_level_add_up(store: &impl Store) {
    set_level(store, 3, 5).await;
    assert_eq!(acquire(store, "ada", 5).await, acquired(4));
    assert_eq!(set_level(store, 5, 5).await, LevelOutcome::Refused);
    assert_eq!(set_level(store, 4, 5).await, LevelOutcome::Set(units(5)));
    assert_eq!(acquire(store, "bob", 5).await, AcquireOutcome::Refused);
    assert_eq!(set_level(store, 1, 5).await, LevelOutcome::Set(units(2)));
    assert!(release(store, "ada").await);
    assert_eq!(held(store, "acme", "seats").await, 1);
}

/// Holders and level together never pass the largest amount.
pub async fn a_gauge_never_overflows(store: &impl Store) {
    let max = Amount::MAX.get();
    acquire(store, "ada", None).await;
    assert_eq!(set_level(store, max, None).await, LevelOutcome::Refused);
    assert_eq!(set_level(store, max - 1, None).await, LevelOutcome::Set(Amount::MAX));
    assert_eq!(acquire(store, "bob", None).await, AcquireOutcome::Refused);
    assert_eq!(acquire(store, "bob", max).await, AcquireOutcome::Refused);
    assert_eq!(held(store, "acme", "seats").await, max);
}

/// Gauges are usage: they take no revision.
pub async fn a_gauge_takes_no_revision(store: &impl Store) {
    store.insert_grant(&grant("g", "acme")).await.unwrap();
    let before = facts(store, "acme").await.revision;
    acquire(store, "ada", 5).await;
    release(store, "ada").await;
    set_level(store, 2, 5).await;
    assert_eq!(facts(store, "acme").await.revision, before);
}

/// Pages of holders follow each other in ascending order of ids.
pub async fn pages_of_holders_follow_each_other(store: &impl Store) {
    for number in [3, 1, 4, 0, 2] {
        acquire(store, &format!("h{number}"), None).await;
    }
    store.acquire(&company("other"), &feature("seats"), &holder("h9"), None, now()).await.unwrap();
    for limit in [1, 2, 5, 6] {
        let found = holders(store, "acme", "seats", limit).await;
        let names: Vec<_> = found.iter().map(|found| found.holder.as_str()).collect();
        assert_eq!(names, ["h0", "h1", "h2", "h3", "h4"], "{limit}");
    }
}

/// Many acquire at once: exactly the limit is given.
pub async fn racing_holders_never_pass_the_limit<S: Store + Clone>(store: &S) {
    let outcomes = race(store, (0..RACERS).map(|number| format!("h{number}")).collect()).await;
    let mut given: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            AcquireOutcome::Acquired(used) => Some(used.get()),
            _ => None,
        })
        .collect();
    given.sort_unstable();
    assert_eq!(given, (1..=10).collect::<Vec<_>>());
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == AcquireOutcome::Refused).count(), 54);
    assert_eq!(held(store, "acme", "seats").await, 10);
    assert_eq!(holders(store, "acme", "seats", 100).await.len(), 10);
}

/// One holder at once by many: one unit is taken.
pub async fn one_racing_holder_takes_one_unit<S: Store + Clone>(store: &S) {
    let outcomes = race(store, vec!["ada".into(); usize::try_from(RACERS).unwrap()]).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == acquired(1)).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == AcquireOutcome::Held(units(1))).count(), 63);
    assert_eq!(held(store, "acme", "seats").await, 1);
}

/// Acquisitions and releases of one unit at once: what is used is what is held in the end.
pub async fn racing_releases_balance<S: Store + Clone>(store: &S) {
    let racers: Vec<_> = (0..RACERS)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let name = format!("h{}", number % 16);
                let outcome = acquire(&store, &name, 8).await;
                if number % 3 == 0 {
                    release(&store, &name).await;
                }
                let level = if number % 2 == 0 { 2 } else { 1 };
                set_level(&store, level, 8).await;
                assert!(held(&store, "acme", "seats").await <= 8, "{outcome:?}");
            })
        })
        .collect();
    for racer in racers {
        racer.await.unwrap();
    }
    // The limit is that of then; no level is higher than another holder leaves room for.
    set_level(store, 0, 8).await;
    let listed = holders(store, "acme", "seats", 100).await.len();
    assert_eq!(held(store, "acme", "seats").await, listed as u64);
}

async fn race<S: Store + Clone>(store: &S, names: Vec<String>) -> Vec<AcquireOutcome> {
    let barrier = Arc::new(Barrier::new(names.len()));
    let racers: Vec<_> = names
        .into_iter()
        .map(|name| {
            let (store, barrier) = (store.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                acquire(&store, &name, 10).await
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for racer in racers {
        outcomes.push(racer.await.unwrap());
    }
    outcomes
}

/// Holders, gauges and companies with hostile ids never mix, and are listed in ascending order of bytes.
pub async fn hostile_holders_never_mix(store: &impl Store) {
    let mut ids = hostile_ids();
    for id in &ids {
        acquire(store, id, None).await;
        store.acquire(&company(id), &feature(id), &holder(id), Some(units(1)), now()).await.unwrap();
    }
    for id in &ids {
        assert_eq!(held(store, id, id).await, 1, "{id:?}");
        let one = Holder { holder: holder(id), since: now() };
        assert_eq!(holders(store, id, id, 10).await, [one], "{id:?}");
    }
    assert_eq!(held(store, "acme", "seats").await, ids.len() as u64);
    ids.sort();
    let found = holders(store, "acme", "seats", 3).await;
    assert_eq!(found.iter().map(|found| found.holder.as_str()).collect::<Vec<_>>(), ids);
    for id in &ids {
        assert!(release(store, id).await, "{id:?}");
    }
    assert_eq!(held(store, "acme", "seats").await, 0);
}
