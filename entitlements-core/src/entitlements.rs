//! The handle: what applications hold. It loads, asks the clock, evaluates, and consumes.

mod administer;
mod alerts;
mod at_once;
mod builder;
mod company;
mod consume;
mod erasure;
mod freshness;
mod hold;
mod in_transaction;
mod lease;
mod live;
mod policies;
mod record;
mod reserve;
mod shared;
mod token;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::{NoContext, Timestamp, Uuid};

pub use administer::NewGrant;
use at_once::Form;
pub use at_once::{AllowedByPlan, AtOnce};
pub use builder::EntitlementsBuilder;
pub use consume::{Consume, Consumption};
pub use hold::{Acquisition, LevelReport};
pub use lease::{LeaseTerms, Leased, LeasedMeter};
use policies::PolicyLoads;
pub use record::UsageEvent;
pub use reserve::Reserving;
use shared::{Missed, SharedCache};

use crate::breaker::Breaker;
use crate::bus::Bus;
use crate::cache::{InForce, Kept, Pinned, SnapshotCache};
use crate::catalog::{Catalog, CatalogHash};
use crate::clock::{Clock, Glance};
use crate::decision::Decision;
use crate::error::Error;
use crate::evaluate::{self, Explanation, UsageItem, evaluate};
use crate::facts::Revision;
use crate::id::CompanyId;
use crate::observer::{Event, Observer, Tier};
use crate::policy::PolicySet;
use crate::request::{Context, Request, Subject};
use crate::resilience::Resilience;
use crate::runtime::{BoxFuture, Runtime};
use crate::store::SharedStore;

/// Answers whether a subject may do something, counts what it uses, and makes grants.
///
/// Cheap to clone; clones share everything. Built by [`Entitlements::builder`].
///
/// ```
/// use entitlements_core::id::CompanyId;
/// use entitlements_core::{Action, Catalog, Entitlements, MemoryStore, Request, Subject};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let catalog = Catalog::parse("catalog.toml", r#"
///     schema = 1
///     default_plan = "free"
///     past_due_grace = "7d"
///     [features]
///     export = { type = "flag" }
///     [plans.free.grants]
///     export = { actions = ["view"] }
/// "#)?;
/// let entitlements = Entitlements::builder(catalog).store(MemoryStore::default()).build();
///
/// let acme = Subject::company(CompanyId::new("acme")?);
/// let decision = entitlements.check(&Request::new(&acme, "export", Action::View)).await?;
/// assert!(decision.is_allowed());
/// let decision = entitlements.check(&Request::new(&acme, "export", Action::Export)).await?;
/// assert_eq!(decision.reason.code(), "not_granted");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Entitlements(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    catalog: ArcSwap<Catalog>,
    /// How many catalogs were put in force after the first. Raised after `catalog` was replaced.
    catalogs: AtomicU64,
    policies: ArcSwapOption<PolicySet>,
    policy_loads: PolicyLoads,
    snapshots: SnapshotCache,
    store: SharedStore,
    clock: Arc<dyn Clock>,
    observer: Option<Arc<dyn Observer>>,
    decisions: Option<SharedCache>,
    bus: Option<Arc<dyn Bus>>,
    /// When the bus was heard last.
    heard_at: ArcSwapOption<DateTime<Utc>>,
    runtime: Option<Arc<dyn Runtime>>,
    resilience: Resilience,
    breaker: Breaker,
    /// How many companies are being loaded again in the background.
    refreshes: AtomicUsize,
}

impl Entitlements {
    /// Begins to build a handle for what `catalog` sells.
    pub fn builder(catalog: Catalog) -> EntitlementsBuilder {
        EntitlementsBuilder::new(catalog)
    }

