//! The catalog: what is sold. Features, plans, add-ons and the routes they gate, validated as a whole.
//!
//! A [`Catalog`] is immutable and compiled: names are resolved once to dense indices, `extends` is flattened, and every
//! problem of the source text has been reported before one exists. Load it with [`Catalog::parse`].

mod entry;
mod error;
mod feature;
mod grants;
mod hash;
mod load;
mod node;
mod plan;
mod quota;
mod reader;
mod routing;
mod symbol;
mod written;

use std::fmt;
use std::hash::{Hash, Hasher};

use chrono::TimeDelta;
use rustc_hash::FxHashMap;

pub use entry::{Entry, EntryKind};
pub use error::{CatalogError, Problem};
pub use feature::{Feature, FeatureIndex, FeatureKind, GaugeCount, OnPlanChange, Value};
pub use grants::InvalidEntry;
pub use plan::{AddOn, AddOnEntry, AddOnKind, Plan, PlanIndex, StripeRefs};
pub use quota::{Anchor, Overage, Quota};
pub use routing::{Charge, Consume, Require, Route, Routing, Unmatched};
pub(crate) use symbol::Symbol;

use crate::dictionary::Dictionary;
use crate::{Action, ActionSet};

/// The fingerprint of a catalog: its meaning, not its layout. Comments, spacing and the order of keys in a table do not
/// change it; the order of plans, add-ons and routes, names for people and expanded prices do.
#[derive(Clone, Copy)]
pub struct CatalogHash(&'static [u8; 32]);

static NO_HASH: [u8; 32] = [0; 32];

impl CatalogHash {
    /// The fingerprint of no catalog.
    pub(crate) const fn none() -> Self {
        Self(&NO_HASH)
    }

    /// The first four bytes as 8 hex digits, as decisions show it.
    #[must_use]
    pub fn short(self) -> String {
        let [a, b, c, d, ..] = *self.0;
        format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
    }
}

impl PartialEq for CatalogHash {
    fn eq(&self, other: &Self) -> bool {
        // Equal ones are mostly the same.
        std::ptr::eq(self.0, other.0) || self.0 == other.0
    }
}

impl Eq for CatalogHash {}

impl Hash for CatalogHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for CatalogHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CatalogHash({self})")
    }
}

impl fmt::Display for CatalogHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(const_hex::Buffer::<32>::new().format(self.0))
    }
}

/// What is sold: features, plans, add-ons and routes, validated and compiled.
#[derive(Debug)]
pub struct Catalog {
    pub(crate) hash: CatalogHash,
    pub(crate) past_due_grace: TimeDelta,
    pub(crate) features: Vec<Feature>,
    pub(crate) plans: Vec<Plan>,
    pub(crate) addons: Vec<AddOn>,
    pub(crate) default_plan: Option<PlanIndex>,
    pub(crate) routing: Routing,
    /// By feature: the actions that any plan or add-on includes.
    pub(crate) offered: Box<[ActionSet]>,
    /// In the order of the features.
    pub(crate) feature_names: Dictionary,
    pub(crate) plan_names: FxHashMap<Symbol, PlanIndex>,
    pub(crate) addon_names: FxHashMap<Symbol, usize>,
}

impl Catalog {
    /// The catalog's fingerprint. Every decision names it.
    #[must_use]
    pub const fn hash(&self) -> CatalogHash {
        self.hash
    }

    /// How long a `past_due` subscription keeps its access.
    #[must_use]
    pub const fn past_due_grace(&self) -> TimeDelta {
        self.past_due_grace
    }

    /// Every feature, in the order of their names.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The feature of that name.
    #[expect(clippy::inline_always, reason = "it is where every decision begins")]
    #[inline(always)]
    #[must_use]
    pub fn feature(&self, name: &str) -> Option<&Feature> {
        self.features.get(self.feature_names.get(name)? as usize)
    }

    /// Every plan, in catalog order.
    #[must_use]
    pub fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// The plan of that name.
    #[must_use]
    pub fn plan(&self, name: &str) -> Option<&Plan> {
        self.plan_index(name).and_then(|index| self.plans.get(index.get()))
    }

    /// Every add-on, in catalog order.
    #[must_use]
    pub fn addons(&self) -> &[AddOn] {
        &self.addons
    }

    /// The add-on of that name.
    #[must_use]
    pub fn addon(&self, name: &str) -> Option<&AddOn> {
        self.addon_names.get(name).and_then(|index| self.addons.get(*index))
    }

    /// The plan of companies without a subscription that gives access, if there is one.
    #[must_use]
    pub fn default_plan(&self) -> Option<&Plan> {
        self.default_plan.and_then(|index| self.plans.get(index.get()))
    }

    /// The routes that the gateway layer gates.
    #[must_use]
    pub const fn routing(&self) -> &Routing {
        &self.routing
    }

    pub(crate) fn feature_index(&self, name: &str) -> Option<FeatureIndex> {
        u16::try_from(self.feature_names.get(name)?).ok().map(FeatureIndex)
    }

    /// Whether any plan or add-on includes the action on the feature.
    pub(crate) fn offers(&self, feature: FeatureIndex, action: Action) -> bool {
        self.offered.get(feature.get()).is_some_and(|actions| actions.contains(action))
    }

    pub(crate) fn plan_index(&self, name: &str) -> Option<PlanIndex> {
        self.plan_names.get(name).copied()
    }
}

/// By feature: the actions that any plan or add-on includes.
fn offered(features: &[Feature], plans: &[Plan], addons: &[AddOn]) -> Box<[ActionSet]> {
    let sold = addons.iter().flat_map(AddOn::entries);
    let of = |feature: &Feature| {
        let by_plans = plans.iter().filter_map(|plan| plan.entry(feature.index)).map(|entry| entry.actions);
        let by_addons =
            sold.clone().filter(|entry| entry.feature == feature.index).map(|entry| entry.actions);
        by_plans.chain(by_addons).fold(ActionSet::NONE, ActionSet::union)
    };
    features.iter().map(of).collect()
}
