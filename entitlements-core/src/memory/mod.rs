//! A store in memory: for tests, demonstrations and single processes that may forget everything when they end.
//!
//! It is the reference: what another store does differently is wrong, except that its numbers may skip.

mod audit;
mod billing;
mod gauges;
mod grants;
mod instant;
mod outbox;
mod policies;
mod reservations;
mod snapshot;
mod state;
mod subscriptions;
mod usage;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use state::State;

/// Keeps everything in this process, and nothing beyond its end.
///
/// Every method is one short critical section under one lock; nothing waits while the lock is held. Receipts and the
/// counters of ended periods are kept until they are [expired](crate::store::ErasureStore::expire).
///
/// ```
/// use entitlements_core::MemoryStore;
/// use entitlements_core::id::CompanyId;
/// use entitlements_core::store::SnapshotStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::default();
/// let facts = store.load(&CompanyId::new("acme")?, "2026-11-07T09:00:00Z".parse()?).await?;
/// assert!(facts.subscriptions.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

impl MemoryStore {
    /// The state, locked. No code that holds the lock can leave the state half changed, so a poisoned lock is harmless.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("MemoryStore")
            .field("companies", &state.companies.len())
            .field("policies", &state.policies.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_tells_sizes_and_no_data() {
        let text = format!("{:?}", MemoryStore::default());
        assert_eq!(text, "MemoryStore { companies: 0, policies: 0, .. }");
    }
}
