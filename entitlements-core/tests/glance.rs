//! A clock that is only glanced at: what is decided is what the exact instant says, and nothing is used for longer.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use entitlements_core::id::{CompanyId, FeatureKey, PlanKey, SubscriptionId};
use entitlements_core::policy::Policy;
use entitlements_core::store::SubscriptionStore as _;
use entitlements_core::{
    Action, CacheConfig, Catalog, Clock, Decision, Entitlements, Glance, ManualClock, MemoryStore, NewGrant,
    OffsetClock, Request, Subject, Subscription, SubscriptionStatus, SystemClock,
};
use serde_json::json;

const CATALOG: &str = r#"
schema = 1
past_due_grace = "7d"
[features]
boardroom = { type = "flag" }
secret    = { type = "flag" }
window    = { type = "flag" }
reports   = { type = "meter" }
[plans.pro.grants]
boardroom = true
reports   = { limit = 3, every = "day" }
"#;
const FEATURES: [&str; 4] = ["boardroom", "secret", "window", "reports"];

/// Shows at a glance that it is some time between two ticks, and counts how often it is asked for the exact instant.
#[derive(Debug)]
struct Ticking {
    exact: Arc<ManualClock>,
    tick: TimeDelta,
    asked: AtomicUsize,
}

impl Clock for Ticking {
    fn now(&self) -> DateTime<Utc> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.exact.now()
    }

    fn glance(&self) -> Glance {
        let now = self.exact.now();
        let since = TimeDelta::seconds(now.timestamp().rem_euclid(self.tick.num_seconds()));
        Glance::between(now - since, now - since + self.tick)
    }
}

struct World {
    exact: Arc<ManualClock>,
    ticking: Arc<Ticking>,
    store: Arc<MemoryStore>,
    acme: Subject,
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Everything that can change with time changes on one day: a trial, a grant's beginning and end, a policy's hours, a quota.
async fn world() -> World {
    let world = subscribed().await;
    let mut grant = NewGrant::new(world.acme.company.clone(), FeatureKey::new("secret").unwrap());
    grant.starts_at = Some(at("2026-11-24T10:00:02Z"));
    grant.ends_at = Some(at("2026-11-24T11:00:08Z"));
    world.handle(Arc::clone(&world.exact)).grant(grant).await.unwrap();
    world
}

/// The same without the grant.
async fn subscribed() -> World {
    let exact = Arc::new(ManualClock::at(at("2026-11-24T09:00:00Z")));
    let ticking = Arc::new(Ticking {
        exact: Arc::clone(&exact),
        tick: TimeDelta::seconds(10),
        asked: AtomicUsize::new(0),
    });
    let (store, company) = (Arc::new(MemoryStore::default()), CompanyId::new("acme").unwrap());
    let start = at("2026-11-01T00:00:07Z");
    let subscription = Subscription {
        id: SubscriptionId::new("sub_1").unwrap(),
        company: company.clone(),
        plan: PlanKey::new("pro").unwrap(),
        status: SubscriptionStatus::Trialing,
        seats: None,
        started_at: start,
        anchor: start,
        current_period_start: start,
        current_period_end: at("2026-12-01T00:00:07Z"),
        trial_end: Some(at("2026-11-24T21:00:03Z")),
        past_due_since: None,
        cancel_at: Some(at("2026-11-24T22:00:04Z")),
        cancel_at_period_end: false,
        created_at: start,
    };
    store.put_subscription(&subscription, start).await.unwrap();
    let policy = Policy::from_json(&json!({
        "id": "hours", "effect": "allow", "priority": 1,
        "target": { "features": ["window"], "actions": ["view"] },
        "condition": { "all": [
            { "ge": ["now", "2026-11-24T12:00:05Z"] },
            { "lt": ["now", "2026-11-24T13:00:09Z"] }
        ] }
    }))
    .unwrap();

    let world = World { exact, ticking, store, acme: Subject::company(company) };
    world.handle(Arc::clone(&world.exact)).insert_policy(&policy).await.unwrap();
    world
}

impl World {
    fn handle(&self, clock: impl Clock) -> Entitlements {
        let age = CacheConfig::default().with_max_age(Duration::from_hours(10 * 24));
        Entitlements::builder(CATALOG.parse::<Catalog>().unwrap())
            .shared_store(self.store.clone())
            .clock(clock)
            .cache(age)
            .build()
    }

    fn request(&self, feature: &'static str) -> Request<'_> {
        Request::new(&self.acme, feature, Action::View)
    }

    async fn warm(&self, handle: &Entitlements) {
        handle.check(&self.request("boardroom")).await.unwrap();
    }

    fn decides(&self, handle: &Entitlements) -> Vec<Decision> {
        let decide = |feature: &&'static str| {
            let request = self.request(feature);
            let decision = handle.check_warm(&request).unwrap();
            let at_once = handle.check_at_once(&request, || None).unwrap();
            assert_eq!(at_once.is_allowed(), decision.is_allowed());
            assert_eq!(Decision::from(at_once), decision);
            decision
        };
        FEATURES.iter().map(decide).collect()
    }

