//! The index of what may answer at once: found without writing to memory that other threads read.
//!
//! The cache next to it decides what stays. Looking something up there takes a lock and counts a user of what is found, and
//! both are writes that threads on other cores have to wait for.

use std::fmt;
use std::sync::Arc;

use papaya::{HashMap, HashMapRef, LocalGuard};
use quick_cache::Lifecycle;
use rustc_hash::FxBuildHasher;

use super::Kept;
use crate::id::CompanyId;

/// Snapshots by company.
#[derive(Default)]
pub(super) struct Index(HashMap<CompanyId, Arc<Kept>, FxBuildHasher>);

impl Index {
    /// Keeps whatever is found alive until it is dropped, which should be soon.
    #[inline]
    pub(super) fn pin(&self) -> Pinned<'_> {
        Pinned(self.0.pin())
    }

    /// Puts a snapshot in the place of what is there.
    pub(super) fn put(&self, company: &CompanyId, kept: &Arc<Kept>) {
        let pinned = self.0.pin();
        if !pinned.get(company).is_some_and(|present| Arc::ptr_eq(present, kept)) {
            pinned.insert(company.clone(), Arc::clone(kept));
        }
    }

    /// Removes a snapshot, unless another one has taken its place.
    pub(super) fn remove_same(&self, company: &CompanyId, kept: &Arc<Kept>) {
        // Otherwise there is nothing to do.
        let _ = self.0.pin().remove_if(company, |_, present| Arc::ptr_eq(present, kept));
    }

    pub(super) fn remove(&self, company: &CompanyId) {
        self.0.pin().remove(company);
    }

    pub(super) fn clear(&self) {
        self.0.pin().clear();
    }
}

/// The index, with all that is in it now kept alive.
pub(crate) struct Pinned<'a>(HashMapRef<'a, CompanyId, Arc<Kept>, FxBuildHasher, LocalGuard<'a>>);

impl Pinned<'_> {
    #[inline]
    pub(super) fn get(&self, company: &CompanyId) -> Option<&Arc<Kept>> {
        self.0.get(company)
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("len", &self.0.len()).finish()
    }
}

/// Takes what a cache has no room for out of the index, if it has one.
#[derive(Clone, Debug)]
pub(super) struct Evictions(pub(super) Option<Arc<Index>>);

impl Lifecycle<CompanyId, Arc<Kept>> for Evictions {
    /// What is evicted is dropped when the cache is no longer locked.
    type RequestState = Option<Arc<Kept>>;

    fn on_evict(&self, evicted: &mut Self::RequestState, company: CompanyId, kept: Arc<Kept>) {
        if let Some(index) = &self.0 {
            index.remove_same(&company, &kept);
        }
        *evicted = Some(kept);
    }
}
