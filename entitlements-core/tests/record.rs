//! The handle and usage that has happened.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;

use chrono::TimeDelta;
use entitlements_core::id::{CompanyId, FeatureKey, IdempotencyKey};
use entitlements_core::usage::RecordOutcome::{Conflict, Duplicate, Recorded};
use entitlements_core::{
    Amount, Catalog, Consume, Consumption, Entitlements, ErrorKind, ManualClock, MemoryStore, NewGrant,
    QuotaStatus, Subject, UsageEvent,
};

const CATALOG: &str = r#"
schema = 1
default_plan = "free"
past_due_grace = "7d"
[features]
export  = { type = "flag" }
minutes = { type = "meter" }
extras  = { type = "meter" }
[plans.free.grants]
minutes = { limit = 10, every = "month" }
"#;

struct World {
    entitlements: Entitlements,
    clock: Arc<ManualClock>,
    acme: Subject,
    beta: Subject,
}

fn world() -> World {
    let clock = Arc::new(ManualClock::at("2026-11-24T12:00:00Z".parse().unwrap()));
    let catalog: Catalog = CATALOG.parse().unwrap();
    let entitlements =
        Entitlements::builder(catalog).store(MemoryStore::default()).clock(Arc::clone(&clock)).build();
    let [acme, beta] = ["acme", "beta"].map(|name| Subject::company(CompanyId::new(name).unwrap()));
    World { entitlements, clock, acme, beta }
}

fn event<'a>(subject: &'a Subject, units: u32, key: &str) -> UsageEvent<'a> {
    UsageEvent::new(subject, "minutes", units.into(), IdempotencyKey::new(key).unwrap())
}

impl World {
    async fn quota(&self, subject: &Subject, meter: &str) -> QuotaStatus {
        let items = self.entitlements.usage(subject).await.unwrap();
        items.iter().find(|item| item.quota.meter == meter).unwrap().quota
    }
}

#[tokio::test]
async fn what_has_happened_is_counted_beyond_the_limit() {
    let world = world();
    let events = [event(&world.acme, 8, "a"), event(&world.beta, 3, "a"), event(&world.acme, 7, "b")];
    assert_eq!(world.entitlements.record(&events).await.unwrap(), [Recorded; 3]);
    let quota = world.quota(&world.acme, "minutes").await;
    assert_eq!((quota.used.get(), quota.overage.get(), quota.remaining), (15, 5, Some(Amount::ZERO)));
    assert_eq!(world.quota(&world.beta, "minutes").await.used.get(), 3);
    let consumed = world.entitlements.consume(&Consume::new(&world.acme, "minutes", Amount::ONE)).await;
    assert!(matches!(consumed.unwrap(), Consumption::Refused(_)));
}

#[tokio::test]
async fn an_event_counts_once() {
    let world = world();
    let events = [event(&world.acme, 2, "a"), event(&world.acme, 2, "a"), event(&world.acme, 3, "a")];
    assert_eq!(world.entitlements.record(&events).await.unwrap(), [Recorded, Duplicate, Conflict]);
    let events = [event(&world.beta, 1, "a"), event(&world.acme, 2, "a"), event(&world.acme, 1, "b")];
    assert_eq!(world.entitlements.record(&events).await.unwrap(), [Recorded, Duplicate, Recorded]);
    assert_eq!(world.quota(&world.acme, "minutes").await.used.get(), 3);
}

#[tokio::test]
async fn grants_are_used_up_first() {
    let world = world();
    let mut grant = NewGrant::new(world.acme.company.clone(), FeatureKey::new("minutes").unwrap());
    grant.amount = Some(5u32.into());
    world.entitlements.grant(grant).await.unwrap();
    world.entitlements.record(&[event(&world.acme, 20, "a")]).await.unwrap();
    let quota = world.quota(&world.acme, "minutes").await;
    assert_eq!((quota.limit.unwrap().get(), quota.used.get(), quota.overage.get()), (15, 20, 5));
}

#[tokio::test]
async fn an_event_counts_in_the_period_it_happened_in() {
    let world = world();
    let then = world.entitlements.now();
    world.clock.advance(TimeDelta::days(10));
    let late = event(&world.acme, 4, "late").with_instant(then);
    let early = event(&world.acme, 2, "early").with_instant(then + TimeDelta::days(100));
    assert_eq!(world.entitlements.record(&[late, early]).await.unwrap(), [Recorded; 2]);
    assert_eq!(world.quota(&world.acme, "minutes").await.used.get(), 2);
}

#[tokio::test]
async fn what_no_plan_includes_is_counted_all_the_same() {
    let world = world();
    let key = IdempotencyKey::new("a").unwrap();
    let event = UsageEvent::new(&world.acme, "extras", 7u32.into(), key);
    assert_eq!(world.entitlements.record(&[event]).await.unwrap(), [Recorded]);
    let quota = world.quota(&world.acme, "extras").await;
    assert_eq!((quota.used.get(), quota.limit), (7, None));
}

#[tokio::test]
async fn one_event_that_makes_no_sense_stops_all_of_them() {
    let world = world();
    let key = || IdempotencyKey::new("b").unwrap();
    for (wrong, field) in [
        (event(&world.acme, 0, "b"), "amount"),
        (UsageEvent::new(&world.acme, "export", Amount::ONE, key()), "meter"),
        (UsageEvent::new(&world.acme, "unknown", Amount::ONE, key()), "meter"),
    ] {
        let error = world.entitlements.record(&[event(&world.acme, 1, "a"), wrong]).await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some(field)));
    }
    assert_eq!(world.quota(&world.acme, "minutes").await.used, Amount::ZERO);
    assert_eq!(world.entitlements.record(&[]).await.unwrap(), []);
}
