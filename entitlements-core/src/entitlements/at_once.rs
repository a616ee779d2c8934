//! Decisions at once, in as few bytes as they can be carried in.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::Entitlements;
use crate::Action;
use crate::catalog::{Catalog, CatalogHash};
use crate::clock::Glance;
use crate::decision::{Decision, Reason, Source};
use crate::evaluate::{Allow, evaluate_at};
use crate::facts::Revision;
use crate::request::{Context, Request};
use crate::snapshot::Snapshot;

/// A decision that was made at once: in brief, where it is what most requests get.
///
/// [`Decision::from`] makes the whole of it, which is several times larger: do that where it is to stay.
#[derive(Clone, Debug, PartialEq)]
pub enum AtOnce {
    /// The plan in effect alone allows.
    Allowed(AllowedByPlan),
    /// Everything else.
    Decided(Decision),
}

impl AtOnce {
    /// Whether the request is allowed.
    #[must_use]
    #[inline]
    pub const fn is_allowed(&self) -> bool {
        match self {
            Self::Allowed(_) => true,
            Self::Decided(decision) => decision.is_allowed(),
        }
    }
}

impl From<AtOnce> for Decision {
    fn from(at_once: AtOnce) -> Self {
        match at_once {
            AtOnce::Allowed(allowed) => allowed.into(),
            AtOnce::Decided(decision) => decision,
        }
    }
}

/// The decision that the plan in effect allows a request, whatever else it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedByPlan {
    plan: &'static str,
    feature: &'static str,
    action: Action,
    expires_at: Option<DateTime<Utc>>,
    as_of: Revision,
    catalog: CatalogHash,
}

impl From<AllowedByPlan> for Decision {
    #[inline]
    fn from(allowed: AllowedByPlan) -> Self {
        let AllowedByPlan { plan, feature, action, expires_at, as_of, catalog } = allowed;
        Self {
            reason: Reason::AllowedByPlan,
            source: Source::Plan(plan),
            feature: Cow::Borrowed(feature),
            action,
            plan: Some(plan),
            value: None,
            quota: None,
            expires_at,
            as_of,
            catalog,
            degraded: None,
            upgrade: Vec::new(),
        }
    }
}

/// The forms in which a decision is handed on.
pub(super) trait Form {
    fn by_plan(allow: Allow<'_>, request: &Request<'_>, snapshot: &Snapshot, catalog: &Catalog) -> Self;
    fn whole(decision: Decision) -> Self;
    /// As [`evaluate_at`] does it.
    fn by_steps(
        request: &Request<'_>,
        snapshot: &Snapshot,
        catalog: &Catalog,
        now: Glance,
        exactly: impl FnOnce() -> DateTime<Utc>,
    ) -> Option<Self>
    where
        Self: Sized;
}

impl Form for Decision {
    #[inline]
    fn by_plan(allow: Allow<'_>, request: &Request<'_>, snapshot: &Snapshot, catalog: &Catalog) -> Self {
        allow.decision(request, snapshot, catalog)
    }

    #[inline]
    fn whole(decision: Decision) -> Self {
        decision
    }

    #[inline]
    fn by_steps(
        request: &Request<'_>,
        snapshot: &Snapshot,
        catalog: &Catalog,
        now: Glance,
        exactly: impl FnOnce() -> DateTime<Utc>,
    ) -> Option<Self> {
        evaluate_at(request, snapshot, catalog, now, exactly)
    }
}

impl Form for AtOnce {
    #[inline]
    fn by_plan(allow: Allow<'_>, request: &Request<'_>, snapshot: &Snapshot, catalog: &Catalog) -> Self {
        Self::Allowed(AllowedByPlan {
            plan: allow.plan.key(),
            feature: allow.feature.key(),
            action: request.action,
            expires_at: allow.expires_at,
            as_of: snapshot.as_of(),
            catalog: catalog.hash(),
        })
    }

    #[inline]
    fn whole(decision: Decision) -> Self {
        Self::Decided(decision)
    }

    #[inline]
    fn by_steps(
        request: &Request<'_>,
        snapshot: &Snapshot,
        catalog: &Catalog,
        now: Glance,
        exactly: impl FnOnce() -> DateTime<Utc>,
    ) -> Option<Self> {
        evaluate_at(request, snapshot, catalog, now, exactly).map(Self::Decided)
    }
}

impl Entitlements {
    /// Decides as [`check_warm`](Self::check_warm) does, and asks for the circumstances of the request only where they may
    /// matter: for who keeps them apart from it, and carries the decision further.
    ///
    /// ```
    /// use entitlements_core::id::CompanyId;
    /// use entitlements_core::{Action, AtOnce, Catalog, Decision, Entitlements, MemoryStore, Request, Subject};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let catalog: Catalog = r#"
    ///     schema = 1
    ///     default_plan = "free"
    ///     past_due_grace = "7d"
    ///     [features]
    ///     export = { type = "flag" }
    ///     [plans.free.grants]
    ///     export = true
    /// "#.parse()?;
    /// let entitlements = Entitlements::builder(catalog).store(MemoryStore::default()).build();
    /// let acme = Subject::company(CompanyId::new("acme")?);
    /// let request = Request::new(&acme, "export", Action::Export);
    ///
    /// assert_eq!(entitlements.check_at_once(&request, || None), None);
    /// let decision = entitlements.check(&request).await?;
    /// let at_once = entitlements.check_at_once(&request, || unreachable!("the plan alone decides"));
    /// assert!(matches!(at_once, Some(AtOnce::Allowed(_))));
    /// assert_eq!(at_once.map(Decision::from), Some(decision));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn check_at_once<'r>(
        &self,
        request: &Request<'r>,
        context: impl FnOnce() -> Option<&'r Context>,
    ) -> Option<AtOnce> {
        self.warm_as(request, None, context)
    }
}
