//! Leases: units that are served out of memory, and never twice.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use entitlements_core::id::CompanyId;
use entitlements_core::store::StoreErrorKind;
use entitlements_core::testkit::FlakyStore;
use entitlements_core::{
    Amount, Catalog, Entitlements, ErrorKind, LeaseTerms, Leased, LeasedMeter, ManualClock, MemoryStore,
    Subject, TokioRuntime,
};

const CATALOG: &str = r#"
    schema = 1
    default_plan = "free"
    past_due_grace = "7d"
    [features]
    tokens = { type = "meter" }
    export = { type = "flag" }
    [plans.free.grants]
    tokens = { limit = 100, every = "month" }
"#;

type Store = Arc<FlakyStore<MemoryStore>>;

struct World {
    store: Store,
    clock: Arc<ManualClock>,
    acme: Subject,
}

impl World {
    fn new() -> Self {
        Self {
            store: Arc::new(FlakyStore::new(MemoryStore::default())),
            clock: Arc::new(ManualClock::at("2026-11-24T12:00:00Z".parse().unwrap())),
            acme: Subject::company(CompanyId::new("acme").unwrap()),
        }
    }

    /// A process of its own.
    fn handle(&self) -> Entitlements {
        Entitlements::builder(Catalog::parse("catalog.toml", CATALOG).unwrap())
            .store(Arc::clone(&self.store))
            .clock(Arc::clone(&self.clock))
            .runtime(TokioRuntime::current().unwrap())
            .build()
    }

    fn lease(&self, units: u64) -> LeasedMeter {
        self.handle().lease(&self.acme, "tokens", LeaseTerms::new(amount(units))).unwrap()
    }

    async fn used(&self) -> u64 {
        self.handle().usage(&self.acme).await.unwrap()[0].quota.used.get()
    }
}

fn amount(units: u64) -> Amount {
    Amount::new(units).unwrap()
}

async fn taken(lease: &LeasedMeter, units: u64) -> bool {
    matches!(lease.consume(amount(units)).await.unwrap(), Leased::Taken)
}