    /// The catalog in force.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        self.0.catalog.load_full()
    }

    /// The fingerprint of the catalog in force: cheaper than the catalog, to see whether it was replaced.
    #[must_use]
    pub fn catalog_hash(&self) -> CatalogHash {
        self.0.catalog.load().hash()
    }

    /// Puts another catalog in force, for every call that begins after this one.
    pub fn set_catalog(&self, catalog: Catalog) {
        self.0.catalog.store(Arc::new(catalog));
        self.0.catalogs.fetch_add(1, Ordering::Release);
        self.0.snapshots.expire_all();
    }

    /// How many catalogs were put in force after the first one: what is derived from a catalog is still right while this is
    /// the same. Much cheaper than the [hash](Self::catalog_hash).
    ///
    /// Ask before the catalog is read, so that what is derived from it is at worst taken for older than it is.
    ///
    /// ```
    /// use entitlements_core::{Catalog, Entitlements, MemoryStore};
    ///
    /// let catalog = || "schema = 1\npast_due_grace = \"7d\"\n[features]\nexport = { type = \"flag\" }".parse::<Catalog>();
    /// let entitlements = Entitlements::builder(catalog()?).store(MemoryStore::default()).build();
    /// assert_eq!(entitlements.catalogs(), 0);
    /// entitlements.set_catalog(catalog()?);
    /// assert_eq!(entitlements.catalogs(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn catalogs(&self) -> u64 {
        self.0.catalogs.load(Ordering::Acquire)
    }

    /// The catalog in force, and its number.
    fn in_force(&self) -> InForce {
        let number = self.catalogs();
        InForce { catalog: self.0.catalog.load_full(), number }
    }

    /// What the handle's clock shows.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    /// Decides a request, and changes nothing.
    ///
    /// For a meter, ask for the amount and then [`consume`](Self::consume): a check reserves nothing.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the facts cannot
    /// be loaded. A denial is a decision, not an error.
    pub async fn check(&self, request: &Request<'_>) -> Result<Decision, Error> {
        if let Some(decision) = self.check_warm(request) {
            return Ok(decision);
        }
        // Rare, and large: who waits for a check does not carry it around.
        Box::pin(self.check_cold(request, Revision::default())).await
    }

    /// Decides a request without what is in memory: from the shared cache, or else from the store.
    async fn check_cold(&self, request: &Request<'_>, at_least: Revision) -> Result<Decision, Error> {
        self.0.snapshots.missed();
        let deadline = self.deadline();
        if self.0.decisions.is_none() {
            return self.check_store(request, at_least, None, deadline, false).await;
        }
        let begun = self.begin();
        let now = self.now();
        match self.ask_shared_in_time(request, now, at_least).await {
            Ok(decision) => {
                self.decided(request, &decision, Tier::Shared, now, begun);
                Ok(decision)
            }
            Err(missed) => self.check_store(request, at_least, missed, deadline, false).await,
        }
    }

    async fn check_store(
        &self,
        request: &Request<'_>,
        at_least: Revision,
        missed: Option<Missed>,
        deadline: Option<BoxFuture<()>>,
        only_live: bool,
    ) -> Result<Decision, Error> {
        let begun = self.begin();
        let now = self.now();
        let kept = match self.live_until(&request.subject.company, now, deadline).await {
            Ok(kept) => kept,
            Err(error) => return self.without_live_facts(request, at_least, only_live, error),
        };
        let catalog = self.0.catalog.load_full();
        let decision = evaluate(request, &kept.snapshot, &catalog, now);
        self.decided(request, &decision, Tier::Store, now, begun);
        self.put_shared(missed, &decision, &kept, &catalog).await;
        Ok(decision)
    }

    /// Decides a request at once, if the facts of the company are in memory and may still be used; `None` if they have
    /// to be loaded, which [`check`](Self::check) does.
    #[must_use]
    pub fn check_warm(&self, request: &Request<'_>) -> Option<Decision> {
        self.warm(request, None)
    }

    /// The same where the facts also have to be as new as that, if it is said.
    fn warm(&self, request: &Request<'_>, newest: Option<&Newest>) -> Option<Decision> {
        self.warm_as(request, newest, || None)
    }

    /// The same in any form. The context is asked for where it may matter, which it does not where the plan alone decides;
    /// `None` leaves the one of the request.
    #[inline]
    fn warm_as<'r, T: Form>(
        &self,
        request: &Request<'r>,
        newest: Option<&Newest>,
        context: impl FnOnce() -> Option<&'r Context>,
    ) -> Option<T> {
        let begun = self.begin();
        let company = &request.subject.company;
        let pinned = self.0.snapshots.pin();
        let now = self.0.clock.glance();
        let (kept, now) = match self.0.snapshots.usable(&pinned, company, now) {
            Some(kept) => (kept, now),
            None if now.is_exact() => return None,
            None => self.usable_exactly_now(&pinned, company)?,
        };
        if newest.is_some_and(|newest| !newest.allows(kept, now)) {
            return None;
        }
        self.refresh_ahead(company, kept, now);
        if begun.is_some() || kept.bound_to.number != self.catalogs() {
            return Some(within(context(), request, |request| {
                T::whole(self.evaluate_anew(request, kept, begun))
            }));
        }
        let (snapshot, catalog) = (&kept.snapshot, &*kept.bound_to.catalog);
        match kept.straight.as_ref().and_then(|straight| straight.allow(request, catalog, now)) {
            Some(allow) => Some(T::by_plan(allow, request, snapshot, catalog)),
            None => within(context(), request, |request| {
                T::by_steps(request, snapshot, catalog, now, || self.now())
            }),
        }
    }

    /// What may be used at the exact instant, where that is not clear at a glance.
    #[cold]
    fn usable_exactly_now<'a>(
        &self,
        pinned: &'a Pinned<'_>,
        company: &CompanyId,
    ) -> Option<(&'a Arc<Kept>, Glance)> {
        let now = Glance::at(self.now());
        Some((self.0.snapshots.usable(pinned, company, now)?, now))
    }

    /// For an observer, or with a catalog that was put in force after the snapshot was bound to another.
    #[inline(never)]
    fn evaluate_anew(&self, request: &Request<'_>, kept: &Kept, begun: Option<Instant>) -> Decision {
        let now = self.now();
        let decision = evaluate(request, &kept.snapshot, &self.0.catalog.load(), now);
        self.decided(request, &decision, Tier::Process, now, begun);
        decision
    }

    /// How many companies' facts are in memory.
    #[must_use]
    pub fn companies_in_memory(&self) -> usize {
        self.0.snapshots.len()
    }

    /// Decides a request as [`check`](Self::check) does, and says how it came to it and what would change it.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the facts cannot
    /// be loaded.
    pub async fn explain(&self, request: &Request<'_>) -> Result<Explanation, Error> {
        let catalog = self.0.catalog.load();
        let now = self.now();
        let kept = self.live(&request.subject.company, now).await?;
        Ok(evaluate::explain(request, &kept.snapshot, &catalog, now))
    }

    /// Every quota of the subject's company: meters and gauges that its plan, add-ons, overrides or grants name. What other
    /// processes have counted is shown when what is in memory is too old, or by [`usage_within`](Self::usage_within).
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the facts cannot
    /// be loaded.
    pub async fn usage(&self, subject: &Subject) -> Result<Vec<UsageItem>, Error> {
        let catalog = self.0.catalog.load();
        let now = self.now();
        let kept = self.live(&subject.company, now).await?;
        Ok(evaluate::usage(subject, &kept.snapshot, &catalog, now))
    }

    /// Every quota of the subject's company as [`usage`](Self::usage) shows it, from facts that are younger than
    /// `max_staleness`. Zero asks the store, once: then what other processes have counted is shown as well, of which nobody is
    /// told.
    ///
    /// # Errors
    ///
    /// As [`usage`](Self::usage).
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    /// use entitlements_core::id::CompanyId;
    /// use entitlements_core::store::SharedStore;
    /// use entitlements_core::{Amount, Catalog, Consume, Entitlements, MemoryStore, Subject};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let catalog = || Catalog::parse("catalog.toml", r#"
    ///     schema = 1
    ///     default_plan = "free"
    ///     past_due_grace = "7d"
    ///     [features]
    ///     reports = { type = "meter" }
    ///     [plans.free.grants]
    ///     reports = { limit = 10, every = "month" }
    /// "#);
    /// let store: SharedStore = Arc::new(MemoryStore::default());
    /// let (here, there) = (
    ///     Entitlements::builder(catalog()?).shared_store(Arc::clone(&store)).build(),
    ///     Entitlements::builder(catalog()?).shared_store(store).build(),
    /// );
    /// let acme = Subject::company(CompanyId::new("acme")?);
    ///
    /// assert_eq!(here.usage(&acme).await?[0].quota.used, Amount::ZERO);
    /// let _ = there.consume(&Consume::new(&acme, "reports", Amount::from(3))).await?;
    /// assert_eq!(here.usage_within(&acme, Duration::ZERO).await?[0].quota.used, Amount::from(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn usage_within(
        &self,
        subject: &Subject,
        max_staleness: Duration,
    ) -> Result<Vec<UsageItem>, Error> {
        let max_age = TimeDelta::from_std(max_staleness).unwrap_or(TimeDelta::MAX);
        let (company, now) = (&subject.company, self.now());
        let young = self.0.snapshots.get(company, now).is_some_and(|kept| !is_too_old(&kept, now, max_age));
        if !young {
            self.0.snapshots.expire(company);
        }
        self.usage(subject).await
    }

    fn decided(
        &self,
        request: &Request<'_>,
        decision: &Decision,
        tier: Tier,
        at: DateTime<Utc>,
        begun: Option<Instant>,
    ) {
        if let Some(begun) = begun {
            self.observe(&Event::Decided { request, decision, tier, at, took: begun.elapsed() });
        }
    }

    /// The instant to measure from, if somebody observes.
    fn begin(&self) -> Option<Instant> {
        self.0.observer.as_ref().map(|_| Instant::now())
    }

    pub(crate) fn observe(&self, event: &Event<'_>) {
        if let Some(observer) = &self.0.observer {
            observer.observe(event);
        }
    }
}

/// What comes of the request in that context, or else in its own.
#[inline]
fn within<'r, T>(context: Option<&'r Context>, request: &Request<'r>, ask: impl Fn(&Request<'r>) -> T) -> T {
    match context {
        Some(context) => ask(&Request { context, ..*request }),
        None => ask(request),
    }
}

/// How new facts have to be.
#[derive(Debug)]
struct Newest {
    at_least: Revision,
    max_age: TimeDelta,
}

impl Newest {
    /// Whether what is kept is as new.
    #[inline(never)]
    fn allows(&self, kept: &Kept, now: Glance) -> bool {
        kept.snapshot.seen() >= self.at_least && !is_too_old(kept, now.latest(), self.max_age)
    }
}

/// Whether what is kept was asked for longer ago than the caller accepts.
fn is_too_old(kept: &Kept, now: DateTime<Utc>, max_age: TimeDelta) -> bool {
    max_age < TimeDelta::MAX && now.signed_duration_since(kept.asked_at) >= max_age
}

/// A new id that sorts by time: a version 7 UUID, RFC 9562.
fn new_id(now: DateTime<Utc>) -> String {
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    let timestamp = Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos());
    Uuid::new_v7(timestamp).to_string()
}
