//! Guards: what is done when a call ends, also when it is given up half-way.

use super::SnapshotCache;
use crate::id::CompanyId;

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
