//! The policy set: every policy, compiled for one catalog, ready to be asked.

use std::cmp::Ordering;
use std::sync::OnceLock;

use super::book::Book;
use super::essence::Essence;
use super::{Attributes, Effect, Path, Policy, When};
use crate::Action;
use crate::catalog::{Catalog, CatalogHash, FeatureIndex};
use crate::evaluate::Horizon;
use crate::facts::Revision;
use crate::id::PolicyId;
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
    /// By feature and action: the attributes of the context that policies read, found when they are asked for.
    reads: Reads,
}

type Reads = Box<[OnceLock<Box<[Path]>>]>;

/// The policy that decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applied<'s> {
    essence: &'s Essence,
}

impl<'s> Applied<'s> {
    #[inline]
    pub(super) const fn new(essence: &'s Essence) -> Self {
        Self { essence }
    }

    pub(crate) const fn id(self) -> &'s PolicyId {
        &self.essence.id
    }

    pub(crate) const fn effect(self) -> Effect {
        self.essence.effect
    }
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
            reads: no_reads(catalog),
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
            reads: no_reads(catalog),
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
            catalog: CatalogHash::none(),
            guardrails: Book::default(),
            policies: Book::default(),
            reads: Box::default(),
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

    pub(crate) const fn has_guardrails(&self) -> bool {
        !self.guardrails.is_empty()
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
    #[inline]
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
        self.guardrails.iter().chain(self.policies.iter())
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

impl PolicySet {
    /// The attributes of the context that the policies about a feature and action read, in a fixed order. What else is in
    /// the context does not matter.
    pub(crate) fn reads(&self, feature: FeatureIndex, action: Action) -> &[Path] {
        match self.reads.get(feature.get() * Action::ALL.len() + action.index()) {
            Some(reads) => reads.get_or_init(|| self.find_reads(feature, action)),
            None => &[],
        }
    }

    fn find_reads(&self, feature: FeatureIndex, action: Action) -> Box<[Path]> {
        let asked = self.guardrails_of(feature, action).into_iter().chain(self.policies_of(feature, action));
        let mut paths: Vec<Path> = asked
            .filter_map(|policy| match &policy.when {
                When::Holds(condition) => Some(condition),
                When::Always | When::Broken { .. } => None,
            })
            .flat_map(|condition| condition.paths())
            .filter(|path| matches!(path, Path::Context(..)))
            .cloned()
            .collect();
        paths.sort_unstable();
        paths.dedup();
        paths.into()
    }
}

fn no_reads(catalog: &Catalog) -> Reads {
    std::iter::repeat_with(OnceLock::new).take(catalog.features().len() * Action::ALL.len()).collect()
}

impl Default for PolicySet {
    fn default() -> Self {
        Self::empty()
    }
}

#[cfg(test)]
mod tests;
