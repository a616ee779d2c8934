//! What is acknowledged stays: over restarts, between processes, and when callers give up half-way.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::pin;
use std::task::Poll;

use entitlements_core::facts::Revision;
use entitlements_core::store::{
    GrantStore, PageRequest, PolicyStore, SnapshotStore, SubscriptionStore, UsageStore,
};
use entitlements_core::testkit::fixtures::{
    addon, company, debit, facts, grant, grant_id, granted, key, monthly, now, overriding, policy,
    receipt_id, recorded, subscription, subscription_id, units, used,
};
use entitlements_core::usage::{Counter, DebitOutcome};
use entitlements_sqlx::{Durability, SqliteConfig, SqliteStore};

use crate::files::{config, in_file, temporary};
use crate::giving_up;
use crate::ledger::{self, assert_counters_agree};
use crate::stage::Stage;

#[tokio::test]
async fn everything_survives_a_restart() {
    let path = temporary();
    let config = config(&path).with_durability(Durability::Full);
    let store = SqliteStore::connect(&config).await.unwrap();
    store.put_subscription(&subscription("s", "acme"), now()).await.unwrap();
    store.put_addon(&company("acme"), &addon("pack", 2)).await.unwrap();
    store.put_override(&company("acme"), &overriding("reports", 5)).await.unwrap();
    store.insert_grant(&grant("g", "acme")).await.unwrap();
    store.insert_grant(&grant("h", "acme")).await.unwrap();
    store.void_grant(&grant_id("h"), now()).await.unwrap();
    store.insert_policy(&policy("p")).await.unwrap();
    let alerting = Counter { alerts: vec![(80, units(8))], ..monthly(10) };
    let receipt = recorded(&store, &debit("acme", "a", 8, [alerting])).await;
    let refunded = recorded(&store, &debit("acme", "b", 1, [monthly(10)])).await;
    store.refund(&company("acme"), &refunded.id, now()).await.unwrap();
    let before = everything(&store).await;
    store.close().await;

    let store = SqliteStore::connect(&config).await.unwrap();
    assert_eq!(everything(&store).await, before);
    let again = store.debit(&debit("acme", "a", 8, [monthly(10)])).await.unwrap();
    assert_eq!(again, DebitOutcome::Duplicate(receipt));
    let revision = store.put_addon(&company("acme"), &addon("pack", 3)).await.unwrap();
    assert!(before.0.revision < revision && before.0.policies_revision < revision);
}

async fn everything(store: &SqliteStore) -> (entitlements_core::facts::Facts, String) {
    let facts = facts(store, "acme").await;
    let rest = format!(
        "{:?} {:?} {:?} {:?} {:?}",
        store.policies().await.unwrap(),
        store.subscription_history(&subscription_id("s")).await.unwrap(),
        store.list_grants(&company("acme"), &PageRequest::first(10)).await.unwrap(),
        store.pending_alerts(10).await.unwrap(),
        store.receipt(&company("acme"), &key("b")).await.unwrap(),
    );
    (facts, rest)
}

#[tokio::test]
async fn a_store_that_was_not_closed_loses_nothing() {
    let path = temporary();
    let store = in_file(&path).await;
    recorded(&store, &debit("acme", "a", 8, [monthly(10)])).await;
    drop(store);
    assert_eq!(used(&in_file(&path).await, "acme", &monthly(10)).await, 8);
}

