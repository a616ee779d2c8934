use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use entitlements_core::bus::MemoryBus;
use entitlements_core::decision_cache::{
    CachedDecision, DecisionCache, DecisionCacheStats, DecisionKey, Fence, Lookup, MemoryDecisionCache,
    SHARED_TTL, Scope,
};
use entitlements_core::id::CompanyId;
use entitlements_core::store::SharedStore;
use entitlements_core::testkit::FlakyStore;
use entitlements_core::{
    Action, CacheConfig, Catalog, Entitlements, EntitlementsBuilder, ManualClock, MemoryStore, Request,
    Subject,
};

const CATALOG: &str = r#"
schema = 1
default_plan = "free"
past_due_grace = "7d"
[features]
export  = { type = "flag" }
secret  = { type = "flag" }
size    = { type = "value", default = 1.5 }
reports = { type = "meter" }
[plans.free.grants]
export  = { actions = ["view"] }
reports = { limit = 3, every = "day" }
[plans.pro.grants]
export  = true
size    = 10
reports = { limit = 9, every = "month" }
"#;

pub(crate) fn catalog() -> Catalog {
    CATALOG.parse().unwrap()
}

/// A shared cache that counts, and that can be broken.
#[derive(Debug)]
pub(crate) struct Decisions {
    pub(crate) memory: MemoryDecisionCache,
    pub(crate) gets: AtomicU64,
    /// Invalidations do not reach it.
    pub(crate) deaf: AtomicBool,
    /// Nothing reaches it.
    pub(crate) down: AtomicBool,
    /// Nothing ever comes back.
    pub(crate) hung: AtomicBool,
}

impl Decisions {
    pub(crate) async fn memory_hits(&self) -> u64 {
        self.memory.stats().await.unwrap().hits
    }

    async fn is_there(&self) -> bool {
        if self.hung.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        !self.down.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl DecisionCache for Decisions {
    async fn get(&self, key: &DecisionKey) -> Lookup {
        self.gets.fetch_add(1, Ordering::SeqCst);
        // As long as a round trip takes, others run.
        tokio::task::yield_now().await;
        if self.is_there().await { self.memory.get(key).await } else { Lookup::default() }
    }

    async fn put(&self, decision: &CachedDecision, fence: &Fence, ttl: Duration) {
        if self.is_there().await {
            self.memory.put(decision, fence, ttl).await;
        }
    }

    async fn invalidate(&self, scope: &Scope) {
        if self.is_there().await && !self.deaf.load(Ordering::SeqCst) {
            self.memory.invalidate(scope).await;
        }
    }

    async fn stats(&self) -> Option<DecisionCacheStats> {
        if self.is_there().await { self.memory.stats().await } else { None }
    }
}

pub(crate) struct World {
    pub(crate) store: Arc<FlakyStore<MemoryStore>>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) decisions: Arc<Decisions>,
    pub(crate) bus: Arc<MemoryBus>,
    pub(crate) acme: Subject,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::at("2026-11-24T12:00:00Z".parse().unwrap()));
        Self {
            store: Arc::new(FlakyStore::new(MemoryStore::default())),
            decisions: Arc::new(Decisions {
                memory: MemoryDecisionCache::new(Arc::clone(&clock)),
                gets: AtomicU64::default(),
                deaf: AtomicBool::default(),
                down: AtomicBool::default(),
                hung: AtomicBool::default(),
            }),
            clock,
            bus: Arc::default(),
            acme: subject("acme"),
        }
    }

    fn builder(&self) -> EntitlementsBuilder {
        let store: SharedStore = self.store.clone();
        Entitlements::builder(catalog()).shared_store(store).clock(Arc::clone(&self.clock))
    }

    /// A process that uses everything there is, and listens.
    pub(crate) fn process(&self) -> Entitlements {
        self.process_of(|builder| builder)
    }

    pub(crate) fn process_of(
        &self,
        change: impl FnOnce(EntitlementsBuilder) -> EntitlementsBuilder,
    ) -> Entitlements {
        let builder =
            self.builder().shared_cache(Arc::clone(&self.decisions), SHARED_TTL).bus(Arc::clone(&self.bus));
        let process = change(builder).build();
        tokio::spawn(process.listen());
        process
    }

    /// A process that remembers nothing.
    pub(crate) fn plain(&self) -> Entitlements {
        self.builder().cache(CacheConfig::disabled()).build()
    }

    /// A process that knows the policies, and no company.
    pub(crate) async fn cold_process(&self) -> Entitlements {
        let process = self.process();
        pump().await;
        process.check(&Request::new(&subject("somebody"), "export", Action::View)).await.unwrap();
        process
    }

    pub(crate) fn secret(&self) -> Request<'_> {
        Request::new(&self.acme, "secret", Action::View)
    }

    pub(crate) async fn allows(&self, process: &Entitlements) -> bool {
        process.check(&self.secret()).await.unwrap().is_allowed()
    }

    pub(crate) fn gets(&self) -> u64 {
        self.decisions.gets.load(Ordering::SeqCst)
    }
}

pub(crate) fn subject(company: &str) -> Subject {
    Subject::company(CompanyId::new(company).unwrap())
}

/// Lets everybody hear what was announced.
pub(crate) async fn pump() {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}
