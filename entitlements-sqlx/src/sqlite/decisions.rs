//! Decisions that processes share, in the database.

#[path = "../dialect/decisions.rs"]
mod asking;

use std::sync::Arc;
use std::time::Duration;

use entitlements_core::Clock;

use super::SqliteStore;
use crate::decisions::{Counts, READ_LIMIT};

/// What is the same in every dialect is about this one.
type Cache = SqliteDecisionCache;

/// A cache of decisions in the database of a [`SqliteStore`], for processes that share no other.
///
/// A look-up is one statement; so is forgetting, however much is forgotten. What is over is removed in passing, as
/// decisions are put.
/// Each decision that is put is a write, and a database has one writer: it is worth its cost where loading a company is
/// dear, and where the processes are on one machine.
///
/// ```
/// use entitlements_core::SystemClock;
/// use entitlements_core::decision_cache::DecisionCache;
/// use entitlements_sqlx::{SqliteConfig, SqliteDecisionCache, SqliteStore};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let store = SqliteStore::connect(&SqliteConfig::in_memory()).await?;
/// let cache = SqliteDecisionCache::new(&store, SystemClock);
/// assert_eq!(cache.stats().await.map(|stats| stats.keys), Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SqliteDecisionCache {
    store: SqliteStore,
    clock: Arc<dyn Clock>,
    read_limit: Duration,
    counts: Counts,
}

impl SqliteDecisionCache {
    /// A cache in the database of `store`, over its connections, that takes the time from `clock`.
    pub fn new(store: &SqliteStore, clock: impl Clock) -> Self {
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
