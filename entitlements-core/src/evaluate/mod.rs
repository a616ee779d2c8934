//! The decision: the order of its steps, and nothing else.
//!
//! Guardrails, then grants, then the plan, then policies, then the default deny. The first step that decides wins.

mod allowance;
mod debit;
mod default_deny;
mod diff;
mod explain;
mod horizon;
mod in_effect;
mod offer;
mod outcome;
mod proration;
mod recording;
mod steps;
mod straight;
mod usage;
mod what_if;

use std::borrow::Cow;

use chrono::{DateTime, Utc};

pub(crate) use debit::{DebitPlan, plan_debit, plan_record};
pub use diff::{Difference, DifferenceKind, diff};
pub use explain::{Candidate, Change, ChangeKind, Explanation, Step, StepKind, StepOutcome, explain};
pub(crate) use horizon::Horizon;
pub use recording::{RecordedPolicy, Recording, ReplayError};
pub(crate) use straight::{Allow, Straight};
pub use usage::UsageItem;
pub(crate) use usage::usage;

use crate::catalog::{Catalog, Feature, FeatureKind};
use crate::clock::{Glance, micros_before};
use crate::decision::{Decision, Reason, Source};
use crate::policy::Attributes;
use crate::request::Request;
use crate::snapshot::Snapshot;
use in_effect::InEffect;
use outcome::{Outcome, Shown};

/// Decides one request against everything that is known about its company.
///
/// Pure and total: no I/O, no clock, no panic, and a decision for every input. A denial is a value.
///
/// The steps, of which the first that decides wins:
///
/// 0. a feature that the catalog does not know is denied;
/// 1. a guardrail that applies denies;
/// 2. a grant that covers the request allows; a grant with an amount adds to the meter's allowance;
/// 3. the plan in effect includes feature and action: allowed if the quota has room, denied if not;
/// 4. the first policy that applies decides;
/// 5. it is denied.
///
/// A snapshot that was bound to another catalog is bound anew first: right, but slower.
#[must_use]
#[inline]
pub fn evaluate(
    request: &Request<'_>,
    snapshot: &Snapshot,
    catalog: &Catalog,
    now: DateTime<Utc>,
) -> Decision {
    let Some(found) = Found::of(request, snapshot, catalog, now) else {
        return without_ground(request, snapshot, catalog, now);
    };
    match found.straight(request, snapshot, now) {
        Some(allow) => allow.decision(request, snapshot, catalog),
        None => by_steps(request, snapshot, catalog, now, &found),
    }
}

/// The same at an instant of which not more than a [`Glance`] is known: the decision for its beginning, if it still holds at
/// its end, and otherwise the one for the exact instant. There always is one: it is written where the caller looks for it,
/// since to carry it around costs as much as to make it.
#[inline(never)]
pub(crate) fn evaluate_at(
    request: &Request<'_>,
    snapshot: &Snapshot,
    catalog: &Catalog,
    now: Glance,
    exactly: impl FnOnce() -> DateTime<Utc>,
) -> Option<Decision> {
    let mut decision = Some(evaluate(request, snapshot, catalog, now.earliest()));
    let changes_at = decision.as_ref().and_then(|decision| decision.expires_at);
    if !(changes_at.is_none_or(|at| now.is_before(micros_before(at))) || now.is_exact()) {
        decision = Some(evaluate_anew(request, snapshot, catalog, exactly()));
    }
    decision
}

#[cold]
#[inline(never)]
fn evaluate_anew(
    request: &Request<'_>,
    snapshot: &Snapshot,
    catalog: &Catalog,
    now: DateTime<Utc>,
) -> Decision {
    evaluate(request, snapshot, catalog, now)
}

/// What a request is about: the feature, and the plan in effect.
struct Found<'a> {
    feature: &'a Feature,
    effect: InEffect<'a>,
}

