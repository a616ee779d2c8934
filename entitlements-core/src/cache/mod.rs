//! The cache of snapshots in this process: bounded, one load at a time per company, never older than it says.
//!
//! It keeps the inputs of decisions, not decisions, so what depends on the circumstances of a request or on the time is
//! always right.

mod config;
mod forget;
mod index;

use std::future::Future;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use quick_cache::sync::Cache;
use quick_cache::{OptionsBuilder, UnitWeighter};
use rustc_hash::FxBuildHasher;

pub use config::{CacheConfig, CacheStats};
pub(crate) use forget::Forgetting;
pub(crate) use index::Pinned;
use index::{Evictions, Index};

use crate::catalog::Catalog;
use crate::clock::{Glance, micros_before};
use crate::counter::PartedCounter;
use crate::evaluate::Straight;
use crate::id::CompanyId;
use crate::snapshot::Snapshot;

/// The catalog that was in force when a load began.
#[derive(Clone, Debug)]
pub(crate) struct InForce {
    pub(crate) catalog: Arc<Catalog>,
    /// How many catalogs had been put in force before.
    pub(crate) number: u64,
}

/// A snapshot, and when it was asked for.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) snapshot: Snapshot,
    /// What the snapshot was bound to.
    pub(crate) bound_to: InForce,
    /// When its load began.
    pub(crate) asked_at: DateTime<Utc>,
    /// How many loads had begun then, this one included: clocks stand still, and go back.
    pub(crate) number: u64,
    /// What decides most requests, if nothing comes before the plan.
    pub(crate) straight: Option<Straight>,
    /// The same as `asked_at`, in microseconds since 1970, as are the next two.
    young_from: i64,
    /// When it is too old to be used.
    too_old_at: i64,
    /// When the company is loaded again if it is in use.
    refresh_at: i64,
    /// Whether somebody loads the company again already.
    refreshed: AtomicBool,
    /// Whether the cache knows that somebody has used it.
    noted: AtomicBool,
}

/// Of so many uses that a thread makes, the cache is told of one: enough to see who is in use.
const NOTED_USES: u64 = 16;

/// How many fences there are. Companies that share one only lose an entry now and then.
const FENCES: usize = 1024;

type Entries = Cache<CompanyId, Arc<Kept>, UnitWeighter, FxBuildHasher, Evictions>;

#[derive(Debug)]
pub(crate) struct SnapshotCache {
    /// What may answer, and what of it makes room for others.
    entries: Option<Entries>,
    /// What of the entries was not invalidated while it was loaded.
    index: Arc<Index>,
    /// The last snapshot of each company, however old, until it is known to be wrong.
    last: Option<Entries>,
    max_age: TimeDelta,
    /// The age at which a company in use is loaded again.
    refresh_age: TimeDelta,
    /// Raised by every invalidation, so that a load that was under way does not keep what it found.
    fences: Box<[Mutex<u64>]>,
    /// The oldest revision of the policies that may still be used.
    policies: AtomicU64,
    /// How many loads have begun.
    loads: AtomicU64,
    hits: PartedCounter,
    misses: PartedCounter,
}

fn entries(companies: usize, evictions: Evictions) -> Option<Entries> {
    let options =
        OptionsBuilder::new().estimated_items_capacity(companies).weight_capacity(companies as u64).build();
    let options = options.ok().filter(|_| companies > 0)?;
    Some(Cache::with_options(options, UnitWeighter, FxBuildHasher, evictions))
}

impl SnapshotCache {
    pub(crate) fn new(config: CacheConfig) -> Self {
        let max_age = TimeDelta::from_std(config.max_age()).unwrap_or(TimeDelta::MAX);
        let index = Arc::new(Index::default());
        Self {
            entries: entries(config.companies(), Evictions(Some(Arc::clone(&index)))),
            index,
            last: entries(config.companies(), Evictions(None)),
            max_age,
            // Early enough for a slow load to end in time.
            refresh_age: if config.refreshes_ahead() { max_age / 5 * 3 } else { TimeDelta::MAX },
            fences: std::iter::repeat_with(Mutex::default).take(FENCES).collect(),
            policies: AtomicU64::new(0),
            loads: AtomicU64::new(0),
            hits: PartedCounter::default(),
            misses: PartedCounter::default(),
        }
    }