/// A caller that waits for a while.
async fn gives_up(lease: &LeasedMeter) {
    let waiting = lease.consume(Amount::ONE);
    assert!(tokio::time::timeout(Duration::from_millis(20), waiting).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn units_are_taken_in_advance_and_what_was_not_used_goes_back() {
    let world = World::new();
    let lease = world.lease(10);
    assert!(!lease.take(Amount::ONE), "nothing is taken before the first consumption");
    assert!(taken(&lease, 3).await);
    assert_eq!(world.used().await, 10);
    assert!(lease.take(amount(7)) && !lease.take(Amount::ONE));
    assert!(taken(&lease, 2).await);
    assert_eq!(world.used().await, 20);
    assert_eq!(lease.close().await, Amount::ZERO);
    assert_eq!(world.used().await, 12);
    assert!(!lease.take(Amount::ONE));
    assert_eq!(lease.consume(Amount::ONE).await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_processes_are_given_exactly_the_limit() {
    let world = World::new();
    let leases: Vec<_> = [7, 16, 40].into_iter().map(|units| world.lease(units)).collect();
    let tasks: Vec<_> = (0..24)
        .map(|task| {
            let lease = leases[task % leases.len()].clone();
            tokio::spawn(async move {
                let mut granted = 0;
                while taken(&lease, 1).await {
                    granted += 1;
                    tokio::task::yield_now().await;
                }
                granted
            })
        })
        .collect();
    let mut granted = 0;
    for task in tasks {
        granted += task.await.unwrap();
    }
    assert_eq!(granted, 100);
    for lease in leases {
        assert_eq!(lease.close().await, Amount::ZERO);
    }
    assert_eq!(world.used().await, 100);
}

#[tokio::test(start_paused = true)]
async fn more_than_a_lease_is_taken_at_once_and_more_than_the_limit_is_refused() {
    let world = World::new();
    let lease = world.lease(10);
    assert!(taken(&lease, 60).await);
    assert!(!taken(&lease, 41).await);
    assert!(taken(&lease, 40).await);
    assert!(matches!(lease.consume(Amount::ONE).await.unwrap(), Leased::Refused(denial)
        if denial.reason.code() == "quota_exceeded"));
    assert_eq!(lease.close().await, Amount::ZERO);
    assert_eq!(world.used().await, 100);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asks_for_any_more_is_settled_in_time() {
    let world = World::new();
    let lease = world.lease(10);
    assert!(taken(&lease, 3).await);
    tokio::time::sleep(Duration::from_millis(4_500)).await;
    assert_eq!(world.used().await, 3);
    // Long after the lease has expired what was served still counts.
    world.clock.advance(TimeDelta::hours(1));
    assert_eq!(world.used().await, 3);
    assert!(taken(&lease, 1).await);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_served_when_the_time_is_over() {
    let world = World::new();
    let lease = world.lease(10);
    assert!(taken(&lease, 1).await);
    world.clock.advance(TimeDelta::milliseconds(3_999));
    assert!(lease.take(Amount::ONE));
    world.clock.advance(TimeDelta::milliseconds(1));
    assert!(!lease.take(Amount::ONE));
    assert!(taken(&lease, 1).await);
    lease.close().await;
    assert_eq!(world.used().await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_lease_is_settled() {
    let world = World::new();
    let lease = world.lease(10);
    assert!(taken(&lease, 4).await);
    drop(lease);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(world.used().await, 4);
}

#[tokio::test(start_paused = true)]
async fn units_that_are_kept_after_a_crash_are_never_given_again() {
    let world = World::new();
    let terms = LeaseTerms::new(amount(60)).kept_after_a_crash();
    let crashed = world.handle().lease(&world.acme, "tokens", terms).unwrap();
    assert!(taken(&crashed, 1).await);
    // Its process is gone: nobody settles, ever.
    std::mem::forget(crashed);
    let other = world.lease(10);
    assert!(taken(&other, 40).await);
    world.clock.advance(TimeDelta::days(6));
    assert!(!taken(&other, 1).await);
    other.close().await;
    assert_eq!(world.used().await, 100);
}

#[tokio::test(start_paused = true)]
async fn units_lost_by_a_crash_come_back_when_the_lease_expires() {
    let world = World::new();
    let crashed = world.lease(60);
    assert!(taken(&crashed, 1).await);
    std::mem::forget(crashed);
    let other = world.lease(10);
    assert!(taken(&other, 40).await);
    assert!(!taken(&other, 1).await);
    world.clock.advance(TimeDelta::seconds(5));
    assert!(taken(&other, 60).await);
    assert!(!taken(&other, 1).await);
}

#[tokio::test(start_paused = true)]
async fn units_that_were_given_without_an_answer_are_not_lost() {
    let world = World::new();
    let lease = world.lease(60);
    world.store.lose_answers(true);
    gives_up(&lease).await;
    gives_up(&lease).await;
    world.store.lose_answers(false);
    assert_eq!(world.used().await, 60);
    assert!(taken(&lease, 2).await);
    lease.close().await;
    assert_eq!(world.used().await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_closed_lease_gives_back_what_came_without_an_answer() {
    let world = World::new();
    let lease = world.lease(60);
    world.store.lose_answers(true);
    gives_up(&lease).await;
    world.store.lose_answers(false);
    assert_eq!(world.used().await, 60);
    assert_eq!(lease.close().await, Amount::ZERO);
    assert_eq!(world.used().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_settlement_waits_for_the_store() {
    let world = World::new();
    let lease = world.lease(10);
    assert!(taken(&lease, 4).await);
    world.store.fail(Some(StoreErrorKind::Unavailable));
    let closing = tokio::spawn({
        let lease = lease.clone();
        async move { lease.close().await }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!closing.is_finished());
    world.store.fail(None);
    assert_eq!(closing.await.unwrap(), Amount::ZERO);
    assert_eq!(world.used().await, 4);
}

#[tokio::test]
async fn a_lease_needs_a_meter_and_a_runtime_and_time() {
    let world = World::new();
    let (handle, terms) = (world.handle(), LeaseTerms::new(amount(10)));
    let refused = |lease: Result<LeasedMeter, entitlements_core::Error>| lease.unwrap_err().kind();
    assert_eq!(refused(handle.lease(&world.acme, "export", terms)), ErrorKind::Invalid);
    let nothing = LeaseTerms::new(Amount::ZERO);
    assert_eq!(refused(handle.lease(&world.acme, "tokens", nothing)), ErrorKind::Invalid);
    let short = terms.with_ttl(Duration::from_secs(1), Duration::from_secs(1));
    assert_eq!(refused(handle.lease(&world.acme, "tokens", short)), ErrorKind::Invalid);
    let without = Entitlements::builder(Catalog::parse("catalog.toml", CATALOG).unwrap()).build();
    assert_eq!(refused(without.lease(&world.acme, "tokens", terms)), ErrorKind::Invalid);
}
