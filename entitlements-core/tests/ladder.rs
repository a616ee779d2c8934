//! The failure ladder: live facts, then the last ones, then an error. Never longer than the deadline.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use entitlements_core::decision_cache::{MemoryDecisionCache, SHARED_TTL};
use entitlements_core::id::{CompanyId, FeatureKey};
use entitlements_core::policy::Policy;
use entitlements_core::store::{PolicyStore, SharedStore, StoreErrorKind};
use entitlements_core::testkit::FlakyStore;
use entitlements_core::{
    Action, Amount, Catalog, Consume, Decision, Entitlements, EntitlementsBuilder, Error, ErrorKind,
    ManualClock, MemoryStore, NewGrant, Request, Resilience, Subject, TokioRuntime,
};
use serde_json::json;
use tokio::time::Instant;

const CATALOG: &str = r#"
schema = 1
default_plan = "free"
past_due_grace = "7d"
[features]
export  = { type = "flag" }
secret  = { type = "flag" }
reports = { type = "meter" }
[plans.free.grants]
export  = true
reports = { limit = 3, every = "day" }
"#;

const DOWN: Option<StoreErrorKind> = Some(StoreErrorKind::Unavailable);

struct World {
    store: Arc<FlakyStore<MemoryStore>>,
    clock: Arc<ManualClock>,
    acme: Subject,
    handle: Entitlements,
}

fn world_of(build: impl FnOnce(EntitlementsBuilder, &Arc<ManualClock>) -> EntitlementsBuilder) -> World {
    let store = Arc::new(FlakyStore::new(MemoryStore::default()));
    let clock = Arc::new(ManualClock::at("2026-11-24T12:00:00Z".parse().unwrap()));
    let shared: SharedStore = store.clone();
    let catalog: Catalog = CATALOG.parse().unwrap();
    let builder = Entitlements::builder(catalog)
        .shared_store(shared)
        .clock(Arc::clone(&clock))
        .runtime(TokioRuntime::current().unwrap());
    let handle = build(builder, &clock).build();
    World { store, clock, acme: company("acme"), handle }
}

fn world() -> World {
    world_of(|builder, _| builder)
}

fn company(name: &str) -> Subject {
    Subject::company(CompanyId::new(name).unwrap())
}

impl World {
    async fn ask(&self, subject: &Subject, feature: &str) -> Result<Decision, Error> {
        self.handle.check(&Request::new(subject, feature, Action::View)).await
    }

