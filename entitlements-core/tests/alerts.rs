//! The handle and alerts: of several processes one sends each, and what is refused comes back.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::TimeDelta;
use entitlements_core::alert::{AlertSink, SentAlerts};
use entitlements_core::id::CompanyId;
use entitlements_core::store::{SharedStore, UsageStore};
use entitlements_core::usage::UsageAlert;
use entitlements_core::{Amount, Catalog, Consume, Entitlements, ManualClock, MemoryStore, Subject};

const CATALOG: &str = r#"
schema = 1
default_plan = "free"
past_due_grace = "7d"
[features]
reports = { type = "meter" }
[plans.free.grants]
reports = { limit = 10, every = "month", anchor = "calendar" }
"#;

struct World {
    store: SharedStore,
    one: Entitlements,
    other: Entitlements,
    clock: Arc<ManualClock>,
}

/// Two processes, and so many companies that have reached 80 %.
async fn world(companies: usize) -> World {
    let store: SharedStore = Arc::new(MemoryStore::default());
    let clock = Arc::new(ManualClock::at("2026-11-24T12:00:00Z".parse().unwrap()));
    let process = || {
        let catalog: Catalog = CATALOG.parse().unwrap();
        Entitlements::builder(catalog).shared_store(Arc::clone(&store)).clock(Arc::clone(&clock)).build()
    };
    let (one, other) = (process(), process());
    for n in 0..companies {
        let company = Subject::company(CompanyId::new(format!("c{n}")).unwrap());
        let taken = one.consume(&Consume::new(&company, "reports", Amount::from(8))).await.unwrap();
        assert!(taken.receipt().is_some());
    }
    World { store, one, other, clock }
}

impl World {
    async fn waiting(&self) -> usize {
        self.store.pending_alerts(100).await.unwrap().len()
    }
}

/// Takes note of what it is given, and refuses that of one company.
#[derive(Debug, Default)]
struct Seen {
    companies: Mutex<Vec<String>>,
    refuses: Option<&'static str>,
}

impl Seen {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.companies.lock().unwrap())
    }
}

#[async_trait]
impl AlertSink for Seen {
    async fn send(&self, alert: &UsageAlert) -> bool {
        let mut companies = self.companies.lock().unwrap();
        companies.push(alert.company.to_string());
        assert!(companies.len() < 100, "it never ends: {companies:?}");
        self.refuses != Some(alert.company.as_str())
    }
}

/// While it is given an alert, another process looks for alerts as well.
#[derive(Debug)]
struct Meanwhile {
    own: Seen,
    other: Entitlements,
    others: Seen,
}

#[async_trait]
impl AlertSink for Meanwhile {
    async fn send(&self, alert: &UsageAlert) -> bool {
        self.other.send_alerts(&self.others, 100).await.unwrap();
        self.own.send(alert).await
    }
}

/// It takes so long to send an alert.
#[derive(Debug)]
struct Slow(Seen, Arc<ManualClock>, TimeDelta);

#[async_trait]
impl AlertSink for Slow {
    async fn send(&self, alert: &UsageAlert) -> bool {
        self.1.advance(self.2);
        self.0.send(alert).await
    }
}

fn counts(sent: SentAlerts) -> (usize, usize) {
    (sent.arrived, sent.refused)
}

#[tokio::test]
async fn each_alert_is_sent_once_oldest_first() {
    let world = world(5).await;
    let seen = Seen::default();
    assert_eq!(counts(world.one.send_alerts(&seen, 2).await.unwrap()), (5, 0));
    assert_eq!(seen.take(), ["c0", "c1", "c2", "c3", "c4"]);
    world.clock.advance(TimeDelta::days(1));
    assert_eq!(counts(world.other.send_alerts(&seen, 2).await.unwrap()), (0, 0));
    assert_eq!(world.waiting().await, 0);
}

#[tokio::test]
async fn two_processes_never_send_the_same_alert() {
    let world = world(5).await;
    let both = Meanwhile { own: Seen::default(), other: world.other.clone(), others: Seen::default() };
    assert_eq!(counts(world.one.send_alerts(&both, 3).await.unwrap()), (3, 0));
    assert_eq!(both.own.take(), ["c0", "c1", "c2"]);
    assert_eq!(both.others.take(), ["c3", "c4"]);
    assert_eq!(world.waiting().await, 0);
}

#[tokio::test]
async fn an_alert_that_the_sink_refuses_stops_none_behind_it_and_comes_back() {
    let world = world(4).await;
    let seen = Seen { refuses: Some("c0"), ..Seen::default() };
    assert_eq!(counts(world.one.send_alerts(&seen, 1).await.unwrap()), (3, 1));
    assert_eq!(seen.take(), ["c0", "c1", "c2", "c3"]);
    let well = Seen::default();
    world.clock.advance(TimeDelta::seconds(59));
    assert_eq!(counts(world.other.send_alerts(&well, 10).await.unwrap()), (0, 0));
    world.clock.advance(TimeDelta::seconds(1));
    assert_eq!(counts(world.other.send_alerts(&well, 10).await.unwrap()), (1, 0));
    assert_eq!(well.take(), ["c0"]);
    assert_eq!(world.waiting().await, 0);
}

#[tokio::test]
async fn what_a_slow_sink_is_not_given_in_time_is_left_to_whoever_claims_it_next() {
    let world = world(4).await;
    let slow = Slow(Seen::default(), Arc::clone(&world.clock), TimeDelta::seconds(30));
    assert_eq!(counts(world.one.send_alerts(&slow, 4).await.unwrap()), (2, 0));
    assert_eq!(slow.0.take(), ["c0", "c1"]);
    let seen = Seen::default();
    assert_eq!(counts(world.other.send_alerts(&seen, 4).await.unwrap()), (2, 0));
    assert_eq!(seen.take(), ["c2", "c3"]);
}

#[tokio::test]
async fn a_sink_that_refuses_slowly_is_given_each_alert_once_by_a_call() {
    let world = world(3).await;
    let refusing = Seen { refuses: Some("c1"), ..Seen::default() };
    let slow = Slow(refusing, Arc::clone(&world.clock), TimeDelta::minutes(2));
    assert_eq!(counts(world.one.send_alerts(&slow, 1).await.unwrap()), (2, 1));
    assert_eq!(slow.0.take(), ["c0", "c1", "c2"]);
}

#[tokio::test]
async fn nothing_is_claimed_when_nothing_is_asked_for() {
    let world = world(1).await;
    assert_eq!(counts(world.one.send_alerts(&Seen::default(), 0).await.unwrap()), (0, 0));
    assert_eq!(world.waiting().await, 1);
}
