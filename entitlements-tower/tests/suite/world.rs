//! A small world to test in: a catalog, a store that can fail, a clock that can be moved, three companies.

use std::sync::Arc;

use entitlements_core::store::SubscriptionStore;
use entitlements_core::subscription::Subscription;
use entitlements_core::testkit::fixtures::{company, now, plan, subscription};
use entitlements_core::{CacheConfig, Catalog, Entitlements, ManualClock, Subject, SubscriptionStatus};
use entitlements_tower::{EntitlementLayer, EntitlementLayerBuilder, FailMode, subject_extension};
use http::{Method, Request};

use crate::store::FlakyStore;

pub(crate) const CATALOG: &str = r#"
schema = 1
past_due_grace = "7d"
[features]
boardroom = { type = "flag" }
export    = { type = "flag" }
unsold    = { type = "flag" }
reports   = { type = "meter" }
tokens    = { type = "meter" }
tokens_in  = { type = "meter", pool = "tokens" }
tokens_out = { type = "meter", pool = "tokens" }
[plans.starter.grants]
export  = { actions = ["view"] }
reports = { limit = 3, every = "month", anchor = "calendar" }
tokens  = { limit = 100, every = "month", anchor = "calendar" }
[plans.pro]
extends = "starter"
[plans.pro.grants]
export    = true
boardroom = true
[routing]
unmatched = "allow"
[[routes]]
match = "/boardroom"
require = "boardroom"
[[routes]]
match = "GET /export"
require = "export"
[[routes]]
match = "POST /export"
require = { feature = "export", action = "export" }
[[routes]]
match = "/unsold"
require = "unsold"
[[routes]]
match = "POST /reports/{id}"
consume = "reports"
[[routes]]
match = "POST /both"
require = "boardroom"
consume = "reports"
[[routes]]
match = "POST /success"
consume = { feature = "reports", charge = "success" }
[[routes]]
match = "POST /actual"
consume = { feature = "tokens", amount = 10, charge = "actual" }
"#;

pub(crate) struct World {
    pub(crate) store: FlakyStore,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) entitlements: Entitlements,
}

pub(crate) fn catalog() -> Catalog {
    Catalog::parse("catalog.toml", CATALOG).unwrap()
}

impl World {
    /// `starter-co` and `pro-co` pay, `lapsed-co` no longer does, and nothing is known of any other company.
    pub(crate) async fn new() -> Self {
        Self::with_catalog(catalog()).await
    }

    /// The same with everything in memory.
    pub(crate) async fn warm() -> Self {
        let mut world = Self::new().await;
        world.entitlements = Entitlements::builder(catalog())
            .store(world.store.clone())
            .clock(Arc::clone(&world.clock))
            .cache(CacheConfig::default())
            .build();
        for company in ["starter-co", "pro-co", "lapsed-co"] {
            world.entitlements.usage(&of(company)).await.unwrap();
        }
        world
    }

    pub(crate) async fn with_catalog(catalog: Catalog) -> Self {
        let store = FlakyStore::default();
        for (name, plan_key, status) in [
            ("starter-co", "starter", SubscriptionStatus::Active),
            ("pro-co", "pro", SubscriptionStatus::Active),
            ("lapsed-co", "pro", SubscriptionStatus::Canceled),
        ] {
            let subscription =
                Subscription { plan: plan(plan_key), status, ..subscription(&format!("sub-{name}"), name) };
            store.memory.put_subscription(&subscription, now()).await.unwrap();
        }
        let clock = Arc::new(ManualClock::at(now()));
        let entitlements =
            // Nothing in memory is young enough, so that the weather of the store is felt at once.
            Entitlements::builder(catalog)
                .store(store.clone())
                .clock(Arc::clone(&clock))
                .cache(CacheConfig::default().with_max_age(std::time::Duration::ZERO))
                .build();
        Self { store, clock, entitlements }
    }

    pub(crate) fn builder(&self, fail_mode: FailMode) -> EntitlementLayerBuilder {
        EntitlementLayer::builder(self.entitlements.clone(), subject_extension(), fail_mode)
    }

    pub(crate) fn layer(&self) -> EntitlementLayer {
        self.builder(FailMode::Closed).build().unwrap()
    }

    /// How many units of a meter or pool a company has used.
    pub(crate) async fn used(&self, company: &str, meter: &str) -> u64 {
        let usage = self.entitlements.usage(&of(company)).await.unwrap();
        usage.iter().find(|item| item.quota.meter == meter).unwrap().quota.used.get()
    }

    /// What a meter has contributed to its pool.
    pub(crate) async fn part(&self, company: &str, pool: &str, meter: &str) -> u64 {
        let usage = self.entitlements.usage(&of(company)).await.unwrap();
        usage.iter().find(|item| item.quota.meter == pool).unwrap().parts[meter].get()
    }
}

pub(crate) fn of(name: &str) -> Subject {
    Subject::company(company(name))
}

/// A request of a company, already authenticated.
pub(crate) fn request(method: &str, uri: &str, company: &str) -> Request<String> {
    let mut request = anonymous(method, uri);
    request.extensions_mut().insert(of(company));
    request
}

/// A request that no layer has authenticated.
pub(crate) fn anonymous(method: &str, uri: &str) -> Request<String> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    Request::builder().method(method).uri(uri).body(String::new()).unwrap()
}