    fn later(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_costs_a_check_its_deadline() {
    let world = world();
    world.store.hold_loads();
    let begun = Instant::now();
    let error = world.ask(&world.acme, "export").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(begun.elapsed(), Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_load_of_another_keeps_an_own_deadline() {
    let world = world();
    world.store.hold_loads();
    let first = world.ask(&world.acme, "export");
    let second = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let begun = Instant::now();
        world.ask(&world.acme, "export").await.unwrap_err();
        assert_eq!(begun.elapsed(), Duration::from_millis(50));
    };
    let (first, ()) = tokio::join!(first, second);
    first.unwrap_err();
    assert_eq!(world.store.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_comes_too_late_is_there_for_the_next() {
    let world = world();
    world.store.hold_loads();
    world.ask(&world.acme, "export").await.unwrap_err();
    world.store.release_loads();
    settle().await;
    assert!(world.ask(&world.acme, "export").await.unwrap().is_allowed());
    assert_eq!(world.store.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_hangs_is_given_up() {
    let world = world();
    world.store.hold_loads();
    world.ask(&world.acme, "export").await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(2)).await;
    settle().await;
    world.ask(&world.acme, "export").await.unwrap_err();
    assert_eq!(world.store.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_last_facts_count_for_a_while_and_say_their_age() {
    let world = world();
    assert_eq!(world.ask(&world.acme, "export").await.unwrap().degraded, None);
    world.store.fail(DOWN);
    world.later(900);
    for (feature, allowed) in [("export", true), ("secret", false)] {
        let decision = world.ask(&world.acme, feature).await.unwrap();
        assert_eq!((decision.is_allowed(), decision.degraded), (allowed, Some(Duration::from_mins(15))));
    }
    world.ask(&company("never-seen"), "export").await.unwrap_err();
    world.later(1);
    world.ask(&world.acme, "export").await.unwrap_err();
    world.store.fail(None);
    world.later(1);
    assert_eq!(world.ask(&world.acme, "export").await.unwrap().degraded, None);
}

#[tokio::test(start_paused = true)]
async fn the_last_facts_do_not_outlive_what_they_gave() {
    let world = world();
    let mut grant = NewGrant::new(world.acme.company.clone(), FeatureKey::new("secret").unwrap());
    grant.ends_at = Some(world.handle.now() + TimeDelta::seconds(60));
    world.handle.grant(grant).await.unwrap();
    assert!(world.ask(&world.acme, "secret").await.unwrap().is_allowed());
    world.store.fail(DOWN);
    world.later(59);
    assert!(world.ask(&world.acme, "secret").await.unwrap().is_allowed());
    world.later(1);
    assert!(!world.ask(&world.acme, "secret").await.unwrap().is_allowed());
}

#[tokio::test(start_paused = true)]
async fn what_is_known_to_be_revoked_is_not_the_last_known() {
    let world = world();
    let grant = NewGrant::new(world.acme.company.clone(), FeatureKey::new("secret").unwrap());
    let grant = world.handle.grant(grant).await.unwrap();
    assert!(world.ask(&world.acme, "secret").await.unwrap().is_allowed());
    world.handle.void(&grant.id).await.unwrap();
    world.store.fail(DOWN);
    world.ask(&world.acme, "secret").await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn facts_under_older_policies_are_not_the_last_known() {
    let world = world();
    assert!(world.ask(&world.acme, "export").await.unwrap().is_allowed());
    let policy =
        json!({"id": "stop", "effect": "deny", "guardrail": true, "target": {"features": ["export"]}});
    let policy = Policy::from_json(&policy).unwrap();
    world.handle.insert_policy(&policy).await.unwrap();
    world.store.fail(DOWN);
    world.ask(&world.acme, "export").await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn what_a_company_uses_does_not_make_its_last_facts_unknown() {
    let world = world();
    world.ask(&world.acme, "export").await.unwrap();
    let _ = world.handle.consume(&Consume::new(&world.acme, "reports", Amount::ONE)).await.unwrap();
    world.store.fail(DOWN);
    assert!(world.ask(&world.acme, "export").await.unwrap().is_allowed());
    // But nothing is taken that the store does not count.
    let error = world.handle.consume(&Consume::new(&world.acme, "reports", Amount::ONE)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn damage_is_an_error_at_once() {
    let world = world();
    world.ask(&world.acme, "export").await.unwrap();
    world.later(6);
    world.store.fail(Some(StoreErrorKind::Corrupt));
    assert_eq!(world.ask(&world.acme, "export").await.unwrap_err().kind(), ErrorKind::Internal);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_is_left_alone_but_for_one_probe_at_a_time() {
    let world = world();
    world.store.fail(DOWN);
    for number in 0..1000 {
        world.ask(&company(&format!("c{number}")), "export").await.unwrap_err();
    }
    assert_eq!(world.store.loads(), 5);
    for probes in 1..4 {
        world.later(1);
        for number in 0..1000 {
            world.ask(&company(&format!("c{number}")), "export").await.unwrap_err();
        }
        assert_eq!(world.store.loads(), 5 + probes);
    }
    world.store.fail(None);
    world.later(1);
    assert!(world.ask(&world.acme, "export").await.unwrap().is_allowed());
    assert!(world.ask(&company("c1"), "export").await.unwrap().is_allowed());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_has_few_waiting_for_it() {
    let world = world();
    world.store.hold_loads();
    for number in 0..100 {
        world.ask(&company(&format!("c{number}")), "export").await.unwrap_err();
    }
    assert_eq!(world.store.held_loads(), 5);
    let begun = Instant::now();
    world.ask(&world.acme, "export").await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_an_outage_decided_is_not_shared() {
    let mut decisions = None;
    let world = world_of(|builder, clock| {
        let cache = Arc::new(MemoryDecisionCache::new(Arc::clone(clock)));
        decisions = Some(Arc::clone(&cache));
        builder.shared_cache(cache, SHARED_TTL)
    });
    let decisions = decisions.unwrap();
    world.ask(&world.acme, "export").await.unwrap();
    world.later(6);
    decisions.lose_everything();
    world.store.fail(DOWN);
    for _ in 0..3 {
        assert!(world.ask(&world.acme, "export").await.unwrap().degraded.is_some());
        settle().await;
    }
    assert_eq!(world.handle.shared_cache_stats().await.unwrap().keys, 0);
}

#[tokio::test(start_paused = true)]
async fn guardrails_are_known_without_the_facts_of_a_company() {
    let world = world();
    for (id, target, condition) in [
        ("always", "export", json!(null)),
        ("plan", "secret", json!({"eq": ["plan", "free"]})),
        ("never", "reports", json!({"eq": ["context.region", "eu"]})),
    ] {
        let mut policy =
            json!({"id": id, "effect": "deny", "guardrail": true, "target": {"features": [target]}});
        if !condition.is_null() {
            policy["condition"] = condition;
        }
        world.store.inner().insert_policy(&Policy::from_json(&policy).unwrap()).await.unwrap();
    }
    world.ask(&world.acme, "export").await.unwrap();
    world.store.fail(DOWN);
    let other = company("never-seen");
    let denied = |feature: &str, region: &str| {
        let context = entitlements_core::Context::default().with("region", region);
        let request = Request::new(&other, feature, Action::View).with_context(&context);
        world.handle.denied_by_guardrail(&request).map(|decision| decision.reason.code())
    };
    assert_eq!(denied("export", "us"), Some("policy_denied"));
    assert_eq!(denied("secret", "us"), Some("policy_denied"));
    assert_eq!(denied("reports", "us"), None);
    assert_eq!(denied("reports", "eu"), Some("policy_denied"));
}

#[tokio::test(start_paused = true)]
async fn companies_in_use_never_wait_for_a_load() {
    let world = world();
    world.ask(&world.acme, "export").await.unwrap();
    let request = Request::new(&world.acme, "export", Action::View);
    for _ in 0..60 {
        world.later(1);
        assert!(world.handle.check_warm(&request).is_some());
        settle().await;
    }
    // One load for about three seconds.
    assert!((15..=21).contains(&world.store.loads()), "{}", world.store.loads());
    world.later(6);
    assert!(world.handle.check_warm(&request).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_bound_on_staleness_asks_the_store() {
    let world = world();
    let request = Request::new(&world.acme, "export", Action::View);
    world.handle.check(&request).await.unwrap();
    world.later(2);
    world.handle.check_within(&request, Duration::from_secs(3)).await.unwrap();
    assert_eq!(world.store.loads(), 1);
    world.handle.check_within(&request, Duration::from_secs(2)).await.unwrap();
    assert_eq!(world.store.loads(), 2);
    world.handle.check_within(&request, Duration::ZERO).await.unwrap();
    assert_eq!(world.store.loads(), 3);
}

#[tokio::test]
async fn without_a_runtime_the_last_facts_count_all_the_same() {
    let store = Arc::new(FlakyStore::new(MemoryStore::default()));
    let clock = Arc::new(ManualClock::at("2026-11-24T12:00:00Z".parse().unwrap()));
    let shared: SharedStore = store.clone();
    let catalog: Catalog = CATALOG.parse().unwrap();
    let build = |resilience| {
        Entitlements::builder(CATALOG.parse().unwrap())
            .shared_store(Arc::clone(&shared))
            .clock(Arc::clone(&clock))
            .resilience(resilience)
            .build()
    };
    drop(catalog);
    let acme = company("acme");
    let request = Request::new(&acme, "export", Action::View);
    let (known, closed) =
        (build(Resilience::default()), build(Resilience::default().with_last_known(Duration::ZERO)));
    known.check(&request).await.unwrap();
    closed.check(&request).await.unwrap();
    clock.advance(TimeDelta::seconds(6));
    store.fail(DOWN);
    assert_eq!(known.check(&request).await.unwrap().degraded, Some(Duration::from_secs(6)));
    closed.check(&request).await.unwrap_err();
}
