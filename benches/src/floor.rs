//! The floor: the same answers from code written by hand for this one shape of world.
//!
//! Dense ids, an index per (feature, action), one look-up by region inside a pair, plain comparisons. It knows nothing of
//! grants, quotas, guardrails, times, explanations or unknown attributes other than a missing one; it is as little work
//! as the answer needs.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use entitlements_core::{Action, Context};
use rustc_hash::FxHashMap;

use crate::world::{FEATURES, IN_PLANS, PLANS, Question, Rule, World, feature};

#[derive(Debug)]
struct Line {
    rank: u32,
    allow: bool,
    seats_below: u64,
    tier: Option<&'static str>,
}

/// A company's facts, as little as the answer needs.
#[derive(Debug)]
pub struct Company {
    plan: usize,
    active: bool,
    ends_at: Option<DateTime<Utc>>,
}

/// The answer: what a caller acts on, and what a log names.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Whether it may be done.
    pub allowed: bool,
    /// The code of the reason.
    pub reason: &'static str,
    /// The plan in effect.
    pub plan: Option<&'static str>,
    /// The place of the policy that decided.
    pub rank: Option<u32>,
    /// When the answer may change.
    pub expires_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Default)]
struct Pair {
    by_region: FxHashMap<String, Vec<Line>>,
}

/// The hand-written decision.
#[derive(Debug)]
pub struct Floor {
    names: FxHashMap<String, usize>,
    pairs: Vec<Pair>,
    companies: Vec<Arc<Company>>,
}

impl Floor {
    /// Builds the index of a world.
    pub fn new(world: &World) -> Self {
        let mut ranked: Vec<&Rule> = world.rules.iter().collect();
        ranked.sort_by(|a, b| {
            b.priority.cmp(&a.priority).then_with(|| a.allow.cmp(&b.allow)).then_with(|| a.id.cmp(&b.id))
        });
        let mut pairs: Vec<Pair> =
            std::iter::repeat_with(Pair::default).take(FEATURES * Action::ALL.len()).collect();
        for (rank, rule) in (0..).zip(ranked) {
            if let Some(pair) = pairs.get_mut(place(rule.feature, rule.action)) {
                pair.by_region.entry(rule.region.clone()).or_default().push(Line {
                    rank,
                    allow: rule.allow,
                    seats_below: rule.seats_below,
                    tier: rule.tier,
                });
            }
        }
        let company = |plan: &usize| Arc::new(Company { plan: *plan, active: true, ends_at: None });
        Self {
            names: (0..FEATURES).map(|index| (feature(index), index)).collect(),
            pairs,
            companies: world.plans.iter().map(company).collect(),
        }
    }

    /// The answer to a question. The company is looked up beforehand, as a snapshot is.
    #[inline]
    #[must_use]
    pub fn decide(&self, company: &Company, question: &Question, now: DateTime<Utc>) -> Answer {
        let mut answer =
            Answer { allowed: false, reason: "unknown_feature", plan: None, rank: None, expires_at: None };
        let Some(feature) = self.names.get(question.feature.as_str()).copied() else { return answer };
        if company.active && company.ends_at.is_none_or(|end| now < end) {
            answer.expires_at = company.ends_at;
            answer.plan = PLANS.get(company.plan).map(|(name, _)| *name);
            let included = PLANS.get(company.plan).is_some_and(|(_, features)| feature < *features);
            if included && IN_PLANS.contains(&question.action) {
                return Answer { allowed: true, reason: "allowed_by_plan", ..answer };
            }
        }
        let line =
            self.pairs.get(place(feature, question.action)).and_then(|pair| pair.find(&question.context));
        match line {
            Some(line) if line.allow => {
                Answer { allowed: true, reason: "allowed_by_policy", rank: Some(line.rank), ..answer }
            }
            Some(line) => Answer { reason: "policy_denied", rank: Some(line.rank), ..answer },
            None => Answer { reason: "not_granted", ..answer },
        }
    }

    /// The facts of a company by number.
    #[must_use]
    pub fn company(&self, number: usize) -> Option<&Company> {
        self.companies.get(number).map(AsRef::as_ref)
    }
}

impl Pair {
    #[inline]
    fn find(&self, context: &Context) -> Option<&Line> {
        if self.by_region.is_empty() {
            return None;
        }
        let lines = self.by_region.get(context.get(["region"])?.as_str()?)?;
        let seats = context.get(["seats"])?.as_u64()?;
        let tier = context.get(["tier"])?.as_str()?;
        lines.iter().find(|line| seats < line.seats_below && line.tier.is_none_or(|wanted| wanted == tier))
    }
}

const fn place(feature: usize, action: Action) -> usize {
    feature * Action::ALL.len() + action.index()
}