impl<'a> Found<'a> {
    /// `None` if the snapshot was bound to another catalog, or if the catalog does not know the feature.
    #[inline]
    fn of(
        request: &Request<'_>,
        snapshot: &'a Snapshot,
        catalog: &'a Catalog,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        if !snapshot.is_bound_to(catalog) {
            return None;
        }
        let feature = catalog.feature(request.feature)?;
        Some(Self { feature, effect: InEffect::at(snapshot, catalog, now) })
    }

    /// The plan, if it alone allows.
    #[inline]
    fn straight(&self, request: &Request<'_>, snapshot: &Snapshot, now: DateTime<Utc>) -> Option<Allow<'a>> {
        let plan = self.effect.plan.filter(|_| straight::nothing_comes_before_the_plan(snapshot))?;
        if !straight::allows(plan, self.feature, request) {
            return None;
        }
        let mut horizon = Horizon::new(now);
        self.effect.mark(&mut horizon);
        Some(Allow { plan, feature: self.feature, expires_at: horizon.earliest() })
    }
}

/// The steps, one after the other.
#[inline(never)]
fn by_steps(
    request: &Request<'_>,
    snapshot: &Snapshot,
    catalog: &Catalog,
    now: DateTime<Utc>,
    found: &Found<'_>,
) -> Decision {
    let Found { feature, effect } = found;
    let mut horizon = Horizon::new(now);
    effect.mark(&mut horizon);
    let view = View { request, snapshot, catalog, now, feature, effect };
    let mut shown = Shown::default();
    let outcome = decide(&view, &mut shown, &mut horizon);
    // Before the horizon is read: what plans would allow may change, too.
    let upgrade = offer::upgrade(&view, outcome.reason, &mut horizon);
    let shape = |value, quota| Decision {
        reason: outcome.reason,
        source: outcome.source,
        feature: Cow::Borrowed(feature.key()),
        action: request.action,
        plan: effect.plan_key(),
        value,
        quota,
        expires_at: horizon.earliest(),
        as_of: snapshot.as_of(),
        catalog: catalog.hash(),
        degraded: None,
        upgrade,
    };
    if feature.kind() == FeatureKind::Flag {
        // Written at once, without carrying the large parts around.
        shape(None, None)
    } else {
        shape(shown.value, shown.quota)
    }
}

#[cold]
#[inline(never)]
fn without_ground(
    request: &Request<'_>,
    snapshot: &Snapshot,
    catalog: &Catalog,
    now: DateTime<Utc>,
) -> Decision {
    if snapshot.is_bound_to(catalog) {
        unknown(request, snapshot, catalog, now)
    } else {
        evaluate(request, &snapshot.rebind(catalog), catalog, now)
    }
}

/// Everything the steps look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) catalog: &'a Catalog,
    pub(crate) now: DateTime<Utc>,
    pub(crate) feature: &'a Feature,
    pub(crate) effect: &'a InEffect<'a>,
}

impl<'a> View<'a> {
    /// What conditions read.
    pub(crate) fn attributes(&self) -> Attributes<'a> {
        Attributes { request: self.request, plan: self.effect.plan_key(), now: self.now }
    }
}

#[inline]
fn decide(view: &View<'_>, shown: &mut Shown, horizon: &mut Horizon) -> Outcome {
    let policies = view.snapshot.policies();
    if policies.has_guardrails()
        && let Some(applied) = policies.guardrail(view.feature.index, &view.attributes(), horizon)
    {
        return Outcome::new(Reason::PolicyDenied, Source::Guardrail(applied.id().clone()));
    }
    if let Some(outcome) = steps::grants(view, shown, horizon) {
        return outcome;
    }
    if let Some(outcome) = steps::plan(view, shown, horizon) {
        return outcome;
    }
    match policies.decide(view.feature.index, &view.attributes(), horizon) {
        Some(applied) => steps::policy(view, applied, shown, horizon),
        None => default_deny::outcome(view),
    }
}

#[cold]
fn unknown(request: &Request<'_>, snapshot: &Snapshot, catalog: &Catalog, now: DateTime<Utc>) -> Decision {
    let effect = InEffect::at(snapshot, catalog, now);
    let mut horizon = Horizon::new(now);
    effect.mark(&mut horizon);
    Decision {
        reason: Reason::UnknownFeature,
        source: Source::Default,
        feature: Cow::Owned(request.feature.into()),
        action: request.action,
        plan: effect.plan_key(),
        value: None,
        quota: None,
        expires_at: horizon.earliest(),
        as_of: snapshot.as_of(),
        catalog: catalog.hash(),
        degraded: None,
        upgrade: Vec::new(),
    }
}
