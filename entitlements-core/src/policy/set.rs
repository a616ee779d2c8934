//! The policy set: every policy, compiled for one catalog, ready to be asked.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};

use super::dispatch::{Entry, Index, Proved, Selection};
use super::{Attributes, Effect, Policy, Truth};
use crate::Action;
use crate::catalog::{Catalog, CatalogHash, FeatureIndex};
use crate::evaluate::Horizon;
use crate::facts::Revision;
use crate::store::Policies;

/// Every policy, compiled for one catalog.
///
/// It answers the same as looking at all policies in the order of their ranks, without looking at all of them. Disabled
/// policies, guardrails that say allow, and features the catalog does not know, are left out.
#[derive(Debug)]
pub struct PolicySet {
    revision: Revision,
    catalog: CatalogHash,
    guardrails: Book,
    policies: Book,
}

/// The policy that decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Applied<'s> {
    pub(crate) policy: &'s Policy,
    /// Of its condition: true, or for a deny perhaps unknown.
    pub(crate) truth: Truth,
}

impl PolicySet {
    /// Compiles `policies` for the features of `catalog`.
    #[must_use]
    pub fn compile(policies: &Policies, catalog: &Catalog) -> Self {
        let book = |guardrail: bool, rank: fn(&Policy, &Policy) -> Ordering| {
            let legal = |policy: &&Policy| {
                policy.enabled
                    && policy.guardrail == guardrail
                    && !(guardrail && policy.effect == Effect::Allow)
            };
            let mut ranked: Vec<_> = policies.policies.iter().filter(legal).cloned().collect();
            ranked.sort_by(rank);
            Book::build(ranked, catalog)
        };
        Self {
            revision: policies.revision,
            catalog: catalog.hash(),
            guardrails: book(true, |a, b| a.id.cmp(&b.id)),
            policies: book(false, |a, b| {
                let deny_first = |policy: &Policy| policy.effect == Effect::Allow;
                let ties = || deny_first(a).cmp(&deny_first(b)).then_with(|| a.id.cmp(&b.id));
                b.priority.cmp(&a.priority).then_with(ties)
            }),
        }
    }

    /// The same policies, compiled for another catalog.
    #[must_use]
    pub fn rebind(&self, catalog: &Catalog) -> Self {
        Self {
            revision: self.revision,
            catalog: catalog.hash(),
            guardrails: self.guardrails.rebind(catalog),
            policies: self.policies.rebind(catalog),
        }
    }

    /// No policies, of revision 0. They fit every catalog.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            revision: Revision(0),
            catalog: CatalogHash([0; 32]),
            guardrails: Book::default(),
            policies: Book::default(),
        }
    }

    /// Whether the set can be asked about the features of `catalog`.
    pub(crate) fn is_bound_to(&self, catalog: &Catalog) -> bool {
        self.catalog == catalog.hash() || (self.guardrails.is_empty() && self.policies.is_empty())
    }

    /// The revision of the policies.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The fingerprint of the catalog it was compiled for. The features of another catalog have other places.
    #[must_use]
    pub const fn catalog(&self) -> CatalogHash {
        self.catalog
    }

    /// The guardrail that denies the request: of those that apply the one with the smallest id.
    pub(crate) fn guardrail(
        &self,
        feature: FeatureIndex,
        attributes: &Attributes<'_>,
        horizon: &mut Horizon,
    ) -> Option<Applied<'_>> {
        self.guardrails.first(feature, attributes, horizon)
    }

    /// The ordinary policy that decides the request: the first that applies by descending priority, then denials before
    /// allowances, then ascending id.
    pub(crate) fn decide(
        &self,
        feature: FeatureIndex,
        attributes: &Attributes<'_>,
        horizon: &mut Horizon,
    ) -> Option<Applied<'_>> {
        self.policies.first(feature, attributes, horizon)
    }

    /// Every policy of the set: guardrails first, each kind in the order in which it is asked.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.guardrails.ranked.iter().chain(&self.policies.ranked).map(|ranked| &ranked.policy)
    }

    /// The guardrails about a feature and action, in the order in which they are asked.
    pub(crate) fn guardrails_of(&self, feature: FeatureIndex, action: Action) -> Vec<&Policy> {
        self.guardrails.candidates(feature, action)
    }

    /// The ordinary policies about a feature and action, in the order in which they are asked.
    pub(crate) fn policies_of(&self, feature: FeatureIndex, action: Action) -> Vec<&Policy> {
        self.policies.candidates(feature, action)
    }
}

impl Default for PolicySet {
    fn default() -> Self {
        Self::empty()
    }
}

/// Policies of one kind.
#[derive(Debug, Default)]
struct Book {
    /// In the order of their ranks.
    ranked: Box<[Ranked]>,
    /// Policies that name features: by feature, then action.
    named: Box<[Index]>,
    /// Policies about every feature: by action.
    general: Box<[Index]>,
}

