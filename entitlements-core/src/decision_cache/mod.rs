//! The cache of decisions that many processes share: for processes that do not know a company yet.
//!
//! What is kept is worth nothing by itself: every hit is compared with the question that was asked, with the catalog in
//! force and with the newest facts of the company that anybody has loaded, and those may not be older than what a process
//! keeps in its own memory. So the cache may lose, mix up or hold back anything without changing an answer.

mod cached;
mod key;
mod memory;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

pub use cached::CachedDecision;
pub(crate) use cached::is_kept_feature;
pub use key::DecisionKey;
pub use memory::MemoryDecisionCache;

use crate::facts::Revision;
use crate::id::{CompanyId, FeatureKey, UserId};

/// For how long a decision is kept, unless another time is given.
pub const SHARED_TTL: Duration = Duration::from_mins(5);

/// Which state of a company's facts was read, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FactsMark {
    /// The revision of the company.
    pub revision: Revision,
    /// The revision of all policies.
    pub policies: Revision,
    /// When the load began: what was committed later may be missing.
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub asked_at: DateTime<Utc>,
}

impl FactsMark {
    /// Whether both are the same state of the facts, whenever it was read.
    #[must_use]
    pub fn is_same_state(&self, other: &Self) -> bool {
        self.revision == other.revision && self.policies == other.policies
    }

    /// Whether the facts were read at most `max_age` before `now`. What was read after `now`, by another clock, proves
    /// nothing about its age.
    #[must_use]
    pub fn is_fresh(&self, now: DateTime<Utc>, max_age: TimeDelta) -> bool {
        let age = now.signed_duration_since(self.asked_at);
        TimeDelta::zero() <= age && age < max_age
    }
}

/// A token of the cache: what a [`put`](DecisionCache::put) has to show, so that nothing is kept that was read before an
/// invalidation. Only the cache that gave it can read it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Fence(Option<Box<str>>);

impl Fence {
    /// A token of the cache's own words.
    #[must_use]
    pub fn new(words: impl Into<Box<str>>) -> Self {
        Self(Some(words.into()))
    }

    /// Nothing may be put: the cache does not know what was invalidated.
    #[must_use]
    pub const fn closed() -> Self {
        Self(None)
    }

    /// The cache's own words, unless nothing may be put.
    #[must_use]
    pub fn words(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// A decision out of the cache.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The decision.
    pub decision: CachedDecision,
    /// The newest facts of the company that the cache knows of.
    pub latest: FactsMark,
}

/// What became of a question to the cache.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Lookup {
    /// The decision, if there is one.
    pub found: Option<Found>,
    /// What to show when the decision is put that was made instead.
    pub fence: Fence,
}

/// Which decisions are to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// Every decision.
    Everything,
    /// Those about a company.
    Company(CompanyId),
    /// Those about a user of a company.
    User(CompanyId, UserId),
    /// Those about a feature, of one company or of all.
    Feature(Option<CompanyId>, FeatureKey),
}

/// How a cache of decisions does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecisionCacheStats {
    /// How many keys there are.
    pub keys: u64,
    /// How much memory they take, in bytes.
    pub memory_bytes: u64,
    /// How many questions of this process found a decision.
    pub hits: u64,
    /// How many questions of this process found none.
    pub misses: u64,
}

/// Keeps decisions where many processes find them.
///
/// # Contract
///
/// * A cache never fails: what goes wrong is a miss, or nothing kept, and is told to nobody but the cache's own metrics.
///   It bounds the time that every call takes.
/// * `get` finds the decision that was put under an equal key, if there is one; two keys that differ in any part, also in
///   letter case, normalisation or the presence of a part, never find each other's. It is one round trip.
/// * With the decision comes the newest mark of the company that was put with any decision, or a newer one.
/// * `put` keeps the decision for `ttl` at most, and its mark, if the fence is the one of now. It keeps nothing if the
///   cache knows a newer state of the company than the decision's mark.
/// * After `invalidate` nothing of the scope is found that was put before, and nothing is kept whose fence was given before.
///   It takes one command, however much is forgotten.
/// * A cache that loses anything, all of it included, finds less, and never what was forgotten before.
/// * `stats` is `None` when the cache cannot be reached.
#[async_trait]
pub trait DecisionCache: Debug + Send + Sync + 'static {
    /// Looks for a decision.
    async fn get(&self, key: &DecisionKey) -> Lookup;

    /// Keeps a decision.
    async fn put(&self, decision: &CachedDecision, fence: &Fence, ttl: Duration);

    /// Forgets decisions.
    async fn invalidate(&self, scope: &Scope);

    /// How the cache does.
    async fn stats(&self) -> Option<DecisionCacheStats>;
}

#[async_trait]
impl<C: DecisionCache + ?Sized> DecisionCache for Arc<C> {
    async fn get(&self, key: &DecisionKey) -> Lookup {
        (**self).get(key).await
    }

    async fn put(&self, decision: &CachedDecision, fence: &Fence, ttl: Duration) {
        (**self).put(decision, fence, ttl).await;
    }

    async fn invalidate(&self, scope: &Scope) {
        (**self).invalidate(scope).await;
    }

    async fn stats(&self) -> Option<DecisionCacheStats> {
        (**self).stats().await
    }
}
