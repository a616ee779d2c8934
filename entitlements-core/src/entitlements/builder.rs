//! Building a handle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use chrono::TimeDelta;

use super::policies::PolicyLoads;
use super::shared::SharedCache;
use super::{Entitlements, Shared};
use crate::breaker::Breaker;
use crate::bus::Bus;
use crate::cache::{CacheConfig, SnapshotCache};
use crate::catalog::Catalog;
use crate::clock::{Clock, SystemClock};
use crate::decision_cache::DecisionCache;
use crate::memory::MemoryStore;
use crate::observer::{Both, Observer};
use crate::resilience::Resilience;
use crate::runtime::Runtime;
use crate::store::{SharedStore, Store};

/// Builds an [`Entitlements`] handle. Without a store it keeps everything in memory, and loses it with the process.
#[derive(Debug)]
#[must_use]
pub struct EntitlementsBuilder {
    catalog: Catalog,
    store: Option<SharedStore>,
    clock: Arc<dyn Clock>,
    observer: Option<Arc<dyn Observer>>,
    cache: CacheConfig,
    shared: Option<SharedCache>,
    bus: Option<Arc<dyn Bus>>,
    runtime: Option<Arc<dyn Runtime>>,
    resilience: Resilience,
}

impl EntitlementsBuilder {
    pub(super) fn new(catalog: Catalog) -> Self {
        Self {
            catalog,
            store: None,
            clock: Arc::new(SystemClock),
            observer: None,
            cache: CacheConfig::default(),
            shared: None,
            bus: None,
            runtime: None,
            resilience: Resilience::default(),
        }
    }

    /// Keeps everything in `store`.
    pub fn store(self, store: impl Store) -> Self {
        self.shared_store(Arc::new(store))
    }

    /// Keeps everything in a store that others use, too.
    pub fn shared_store(mut self, store: SharedStore) -> Self {
        self.store = Some(store);
        self
    }

    /// Takes the time from `clock` instead of the machine's clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Shows everything the handle does to `observer`, after those that were given before.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        let observer: Arc<dyn Observer> = Arc::new(observer);
        self.observer = Some(match self.observer.take() {
            Some(first) => Arc::new(Both(first, observer)),
            None => observer,
        });
        self
    }

    /// How much is kept in memory, and for how long. By default 10,000 companies for 5 seconds.
    pub const fn cache(mut self, cache: CacheConfig) -> Self {
        self.cache = cache;
        self
    }

    /// Asks a cache of decisions that many processes share, before the store, about companies that are not in memory.
    /// Decisions are kept there for `ttl` at most; [`SHARED_TTL`](crate::decision_cache::SHARED_TTL) is a good one.
    pub fn shared_cache(mut self, decisions: impl DecisionCache, ttl: Duration) -> Self {
        self.shared = Some(SharedCache::new(Arc::new(decisions), ttl));
        self
    }

    /// Tells other processes what has changed, and hears what they have changed, so that it is seen at once instead of
    /// when what is in memory is too old.
    ///
    /// With a [`runtime`](Self::runtime) the handle listens by itself; without one, run
    /// [`listen`](Entitlements::listen).
    pub fn bus(mut self, bus: impl Bus) -> Self {
        self.bus = Some(Arc::new(bus));
        self
    }

    /// Keeps deadlines, and works in the background, on `runtime`.
    pub fn runtime(mut self, runtime: impl Runtime) -> Self {
        self.runtime = Some(Arc::new(runtime));
        self
    }

    /// What to do when the store does not answer.
    pub const fn resilience(mut self, resilience: Resilience) -> Self {
        self.resilience = resilience;
        self
    }

    /// The handle.
    #[must_use]
    pub fn build(self) -> Entitlements {
        let (failures, pause) = self.resilience.breaker();
        let listens = self.runtime.clone().filter(|_| self.bus.is_some());
        let entitlements = Entitlements(Arc::new(Shared {
            catalog: ArcSwap::from_pointee(self.catalog),
            catalogs: AtomicU64::new(0),
            policies: ArcSwapOption::empty(),
            policy_loads: PolicyLoads::default(),
            snapshots: SnapshotCache::new(self.cache),
            store: self.store.unwrap_or_else(|| Arc::new(MemoryStore::default())),
            clock: self.clock,
            observer: self.observer,
            decisions: self.shared,
            bus: self.bus,
            heard_at: ArcSwapOption::empty(),
            runtime: self.runtime,
            resilience: self.resilience,
            breaker: Breaker::new(failures, TimeDelta::from_std(pause).unwrap_or(TimeDelta::MAX)),
            refreshes: AtomicUsize::new(0),
        }));
        if let Some(runtime) = listens {
            runtime.spawn(Box::pin(entitlements.listen()));
        }
        entitlements
    }
}
