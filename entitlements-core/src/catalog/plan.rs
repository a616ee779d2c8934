//! Plans and add-ons.

use super::{Entry, FeatureIndex, Symbol};
use crate::period::Interval;
use crate::{Action, ActionSet, Amount};

/// A plan's dense place in its catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanIndex(pub(crate) u16);

impl PlanIndex {
    pub(crate) const fn get(self) -> usize {
        self.0 as usize
    }
}

/// How Stripe knows a plan or an add-on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StripeRefs {
    /// Lookup keys of prices.
    pub lookup_keys: Vec<String>,
    /// Ids of prices.
    pub prices: Vec<String>,
}

/// A plan: a named bundle of entries, with `extends` already resolved.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) index: PlanIndex,
    pub(crate) key: Symbol,
    pub(crate) name: Option<Box<str>>,
    pub(crate) trial_days: Option<u16>,
    pub(crate) stripe: StripeRefs,
    /// By feature index; `None` where the plan does not name the feature.
    pub(crate) entries: Vec<Option<Entry>>,
}

impl Plan {
    /// The plan's name in subscriptions and decisions.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        self.key.as_str()
    }

    /// The plan's name for people.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// How many days a new subscription may be tried before it is paid, 0 to 30.
    #[must_use]
    pub const fn trial_days(&self) -> Option<u16> {
        self.trial_days
    }

    /// How Stripe knows the plan.
    #[must_use]
    pub const fn stripe(&self) -> &StripeRefs {
        &self.stripe
    }

    /// What the plan gives of the feature at `index`.
    #[must_use]
    pub fn entry(&self, index: FeatureIndex) -> Option<&Entry> {
        self.entries.get(index.get()).and_then(Option::as_ref)
    }

    pub(crate) fn includes(&self, feature: FeatureIndex, action: Action) -> bool {
        self.entry(feature).is_some_and(|entry| entry.actions.contains(action))
    }
}

/// Something bought beside a plan, any number of times.
#[derive(Clone, Debug)]
pub struct AddOn {
    pub(crate) key: Symbol,
    pub(crate) name: Option<Box<str>>,
    pub(crate) stripe: StripeRefs,
    pub(crate) entries: Vec<AddOnEntry>,
}

impl AddOn {
    /// The add-on's name.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        self.key.as_str()
    }

    /// The add-on's name for people.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// How Stripe knows the add-on.
    #[must_use]
    pub const fn stripe(&self) -> &StripeRefs {
        &self.stripe
    }

    /// What each unit of the add-on gives.
    #[must_use]
    pub fn entries(&self) -> &[AddOnEntry] {
        &self.entries
    }
}

/// What each unit of an add-on gives of one feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddOnEntry {
    /// The feature.
    pub feature: FeatureIndex,
    /// The actions that are included; never empty.
    pub actions: ActionSet,
    /// What is given, by the kind of the feature.
    pub kind: AddOnKind,
}

/// What each unit of an add-on gives, by the kind of the feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddOnKind {
    /// A flag, however many units.
    Flag,
    /// Units of a meter, times the quantity, in the plan's own periods; where the plan does not name the meter, per
    /// `every`.
    Meter {
        /// Units per unit of the add-on.
        add: Amount,
        /// The period where the plan has none.
        every: Interval,
    },
    /// Units of a gauge, times the quantity.
    Gauge {
        /// Units per unit of the add-on.
        add: Amount,
    },
}