    pub(crate) const fn max_age(&self) -> TimeDelta {
        self.max_age
    }

    /// What is kept now, for [`usable`](Self::usable).
    #[inline]
    pub(crate) fn pin(&self) -> Pinned<'_> {
        self.index.pin()
    }

    /// The snapshot of a company, if one is kept that may still be used.
    #[expect(clippy::inline_always, reason = "every warm check comes here")]
    #[inline(always)]
    pub(crate) fn usable<'a>(
        &self,
        pinned: &'a Pinned<'_>,
        company: &CompanyId,
        now: Glance,
    ) -> Option<&'a Arc<Kept>> {
        let kept = pinned.get(company).filter(|kept| self.is_usable(kept, now))?;
        let uses = self.hits.raise();
        if uses.is_multiple_of(NOTED_USES) || !kept.noted.load(Ordering::Relaxed) {
            self.note_use(company, kept);
        }
        Some(kept)
    }

    /// The same, to be held for longer.
    pub(crate) fn get(&self, company: &CompanyId, now: DateTime<Utc>) -> Option<Arc<Kept>> {
        self.usable(&self.pin(), company, Glance::at(now)).cloned()
    }

    /// Tells the cache that somebody uses the company.
    #[cold]
    fn note_use(&self, company: &CompanyId, kept: &Kept) {
        kept.noted.store(true, Ordering::Relaxed);
        if let Some(entries) = &self.entries {
            entries.get(company);
        }
    }

    /// The same, without counting it.
    pub(crate) fn young(&self, company: &CompanyId, now: DateTime<Utc>) -> Option<Arc<Kept>> {
        self.entries.as_ref()?.peek(company).filter(|kept| self.is_usable(kept, Glance::at(now)))
    }

    /// A call found nothing that could be used.
    pub(crate) fn missed(&self) {
        self.misses.raise();
    }

    fn is_usable(&self, kept: &Kept, now: Glance) -> bool {
        // A clock that went backwards proves nothing about the age.
        now.is_from(kept.young_from) && now.is_before(kept.too_old_at) && self.knows_the_policies(kept)
    }

    fn knows_the_policies(&self, kept: &Kept) -> bool {
        kept.snapshot.policies().revision().0 >= self.policies.load(Ordering::Acquire)
    }

    /// Whether it is time to load the company again, and this caller is the one to do it.
    pub(crate) fn wants_refresh(kept: &Kept, now: Glance) -> bool {
        !now.is_before(kept.refresh_at) && !kept.refreshed.swap(true, Ordering::Relaxed)
    }

    /// Whether a snapshot of that age may be used without asking the store.
    pub(crate) fn is_young(&self, age: Duration) -> bool {
        TimeDelta::from_std(age).is_ok_and(|age| age < self.max_age)
    }

    /// The last snapshot of a company and its age, if nothing is known that it does not show.
    pub(crate) fn last(&self, company: &CompanyId, now: DateTime<Utc>) -> Option<(Arc<Kept>, Duration)> {
        let kept = self.last.as_ref()?.get(company)?;
        // A clock that was set back makes nothing younger than it is.
        let age = now.signed_duration_since(kept.asked_at).to_std().unwrap_or_default();
        self.knows_the_policies(&kept).then_some((kept, age))
    }

    /// The snapshot that is kept and may be used, or else the one that `load` brings. Whoever asks for the same company
    /// meanwhile waits for that load, unless the company was invalidated after it began.
    pub(crate) async fn get_or_load<E>(
        &self,
        company: &CompanyId,
        now: DateTime<Utc>,
        bound_to: InForce,
        load: impl Future<Output = Result<Snapshot, E>>,
    ) -> Result<Arc<Kept>, E> {
        let Some(entries) = &self.entries else {
            return self.load(now, bound_to, load).await;
        };
        if let Some(kept) = entries.peek(company)
            && !self.is_usable(&kept, Glance::at(now))
        {
            self.remove_same(entries, company, &kept);
        }
        let before = *self.fence(company);
        let kept = entries.get_or_insert_async(company, self.load(now, bound_to, load)).await?;
        let fence = self.fence(company);
        if *fence == before {
            self.put_into_index(entries, company, &kept);
            self.keep_last(company, &kept);
        } else {
            // What was loaded before an invalidation may answer those who asked before it, and nobody after.
            self.remove_same(entries, company, &kept);
        }
        drop(fence);
        Ok(kept)
    }

    /// Loads a company again, and keeps what was loaded unless the company was invalidated meanwhile.
    pub(crate) async fn refresh<E>(
        &self,
        company: &CompanyId,
        now: DateTime<Utc>,
        bound_to: InForce,
        load: impl Future<Output = Result<Snapshot, E>>,
    ) -> Result<(), E> {
        let before = *self.fence(company);
        let kept = self.load(now, bound_to, load).await?;
        let fence = self.fence(company);
        if let Some(entries) = &self.entries
            && *fence == before
            && is_newest(entries, company, &kept)
        {
            entries.insert(company.clone(), Arc::clone(&kept));
            self.put_into_index(entries, company, &kept);
            self.keep_last(company, &kept);
        }
        drop(fence);
        Ok(())
    }

    async fn load<E>(
        &self,
        now: DateTime<Utc>,
        bound_to: InForce,
        load: impl Future<Output = Result<Snapshot, E>>,
    ) -> Result<Arc<Kept>, E> {
        let number = self.loads.fetch_add(1, Ordering::SeqCst) + 1;
        let after = |age| now.checked_add_signed(age).map_or(i64::MAX, micros_before);
        let snapshot = load.await?;
        let straight = Straight::of(&snapshot, &bound_to.catalog, now);
        Ok(Arc::new(Kept {
            snapshot,
            bound_to,
            straight,
            young_from: micros_before(now),
            asked_at: now,
            number,
            too_old_at: after(self.max_age),
            refresh_at: after(self.refresh_age),
            refreshed: AtomicBool::new(false),
            noted: AtomicBool::new(false),
        }))
    }

    /// Lets an entry answer. Whoever calls it holds the company's fence.
    fn put_into_index(&self, entries: &Entries, company: &CompanyId, kept: &Arc<Kept>) {
        self.index.put(company, kept);
        // Evicted before it was in the index, nobody else would take it out of there.
        if !entries.peek(company).is_some_and(|present| Arc::ptr_eq(&present, kept)) {
            self.index.remove_same(company, kept);
        }
    }

    /// Forgets an entry, unless another one has taken its place.
    fn remove_same(&self, entries: &Entries, company: &CompanyId, kept: &Arc<Kept>) -> bool {
        self.index.remove_same(company, kept);
        entries.remove_if(company, |present| Arc::ptr_eq(present, kept)).is_some()
    }

    /// How many loads have begun.
    pub(crate) fn loads(&self) -> u64 {
        self.loads.load(Ordering::SeqCst)
    }

    /// Whoever calls it holds the company's fence.
    fn keep_last(&self, company: &CompanyId, kept: &Arc<Kept>) {
        let Some(last) = &self.last else { return };
        if is_newest(last, company, kept) {
            last.insert(company.clone(), Arc::clone(kept));
        }
    }

    /// How many companies are kept.
    pub(crate) fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, Cache::len)
    }

    pub(crate) fn stats(&self) -> CacheStats {
        CacheStats { entries: self.len() as u64, hits: self.hits.count(), misses: self.misses.count() }
    }

    /// How often companies with this fence were invalidated.
    pub(crate) fn invalidations(&self, company: &CompanyId) -> u64 {
        *self.fence(company)
    }

    fn raise(&self, company: &CompanyId) -> MutexGuard<'_, u64> {
        let mut fence = self.fence(company);
        *fence += 1;
        fence
    }

    fn fence(&self, company: &CompanyId) -> MutexGuard<'_, u64> {
        static ALWAYS: Mutex<u64> = Mutex::new(0);
        let hash = FxBuildHasher.hash_one(company);
        let fence = usize::try_from(hash % FENCES as u64).ok().and_then(|at| self.fences.get(at));
        lock(fence.unwrap_or(&ALWAYS))
    }
}

/// Whether `entries` has nothing newer of the company.
fn is_newest(entries: &Entries, company: &CompanyId, kept: &Kept) -> bool {
    let known = entries.peek(company);
    known.is_none_or(|known| known.snapshot.facts().revision <= kept.snapshot.facts().revision)
}

fn lock(fence: &Mutex<u64>) -> MutexGuard<'_, u64> {
    fence.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