    /// What the steps say, without anything that was worked out before.
    async fn evaluates(&self, handle: &Entitlements) -> Vec<Decision> {
        let mut decisions = Vec::new();
        for feature in FEATURES {
            decisions.push(handle.explain(&self.request(feature)).await.unwrap().decision);
        }
        decisions
    }
}

/// Every second of the minute around every change.
fn instants() -> impl Iterator<Item = DateTime<Utc>> {
    let changes = ["10:00:02", "11:00:08", "12:00:05", "13:00:09", "21:00:03", "22:00:04", "23:59:59"];
    let around = |change: DateTime<Utc>| (-30..30).map(move |second| change + TimeDelta::seconds(second));
    changes.into_iter().flat_map(move |change| around(at(&format!("2026-11-24T{change}Z"))))
}

/// Compares the two clocks at every instant, and counts how often an answer has changed.
async fn changes_seen_by_both(world: &World) -> usize {
    let (glancing, exact) =
        (world.handle(Arc::clone(&world.ticking)), world.handle(Arc::clone(&world.exact)));
    world.warm(&glancing).await;
    world.warm(&exact).await;
    let (mut answers, mut changes) = (Vec::new(), 0);
    for instant in instants() {
        world.exact.set(instant);
        let decided = world.decides(&glancing);
        assert_eq!(decided, world.decides(&exact), "{instant}");
        assert_eq!(decided, world.evaluates(&exact).await, "{instant}");
        let reasons: Vec<_> = decided.iter().map(|decision| decision.reason).collect();
        changes += usize::from(!answers.is_empty() && answers != reasons);
        answers = reasons;
    }
    changes
}

#[tokio::test]
async fn a_glance_decides_as_the_exact_instant_does() {
    let changes = changes_seen_by_both(&world().await).await;
    assert!(changes >= 5, "only {changes} changes were seen");
}

#[tokio::test]
async fn a_glance_decides_as_the_exact_instant_does_where_nothing_comes_before_the_plan() {
    let changes = changes_seen_by_both(&subscribed().await).await;
    assert!(changes >= 3, "only {changes} changes were seen");
}

#[tokio::test]
async fn far_from_a_change_nobody_asks_for_the_exact_instant() {
    let world = world().await;
    let glancing = world.handle(Arc::clone(&world.ticking));
    world.warm(&glancing).await;
    world.exact.set(at("2026-11-24T09:30:05Z"));
    let asked = world.ticking.asked.load(Ordering::SeqCst);
    world.decides(&glancing);
    assert_eq!(world.ticking.asked.load(Ordering::SeqCst), asked);
    // The grant begins at 10:00:02.
    world.exact.set(at("2026-11-24T10:00:01Z"));
    world.decides(&glancing);
    assert!(world.ticking.asked.load(Ordering::SeqCst) > asked);
}

#[tokio::test]
async fn what_was_loaded_since_the_tick_answers_at_once() {
    let world = world().await;
    world.exact.set(at("2026-11-24T09:00:05Z"));
    let glancing = world.handle(Arc::clone(&world.ticking));
    world.warm(&glancing).await;
    assert!(glancing.check_warm(&world.request("boardroom")).is_some());
}

#[tokio::test]
async fn nothing_is_used_beyond_its_age_however_late_the_tick() {
    let world = world().await;
    let age = CacheConfig::default().with_max_age(Duration::from_secs(95));
    let glancing = Entitlements::builder(CATALOG.parse::<Catalog>().unwrap())
        .shared_store(world.store.clone())
        .clock(Arc::clone(&world.ticking))
        .cache(age)
        .build();
    world.exact.set(at("2026-11-24T09:00:00Z"));
    world.warm(&glancing).await;
    for second in 0..95 {
        world.exact.set(at("2026-11-24T09:00:00Z") + TimeDelta::seconds(second));
        assert!(glancing.check_warm(&world.request("boardroom")).is_some(), "after {second} s");
    }
    for second in 95..100 {
        world.exact.set(at("2026-11-24T09:00:00Z") + TimeDelta::seconds(second));
        assert!(glancing.check_warm(&world.request("boardroom")).is_none(), "after {second} s");
    }
}

#[test]
fn the_present_is_within_a_glance_at_the_machines_clock() {
    for _ in 0..10_000 {
        let before = SystemClock.now();
        let glance = SystemClock.glance();
        let (earliest, latest) = (glance.earliest(), glance.latest());
        let after = SystemClock.now();
        assert!(earliest <= after && before <= latest, "{before} {earliest} {latest} {after}");
    }
}

#[tokio::test]
async fn a_moved_clock_moves_its_glances() {
    let world = world().await;
    let moved = OffsetClock::new(Arc::clone(&world.ticking));
    moved.advance(TimeDelta::days(31));
    let glance = moved.glance();
    assert_eq!(
        (glance.earliest(), glance.latest()),
        (at("2026-12-25T09:00:00Z"), at("2026-12-25T09:00:10Z"))
    );
    assert!(!moved.glance().is_exact());
}
