//! Live facts: loading them, how long to wait for them, and what counts without them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Entitlements;
use crate::cache::{Kept, SnapshotCache};
use crate::catalog::Catalog;
use crate::clock::Glance;
use crate::decision::{Decision, Reason};
use crate::error::{Error, ErrorKind};
use crate::evaluate::evaluate;
use crate::facts::{Facts, Revision};
use crate::id::CompanyId;
use crate::observer::{Event, Tier};
use crate::request::Request;
use crate::runtime::{BoxFuture, within};
use crate::snapshot::Snapshot;
use crate::store::{StoreError, StoreErrorKind};

/// At most so many companies are loaded again in the background at a time. The others are loaded when they are asked for.
const MAX_REFRESHES: usize = 32;

impl Entitlements {
    /// The facts of a company, bound to the catalog: what [`evaluate`](crate::evaluate()) reads. From memory if they may
    /// still be used, or else from the store, as long as a load may take.
    pub(super) async fn live(&self, company: &CompanyId, now: DateTime<Utc>) -> Result<Arc<Kept>, Error> {
        let patience = self.0.resilience.load_timeout();
        self.live_until(company, now, self.0.runtime.as_ref().map(|runtime| runtime.sleep(patience))).await
    }

    /// Is ready when a check has waited long enough; `None` without a runtime.
    pub(super) fn deadline(&self) -> Option<BoxFuture<()>> {
        Some(self.0.runtime.as_ref()?.sleep(self.0.resilience.deadline()))
    }

    pub(super) async fn live_until(
        &self,
        company: &CompanyId,
        now: DateTime<Utc>,
        deadline: Option<BoxFuture<()>>,
    ) -> Result<Arc<Kept>, Error> {
        let (Some(runtime), Some(deadline)) = (&self.0.runtime, deadline) else {
            let in_force = self.in_force();
            let load = self.load(company, &in_force.catalog, now);
            return self.0.snapshots.get_or_load(company, now, in_force.clone(), load).await;
        };
        let leads = Arc::new(AtomicBool::new(false));
        let mut loading: BoxFuture<Result<Arc<Kept>, Error>> = {
            let (handle, company, leads) = (self.clone(), company.clone(), Arc::clone(&leads));
            Box::pin(async move {
                let in_force = handle.in_force();
                let load = async {
                    leads.store(true, Ordering::Relaxed);
                    handle.load(&company, &in_force.catalog, now).await
                };
                handle.0.snapshots.get_or_load(&company, now, in_force.clone(), load).await
            })
        };
        if let Some(loaded) = within(&mut loading, deadline).await {
            return loaded;
        }
        // Of many that wait for one load, one says that it is late: it is one sign of trouble, not many.
        if leads.load(Ordering::Relaxed) {
            self.0.breaker.late(self.now());
            // Somebody has to end it, or a store that is a little too slow would never be of use.
            runtime.spawn(Box::pin(async move { drop(loading.await) }));
        }
        Err(late("the deadline of the call has passed"))
    }

    /// Loads a company again in the background, if it is in use and its facts will soon be too old.
    #[inline]
    pub(super) fn refresh_ahead(&self, company: &CompanyId, kept: &Kept, now: Glance) {
        if SnapshotCache::wants_refresh(kept, now) {
            self.refresh(company);
        }
    }

