//! The handle and gauges: acquire, release, set a level.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;

use entitlements_core::id::{CompanyId, FeatureKey, GrantId, HolderId, PlanKey, SubscriptionId};
use entitlements_core::policy::Policy;
use entitlements_core::store::{PageRequest, SharedStore};
use entitlements_core::{
    Acquisition, Action, Amount, Catalog, Entitlements, ErrorKind, LevelReport, ManualClock, MemoryStore,
    NewGrant, Reason, Request, Subject, Subscription, SubscriptionStatus,
};
use serde_json::json;

const CATALOG: &str = r#"
schema = 1
past_due_grace = "7d"
[features]
export  = { type = "flag" }
seats   = { type = "gauge", limit_from = "seats" }
storage = { type = "gauge", counts = "level" }
labs    = { type = "gauge" }
[plans.starter.grants]
seats   = 2
storage = 10
"#;

struct World {
    store: SharedStore,
    one: Entitlements,
    other: Entitlements,
    acme: Subject,
}

async fn world(seats: Option<u64>) -> World {
    let store: SharedStore = Arc::new(MemoryStore::default());
    let clock = Arc::new(ManualClock::at("2026-11-24T12:00:00Z".parse().unwrap()));
    let process = || {
        let catalog: Catalog = CATALOG.parse().unwrap();
        Entitlements::builder(catalog).shared_store(Arc::clone(&store)).clock(Arc::clone(&clock)).build()
    };
    let (one, other) = (process(), process());
    let (company, now) = (CompanyId::new("acme").unwrap(), one.now());
    let subscription = Subscription {
        id: SubscriptionId::new("sub_1").unwrap(),
        company: company.clone(),
        plan: PlanKey::new("starter").unwrap(),
        status: SubscriptionStatus::Active,
        seats: seats.and_then(Amount::new),
        started_at: now,
        anchor: now,
        current_period_start: now,
        current_period_end: now,
        trial_end: None,
        past_due_since: None,
        cancel_at: None,
        cancel_at_period_end: false,
        created_at: now,
    };
    one.put_subscription(&subscription).await.unwrap();
    World { store, one, other, acme: Subject::company(company) }
}

fn holder(name: &str) -> HolderId {
    HolderId::new(name).unwrap()
}

impl World {
    async fn acquire(&self, name: &str) -> Acquisition {
        self.one.acquire(&self.acme, "seats", &holder(name)).await.unwrap()
    }

    async fn set_level(&self, level: u32) -> LevelReport {
        self.one.set_level(&self.acme, "storage", level.into()).await.unwrap()
    }

    async fn used(&self, gauge: &str) -> u64 {
        let items = self.one.usage(&self.acme).await.unwrap();
        items.iter().find(|item| item.quota.meter == gauge).unwrap().quota.used.get()
    }
}

#[tokio::test]
async fn seats_are_given_up_to_the_limit_and_shown_at_once() {
    let world = world(None).await;
    assert!(matches!(world.acquire("ada").await, Acquisition::Acquired { used: Amount::ONE, .. }));
    assert_eq!(world.used("seats").await, 1);
    assert!(matches!(world.acquire("bob").await, Acquisition::Acquired { .. }));
    let Acquisition::Refused(decision) = world.acquire("cid").await else { panic!("a third seat") };
    assert_eq!(decision.reason, Reason::QuotaExceeded);
    assert_eq!(decision.quota.unwrap().used.get(), 2);
    assert!(matches!(world.acquire("ada").await, Acquisition::Held { used } if used.get() == 2));
    assert!(world.one.release(&world.acme.company, "seats", &holder("ada")).await.unwrap());
    assert_eq!(world.used("seats").await, 1);
    assert!(!world.one.release(&world.acme.company, "seats", &holder("ada")).await.unwrap());
    assert!(matches!(world.acquire("cid").await, Acquisition::Acquired { .. }));
}

#[tokio::test]
async fn the_seats_of_the_subscription_are_the_limit() {
    let world = world(Some(1)).await;
    assert!(matches!(world.acquire("ada").await, Acquisition::Acquired { .. }));
    assert!(matches!(world.acquire("bob").await, Acquisition::Refused(_)));
}

