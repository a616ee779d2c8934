//! Building a handle.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};

use super::{Entitlements, Shared};
use crate::cache::{CacheConfig, SnapshotCache};
use crate::catalog::Catalog;
use crate::clock::{Clock, SystemClock};
use crate::memory::MemoryStore;
use crate::observer::Observer;
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
}

impl EntitlementsBuilder {
    pub(super) fn new(catalog: Catalog) -> Self {
        Self {
            catalog,
            store: None,
            clock: Arc::new(SystemClock),
            observer: None,
            cache: CacheConfig::default(),
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

    /// Shows everything the handle does to `observer`.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// How much is kept in memory, and for how long. By default 10,000 companies for 5 seconds.
    pub const fn cache(mut self, cache: CacheConfig) -> Self {
        self.cache = cache;
        self
    }

    /// The handle.
    #[must_use]
    pub fn build(self) -> Entitlements {
        Entitlements(Arc::new(Shared {
            catalog: ArcSwap::from_pointee(self.catalog),
            policies: ArcSwapOption::empty(),
            snapshots: SnapshotCache::new(self.cache),
            store: self.store.unwrap_or_else(|| Arc::new(MemoryStore::default())),
            clock: self.clock,
            observer: self.observer,
        }))
    }
}
