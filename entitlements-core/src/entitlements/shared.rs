//! The shared cache: what a process asks that does not know a company yet.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use quick_cache::sync::{Cache, EntryAction, EntryResult};

use super::Entitlements;
use crate::cache::Kept;
use crate::catalog::Catalog;
use crate::decision::Decision;
use crate::decision_cache::{
    CachedDecision, DecisionCache, DecisionKey, FactsMark, Fence, Found, is_kept_feature,
};
use crate::facts::Revision;
use crate::id::CompanyId;
use crate::observer::Event;
use crate::policy::PolicySet;
use crate::request::Request;
use crate::runtime::within;

/// How many decisions of the shared cache a process remembers for a moment.
const REMEMBERED: usize = 10_000;

/// For how long it does: the same question within this time is one look-up.
const WINDOW: TimeDelta = TimeDelta::seconds(1);

/// The shared cache as one process uses it.
#[derive(Debug)]
pub(super) struct SharedCache {
    pub(super) cache: Arc<dyn DecisionCache>,
    pub(super) ttl: Duration,
    /// What was found within the last moment.
    recent: Cache<DecisionKey, Arc<Recent>>,
    /// The newest revisions that this process knows of. An invalidation may not have reached the cache, and what it has
    /// may be young enough and too old all the same.
    known: Cache<CompanyId, Revision>,
}

/// What a look-up found.
#[derive(Debug)]
struct Recent {
    found: Option<(Decision, FactsMark)>,
    asked_at: DateTime<Utc>,
    /// How often the company had been invalidated in this process when the look-up began.
    invalidations: u64,
}

/// What a process may put after it has loaded the facts itself.
#[derive(Debug)]
pub(super) struct Missed {
    key: DecisionKey,
    /// The policies that say what of the context is in the key.
    policies: Revision,
    fence: Fence,
}

impl SharedCache {
    pub(super) fn new(cache: Arc<dyn DecisionCache>, ttl: Duration) -> Self {
        Self { cache, ttl, recent: Cache::new(REMEMBERED), known: Cache::new(REMEMBERED) }
    }

    /// Takes note that the company has this revision.
    pub(super) fn knows(&self, company: &CompanyId, revision: Revision) {
        let later = |_: &CompanyId, known: &mut Revision| {
            *known = revision.max(*known);
            EntryAction::Retain(())
        };
        if let EntryResult::Vacant(place) = self.known.entry(company, None, later) {
            // Forgotten at once, it is as if it had not been heard.
            let _ = place.insert(revision);
        }
    }

    /// The newest revision of the company that this process knows of.
    fn known(&self, company: &CompanyId) -> Revision {
        self.known.get(company).unwrap_or_default()
    }
}

impl Entitlements {
    /// Asks the shared cache, for half the time of a check at most: the other half is for the store.
    pub(super) async fn ask_shared_in_time(
        &self,
        request: &Request<'_>,
        now: DateTime<Utc>,
        at_least: Revision,
    ) -> Result<Decision, Option<Missed>> {
        let catalog = self.0.catalog.load_full();
        let Some(runtime) = &self.0.runtime else {
            return self.ask_shared(request, &catalog, now, at_least).await;
        };
        let mut asking = Box::pin(self.ask_shared(request, &catalog, now, at_least));
        let deadline = runtime.sleep(self.0.resilience.deadline() / 2);
        within(&mut asking, deadline).await.unwrap_or(Err(None))
    }

