//! The straight way to most decisions: the plan in effect includes a flag, and nothing comes before the plan.
//!
//! Such decisions are written as they are and not put together from what the steps say, in little code, which stays in the
//! processor's cache. What they need of the time is worked out once per snapshot.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::Horizon;
use super::in_effect::InEffect;
use crate::catalog::{Catalog, Feature, FeatureKind, Plan, PlanIndex};
use crate::clock::{Glance, micros_before};
use crate::decision::{Decision, Reason, Source};
use crate::request::Request;
use crate::snapshot::Snapshot;

/// Whether nothing comes before the plan: neither guardrails nor grants, nor anything that differs from the plan.
#[inline]
pub(super) fn nothing_comes_before_the_plan(snapshot: &Snapshot) -> bool {
    !(snapshot.policies().has_guardrails() || snapshot.has_grants() || snapshot.differs())
}

/// Whether the plan alone allows the request.
#[inline]
pub(super) fn allows(plan: &Plan, feature: &Feature, request: &Request<'_>) -> bool {
    feature.kind() == FeatureKind::Flag && plan.includes(feature.index, request.action)
}

/// The plan in effect of a snapshot before which nothing comes, and until when that is so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Straight {
    plan: PlanIndex,
    expires_at: Option<DateTime<Utc>>,
    /// The same in microseconds since 1970.
    until: i64,
}

impl Straight {
    /// What holds from `now` on; `None` if something comes before the plan, or no plan is in effect.
    pub(crate) fn of(snapshot: &Snapshot, catalog: &Catalog, now: DateTime<Utc>) -> Option<Self> {
        if !snapshot.is_bound_to(catalog) || !nothing_comes_before_the_plan(snapshot) {
            return None;
        }
        let effect = InEffect::at(snapshot, catalog, now);
        let plan = effect.plan?.index;
        let mut horizon = Horizon::new(now);
        effect.mark(&mut horizon);
        let expires_at = horizon.earliest();
        Some(Self { plan, expires_at, until: expires_at.map_or(i64::MAX, micros_before) })
    }

    /// What allows the request alone, if there is such a thing, not before the instant that this was made at. The catalog is
    /// the one that it was made with.
    #[inline]
    pub(crate) fn allow<'a>(
        &self,
        request: &Request<'_>,
        catalog: &'a Catalog,
        now: Glance,
    ) -> Option<Allow<'a>> {
        if !now.is_before(self.until) {
            return None;
        }
        let feature = catalog.feature(request.feature)?;
        let plan = catalog.plans.get(self.plan.get())?;
        allows(plan, feature, request).then_some(Allow { plan, feature, expires_at: self.expires_at })
    }
}

/// What allows a request alone. The decision is apart: it is large, and to carry it around costs as much as to make it.
pub(crate) struct Allow<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) feature: &'a Feature,
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

impl Allow<'_> {
    #[inline]
    pub(crate) fn decision(self, request: &Request<'_>, snapshot: &Snapshot, catalog: &Catalog) -> Decision {
        let Self { plan, feature, expires_at } = self;
        Decision {
            reason: Reason::AllowedByPlan,
            source: Source::Plan(plan.key()),
            feature: Cow::Borrowed(feature.key()),
            action: request.action,
            plan: Some(plan.key()),
            value: None,
            quota: None,
            expires_at,
            as_of: snapshot.as_of(),
            catalog: catalog.hash(),
            degraded: None,
            upgrade: Vec::new(),
        }
    }
}
