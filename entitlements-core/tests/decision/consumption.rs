//! Consuming is decided with everything that a check is decided with, and takes what was decided.

use std::sync::Arc;

use chrono::TimeDelta;
use entitlements_core::id::{CompanyId, FeatureKey, UserId};
use entitlements_core::policy::Policy;
use entitlements_core::store::SubscriptionStore;
use entitlements_core::{
    Action, Amount, Consume, Consumption, Context, Decision, Entitlements, ManualClock, MemoryStore,
    NewGrant, Request, Subject, SubscriptionStatus,
};
use serde_json::{Value, json};

use crate::world::{CATALOG, NOW, World, at, numbers, policy, why};

/// A handle for a company without a plan, so that only the policy can allow anything.
async fn ruled_by(rule: &Value) -> Entitlements {
    let handle = Entitlements::builder(CATALOG.parse().unwrap())
        .store(MemoryStore::default())
        .clock(ManualClock::at(at(NOW)))
        .build();
    handle.insert_policy(&Policy::from_json(rule).unwrap()).await.unwrap();
    handle
}

fn ann() -> Subject {
    Subject::user(CompanyId::new("acme").unwrap(), UserId::new("ann").unwrap())
}

async fn is_recorded(handle: &Entitlements, consume: Consume<'_>) -> bool {
    matches!(handle.consume(&consume).await.unwrap(), Consumption::Recorded { .. })
}

#[tokio::test]
async fn a_consumption_is_decided_with_its_resource() {
    let target = json!({"target": {"features": ["reports"], "resources": ["report:*"]}});
    let handle = ruled_by(&policy("reports-only", "allow", "reports", &target)).await;
    let subject = ann();
    let consume = || Consume::new(&subject, "reports", Amount::ONE);
    assert!(is_recorded(&handle, consume().with_resource("report:7")).await);
    assert!(!is_recorded(&handle, consume().with_resource("invoice:7")).await);
    assert!(!is_recorded(&handle, consume()).await);
}

#[tokio::test]
async fn a_consumption_is_decided_with_its_circumstances_and_user() {
    let condition = json!({"condition": {"all": [
        {"eq": ["context.region", "eu"]}, {"eq": ["subject.user", "ann"]},
    ]}});
    let handle = ruled_by(&policy("eu-only", "allow", "reports", &condition)).await;
    let (ann, acme) = (ann(), Subject::company(CompanyId::new("acme").unwrap()));
    let (eu, us) = (Context::default().with("region", "eu"), Context::default().with("region", "us"));
    assert!(is_recorded(&handle, Consume::new(&ann, "reports", Amount::ONE).with_context(&eu)).await);
    assert!(!is_recorded(&handle, Consume::new(&ann, "reports", Amount::ONE).with_context(&us)).await);
    assert!(!is_recorded(&handle, Consume::new(&acme, "reports", Amount::ONE).with_context(&eu)).await);
}

/// A store with a company on the starter plan, a clock, and two processes that use both.
struct Shop {
    clock: Arc<ManualClock>,
    here: Entitlements,
    elsewhere: Entitlements,
    acme: Subject,
}

impl Shop {
    async fn open() -> Self {
        let world = World::new().subscribed("starter", SubscriptionStatus::Active);
        let (store, clock) = (Arc::new(MemoryStore::default()), Arc::new(ManualClock::at(world.now)));
        store.put_subscription(world.facts.subscriptions.first().unwrap(), world.now).await.unwrap();
        let handle = || {
            let builder = Entitlements::builder(CATALOG.parse().unwrap());
            builder.shared_store(Arc::clone(&store) as _).clock(Arc::clone(&clock)).build()
        };
        Self { here: handle(), elsewhere: handle(), acme: world.company(), clock }
    }

    /// The decision after which the units were taken, or refused.
    async fn take(&self, handle: &Entitlements, meter: &str, units: u32) -> (bool, Decision) {
        match handle.consume(&Consume::new(&self.acme, meter, units.into())).await.unwrap() {
            Consumption::Recorded { decision, .. } => (true, decision),
            Consumption::Refused(decision) => (false, decision),
            Consumption::Duplicate(_) => unreachable!("every consumption has a new key"),
        }
    }

    async fn check(&self, meter: &str) -> Decision {
        let request = Request::new(&self.acme, meter, Action::Create).with_amount(Amount::ZERO);
        self.here.check(&request).await.unwrap()
    }
}

#[tokio::test]
async fn a_soft_quota_is_consumed_beyond_its_limit() {
    let shop = Shop::open().await;
    assert!(shop.take(&shop.here, "soft", 8).await.0);
    assert!(shop.take(&shop.here, "soft", 100).await.0);
    assert_eq!(numbers(&shop.check("soft").await), "10/108/0/98");
}

#[tokio::test]
async fn every_one_of_parallel_quotas_is_debited() {
    let shop = Shop::open().await;
    for _ in 0..4 {
        assert!(shop.take(&shop.here, "burst", 5).await.0);
        assert!(!shop.take(&shop.here, "burst", 1).await.0, "the quota of the hour is used up");
        shop.clock.advance(TimeDelta::hours(1));
    }
    let (taken, decision) = shop.take(&shop.here, "burst", 1).await;
    assert!(!taken, "the quota of the month is used up");
    assert_eq!(numbers(&decision), "20/20/0/0");
}

#[tokio::test]
async fn who_loses_a_race_is_refused_with_the_facts_of_now() {
    let shop = Shop::open().await;
    assert_eq!(numbers(&shop.check("reports").await), "10/0/10/0");
    assert!(shop.take(&shop.elsewhere, "reports", 6).await.0);
    // What is in memory here says that six are left.
    let (taken, decision) = shop.take(&shop.here, "reports", 6).await;
    assert!(!taken);
    assert_eq!(why(&decision), "quota_exceeded plan starter");
    assert_eq!(numbers(&decision), "10/6/4/0");
}

#[tokio::test]
async fn who_loses_a_race_takes_what_there_is_elsewhere() {
    let shop = Shop::open().await;
    assert!(shop.check("reports").await.is_allowed());
    assert!(shop.take(&shop.elsewhere, "reports", 6).await.0);
    let gift = NewGrant {
        amount: Some(3u32.into()),
        ..NewGrant::new(shop.acme.company.clone(), FeatureKey::new("reports").unwrap())
    };
    shop.elsewhere.grant(gift).await.unwrap();
    assert!(shop.take(&shop.here, "reports", 6).await.0, "three of the grant, and three of four");
    assert_eq!(numbers(&shop.check("reports").await), "13/12/1/0");
}
