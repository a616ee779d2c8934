//! Decisions that processes share, in the database.

#[path = "../dialect/decisions.rs"]
mod asking;

use std::sync::Arc;
use std::time::Duration;

use entitlements_core::Clock;

use super::PostgresStore;
use crate::decisions::{Counts, READ_LIMIT};

/// What is the same in every dialect is about this one.
type Cache = PostgresDecisionCache;

/// A cache of decisions in the database of a [`PostgresStore`], for processes that share no other.
///
/// A look-up is one statement; so is forgetting, however much is forgotten. What is over is removed in passing, as
/// decisions are put.
///
/// ```
/// use entitlements_core::SystemClock;
/// use entitlements_sqlx::{PostgresDecisionCache, PostgresStore};
///
/// fn cache(store: &PostgresStore) -> PostgresDecisionCache {
///     PostgresDecisionCache::new(store, SystemClock)
/// }
/// ```
#[derive(Debug)]
pub struct PostgresDecisionCache {
    store: PostgresStore,
    clock: Arc<dyn Clock>,
    read_limit: Duration,
    counts: Counts,
}

impl PostgresDecisionCache {
    /// A cache in the database of `store`, over its connections, that takes the time from `clock`.
    pub fn new(store: &PostgresStore, clock: impl Clock) -> Self {
        Self {
            store: store.clone(),
            clock: Arc::new(clock),
            read_limit: READ_LIMIT,
            counts: Counts::default(),
        }
    }

    /// How long a look-up may take before it counts as a miss: 50 milliseconds by default.
    #[must_use]
    pub const fn with_read_timeout(mut self, limit: Duration) -> Self {
        self.read_limit = limit;
        self
    }
}
