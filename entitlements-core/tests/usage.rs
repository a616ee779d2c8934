//! What is used: shown as the store has it, and told to observers however it was taken.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use entitlements_core::gauge::{AcquireOutcome, LevelOutcome};
use entitlements_core::id::{CompanyId, HolderId, IdempotencyKey, ReceiptId};
use entitlements_core::observer::{Event, Observer};
use entitlements_core::reservation::{CommitOutcome, ReserveOutcome};
use entitlements_core::store::StoreErrorKind;
use entitlements_core::testkit::FlakyStore;
use entitlements_core::{
    Amount, Catalog, Consume, Entitlements, LeaseTerms, Leased, ManualClock, MemoryStore, Reserving, Subject,
    TokioRuntime, UsageEvent,
};

const CATALOG: &str = r#"
schema = 1
default_plan = "free"
past_due_grace = "7d"
[features]
tokens = { type = "meter" }
seats = { type = "gauge" }
storage = { type = "gauge", counts = "level" }
[plans.free.grants]
tokens = { limit = 100, every = "month" }
seats = 1
storage = 10
"#;

/// Takes note of what is counted.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<String>>);

impl Seen {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Seen {
    fn observe(&self, event: &Event<'_>) {
        let line = match event {
            Event::Recorded { meter, amount, outcome, .. } => format!("record {amount} {meter}: {outcome:?}"),
            Event::Reserved { meter, outcome, .. } => match outcome {
                ReserveOutcome::Reserved(it) => format!("reserve {} {meter}", it.held.amount),
                other => format!("reserve {meter}: {other:?}"),
            },
            Event::Committed { actual, outcome, .. } => match outcome {
                CommitOutcome::Committed(it) => {
                    let taken = it.receipt.as_ref().map_or(Amount::ZERO, |receipt| receipt.amount);
                    format!("commit {actual}: {taken} taken")
                }
                CommitOutcome::Duplicate(_) => format!("commit {actual}: again"),
                other => format!("commit {actual}: {other:?}"),
            },
            Event::ReservationReleased { reservation, .. } => format!("release {}", reservation.held.amount),
            Event::NotCounted { meter, amount, error, .. } => {
                format!("not counted {amount} {meter}, failed: {}", error.is_some())
            }
            Event::Acquired { gauge, outcome, .. } => match outcome {
                AcquireOutcome::Acquired(used) => format!("acquire {gauge}: {used}"),
                other => format!("acquire {gauge}: {other:?}"),
            },
            Event::Released { gauge, .. } => format!("release {gauge}"),
            Event::LevelSet { gauge, level, outcome, .. } => match outcome {
                LevelOutcome::Set(used) => format!("level {level} {gauge}: {used}"),
                LevelOutcome::Refused => format!("level {level} {gauge}: refused"),
            },
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

struct World {
    store: Arc<FlakyStore<MemoryStore>>,
    clock: Arc<ManualClock>,
    seen: Arc<Seen>,
    acme: Subject,
}

impl World {
    fn new() -> Self {
        Self {
            store: Arc::new(FlakyStore::new(MemoryStore::default())),
            clock: Arc::new(ManualClock::at("2026-11-24T12:00:00Z".parse().unwrap())),
            seen: Arc::default(),
            acme: Subject::company(CompanyId::new("acme").unwrap()),
        }
    }

    /// A process of its own.
    fn handle(&self) -> Entitlements {
        let catalog: Catalog = CATALOG.parse().unwrap();
        Entitlements::builder(catalog)
            .store(Arc::clone(&self.store))
            .clock(Arc::clone(&self.clock))
            .observer(Arc::clone(&self.seen))
            .runtime(TokioRuntime::current().unwrap())
            .build()
    }

    fn units(&self, units: u32) -> Consume<'_> {
        Consume::new(&self.acme, "tokens", units.into())
    }

    async fn reserve(&self, handle: &Entitlements, units: u32) -> ReceiptId {
        match handle.reserve(&self.units(units), TimeDelta::minutes(5)).await.unwrap() {
            Reserving::Reserved { reservation, .. } => reservation.id().clone(),
            other => panic!("{other:?}"),
        }
    }

    async fn used_within(&self, handle: &Entitlements, seconds: u64) -> u64 {
        let items = handle.usage_within(&self.acme, Duration::from_secs(seconds)).await.unwrap();
        items.iter().find(|item| item.quota.meter == "tokens").unwrap().quota.used.get()
    }
}

#[tokio::test]
async fn what_another_process_has_counted_is_shown_to_who_asks_the_store_by_one_load() {
    let world = World::new();
    let (here, there) = (world.handle(), world.handle());
    assert_eq!(world.used_within(&here, 0).await, 0);
    let _ = there.consume(&world.units(3)).await.unwrap();
    let before = world.store.loads();
    assert_eq!(world.used_within(&here, 0).await, 3);
    assert_eq!(world.store.loads() - before, 1);
}

#[tokio::test]
async fn usage_that_is_young_enough_for_who_asks_is_not_loaded_again() {
    let world = World::new();
    let (here, there) = (world.handle(), world.handle());
    assert_eq!(world.used_within(&here, 2).await, 0);
    let _ = there.consume(&world.units(3)).await.unwrap();
    world.clock.advance(TimeDelta::milliseconds(1_999));
    assert_eq!(world.used_within(&here, 2).await, 0);
    world.clock.advance(TimeDelta::milliseconds(1));
    assert_eq!(world.used_within(&here, 2).await, 3);
}

#[tokio::test]
async fn an_observer_is_told_what_a_reservation_and_its_end_take() {
    let world = World::new();
    let handle = world.handle();
    let id = world.reserve(&handle, 60).await;
    assert_eq!(world.seen.take(), ["reserve 60 tokens"]);
    let company = &world.acme.company;
    for actual in [25, 25, 26] {
        handle.commit(company, &id, Amount::from(actual)).await.unwrap().unwrap();
    }
    assert_eq!(world.seen.take(), ["commit 25: 25 taken", "commit 25: again", "commit 26: Conflict"]);
    let id = world.reserve(&handle, 70).await;
    handle.release_reservation(company, &id).await.unwrap().unwrap();
    assert_eq!(world.seen.take(), ["reserve 70 tokens", "release 70"]);
    let unknown = ReceiptId::new("no such").unwrap();
    assert_eq!(handle.commit(company, &unknown, Amount::ONE).await.unwrap(), None);
    assert_eq!(handle.release_reservation(company, &unknown).await.unwrap(), None);
    assert_eq!(world.seen.take(), [""; 0]);
}

#[tokio::test]
async fn an_observer_is_told_of_each_event_that_is_recorded() {
    let world = World::new();
    let event = |name: &str, units: u32| {
        UsageEvent::new(&world.acme, "tokens", units.into(), IdempotencyKey::new(name).unwrap())
    };
    world.handle().record(&[event("a", 2), event("b", 300), event("a", 2), event("b", 1)]).await.unwrap();
    assert_eq!(
        world.seen.take(),
        [
            "record 2 tokens: Recorded",
            "record 300 tokens: Recorded",
            "record 2 tokens: Duplicate",
            "record 1 tokens: Conflict"
        ]
    );
}

#[tokio::test]
async fn an_observer_is_told_what_is_taken_of_gauges() {
    let world = World::new();
    let (handle, ada) = (world.handle(), HolderId::new("ada").unwrap());
    for _ in 0..2 {
        let _ = handle.acquire(&world.acme, "seats", &ada).await.unwrap();
    }
    for _ in 0..2 {
        handle.release(&world.acme.company, "seats", &ada).await.unwrap();
    }
    assert_eq!(world.seen.take(), ["acquire seats: 1", "acquire seats: Held(Amount(1))", "release seats"]);
    for level in [7, 11] {
        let _ = handle.set_level(&world.acme, "storage", Amount::from(level)).await.unwrap();
    }
    assert_eq!(world.seen.take(), ["level 7 storage: 7", "level 11 storage: refused"]);
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_what_a_lease_takes_in_advance_and_what_was_served() {
    let world = World::new();
    let lease = world.handle().lease(&world.acme, "tokens", LeaseTerms::new(Amount::from(10))).unwrap();
    for _ in 0..2 {
        assert!(matches!(lease.consume(Amount::from(3)).await.unwrap(), Leased::Taken));
    }
    assert_eq!(lease.close().await, Amount::ZERO);
    assert_eq!(world.seen.take(), ["reserve 10 tokens", "commit 6: 6 taken"]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_the_store_will_never_hear_of_is_closed_and_what_was_served_is_told() {
    let world = World::new();
    let lease = world.handle().lease(&world.acme, "tokens", LeaseTerms::new(Amount::from(10))).unwrap();
    assert!(matches!(lease.consume(Amount::from(3)).await.unwrap(), Leased::Taken));
    world.store.fail(Some(StoreErrorKind::Corrupt));
    let closing = tokio::time::timeout(Duration::from_hours(1), lease.close());
    assert_eq!(closing.await.unwrap(), Amount::from(3));
    assert_eq!(world.seen.take(), ["reserve 10 tokens", "not counted 3 tokens, failed: true"]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_waits_for_a_store_that_may_come_back() {
    let world = World::new();
    let lease = world.handle().lease(&world.acme, "tokens", LeaseTerms::new(Amount::from(10))).unwrap();
    assert!(matches!(lease.consume(Amount::from(3)).await.unwrap(), Leased::Taken));
    world.store.fail(Some(StoreErrorKind::Unavailable));
    let mut closing = Box::pin(lease.close());
    assert!(tokio::time::timeout(Duration::from_hours(1), &mut closing).await.is_err());
    world.store.fail(None);
    assert_eq!(closing.await, Amount::ZERO);
    assert_eq!(world.seen.take(), ["reserve 10 tokens", "commit 3: 3 taken"]);
}