#[derive(Debug)]
struct Ranked {
    policy: Policy,
    time_dependent: bool,
}

impl Book {
    fn build(ranked: Vec<Policy>, catalog: &Catalog) -> Self {
        let actions = Action::ALL.len();
        let mut named = vec![Vec::new(); catalog.features().len() * actions];
        let mut general = vec![Vec::new(); actions];
        for (rank, policy) in (0_u32..).zip(&ranked) {
            let mut features = policy.target.features.as_ref().map(|features| {
                features
                    .iter()
                    .filter_map(|feature| catalog.feature_index(feature.as_str()))
                    .collect::<Vec<_>>()
            });
            if let Some(features) = &mut features {
                features.sort_unstable();
                features.dedup();
            }
            let about =
                |action: &Action| policy.target.actions.as_ref().is_none_or(|list| list.contains(action));
            for action in Action::ALL.into_iter().filter(about) {
                if let Some(features) = &features {
                    for feature in features {
                        if let Some(list) = named.get_mut(place(*feature, action)) {
                            list.push((rank, policy));
                        }
                    }
                } else if let Some(list) = general.get_mut(action.index()) {
                    list.push((rank, policy));
                }
            }
        }
        let index = |lists: Vec<Vec<_>>| lists.iter().map(|list| Index::build(list)).collect();
        let (named, general) = (index(named), index(general));
        let ranked = ranked
            .into_iter()
            .map(|policy| Ranked { time_dependent: policy.is_time_dependent(), policy })
            .collect();
        Self { ranked, named, general }
    }

    fn rebind(&self, catalog: &Catalog) -> Self {
        Self::build(self.ranked.iter().map(|ranked| ranked.policy.clone()).collect(), catalog)
    }

    const fn is_empty(&self) -> bool {
        self.ranked.is_empty()
    }

    fn indexes(&self, feature: FeatureIndex, action: Action) -> impl Iterator<Item = &Index> {
        self.named.get(place(feature, action)).into_iter().chain(self.general.get(action.index()))
    }

    fn first(
        &self,
        feature: FeatureIndex,
        attributes: &Attributes<'_>,
        horizon: &mut Horizon,
    ) -> Option<Applied<'_>> {
        let mut selection = Selection::default();
        for index in self.indexes(feature, attributes.request.action) {
            index.select(attributes, &mut selection);
        }
        selection.find_map(|entry| self.ranked.get(entry.rank as usize)?.applies(entry, attributes, horizon))
    }

    fn candidates(&self, feature: FeatureIndex, action: Action) -> Vec<&Policy> {
        let mut ranks: Vec<_> = self.indexes(feature, action).flat_map(Index::ranks).collect();
        ranks.sort_unstable();
        ranks.dedup();
        ranks.into_iter().filter_map(|rank| Some(&self.ranked.get(rank as usize)?.policy)).collect()
    }
}

const fn place(feature: FeatureIndex, action: Action) -> usize {
    feature.get() * Action::ALL.len() + action.index()
}

impl Ranked {
    fn applies(
        &self,
        entry: Entry,
        attributes: &Attributes<'_>,
        horizon: &mut Horizon,
    ) -> Option<Applied<'_>> {
        let policy = &self.policy;
        let (target, request) = (&policy.target, attributes.request);
        let meant = (entry.proved == Proved::Company || target.covers_company(request))
            && (entry.proved == Proved::User || target.covers_user(request))
            && target.covers_resource(request);
        if !meant {
            return None;
        }
        let truth = if self.time_dependent {
            truth_in_time(policy, attributes, horizon)?
        } else {
            policy.when.evaluate(attributes)
        };
        policy.effect.applies(truth).then_some(Applied { policy, truth })
    }
}

/// The truth of a policy that is in force; notes when that, or its being in force, could change the answer.
fn truth_in_time(policy: &Policy, attributes: &Attributes<'_>, horizon: &mut Horizon) -> Option<Truth> {
    let before_end = |instant: &DateTime<Utc>| policy.ends_at.is_none_or(|end| *instant < end);
    if !before_end(&attributes.now) {
        return None;
    }
    let (truth, flip) = policy.when.survey(attributes);
    let applies = policy.effect.applies(truth);
    let flip = flip.filter(before_end);
    if let Some(start) = policy.starts_at.filter(|start| *start > attributes.now) {
        // Its start matters unless its condition is settled against it.
        if (applies || flip.is_some()) && before_end(&start) {
            horizon.at(start);
        }
        return None;
    }
    let end = policy.ends_at.filter(|_| applies);
    flip.into_iter().chain(end).for_each(|instant| horizon.at(instant));
    Some(truth)
}

#[cfg(test)]
mod tests;
