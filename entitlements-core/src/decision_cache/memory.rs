//! A cache of decisions in the memory of one process: the reference for all others, and for tests of several handles.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::{
    CachedDecision, DecisionCache, DecisionCacheStats, DecisionKey, FactsMark, Fence, Found, Lookup, Scope,
};
use crate::clock::Clock;
use crate::facts::Revision;
use crate::id::{CompanyId, FeatureKey, UserId};

/// At most so many decisions are kept; then all are forgotten.
const CAPACITY: usize = 100_000;

/// A cache of decisions in memory. Handles that share it stand for processes that share a server.
#[derive(Debug)]
pub struct MemoryDecisionCache {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<DecisionKey, Entry>,
    marks: HashMap<CompanyId, FactsMark>,
    /// How often each scope was invalidated.
    counts: HashMap<Scope, u64>,
    /// Raised when everything is lost, so that no fence of before opens again.
    lost: u64,
}

#[derive(Debug)]
struct Entry {
    text: String,
    fence: Fence,
    until: DateTime<Utc>,
}

impl MemoryDecisionCache {
    /// An empty cache that takes the time from `clock`.
    pub fn new(clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            state: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// Loses everything, as a server does that is restarted.
    pub fn lose_everything(&self) {
        let mut state = self.lock();
        let lost = state.lost + 1;
        *state = State { lost, ..State::default() };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn fence(&self, key: &DecisionKey) -> Fence {
        let company = || key.company.clone();
        let count = |scope: &Scope| self.counts.get(scope).copied().unwrap_or_default();
        let user = key.user.clone().map_or(0, |user: UserId| count(&Scope::User(company(), user)));
        let feature =
            |company: Option<CompanyId>, feature: FeatureKey| count(&Scope::Feature(company, feature));
        Fence::new(format!(
            "{}.{}.{}.{}.{}.{}",
            self.lost,
            count(&Scope::Everything),
            count(&Scope::Company(company())),
            user,
            feature(None, key.feature.clone()),
            feature(Some(company()), key.feature.clone())
        ))
    }

    fn find(&self, key: &DecisionKey, fence: &Fence, now: DateTime<Utc>) -> Option<Found> {
        let entry = self.entries.get(key).filter(|entry| now < entry.until && entry.fence == *fence)?;
        let decision = CachedDecision::from_text(&entry.text)?;
        Some(Found { decision, latest: *self.marks.get(&key.company)? })
    }
}

#[async_trait]
impl DecisionCache for MemoryDecisionCache {
    async fn get(&self, key: &DecisionKey) -> Lookup {
        let now = self.clock.now();
        let state = self.lock();
        let fence = state.fence(key);
        let found = state.find(key, &fence, now);
        let count = if found.is_some() { &self.hits } else { &self.misses };
        count.fetch_add(1, Ordering::Relaxed);
        Lookup { found, fence }
    }

    async fn put(&self, decision: &CachedDecision, fence: &Fence, ttl: Duration) {
        let until = TimeDelta::from_std(ttl).ok().and_then(|ttl| self.clock.now().checked_add_signed(ttl));
        let mut state = self.lock();
        if state.fence(&decision.key) != *fence {
            return;
        }
        let company = decision.key.company.clone();
        let known = state.marks.get(&company).copied();
        let older = |known: Revision, mine: Revision| mine < known;
        if known.is_some_and(|known| {
            older(known.revision, decision.mark.revision) || older(known.policies, decision.mark.policies)
        }) {
            return;
        }
        if state.entries.len() >= CAPACITY {
            state.entries.clear();
        }
        if known.is_none_or(|known| {
            known.asked_at < decision.mark.asked_at || !known.is_same_state(&decision.mark)
        }) {
            state.marks.insert(company, decision.mark);
        }
        let until = until.unwrap_or(DateTime::<Utc>::MAX_UTC);
        let entry = Entry { text: decision.to_text(), fence: fence.clone(), until };
        state.entries.insert(decision.key.clone(), entry);
    }

    async fn invalidate(&self, scope: &Scope) {
        let mut state = self.lock();
        *state.counts.entry(scope.clone()).or_default() += 1;
        match scope {
            Scope::Company(company) => {
                state.marks.remove(company);
            }
            Scope::Everything => state.marks.clear(),
            Scope::User(..) | Scope::Feature(..) => {}
        }
    }

    async fn stats(&self) -> Option<DecisionCacheStats> {
        let state = self.lock();
        let bytes: usize = state.entries.values().map(|entry| entry.text.len()).sum();
        Some(DecisionCacheStats {
            keys: u64::try_from(state.entries.len()).unwrap_or(u64::MAX),
            memory_bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        })
    }
}
