//! How much is kept in memory, and for how long.

use std::time::Duration;

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
    refresh_ahead: bool,
}

impl CacheConfig {
    /// Keeps nothing: every call asks the store.
    #[must_use]
    pub const fn disabled() -> Self {
        Self { companies: 0, max_age: Duration::ZERO, refresh_ahead: false }
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

    /// Whether companies in use are loaded again in the background before their facts are too old, so that no caller
    /// waits for it. It needs a [`Runtime`](crate::Runtime). On by default.
    #[must_use]
    pub const fn with_refresh_ahead(mut self, refresh_ahead: bool) -> Self {
        self.refresh_ahead = refresh_ahead;
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

    pub(crate) const fn refreshes_ahead(&self) -> bool {
        self.refresh_ahead
    }
}

impl Default for CacheConfig {
    /// 10,000 companies, 5 seconds.
    fn default() -> Self {
        Self { companies: 10_000, max_age: Duration::from_secs(5), refresh_ahead: true }
    }
}

/// How the cache of snapshots in this process does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// How many companies are kept.
    pub entries: u64,
    /// How many calls found facts that could be used.
    pub hits: u64,
    /// How many did not.
    pub misses: u64,
}
