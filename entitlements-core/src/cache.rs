//! The cache of snapshots in this process: bounded, one load at a time per company, never older than it says.
//!
//! It keeps the inputs of decisions, not decisions, so what depends on the circumstances of a request or on the time is
//! always right.

use std::future::Future;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, UnitWeighter};
use rustc_hash::FxBuildHasher;

use crate::facts::Revision;
use crate::id::CompanyId;
use crate::snapshot::Snapshot;

/// How much the cache of snapshots keeps, and for how long.
///
/// ```
/// use std::time::Duration;
/// use entitlements_core::CacheConfig;
///
/// let config = CacheConfig::default().with_companies(50_000).with_max_age(Duration::from_secs(2));
/// assert_eq!(config.companies(), 50_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    companies: usize,
    max_age: Duration,
}

impl CacheConfig {
    /// Keeps nothing: every call asks the store.
    #[must_use]
    pub const fn disabled() -> Self {
        Self { companies: 0, max_age: Duration::ZERO }
    }

    /// Keeps at most this many companies. The least useful make room for others.
    #[must_use]
    pub const fn with_companies(mut self, companies: usize) -> Self {
        self.companies = companies;
        self
    }

    /// Keeps facts for at most this long. Whatever is broken, no decision is made from older ones.
    #[must_use]
    pub const fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// How many companies are kept at most.
    #[must_use]
    pub const fn companies(&self) -> usize {
        self.companies
    }

    /// How long facts are kept at most.
    #[must_use]
    pub const fn max_age(&self) -> Duration {
        self.max_age
    }
}

impl Default for CacheConfig {
    /// 10,000 companies, 5 seconds.
    fn default() -> Self {
        Self { companies: 10_000, max_age: Duration::from_secs(5) }
    }
}

/// A snapshot, and when it was asked for.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) snapshot: Snapshot,
    /// When its load began.
    pub(crate) asked_at: DateTime<Utc>,
}

/// How many fences there are. Companies that share one only lose an entry now and then.
const FENCES: usize = 1024;

type Entries =
    Cache<CompanyId, Arc<Kept>, UnitWeighter, FxBuildHasher, DefaultLifecycle<CompanyId, Arc<Kept>>>;

#[derive(Debug)]
pub(crate) struct SnapshotCache {
    entries: Option<Entries>,
    max_age: TimeDelta,
    /// Raised by every invalidation, so that a load that was under way does not keep what it found.
    fences: Box<[AtomicU64]>,
    /// The oldest revision of the policies that may still be used.
    policies: AtomicU64,
}

impl SnapshotCache {
    pub(crate) fn new(config: CacheConfig) -> Self {
        let options = OptionsBuilder::new()
            .estimated_items_capacity(config.companies)
            .weight_capacity(config.companies as u64)
            .build();
        let entries = options.ok().filter(|_| config.companies > 0).map(|options| {
            Cache::with_options(options, UnitWeighter, FxBuildHasher, DefaultLifecycle::default())
        });
        Self {
            entries,
            max_age: TimeDelta::from_std(config.max_age).unwrap_or(TimeDelta::MAX),
            fences: std::iter::repeat_with(AtomicU64::default).take(FENCES).collect(),
            policies: AtomicU64::new(0),
        }
    }

    /// The snapshot of a company, if one is kept that may still be used.
    pub(crate) fn get(&self, company: &CompanyId, now: DateTime<Utc>) -> Option<Arc<Kept>> {
        let kept = self.entries.as_ref()?.get(company)?;
        self.is_usable(&kept, now).then_some(kept)
    }

    fn is_usable(&self, kept: &Kept, now: DateTime<Utc>) -> bool {
        let age = now.signed_duration_since(kept.asked_at);
        // A clock that went backwards proves nothing about the age.
        TimeDelta::zero() <= age
            && age < self.max_age
            && kept.snapshot.policies().revision().0 >= self.policies.load(Ordering::Acquire)
    }

    /// The snapshot that is kept and may be used, or else the one that `load` brings. Whoever asks for the same company
    /// meanwhile waits for that load, unless the company was invalidated after it began.
    pub(crate) async fn get_or_load<E>(
        &self,
        company: &CompanyId,
        now: DateTime<Utc>,
        load: impl Future<Output = Result<Snapshot, E>>,
    ) -> Result<Arc<Kept>, E> {
        let Some(entries) = &self.entries else {
            return Ok(Arc::new(Kept { snapshot: load.await?, asked_at: now }));
        };
        if let Some(kept) = entries.peek(company)
            && !self.is_usable(&kept, now)
        {
            entries.remove_if(company, |present| Arc::ptr_eq(present, &kept));
        }
        let fence = self.fence(company);
        let before = fence.load(Ordering::Acquire);
        let loaded = async { load.await.map(|snapshot| Arc::new(Kept { snapshot, asked_at: now })) };
        let kept = entries.get_or_insert_async(company, loaded).await?;
        // What was loaded before an invalidation may answer those who asked before it, and nobody after.
        if fence.load(Ordering::Acquire) != before {
            entries.remove_if(company, |present| Arc::ptr_eq(present, &kept));
        }
        Ok(kept)
    }

    /// Forgets a company.
    pub(crate) fn invalidate(&self, company: &CompanyId) {
        self.fence(company).fetch_add(1, Ordering::AcqRel);
        if let Some(entries) = &self.entries {
            entries.remove(company);
        }
    }

    /// Forgets a company when the guard is dropped: also when a call that writes is given up half-way.
    pub(crate) const fn forgetting<'a>(&'a self, company: &'a CompanyId) -> Forgetting<'a> {
        Forgetting { cache: self, company }
    }

    /// Forgets every company.
    pub(crate) fn invalidate_all(&self) {
        for fence in &self.fences {
            fence.fetch_add(1, Ordering::AcqRel);
        }
        if let Some(entries) = &self.entries {
            entries.clear();
        }
    }

    /// Forgets every snapshot with policies older than `revision`.
    pub(crate) fn policies_changed(&self, revision: Revision) {
        self.policies.fetch_max(revision.0, Ordering::AcqRel);
    }

    /// How many companies are kept.
    pub(crate) fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, Cache::len)
    }

    fn fence(&self, company: &CompanyId) -> &AtomicU64 {
        static ALWAYS: AtomicU64 = AtomicU64::new(0);
        let hash = FxBuildHasher.hash_one(company);
        usize::try_from(hash % FENCES as u64).ok().and_then(|at| self.fences.get(at)).unwrap_or(&ALWAYS)
    }
}

/// Forgets a company when it is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Forgetting<'a> {
    cache: &'a SnapshotCache,
    company: &'a CompanyId,
}

impl Drop for Forgetting<'_> {
    fn drop(&mut self) {
        self.cache.invalidate(self.company);
    }
}