#[tokio::test]
async fn nobody_is_refused_a_seat_because_of_old_facts() {
    let world = world(None).await;
    for name in ["ada", "bob"] {
        assert!(matches!(world.acquire(name).await, Acquisition::Acquired { .. }));
    }
    // The other process remembers that no seat is left, when one is given back.
    world.other.check(&Request::new(&world.acme, "seats", Action::Create)).await.unwrap();
    world.one.release(&world.acme.company, "seats", &holder("ada")).await.unwrap();
    let outcome = world.other.acquire(&world.acme, "seats", &holder("cid")).await.unwrap();
    assert!(matches!(outcome, Acquisition::Acquired { .. }));
    let outcome = world.other.acquire(&world.acme, "seats", &holder("dan")).await.unwrap();
    assert!(matches!(outcome, Acquisition::Refused(_)));
}

#[tokio::test]
async fn a_policy_refuses_new_holders_and_takes_nothing_from_those_there_are() {
    let world = world(None).await;
    let _ = world.acquire("ada").await;
    let policy = json!({"id": "p", "effect": "deny", "guardrail": true, "target": {"features": ["seats"]}});
    world.one.insert_policy(&Policy::from_json(&policy).unwrap()).await.unwrap();
    let Acquisition::Refused(decision) = world.acquire("bob").await else { panic!("against the policy") };
    assert_eq!(decision.reason, Reason::PolicyDenied);
    assert!(matches!(world.acquire("ada").await, Acquisition::Held { .. }));
    assert_eq!(world.used("seats").await, 1);
}

#[tokio::test]
async fn what_the_plan_does_not_include_is_refused_until_it_is_granted() {
    let world = world(None).await;
    let labs =
        |name: &'static str| async { world.one.acquire(&world.acme, "labs", &holder(name)).await.unwrap() };
    let Acquisition::Refused(decision) = labs("ada").await else { panic!("not in the plan") };
    assert_eq!(decision.reason, Reason::NotGranted);
    let mut grant = NewGrant::new(world.acme.company.clone(), FeatureKey::new("labs").unwrap());
    grant.id = Some(GrantId::new("g").unwrap());
    world.one.grant(grant).await.unwrap();
    for name in ["ada", "bob", "cid"] {
        assert!(matches!(labs(name).await, Acquisition::Acquired { .. }));
    }
    world.one.void(&GrantId::new("g").unwrap()).await.unwrap();
    assert!(matches!(labs("dan").await, Acquisition::Refused(_)));
    assert!(matches!(labs("ada").await, Acquisition::Held { .. }));
}

#[tokio::test]
async fn a_lower_level_is_always_taken() {
    let world = world(None).await;
    assert!(matches!(world.set_level(9).await, LevelReport::Set { .. }));
    let LevelReport::Refused(decision) = world.set_level(11).await else { panic!("beyond the limit") };
    assert_eq!((decision.reason, decision.quota.unwrap().used.get()), (Reason::QuotaExceeded, 9));
    // Without a subscription that gives access, levels only fall.
    let id = SubscriptionId::new("sub_1").unwrap();
    let subscription = world.store.subscription(&id).await.unwrap().unwrap();
    let canceled = Subscription { status: SubscriptionStatus::Canceled, ..subscription };
    world.one.put_subscription(&canceled).await.unwrap();
    assert!(matches!(world.set_level(8).await, LevelReport::Set { .. }));
    let LevelReport::Refused(decision) = world.set_level(9).await else { panic!("without a plan") };
    assert_eq!(decision.reason, Reason::SubscriptionInactive);
    assert!(matches!(world.set_level(0).await, LevelReport::Set { .. }));
}

#[tokio::test]
async fn the_wrong_kind_of_feature_is_an_error_and_an_unknown_one_a_denial() {
    let world = world(None).await;
    let (ada, company) = (holder("ada"), &world.acme.company);
    for gauge in ["export", "storage", ""] {
        let error = world.one.acquire(&world.acme, gauge, &ada).await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("gauge")), "{gauge}");
        assert!(world.one.release(company, gauge, &ada).await.is_err(), "{gauge}");
        assert!(world.one.holders(company, gauge, &PageRequest::first(1)).await.is_err(), "{gauge}");
    }
    for gauge in ["export", "seats", ""] {
        let error = world.one.set_level(&world.acme, gauge, Amount::ZERO).await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("gauge")), "{gauge}");
    }
    let Acquisition::Refused(decision) = world.one.acquire(&world.acme, "unknown", &ada).await.unwrap()
    else {
        panic!("an unknown gauge")
    };
    assert_eq!(decision.reason, Reason::UnknownFeature);
    let LevelReport::Refused(decision) =
        world.one.set_level(&world.acme, "unknown", Amount::ZERO).await.unwrap()
    else {
        panic!("an unknown gauge")
    };
    assert_eq!(decision.reason, Reason::UnknownFeature);
    assert!(!world.one.release(company, "unknown", &ada).await.unwrap());
}
