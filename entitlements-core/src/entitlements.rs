//! The handle: what applications hold. It loads, asks the clock, evaluates, and consumes.

mod administer;
mod builder;
mod company;
mod consume;
mod hold;

use std::sync::Arc;
use std::time::Instant;

use arc_swap::{ArcSwap, ArcSwapOption};
use chrono::{DateTime, Utc};
use uuid::{NoContext, Timestamp, Uuid};

pub use administer::NewGrant;
pub use builder::EntitlementsBuilder;
pub use consume::{Consume, Consumption};
pub use hold::{Acquisition, LevelReport};

use crate::cache::{Kept, SnapshotCache};
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::decision::Decision;
use crate::error::Error;
use crate::evaluate::{self, Explanation, UsageItem, evaluate};
use crate::facts::Revision;
use crate::id::CompanyId;
use crate::observer::{Event, Observer};
use crate::policy::PolicySet;
use crate::request::{Request, Subject};
use crate::snapshot::Snapshot;
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
    policies: ArcSwapOption<PolicySet>,
    snapshots: SnapshotCache,
    store: SharedStore,
    clock: Arc<dyn Clock>,
    observer: Option<Arc<dyn Observer>>,
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

    /// Puts another catalog in force, for every call that begins after this one.
    pub fn set_catalog(&self, catalog: Catalog) {
        self.0.catalog.store(Arc::new(catalog));
        self.invalidate_all();
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
        let begun = self.begin();
        let catalog = self.0.catalog.load();
        let now = self.now();
        let kept = self.snapshot(&request.subject.company, &catalog, now).await?;
        Ok(self.decide(request, &kept.snapshot, &catalog, now, begun))
    }

    /// Decides a request at once, if the facts of the company are in memory and may still be used; `None` if they have
    /// to be loaded, which [`check`](Self::check) does.
    #[must_use]
    pub fn check_warm(&self, request: &Request<'_>) -> Option<Decision> {
        let begun = self.begin();
        let now = self.now();
        let kept = self.0.snapshots.get(&request.subject.company, now)?;
        let catalog = self.0.catalog.load();
        Some(self.decide(request, &kept.snapshot, &catalog, now, begun))
    }

    /// Decides a request from facts that show every write up to `revision`: the token that a write returned, or the
    /// `as_of` of a decision. So whoever wrote reads what was written, whichever process answers.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub async fn check_at_least(&self, request: &Request<'_>, revision: Revision) -> Result<Decision, Error> {
        match self.check_warm(request) {
            Some(decision) if decision.as_of >= revision => Ok(decision),
            _ => {
                self.invalidate(&request.subject.company);
                self.check(request).await
            }
        }
    }

    /// Forgets what is in memory about a company, so that the next call asks the store. Calls of this handle that change
    /// something do it themselves.
    pub fn invalidate(&self, company: &CompanyId) {
        self.0.snapshots.invalidate(company);
    }

    /// Forgets what is in memory about every company.
    pub fn invalidate_all(&self) {
        self.0.snapshots.invalidate_all();
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
        let kept = self.snapshot(&request.subject.company, &catalog, now).await?;
        Ok(evaluate::explain(request, &kept.snapshot, &catalog, now))
    }

    /// Every quota of the subject's company: meters and gauges that its plan, add-ons, overrides or grants name.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the facts cannot
    /// be loaded.
    pub async fn usage(&self, subject: &Subject) -> Result<Vec<UsageItem>, Error> {
        let catalog = self.0.catalog.load();
        let now = self.now();
        let kept = self.snapshot(&subject.company, &catalog, now).await?;
        Ok(evaluate::usage(subject, &kept.snapshot, &catalog, now))
    }

    /// The facts of a company, bound to the catalog: what [`evaluate`](crate::evaluate()) reads.
    async fn snapshot(
        &self,
        company: &CompanyId,
        catalog: &Catalog,
        now: DateTime<Utc>,
    ) -> Result<Arc<Kept>, Error> {
        self.0.snapshots.get_or_load(company, now, self.load(company, catalog, now)).await
    }

    async fn load(
        &self,
        company: &CompanyId,
        catalog: &Catalog,
        now: DateTime<Utc>,
    ) -> Result<Snapshot, Error> {
        let begun = self.begin();
        let loaded = self.0.store.load(company, now).await;
        if let Some(begun) = begun {
            self.observe(&Event::Loaded { company, took: begun.elapsed(), error: loaded.as_ref().err() });
        }
        let facts = loaded?;
        let mut policies = self.0.policies.load_full();
        if policies
            .as_ref()
            .is_none_or(|set| set.revision() < facts.policies_revision || set.catalog() != catalog.hash())
        {
            let set = Arc::new(PolicySet::compile(&self.0.store.policies().await?, catalog));
            self.0.policies.store(Some(Arc::clone(&set)));
            policies = Some(set);
        }
        Ok(Snapshot::new(facts, policies.unwrap_or_default(), catalog))
    }

    fn decide(
        &self,
        request: &Request<'_>,
        snapshot: &Snapshot,
        catalog: &Catalog,
        now: DateTime<Utc>,
        begun: Option<Instant>,
    ) -> Decision {
        let decision = evaluate(request, snapshot, catalog, now);
        if let Some(begun) = begun {
            self.observe(&Event::Decided { request, decision: &decision, took: begun.elapsed() });
        }
        decision
    }

    /// The instant to measure from, if somebody observes.
    fn begin(&self) -> Option<Instant> {
        self.0.observer.as_ref().map(|_| Instant::now())
    }

    fn observe(&self, event: &Event<'_>) {
        if let Some(observer) = &self.0.observer {
            observer.observe(event);
        }
    }
}

/// A new id that sorts by time: a version 7 UUID, RFC 9562.
fn new_id(now: DateTime<Utc>) -> String {
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    let timestamp = Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos());
    Uuid::new_v7(timestamp).to_string()
}
