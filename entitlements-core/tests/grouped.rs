//! Grouping: who joins which statement, and what becomes of those whose neighbours give up or fail.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::future::poll_fn;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::id::{CompanyId, IdempotencyKey, ReceiptId};
use entitlements_core::store::{GroupStore, Grouped, StoreError, StoreErrorKind, UsageStore};
use entitlements_core::testkit::fixtures::{company, debit, key, monthly};
use entitlements_core::usage::{Debit, DebitOutcome, Receipt, RecordOutcome, UsageAlert};
use entitlements_core::{BoxFuture, MemoryStore};
use tokio::sync::Semaphore;

/// Answers a statement when the test lets it, and notes how many debits each had.
#[derive(Debug)]
struct Slow {
    inner: MemoryStore,
    gate: Semaphore,
    started: AtomicUsize,
    sizes: Mutex<Vec<usize>>,
    failure: Mutex<Option<StoreErrorKind>>,
    panics: AtomicBool,
    /// How often a statement wakes itself while it is polled.
    wakes: AtomicUsize,
}

impl Slow {
    async fn pass(&self, debits: usize) {
        self.sizes.lock().unwrap().push(debits);
        self.started.fetch_add(1, Ordering::SeqCst);
        for _ in 0..self.wakes.load(Ordering::SeqCst) {
            let mut is_awake = false;
            poll_fn(|context| {
                context.waker().wake_by_ref();
                if mem::replace(&mut is_awake, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
        self.gate.acquire().await.unwrap().forget();
    }
}

#[async_trait]
impl UsageStore for Slow {
    async fn debit(&self, debit: &Debit) -> Result<DebitOutcome, StoreError> {
        self.pass(1).await;
        self.inner.debit(debit).await
    }
    async fn record(&self, company: &CompanyId, events: &[Debit]) -> Result<Vec<RecordOutcome>, StoreError> {
        self.inner.record(company, events).await
    }
    async fn refund(
        &self,
        company: &CompanyId,
        receipt: &ReceiptId,
        at: DateTime<Utc>,
    ) -> Result<Option<Receipt>, StoreError> {
        self.inner.refund(company, receipt, at).await
    }
    async fn receipt(
        &self,
        company: &CompanyId,
        key: &IdempotencyKey,
    ) -> Result<Option<Receipt>, StoreError> {
        self.inner.receipt(company, key).await
    }
    async fn pending_alerts(&self, limit: usize) -> Result<Vec<UsageAlert>, StoreError> {
        self.inner.pending_alerts(limit).await
    }
    async fn claim_alerts(
        &self,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<UsageAlert>, StoreError> {
        self.inner.claim_alerts(until, now, limit).await
    }
    async fn acknowledge_alert(&self, alert: &UsageAlert) -> Result<(), StoreError> {
        self.inner.acknowledge_alert(alert).await
    }
}

#[async_trait]
impl GroupStore for Slow {
    async fn debit_group(&self, debits: &[Debit]) -> Result<Vec<DebitOutcome>, StoreError> {
        self.pass(debits.len()).await;
        assert!(!self.panics.load(Ordering::SeqCst), "the statement panics");
        if let Some(kind) = *self.failure.lock().unwrap() {
            return Err(StoreError::new(kind, "debit units"));
        }
        self.inner.debit_group(debits).await
    }
}

type Answer = tokio::task::JoinHandle<Result<DebitOutcome, StoreError>>;

struct World {
    store: Arc<Slow>,
    grouped: Grouped<Arc<Slow>>,
}

impl World {
    fn new() -> Self {
        let store = Arc::new(Slow {
            inner: MemoryStore::default(),
            gate: Semaphore::new(0),
            started: AtomicUsize::new(0),
            sizes: Mutex::default(),
            failure: Mutex::default(),
            panics: AtomicBool::default(),
            wakes: AtomicUsize::new(0),
        });
        Self { grouped: Grouped::new(Arc::clone(&store)).with_largest(4), store }
    }

    /// A caller that has come as far as it can.
    async fn caller(&self, company: &str, key: &str) -> Answer {
        let (grouped, debit) = (self.grouped.clone(), debit(company, key, 1, [monthly(5)]));
        let answer = tokio::spawn(async move { grouped.debit(&debit).await });
        settle().await;
        answer
    }

    async fn let_pass(&self, statements: usize) {
        self.store.gate.add_permits(statements);
        settle().await;
    }

    fn sizes(&self) -> Vec<usize> {
        self.store.sizes.lock().unwrap().clone()
    }
}

/// Everybody goes as far as possible: the runtime of a test has one thread.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

async fn is_refused(answer: Answer) -> bool {
    matches!(answer.await.unwrap().unwrap(), DebitOutcome::Refused)
}

async fn is_recorded(answer: Answer) -> bool {
    matches!(answer.await.unwrap().unwrap(), DebitOutcome::Recorded(_))
}

#[tokio::test]
async fn those_who_come_while_a_statement_runs_make_the_next_in_their_order() {
    let world = World::new();
    let mut answers = vec![world.caller("acme", "k0").await];
    assert_eq!(world.sizes(), [1], "an idle line is no reason to wait");
    for number in 1..7 {
        answers.push(world.caller("acme", &format!("k{number}")).await);
    }
    let other = world.caller("other", "k0").await;
    assert_eq!(world.sizes(), [1, 1], "another company does not wait");
    world.let_pass(10).await;
    assert_eq!(world.sizes(), [1, 1, 4, 2]);
    assert!(is_recorded(other).await);
    let mut recorded = Vec::new();
    for answer in answers {
        recorded.push(is_recorded(answer).await);
    }
    assert_eq!(recorded, [true, true, true, true, true, false, false]);
}

#[tokio::test]
async fn those_who_were_in_a_statement_join_for_the_next() {
    let world = World::new();
    let first = world.caller("acme", "first").await;
    let mut again = Vec::new();
    for name in ["a", "b", "c"] {
        let grouped = world.grouped.clone();
        again.push(tokio::spawn(async move {
            for round in 0..2 {
                grouped.debit(&debit("acme", &format!("{name} {round}"), 1, [monthly(50)])).await.unwrap();
            }
        }));
        settle().await;
    }
    world.let_pass(10).await;
    assert!(is_recorded(first).await);
    for caller in again {
        caller.await.unwrap();
    }
    assert_eq!(world.sizes(), [1, 3, 3]);
}

#[tokio::test]
async fn a_key_is_in_a_statement_once() {
    let world = World::new();
    let first = world.caller("acme", "first").await;
    let [one, two] = [world.caller("acme", "twice").await, world.caller("acme", "twice").await];
    world.let_pass(10).await;
    assert_eq!(world.sizes(), [1, 1, 1]);
    assert!(is_recorded(first).await && is_recorded(one).await);
    assert!(matches!(two.await.unwrap().unwrap(), DebitOutcome::Duplicate(_)));
}

#[tokio::test]
async fn whoever_gives_up_harms_nobody_else() {
    let world = World::new();
    let first = world.caller("acme", "first").await;
    let [leader, gone, last] =
        [world.caller("acme", "a").await, world.caller("acme", "b").await, world.caller("acme", "c").await];
    // One that waits, and the one whose statement is under way: the others see it through.
    gone.abort();
    first.abort();
    world.let_pass(1).await;
    assert_eq!(world.sizes(), [1, 2]);
    // And the one that began the next statement.
    leader.abort();
    settle().await;
    world.let_pass(10).await;
    assert!(is_recorded(last).await);
    assert_eq!(world.sizes(), [1, 2]);
    // The line is idle again.
    assert!(is_recorded(world.caller("acme", "d").await).await);
}

/// A caller that was polled once, and is held.
fn held(world: &World, key: &'static str) -> BoxFuture<Result<DebitOutcome, StoreError>> {
    let grouped = world.grouped.clone();
    let mut answer: BoxFuture<_> =
        Box::pin(async move { grouped.debit(&debit("acme", key, 1, [monthly(5)])).await });
    assert!(answer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    answer
}

#[tokio::test]
async fn callers_that_are_polled_no_more_stop_nobody() {
    let world = World::new();
    // Whose statement is under way, and one that waits.
    let first = held(&world, "first");
    let second = held(&world, "second");
    let [a, b] = [world.caller("acme", "a").await, world.caller("acme", "b").await];
    let third = held(&world, "third");
    assert_eq!(world.sizes(), [1]);
    world.let_pass(10).await;
    assert_eq!(world.sizes(), [1, 4]);
    assert!(a.is_finished() && b.is_finished());
    // After a group everybody has a turn first, which they do not take.
    let more = [held(&world, "fourth"), held(&world, "fifth")];
    let c = world.caller("acme", "c").await;
    assert!(c.is_finished() && is_refused(c).await);
    assert_eq!(world.sizes(), [1, 4, 3]);
    // Their own outcomes wait for them.
    for answer in [first, second, third] {
        assert!(matches!(answer.await.unwrap(), DebitOutcome::Recorded(_)));
    }
    for answer in more {
        assert!(matches!(answer.await.unwrap(), DebitOutcome::Refused));
    }
    assert!(is_recorded(a).await && is_recorded(b).await);
}

#[tokio::test]
async fn a_statement_that_wakes_itself_goes_on_whoever_is_polled() {
    let world = World::new();
    world.store.wakes.store(3, Ordering::SeqCst);
    let first = held(&world, "first");
    let second = world.caller("acme", "second").await;
    world.let_pass(10).await;
    assert!(is_recorded(second).await);
    assert!(matches!(first.await.unwrap(), DebitOutcome::Recorded(_)));
    assert!(is_recorded(world.caller("acme", "third").await).await);
}

#[tokio::test]
async fn a_statement_that_everybody_has_left_ends() {
    let world = World::new();
    let first = held(&world, "first");
    let second = held(&world, "second");
    drop((first, second));
    world.let_pass(10).await;
    assert!(is_recorded(world.caller("acme", "c").await).await);
    let taken = world.store.inner.receipt(&company("acme"), &key("first")).await.unwrap();
    assert_eq!(taken, None);
}

#[tokio::test]
async fn a_group_that_fails_is_made_one_by_one() {
    let world = World::new();
    let first = world.caller("acme", "first").await;
    let others = [world.caller("acme", "a").await, world.caller("acme", "b").await];
    *world.store.failure.lock().unwrap() = Some(StoreErrorKind::Internal);
    world.let_pass(10).await;
    assert_eq!(world.sizes(), [1, 2, 1, 1]);
    assert!(is_recorded(first).await);
    for other in others {
        assert!(is_recorded(other).await);
    }
}

#[tokio::test]
async fn whoever_cannot_know_is_told_so() {
    let world = World::new();
    let first = world.caller("acme", "first").await;
    let others = [world.caller("acme", "a").await, world.caller("acme", "b").await];
    *world.store.failure.lock().unwrap() = Some(StoreErrorKind::Unavailable);
    world.let_pass(10).await;
    assert_eq!(world.sizes(), [1, 2]);
    assert!(is_recorded(first).await);
    for other in others {
        assert_eq!(other.await.unwrap().unwrap_err().kind(), StoreErrorKind::Unavailable);
    }
}

#[tokio::test]
async fn whoever_waits_for_a_statement_that_panics_is_told_so() {
    let world = World::new();
    let first = world.caller("acme", "first").await;
    let [driver, other] = [world.caller("acme", "a").await, world.caller("acme", "b").await];
    world.store.panics.store(true, Ordering::SeqCst);
    world.let_pass(10).await;
    assert!(is_recorded(first).await);
    assert!(driver.await.unwrap_err().is_panic());
    assert_eq!(other.await.unwrap().unwrap_err().kind(), StoreErrorKind::Unavailable);
    assert!(is_recorded(world.caller("acme", "c").await).await, "the line goes on");
}
