//! Explanations: the same decision, with every step, every candidate, and what would change the answer.

mod candidates;
mod counterfactual;

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::in_effect::InEffect;
use super::{Horizon, View, evaluate, steps};
use crate::catalog::Catalog;
use crate::decision::{Decision, Reason, Source};
use crate::request::Request;
use crate::snapshot::Snapshot;

/// One step of the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Does the catalog know the feature?
    Known,
    /// Does a guardrail apply?
    Guardrails,
    /// Does a grant cover the request?
    Grants,
    /// Does the plan include it, and is there room?
    Plan,
    /// Does a policy apply?
    Policies,
    /// Nothing decided.
    Default,
}

impl StepKind {
    /// Every step, in the order in which they decide.
    pub const ALL: [Self; 6] =
        [Self::Known, Self::Guardrails, Self::Grants, Self::Plan, Self::Policies, Self::Default];

    /// The step's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Guardrails => "guardrails",
            Self::Grants => "grants",
            Self::Plan => "plan",
            Self::Policies => "policies",
            Self::Default => "default",
        }
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a step said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// It decided: allowed.
    Allow,
    /// It decided: denied.
    Deny,
    /// It left the decision to the next step, or was not reached.
    Next,
}

impl StepOutcome {
    /// The outcome's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Next => "next",
        }
    }
}

/// Something a step looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The id of the grant, plan, subscription, policy or feature.
    pub id: String,
    /// Whether it counts for this request.
    pub applies: bool,
    /// Why, for people.
    pub why: String,
}

impl Candidate {
    fn new(id: impl Into<String>, applies: bool, why: impl Into<String>) -> Self {
        Self { id: id.into(), applies, why: why.into() }
    }
}

/// One step with everything it looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Which step.
    pub step: StepKind,
    /// What it said.
    pub outcome: StepOutcome,
    /// What it looked at; empty for steps after the one that decided.
    pub candidates: Vec<Candidate>,
}

/// What kind of change would turn a denial into an allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Another plan.
    Plan,
    /// Fewer units.
    Units,
    /// Waiting.
    Instant,
    /// Other circumstances, so that a policy's condition is met or no longer met.
    Condition,
    /// A grant.
    Grant,
}

impl ChangeKind {
    /// The kind's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Units => "units",
            Self::Instant => "instant",
            Self::Condition => "condition",
            Self::Grant => "grant",
        }
    }
}

/// A change that alone would turn the denial into an allow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What kind of change.
    pub kind: ChangeKind,
    /// The plan, the number of units, the instant (RFC 3339), the policy, or the feature or units to grant.
    pub value: String,
    /// Why that would allow, for people.
    pub why: String,
}

/// A decision with every step, every candidate, and what would change it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The decision: what [`evaluate`](crate::evaluate()) says.
    pub decision: Decision,
    /// All six steps, in order.
    pub steps: Vec<Step>,
    /// For a denial: the changes that alone would allow, smallest first. Empty for an allow.
    pub counterfactual: Vec<Change>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decision = &self.decision;
        let verdict = if decision.is_allowed() { "allowed" } else { "denied" };
        writeln!(f, "{} {}: {verdict}, {}", decision.action, decision.feature, decision.reason)?;
        for step in &self.steps {
            writeln!(f, "  {:<10} {}", step.step.as_str(), step.outcome.as_str())?;
            for candidate in &step.candidates {
                let mark = if candidate.applies { '+' } else { '-' };
                writeln!(f, "    {mark} {}: {}", candidate.id, candidate.why)?;
            }
        }
        for change in &self.counterfactual {
            writeln!(f, "  would allow: {} {}: {}", change.kind.as_str(), change.value, change.why)?;
        }
        Ok(())
    }
}

/// Decides as [`evaluate`](crate::evaluate()) does, and says how it came to it and what would change it.
#[must_use]
pub fn explain(
    request: &Request<'_>,
    snapshot: &Snapshot,
    catalog: &Catalog,
    now: DateTime<Utc>,
) -> Explanation {
    if !snapshot.is_bound_to(catalog) {
        return explain(request, &snapshot.rebind(catalog), catalog, now);
    }
    let decision = evaluate(request, snapshot, catalog, now);
    let effect = InEffect::at(snapshot, catalog, now);
    let view = catalog.feature(request.feature).map(|feature| View {
        request,
        snapshot,
        catalog,
        now,
        feature,
        effect: &effect,
    });
    let decided = deciding_step(&decision, view.as_ref());
    let steps = StepKind::ALL
        .into_iter()
        .map(|step| {
            let outcome = match step.cmp(&decided) {
                std::cmp::Ordering::Equal if decision.is_allowed() => StepOutcome::Allow,
                std::cmp::Ordering::Equal => StepOutcome::Deny,
                _ => StepOutcome::Next,
            };
            let candidates = match &view {
                _ if step > decided => Vec::new(),
                Some(view) => candidates::of(step, view, &decision),
                None => vec![candidates::unknown(request.feature, catalog)],
            };
            Step { step, outcome, candidates }
        })
        .collect();
    let counterfactual = match &view {
        Some(view) if !decision.is_allowed() => counterfactual::changes(view, &decision),
        _ => Vec::new(),
    };
    Explanation { decision, steps, counterfactual }
}

fn deciding_step(decision: &Decision, view: Option<&View<'_>>) -> StepKind {
    match (decision.reason, &decision.source) {
        (Reason::UnknownFeature, _) => StepKind::Known,
        (_, Source::Guardrail(_)) => StepKind::Guardrails,
        (_, Source::Policy(_)) => StepKind::Policies,
        (Reason::AllowedByGrant, _) => {
            let unlimited =
                view.is_some_and(|view| steps::unlimited_grant(view, &mut Horizon::new(view.now)).is_some());
            if unlimited { StepKind::Grants } else { StepKind::Plan }
        }
        (Reason::AllowedByPlan | Reason::AllowedByDefault | Reason::QuotaExceeded, _) => StepKind::Plan,
        _ => StepKind::Default,
    }
}