    #[cold]
    fn refresh(&self, company: &CompanyId) {
        let Some(runtime) = &self.0.runtime else { return };
        if self.0.refreshes.fetch_add(1, Ordering::Relaxed) >= MAX_REFRESHES {
            self.0.refreshes.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let (handle, company, now) = (self.clone(), company.clone(), self.now());
        runtime.spawn(Box::pin(async move {
            let in_force = handle.in_force();
            let load = handle.load(&company, &in_force.catalog, now);
            // A refresh that fails leaves it to whoever asks next.
            drop(handle.0.snapshots.refresh(&company, now, in_force.clone(), load).await);
            handle.0.refreshes.fetch_sub(1, Ordering::Relaxed);
        }));
    }

    async fn load(
        &self,
        company: &CompanyId,
        catalog: &Catalog,
        now: DateTime<Utc>,
    ) -> Result<Snapshot, Error> {
        let Some(pass) = self.0.breaker.enter(self.now()) else {
            return Err(late("it failed several times, and is left alone for a while"));
        };
        let begun = self.begin();
        let mut reading = Box::pin(self.read(company, catalog, now));
        let loaded = match &self.0.runtime {
            Some(runtime) => {
                let timeout = runtime.sleep(self.0.resilience.load_timeout());
                within(&mut reading, timeout).await.unwrap_or_else(|| Err(timed_out("load a company")))
            }
            None => reading.await,
        };
        let reached = !matches!(&loaded, Err(error) if is_unreachable(error));
        pass.end(reached, self.now());
        if let Some(begun) = begun {
            self.observe(&Event::Loaded { company, took: begun.elapsed(), error: loaded.as_ref().err() });
        }
        Ok(loaded?)
    }

    async fn read(
        &self,
        company: &CompanyId,
        catalog: &Catalog,
        now: DateTime<Utc>,
    ) -> Result<Snapshot, StoreError> {
        let facts = self.0.store.load(company, now).await?;
        let policies = self.policies_of(facts.policies_revision, catalog).await?;
        Ok(Snapshot::new(facts, policies, catalog))
    }

    /// What counts instead of a decision from live facts that cannot be reached; with `only_live` everything else is marked
    /// with its age.
    pub(super) fn without_live_facts(
        &self,
        request: &Request<'_>,
        at_least: Revision,
        only_live: bool,
        error: Error,
    ) -> Result<Decision, Error> {
        if error.kind() != ErrorKind::Unavailable {
            return Err(error);
        }
        let max_age = Some(self.0.resilience.last_known());
        let Some(decision) = self.last_decision(request, at_least, max_age) else { return Err(error) };
        if !only_live && decision.degraded.is_some_and(|age| self.0.snapshots.is_young(age)) {
            // As young as what is used without asking: usage may have grown since, and nothing else.
            let decision = Decision { degraded: None, ..decision };
            if let Some(begun) = self.begin() {
                self.decided(request, &decision, Tier::Process, self.now(), Some(begun));
            }
            return Ok(decision);
        }
        self.observe_degraded(request, &decision);
        Ok(decision)
    }

    /// What the last facts of the company say, marked with their age: for when there are no live ones.
    ///
    /// `None` if the facts are as old as `max_age` or older, if something newer is known to exist, or if there are none.
    /// [`check`](Self::check) does so by itself, within [`Resilience::last_known`](crate::Resilience::last_known).
    #[must_use]
    pub fn last_known(&self, request: &Request<'_>, max_age: Option<Duration>) -> Option<Decision> {
        self.last_decision(request, Revision::default(), max_age)
    }

    fn last_decision(
        &self,
        request: &Request<'_>,
        at_least: Revision,
        max_age: Option<Duration>,
    ) -> Option<Decision> {
        let now = self.now();
        let (kept, age) = self.0.snapshots.last(&request.subject.company, now)?;
        if kept.snapshot.seen() < at_least || max_age.is_some_and(|max| max < age || max.is_zero()) {
            return None;
        }
        let catalog = self.0.catalog.load();
        let mut decision = evaluate(request, &kept.snapshot, &catalog, now);
        decision.degraded = Some(age);
        Some(decision)
    }

    /// The denial of a guardrail, as far as it is known without the facts of the company: for whoever lets requests pass
    /// that cannot be decided. What a guardrail reads of the facts is unknown, and a guardrail applies when it is.
    #[must_use]
    pub fn denied_by_guardrail(&self, request: &Request<'_>) -> Option<Decision> {
        let policies = self.0.policies.load_full()?;
        let catalog = self.0.catalog.load();
        let now = self.now();
        let nothing = Facts::empty(request.subject.company.clone());
        let decision = evaluate(request, &Snapshot::new(nothing, policies, &catalog), &catalog, now);
        let denied = decision.reason == Reason::PolicyDenied && decision.source.kind() == "guardrail";
        denied.then_some(Decision { degraded: Some(Duration::ZERO), ..decision })
    }

    /// Shows a decision that was made without live facts, by a caller that knows what to do without them, to whoever
    /// observes: so it is counted and audited, too.
    pub fn observe_degraded(&self, request: &Request<'_>, decision: &Decision) {
        if let Some(begun) = self.begin() {
            self.decided(request, decision, Tier::Degraded, self.now(), Some(begun));
        }
    }
}

impl Entitlements {
    /// The answer of the store to a write, unless it takes too long. Then it is not known what became of it.
    pub(super) async fn in_time<T>(
        &self,
        operation: &'static str,
        write: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let Some(runtime) = &self.0.runtime else { return write.await };
        let timeout = runtime.sleep(self.0.resilience.write_timeout());
        within(&mut Box::pin(write), timeout).await.unwrap_or_else(|| Err(timed_out(operation)))
    }
}

fn is_unreachable(error: &StoreError) -> bool {
    error.kind() == StoreErrorKind::Unavailable
}

fn late(why: &'static str) -> Error {
    StoreError::new(StoreErrorKind::Unavailable, "load a company").with_source(why).into()
}

fn timed_out(operation: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, operation).with_source("it did not answer in time")
}