#[tokio::test]
async fn a_database_in_memory_ends_with_its_store() {
    let config = SqliteConfig::in_memory();
    let store = SqliteStore::connect(&config).await.unwrap();
    store.insert_policy(&policy("p")).await.unwrap();
    let other = SqliteStore::connect(&config).await.unwrap();
    assert_eq!(other.policies().await.unwrap().revision, Revision(0));
    assert_eq!(store.clone().policies().await.unwrap().policies, [policy("p")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_open_a_new_database_at_once() {
    let path = temporary();
    let openers: Vec<_> = (0..8)
        .map(|n| {
            let path = path.clone();
            tokio::spawn(async move {
                let store = in_file(&path).await;
                store.insert_policy(&policy(&format!("p{n}"))).await.unwrap();
            })
        })
        .collect();
    for opener in openers {
        opener.await.unwrap();
    }
    assert_eq!(in_file(&path).await.policies().await.unwrap().policies.len(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_one_limit() {
    let path = temporary();
    let stores = [in_file(&path).await, in_file(&path).await];
    let racers: Vec<_> = (0..50)
        .map(|n| {
            let store = stores[n % 2].clone();
            tokio::spawn(async move {
                store.debit(&debit("acme", &format!("k{n}"), 1, [monthly(10)])).await.unwrap()
            })
        })
        .collect();
    let mut recorded = 0;
    for racer in racers {
        recorded += u64::from(matches!(racer.await.unwrap(), DebitOutcome::Recorded(_)));
    }
    assert_eq!(recorded, 10);
    for store in &stores {
        assert_eq!(used(store, "acme", &monthly(10)).await, 10);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_the_limit_is_granted() {
    let path = temporary();
    ledger::exactly_the_limit_is_granted(&[in_file(&path).await, in_file(&path).await]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_oversold_under_load() {
    ledger::nothing_is_oversold_under_load(&[in_file(&temporary()).await]).await;
}

/// Polls a future so many times at most; whether it finished.
async fn polled<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..times {
        let poll = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        if let Poll::Ready(output) = poll {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// Every write whose caller was told that it happened can be seen over a connection of its own.
async fn assert_seen_by_others(path: &Path, grants: &BTreeSet<String>) {
    let other = in_file(path).await;
    let seen: BTreeSet<_> = facts(&other, "acme").await.grants.iter().map(|g| g.id.to_string()).collect();
    assert!(grants.is_subset(&seen), "lost: {:?}", grants.difference(&seen));
}

/// Callers that give up after any number of polls leave no transaction open: what is acknowledged later is not lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_calls_leave_nothing_half_done() {
    let path = temporary();
    let store = in_file(&path).await;
    let mut acknowledged = BTreeSet::new();
    for times in 0..150 {
        let name = format!("n{times}");
        polled(times, store.debit(&debit("acme", &name, 1, [granted("g", 40), monthly(500)]))).await;
        let id = format!("dropped {times}");
        if polled(times, store.insert_grant(&grant(&id, "acme"))).await.is_some_and(|done| done.is_ok()) {
            acknowledged.insert(id);
        }
        let _ = polled(times / 2, store.put_addon(&company("acme"), &addon("pack", 1))).await;
        let subscription = subscription(&format!("s{times}"), "acme");
        let _ = polled(times / 3, store.put_subscription(&subscription, now())).await;
        let _ = polled(
            times / 4,
            store.refund(&company("acme"), &receipt_id(&format!("receipt of {name}")), now()),
        )
        .await;
        let _ = polled(times / 5, store.load(&company("acme"), now())).await;
        let id = format!("kept {times}");
        store.insert_grant(&grant(&id, "acme")).await.unwrap();
        acknowledged.insert(id);
        if times % 25 == 0 {
            assert_seen_by_others(&path, &acknowledged).await;
        }
    }
    assert_seen_by_others(&path, &acknowledged).await;
    let names = (0..150).map(|times| format!("n{times}"));
    assert_counters_agree(&store, "acme", names, &[granted("g", 40), monthly(500)]).await;
}

/// A call to open a store that is given up leaves a database that the next call opens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_opening_leaves_no_half_made_schema() {
    for times in [0, 1, 2, 3, 5, 8, 20, 50, 200] {
        let path = temporary();
        let _ = polled(times, SqliteStore::connect(&config(&path))).await;
        in_file(&path).await.insert_policy(&policy("p")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reservations_are_whole_or_not_there() {
    giving_up::reservations_are_whole_or_not_there(in_file(&temporary()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holders_are_counted_or_not_there() {
    giving_up::holders_are_counted_or_not_there(in_file(&temporary()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_are_appended_whole_or_not_at_all() {
    giving_up::batches_are_appended_whole_or_not_at_all(in_file(&temporary()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn billing_goes_on() {
    giving_up::billing_goes_on(in_file(&temporary()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_is_given_up_leaves_nothing() {
    giving_up::a_transaction_that_is_given_up_leaves_nothing(Stage::start().await).await;
}
