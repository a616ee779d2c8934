//! Forgetting: what is loaded again before it is asked about, and what is done when a call ends, also when it is given up
//! half-way.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Kept, SnapshotCache, lock};
use crate::facts::Revision;
use crate::id::CompanyId;

impl SnapshotCache {
    /// Forgets a company.
    pub(crate) fn invalidate(&self, company: &CompanyId) {
        let fence = self.raise(company);
        for entries in self.entries.iter().chain(&self.last) {
            entries.remove(company);
        }
        self.index.remove(company);
        drop(fence);
    }

    /// Loads a company again before it is asked about, but knows nothing against what it had.
    pub(crate) fn expire(&self, company: &CompanyId) {
        let fence = self.raise(company);
        if let Some(entries) = &self.entries {
            entries.remove(company);
        }
        self.index.remove(company);
        drop(fence);
    }

    /// Loads a company again before it is asked about, if this is still what is kept of it.
    pub(crate) fn expire_kept(&self, company: &CompanyId, kept: &Arc<Kept>) {
        let mut fence = self.fence(company);
        if let Some(entries) = &self.entries
            && self.remove_same(entries, company, kept)
        {
            *fence += 1;
        }
        drop(fence);
    }

    /// Forgets a company unless what is kept shows the write of that revision.
    pub(crate) fn invalidate_before(&self, company: &CompanyId, revision: Revision) {
        let kept = self.last.as_ref().and_then(|last| last.peek(company));
        if kept.is_none_or(|kept| kept.snapshot.facts().revision < revision) {
            self.invalidate(company);
        }
    }

    /// Forgets a company when the guard is dropped: also when a call that writes is given up half-way.
    pub(crate) const fn forgetting<'a>(&'a self, company: &'a CompanyId) -> Forgetting<'a> {
        Forgetting { cache: self, company }
    }

    /// [Expires](Self::expire) a company when the guard is dropped: also when a call that counts is given up half-way.
    pub(crate) const fn expiring<'a>(&'a self, company: &'a CompanyId) -> Expiring<'a> {
        Expiring { cache: self, company }
    }

    /// Forgets every company.
    pub(crate) fn invalidate_all(&self) {
        self.expire_all();
        if let Some(last) = &self.last {
            last.clear();
        }
    }

    /// Loads every company again before it is asked about, but knows nothing against what it had.
    pub(crate) fn expire_all(&self) {
        for fence in &self.fences {
            *lock(fence) += 1;
        }
        if let Some(entries) = &self.entries {
            entries.clear();
        }
        self.index.clear();
    }

    /// Forgets every snapshot with policies older than `revision`.
    pub(crate) fn policies_changed(&self, revision: Revision) {
        self.policies.fetch_max(revision.0, Ordering::AcqRel);
    }

    /// The oldest revision of the policies that may still be used.
    pub(crate) fn oldest_policies(&self) -> Revision {
        Revision(self.policies.load(Ordering::Acquire))
    }
}

/// Forgets a company when it is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Forgetting<'a> {
    pub(super) cache: &'a SnapshotCache,
    pub(super) company: &'a CompanyId,
}

impl Drop for Forgetting<'_> {
    fn drop(&mut self) {
        self.cache.invalidate(self.company);
    }
}

/// Expires a company when it is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Expiring<'a> {
    pub(super) cache: &'a SnapshotCache,
    pub(super) company: &'a CompanyId,
}

impl Drop for Expiring<'_> {
    fn drop(&mut self) {
        self.cache.expire(self.company);
    }
}
