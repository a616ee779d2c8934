//! The recorder: bounded, never in the way, and nothing is lost that is not counted.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use entitlements_core::MemoryStore;
use entitlements_core::audit::{Audit, AuditConfig, AuditEntry};
use entitlements_core::store::{AuditStore, StoreErrorKind};
use entitlements_core::testkit::FlakyStore;
use entitlements_core::testkit::fixtures::audited;
use tokio::sync::Semaphore;

type Store = Arc<FlakyStore<MemoryStore>>;

fn recorder(config: AuditConfig) -> (Audit, Store) {
    let store = Arc::new(FlakyStore::new(MemoryStore::default()));
    (Audit::with_config(Arc::clone(&store), config), store)
}

fn entry(feature: &str) -> AuditEntry {
    AuditEntry { feature: feature.to_owned().into(), ..audited("", "acme").entry }
}

async fn stored(store: &Store) -> Vec<String> {
    let rows = store.inner().audit_rows(0, 10_000).await.unwrap().rows;
    rows.into_iter().map(|row| row.entry.feature.into_owned()).collect()
}

/// Time that passes when a test says so.
#[derive(Clone)]
struct Time {
    passed: Arc<Semaphore>,
    pauses: Arc<Mutex<Vec<u64>>>,
}

impl Time {
    fn new() -> Self {
        Self { passed: Arc::new(Semaphore::new(0)), pauses: Arc::default() }
    }

    fn sleep(
        &self,
    ) -> impl Fn(Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + use<> {
        let time = self.clone();
        move |pause| {
            let time = time.clone();
            time.pauses.lock().unwrap().push(pause.as_secs());
            Box::pin(async move {
                time.passed.acquire().await.unwrap().forget();
            })
        }
    }

    fn pass(&self) {
        self.passed.add_permits(1);
    }
}

/// Gives way until it is so.
async fn until(mut so: impl FnMut() -> bool) {
    for _ in 0..1_000_000 {
        if so() {
            return;
        }
        tokio::task::yield_now().await;
    }
    assert!(so(), "it never becomes so");
}

#[tokio::test]
async fn a_flush_stores_all_that_was_noted_in_its_order() {
    let (audit, store) = recorder(AuditConfig::default().with_batch(2));
    for feature in ["a", "b", "c", "d", "e"] {
        audit.record(entry(feature));
    }
    assert_eq!((audit.stats().waiting, stored(&store).await.len()), (5, 0));
    audit.flush().await.unwrap();
    assert_eq!(stored(&store).await, ["a", "b", "c", "d", "e"]);
    let stats = audit.stats();
    assert_eq!((stats.accepted, stats.stored, stats.waiting, stats.dropped), (5, 5, 0, 0));
}

#[tokio::test]
async fn what_has_no_room_is_dropped_and_counted() {
    let (audit, store) = recorder(AuditConfig::default().with_capacity(3));
    store.fail(Some(StoreErrorKind::Unavailable));
    for number in 0..2 {
        audit.record(entry(&number.to_string()));
    }
    // What is being appended takes room, too.
    assert!(audit.flush().await.is_err());
    for number in 2..10 {
        audit.record(entry(&number.to_string()));
    }
    let stats = audit.stats();
    assert_eq!((stats.accepted, stats.dropped, stats.waiting, stats.failures), (3, 7, 3, 1));
    store.fail(None);
    audit.flush().await.unwrap();
    assert_eq!(stored(&store).await, ["0", "1", "2"]);
}

#[tokio::test]
async fn a_lost_answer_does_not_make_two_entries() {
    let (audit, store) = recorder(AuditConfig::default());
    audit.record(entry("a"));
    store.lose_answers(true);
    let mut flush = pin!(audit.flush());
    poll_fn(|context| {
        assert!(flush.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
    assert_eq!(stored(&store).await, ["a"]);
    flush.set(audit.flush());
    store.lose_answers(false);
    audit.record(entry("b"));
    flush.await.unwrap();
    audit.flush().await.unwrap();
    assert_eq!(stored(&store).await, ["a", "b"]);
    assert_eq!(audit.stats().stored, 2);
}

#[tokio::test]
async fn what_the_store_can_never_keep_does_not_hold_up_the_rest() {
    let (audit, store) = recorder(AuditConfig::default());
    let mut impossible = entry("impossible");
    impossible.latency_us = u64::MAX;
    for entry in [entry("a"), impossible, entry("b")] {
        audit.record(entry);
    }
    audit.flush().await.unwrap();
    assert_eq!(stored(&store).await, ["a", "b"]);
    assert_eq!((audit.stats().refused, audit.stats().stored), (1, 2));
}

#[tokio::test]
async fn flushes_at_once_store_everything_once() {
    let (audit, store) = recorder(AuditConfig::default().with_batch(3));
    let flushing: Vec<_> = (0..20)
        .map(|number| {
            let audit = audit.clone();
            tokio::spawn(async move {
                audit.record(entry(&number.to_string()));
                tokio::task::yield_now().await;
                audit.flush().await.unwrap();
            })
        })
        .collect();
    for flush in flushing {
        flush.await.unwrap();
    }
    let mut features = stored(&store).await;
    features.sort();
    features.dedup();
    assert_eq!((features.len(), stored(&store).await.len()), (20, 20));
}

#[tokio::test]
async fn a_full_batch_is_appended_without_waiting() {
    let (audit, store) = recorder(AuditConfig::default().with_batch(2));
    let running = tokio::spawn(audit.clone().run(Time::new().sleep()));
    audit.record(entry("a"));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(stored(&store).await.len(), 0);
    audit.record(entry("b"));
    until(|| audit.stats().stored == 2).await;
    running.abort();
}

#[tokio::test]
async fn what_is_noted_is_appended_when_the_interval_is_over() {
    let (audit, _) = recorder(AuditConfig::default().with_interval(Duration::from_secs(7)));
    let time = Time::new();
    let running = tokio::spawn(audit.clone().run(time.sleep()));
    audit.record(entry("a"));
    time.pass();
    until(|| audit.stats().stored == 1).await;
    assert_eq!(time.pauses.lock().unwrap()[0], 7);
    running.abort();
}

#[tokio::test]
async fn a_recorder_that_is_closed_appends_the_rest_and_ends() {
    let (audit, store) = recorder(AuditConfig::default());
    let running = tokio::spawn(audit.clone().run(Time::new().sleep()));
    audit.record(entry("a"));
    audit.close();
    running.await.unwrap();
    assert_eq!(stored(&store).await, ["a"]);
    // What comes later is not lost, either.
    audit.record(entry("b"));
    audit.flush().await.unwrap();
    assert_eq!(stored(&store).await, ["a", "b"]);
}

#[tokio::test]
async fn a_store_that_fails_is_asked_less_often_until_it_heals() {
    let (audit, store) = recorder(AuditConfig::default().with_batch(1));
    let time = Time::new();
    store.fail(Some(StoreErrorKind::Unavailable));
    let running = tokio::spawn(audit.clone().run(time.sleep()));
    for failures in 1..=8 {
        // A full batch is no reason to hurry when the one before failed.
        audit.record(entry("a"));
        if failures > 1 {
            time.pass();
        }
        until(|| audit.stats().failures == failures).await;
    }
    store.fail(None);
    time.pass();
    until(|| audit.stats().stored == 8).await;
    until(|| time.pauses.lock().unwrap().len() == 10).await;
    assert_eq!(*time.pauses.lock().unwrap(), [1, 2, 4, 8, 16, 32, 32, 32, 32, 1]);
    running.abort();
}
