//! A book of policies: those of one kind, in the order in which they are asked, with an index.

use chrono::{DateTime, Utc};

use super::dispatch::{Entry, Index, Proved, Selection};
use super::essence::{Essence, Shape};
use super::reading::{Reading, Vocabulary};
use super::{Applied, Attributes, Policy, Truth, When};
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
    vocabulary: Vocabulary,
    /// Policies that name features: by feature, then action.
    named: Box<[Index]>,
    /// Policies about every feature: by action.
    general: Box<[Index]>,
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
        let vocabulary = Vocabulary::of(&policies);
        let index = |lists: Vec<Vec<_>>| lists.iter().map(|list| Index::build(list, &vocabulary)).collect();
        let (named, general) = (index(named), index(general));
        Self {
            essences: policies.iter().map(|policy| Essence::of(policy, &vocabulary)).collect(),
            policies: policies.into(),
            vocabulary,
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
    #[inline]
    pub(super) fn first(
        &self,
        feature: FeatureIndex,
        attributes: &Attributes<'_>,
        horizon: &mut Horizon,
    ) -> Option<Applied<'_>> {
        if self.is_empty() {
            return None;
        }
        let action = attributes.request.action;
        let named = self.named.get(place(feature, action)).filter(|index| !index.is_empty());
        let general = self.general.get(action.index()).filter(|index| !index.is_empty());
        match (named, general) {
            (None, None) => None,
            (Some(only), None) | (None, Some(only)) => self.first_of(only, attributes, horizon),
            (Some(named), Some(general)) => {
                let reading = Reading::new(attributes, &self.vocabulary);
                self.first_merged([named, general], reading, horizon)
            }
        }
    }

    #[inline(never)]
    fn first_of(
        &self,
        index: &Index,
        attributes: &Attributes<'_>,
        horizon: &mut Horizon,
    ) -> Option<Applied<'_>> {
        let mut reading = Reading::new(attributes, &self.vocabulary);
        match index.one_list(&mut reading) {
            Some(list) => self.first_in(list.iter().copied(), &mut reading, horizon),
            None => self.first_merged([index], reading, horizon),
        }
    }

    #[inline(never)]
    fn first_merged<const N: usize>(
        &self,
        indexes: [&Index; N],
        mut reading: Reading<'_>,
        horizon: &mut Horizon,
    ) -> Option<Applied<'_>> {
        let mut selection = Selection::default();
        for index in indexes {
            index.select(&mut reading, &mut selection);
        }
        self.first_in(selection, &mut reading, horizon)
    }

    #[inline]
    fn first_in(
        &self,
        entries: impl Iterator<Item = Entry>,
        reading: &mut Reading<'_>,
        horizon: &mut Horizon,
    ) -> Option<Applied<'_>> {
        for entry in entries {
            if let Some(applied) = self.applies(entry, reading, horizon) {
                return Some(applied);
            }
        }
        None
    }

    fn indexes(&self, feature: FeatureIndex, action: Action) -> impl Iterator<Item = &Index> {
        self.named.get(place(feature, action)).into_iter().chain(self.general.get(action.index()))
    }

    #[expect(clippy::inline_always, reason = "it is most of the work of most decisions")]
    #[inline(always)]
    fn applies(&self, entry: Entry, reading: &mut Reading<'_>, horizon: &mut Horizon) -> Option<Applied<'_>> {
        let essence = self.essences.get(entry.rank as usize)?;
        if essence.is_narrow && !self.covers(entry, reading.attributes) {
            return None;
        }
        let tested = match essence.shape {
            Shape::Settled(truth) => Some(truth),
            Shape::Tests(count) => essence.test(count, reading),
            Shape::Condition | Shape::InTime => None,
        };
        let truth = match tested {
            Some(truth) => truth,
            None => self.ask(entry, essence.shape, reading.attributes, horizon)?,
        };
        essence.effect.applies(truth).then_some(Applied::new(essence))
    }

    /// Whether the policy's target covers company, user and resource of the request.
    #[inline(never)]
    fn covers(&self, entry: Entry, attributes: &Attributes<'_>) -> bool {
        let request = attributes.request;
        self.policies.get(entry.rank as usize).map(|policy| &policy.target).is_some_and(|target| {
            (entry.proved == Proved::Company || target.covers_company(request))
                && (entry.proved == Proved::User || target.covers_user(request))
                && target.covers_resource(request)
        })
    }

    /// The truth of the policy's condition; `None` if the policy is not in force.
    #[inline(never)]
    fn ask(
        &self,
        entry: Entry,
        shape: Shape,
        attributes: &Attributes<'_>,
        horizon: &mut Horizon,
    ) -> Option<Truth> {
        let policy = self.policies.get(entry.rank as usize)?;
        match (&policy.when, entry.proved) {
            _ if shape == Shape::InTime => truth_in_time(policy, attributes, horizon),
            (When::Holds(condition), Proved::Part(part)) => {
                Some(condition.evaluate_given(part.into(), attributes))
            }
            (when, _) => Some(when.evaluate(attributes)),
        }
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
