//! A book of policies: those of one kind, in the order in which they are asked, with an index.

use chrono::{DateTime, Utc};

use super::dispatch::{Entry, Index, Proved, Selection};
use super::{Applied, Attributes, Condition, Effect, Policy, Truth, When};
use crate::Action;
use crate::catalog::{Catalog, FeatureIndex};
use crate::evaluate::Horizon;

/// Policies of one kind.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// In the order of their ranks.
    policies: Box<[Policy]>,
    /// What most requests need of each: much less memory than the policies.
    essences: Box<[Essence]>,
    /// Policies that name features: by feature, then action.
    named: Box<[Index]>,
    /// Policies about every feature: by action.
    general: Box<[Index]>,
}

/// What decides whether a policy applies.
#[derive(Debug)]
struct Essence {
    when: Essential,
    effect: Effect,
    /// Whether the target names something beside features and actions.
    names_companies: bool,
    names_users: bool,
    names_resources: bool,
}

#[derive(Debug)]
enum Essential {
    Settled(Truth),
    Holds(Condition),
    /// The policy says different things at different times.
    InTime,
}

impl Essence {
    fn of(policy: &Policy) -> Self {
        Self {
            when: match &policy.when {
                _ if policy.is_time_dependent() => Essential::InTime,
                When::Always => Essential::Settled(Truth::True),
                When::Holds(condition) => Essential::Holds(condition.clone()),
                When::Broken { .. } => Essential::Settled(Truth::Unknown),
            },
            effect: policy.effect,
            names_companies: policy.target.companies.is_some(),
            names_users: policy.target.users.is_some(),
            names_resources: policy.target.resources.is_some(),
        }
    }
}

impl Book {
    /// Takes policies in the order of their ranks.
    pub(super) fn build(policies: Vec<Policy>, catalog: &Catalog) -> Self {
        let actions = Action::ALL.len();
        let mut named = vec![Vec::new(); catalog.features().len() * actions];
        let mut general = vec![Vec::new(); actions];
        for (rank, policy) in (0_u32..).zip(&policies) {
            let places = policy.target.features.as_ref().map(|features| {
                let known = features.iter().filter_map(|feature| catalog.feature_index(feature.as_str()));
                let mut places: Vec<_> = known.collect();
                places.sort_unstable();
                places.dedup();
                places
            });
            let meant = policy.target.actions.as_ref();
            for action in
                Action::ALL.into_iter().filter(|action| meant.is_none_or(|meant| meant.contains(action)))
            {
                if let Some(features) = &places {
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
        Self {
            essences: policies.iter().map(Essence::of).collect(),
            policies: policies.into(),
            named,
            general,
        }
    }

    /// The same policies for another catalog.
    pub(super) fn rebind(&self, catalog: &Catalog) -> Self {
        Self::build(self.policies.to_vec(), catalog)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Every policy, in the order in which they are asked.
    pub(super) fn iter(&self) -> std::slice::Iter<'_, Policy> {
        self.policies.iter()
    }

    /// The policies about a feature and action, in the order in which they are asked.
    pub(super) fn candidates(&self, feature: FeatureIndex, action: Action) -> Vec<&Policy> {
        let mut ranks: Vec<_> = self.indexes(feature, action).flat_map(Index::ranks).collect();
        ranks.sort_unstable();
        ranks.dedup();
        ranks.into_iter().filter_map(|rank| self.policies.get(rank as usize)).collect()
    }

    /// The first policy that applies.
    pub(super) fn first(
        &self,
        feature: FeatureIndex,
        attributes: &Attributes<'_>,
        horizon: &mut Horizon,
    ) -> Option<Applied<'_>> {
        if self.is_empty() {
            return None;
        }
        let mut only = None;
        for index in self.indexes(feature, attributes.request.action).filter(|index| !index.is_empty()) {
            if index.needs_lookup() || only.is_some() {
                return self.first_selected(feature, attributes, horizon);
            }
            only = Some(index);
        }
        only?.rest().iter().find_map(|entry| self.applies(*entry, attributes, horizon))
    }

    fn first_selected(
        &self,
        feature: FeatureIndex,
        attributes: &Attributes<'_>,
        horizon: &mut Horizon,
    ) -> Option<Applied<'_>> {
        let mut selection = Selection::default();
        for index in self.indexes(feature, attributes.request.action) {
            index.select(attributes, &mut selection);
        }
        selection.find_map(|entry| self.applies(entry, attributes, horizon))
    }

    fn indexes(&self, feature: FeatureIndex, action: Action) -> impl Iterator<Item = &Index> {
        self.named.get(place(feature, action)).into_iter().chain(self.general.get(action.index()))
    }

    fn applies(
        &self,
        entry: Entry,
        attributes: &Attributes<'_>,
        horizon: &mut Horizon,
    ) -> Option<Applied<'_>> {
        let essence = self.essences.get(entry.rank as usize)?;
        let policy = self.policies.get(entry.rank as usize)?;
        let (target, request) = (&policy.target, attributes.request);
        let meant =
            (!essence.names_companies || entry.proved == Proved::Company || target.covers_company(request))
                && (!essence.names_users || entry.proved == Proved::User || target.covers_user(request))
                && (!essence.names_resources || target.covers_resource(request));
        if !meant {
            return None;
        }
        let truth = match (&essence.when, entry.proved) {
            (Essential::Settled(truth), _) => *truth,
            (Essential::Holds(condition), Proved::Part(part)) => {
                condition.evaluate_given(part.into(), attributes)
            }
            (Essential::Holds(condition), _) => condition.evaluate(attributes),
            (Essential::InTime, _) => truth_in_time(policy, attributes, horizon)?,
        };
        essence.effect.applies(truth).then_some(Applied { policy, truth })
    }
}

const fn place(feature: FeatureIndex, action: Action) -> usize {
    feature.get() * Action::ALL.len() + action.index()
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
