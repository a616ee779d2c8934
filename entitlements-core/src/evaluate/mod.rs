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
mod usage;
mod what_if;

use std::borrow::Cow;

use chrono::{DateTime, Utc};

pub(crate) use debit::{DebitPlan, plan_debit};
pub use diff::{Difference, DifferenceKind, diff};
pub use explain::{Candidate, Change, ChangeKind, Explanation, Step, StepKind, StepOutcome, explain};
pub(crate) use horizon::Horizon;
pub use recording::{RecordedPolicy, Recording, ReplayError};
pub use usage::UsageItem;
pub(crate) use usage::usage;

use crate::catalog::{Catalog, Feature};
use crate::decision::{Decision, Reason, Source};
use crate::policy::Attributes;
use crate::request::Request;
use crate::snapshot::Snapshot;
use in_effect::InEffect;

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
pub fn evaluate(
    request: &Request<'_>,
    snapshot: &Snapshot,
    catalog: &Catalog,
    now: DateTime<Utc>,
) -> Decision {
    if !snapshot.is_bound_to(catalog) {
        return evaluate(request, &snapshot.rebind(catalog), catalog, now);
    }
    match catalog.feature(request.feature) {
        Some(feature) => known(request, snapshot, catalog, now, feature),
        None => unknown(request, snapshot, catalog, now),
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
fn known(
    request: &Request<'_>,
    snapshot: &Snapshot,
    catalog: &Catalog,
    now: DateTime<Utc>,
    feature: &Feature,
) -> Decision {
    let mut horizon = Horizon::new(now);
    let effect = InEffect::at(snapshot, catalog, now);
    effect.mark(&mut horizon);
    let view = View { request, snapshot, catalog, now, feature, effect: &effect };
    // The steps write into the decision itself: it is large.
    let mut decision = Decision {
        reason: Reason::NotGranted,
        source: Source::Default,
        feature: Cow::Borrowed(feature.key()),
        action: request.action,
        plan: effect.plan_key(),
        value: None,
        quota: None,
        expires_at: None,
        as_of: snapshot.as_of(),
        catalog: catalog.hash(),
        degraded: None,
        upgrade: Vec::new(),
    };
    decide(&view, &mut decision, &mut horizon);
    // Before the horizon is read: what plans would allow may change, too.
    decision.upgrade = offer::upgrade(&view, decision.reason, &mut horizon);
    decision.expires_at = horizon.earliest();
    decision
}

#[inline]
fn decide(view: &View<'_>, decision: &mut Decision, horizon: &mut Horizon) {
    let attributes = view.attributes();
    let policies = view.snapshot.policies();
    if let Some(applied) = policies.guardrail(view.feature.index, &attributes, horizon) {
        decision.settle(Reason::PolicyDenied, Source::Guardrail(applied.id.clone()));
        return;
    }
    if steps::grants(view, decision, horizon) || steps::plan(view, decision, horizon) {
        return;
    }
    match policies.decide(view.feature.index, &attributes, horizon) {
        Some(applied) => steps::policy(view, applied, decision, horizon),
        None => default_deny::settle(view, decision),
    }
}

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
