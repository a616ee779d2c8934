//! The floor: the same answers from code written by hand for this one shape of world.
//!
//! Dense ids, an index per (feature, action), one look-up by region inside a pair, plain comparisons. It knows nothing of
//! grants, quotas, guardrails, times, explanations or unknown attributes other than a missing one; it is as little work
//! as the answer needs.

use entitlements_core::{Action, Context};
use rustc_hash::FxHashMap;

use crate::world::{FEATURES, PLANS, Question, Rule, World, feature};

#[derive(Debug)]
struct Line {
    rank: u32,
    allow: bool,
    seats_below: u64,
    tier: Option<&'static str>,
}

#[derive(Debug, Default)]
struct Pair {
    by_region: FxHashMap<String, Vec<Line>>,
}

/// The hand-written decision.
#[derive(Debug)]
pub(crate) struct Floor {
    names: FxHashMap<String, usize>,
    pairs: Vec<Pair>,
    plan_of_company: FxHashMap<String, usize>,
}

impl Floor {
    pub(crate) fn new(world: &World) -> Self {
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
        let companies = world.subjects.iter().zip(&world.plans);
        Self {
            names: (0..FEATURES).map(|index| (feature(index), index)).collect(),
            pairs,
            plan_of_company: companies.map(|(s, plan)| (s.company.as_str().to_owned(), *plan)).collect(),
        }
    }

    /// Whether the question is allowed. The company is looked up beforehand, as a snapshot is.
    #[inline]
    pub(crate) fn decide(&self, plan: usize, question: &Question) -> bool {
        let Some(feature) = self.names.get(question.feature.as_str()).copied() else { return false };
        let included = PLANS.get(plan).is_some_and(|(_, features)| feature < *features);
        if included && matches!(question.action, Action::View | Action::Create | Action::Update) {
            return true;
        }
        let Some(pair) = self.pairs.get(place(feature, question.action)) else { return false };
        pair.decide(&question.context).unwrap_or(false)
    }

    /// The plan of a company by name.
    pub(crate) fn plan(&self, company: &str) -> usize {
        self.plan_of_company.get(company).copied().unwrap_or_default()
    }
}

impl Pair {
    #[inline]
    fn decide(&self, context: &Context) -> Option<bool> {
        let lines = self.by_region.get(context.get(["region"])?.as_str()?)?;
        let seats = context.get(["seats"])?.as_u64()?;
        let tier = context.get(["tier"])?.as_str()?;
        let hit = lines
            .iter()
            .find(|line| seats < line.seats_below && line.tier.is_none_or(|wanted| wanted == tier))?;
        // The rank is what a source would be looked up by.
        (hit.rank < u32::MAX).then_some(hit.allow)
    }
}

const fn place(feature: usize, action: Action) -> usize {
    feature * Action::ALL.len() + action.index()
}