    /// Asks the shared cache, once for all who ask the same at the same time. Nothing, and nothing to put, if there is
    /// no such cache, or the answer must not be kept in one.
    async fn ask_shared(
        &self,
        request: &Request<'_>,
        catalog: &Catalog,
        now: DateTime<Utc>,
        at_least: Revision,
    ) -> Result<Decision, Option<Missed>> {
        let shared = self.0.decisions.as_ref().ok_or(None)?;
        let feature = catalog.feature(request.feature).ok_or(None)?;
        if !is_kept_feature(feature.key(), catalog) {
            return Err(None);
        }
        // Without the policies it is not known what of the context matters. The store tells them.
        let known = |set: &Arc<PolicySet>| {
            set.catalog() == catalog.hash() && set.revision() >= self.0.snapshots.oldest_policies()
        };
        let policies = self.0.policies.load_full().filter(known).ok_or(None)?;
        let key = DecisionKey::of(request, policies.reads(feature.index, request.action)).ok_or(None)?;
        let invalidations = self.0.snapshots.invalidations(&key.company);
        let at_least = at_least.max(shared.known(&key.company));
        let policies = policies.revision();
        let usable = |recent: &Recent| {
            let (decision, latest) = recent.found.as_ref()?;
            let usable = now.signed_duration_since(recent.asked_at).abs() < WINDOW
                && recent.invalidations == invalidations
                && decision.catalog == catalog.hash()
                && decision.expires_at.is_none_or(|end| now < end)
                && self.is_current(latest, policies, now)
                && latest.revision >= at_least;
            usable.then(|| decision.clone())
        };
        let forget = |old: &Arc<Recent>| {
            shared.recent.remove_if(&key, |present| Arc::ptr_eq(present, old));
        };
        if let Some(old) = shared.recent.peek(&key).filter(|recent| usable(recent).is_none()) {
            forget(&old);
        }
        let mut fence = None;
        let look_up = async {
            let begun = self.begin();
            let lookup = shared.cache.get(&key).await;
            let found = lookup.found.filter(|found| self.is_sound(found, &key, policies, now));
            let found = found.and_then(|found| Some((found.decision.bind(catalog)?, found.latest)));
            if let Some(begun) = begun {
                self.observe(&Event::AskedShared { hit: found.is_some(), took: begun.elapsed() });
            }
            if found.is_none() {
                fence = Some(lookup.fence);
            }
            Ok::<_, Infallible>(Arc::new(Recent { found, asked_at: now, invalidations }))
        };
        let Ok(recent) = shared.recent.get_or_insert_async(&key, look_up).await;
        // Whoever waited for a look-up that began before an invalidation does not use what it found.
        if let Some(decision) = usable(&recent) {
            return Ok(decision);
        }
        // Those who waited know that there is nothing. Whoever asks next looks again.
        forget(&recent);
        Err(fence.map(|fence| Missed { key, policies, fence }))
    }

    /// Whether a decision of the shared cache answers the question, and is made from facts that count.
    fn is_sound(&self, found: &Found, key: &DecisionKey, policies: Revision, now: DateTime<Utc>) -> bool {
        let decision = &found.decision;
        decision.key == *key
            && decision.mark.is_same_state(&found.latest)
            && self.is_current(&found.latest, policies, now)
            && decision.expires_at().is_none_or(|end| now < end)
    }

    /// Whether facts are as young as those in the memory of a process have to be, and show the policies that it knows.
    fn is_current(&self, mark: &FactsMark, policies: Revision, now: DateTime<Utc>) -> bool {
        mark.policies == policies && mark.is_fresh(now, self.0.snapshots.max_age())
    }

    /// Puts a decision that was made from live facts into the shared cache, without making the caller wait for it.
    pub(super) async fn put_shared(
        &self,
        missed: Option<Missed>,
        decision: &Decision,
        kept: &Kept,
        catalog: &Catalog,
    ) {
        let (Some(shared), Some(Missed { key, policies, fence })) = (&self.0.decisions, missed) else {
            return;
        };
        // The facts may have brought newer policies, which read something else.
        if kept.snapshot.policies().revision() != policies {
            return;
        }
        let mark = FactsMark { revision: kept.snapshot.facts().revision, policies, asked_at: kept.asked_at };
        let now = self.now();
        let left = decision.expires_at.map(|end| (end - now).to_std().unwrap_or_default());
        let ttl = left.map_or(shared.ttl, |left| left.min(shared.ttl));
        let Some(cached) = CachedDecision::of(key, mark, decision, catalog) else { return };
        let cache = Arc::clone(&shared.cache);
        let put = async move { cache.put(&cached, &fence, ttl).await };
        match &self.0.runtime {
            Some(runtime) => runtime.spawn(Box::pin(put)),
            None => put.await,
        }
    }
}
