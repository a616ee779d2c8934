//! Hash: the fingerprint of what a catalog means.

use sha2::{Digest, Sha256};

use super::symbol::keep_hash;
use super::{
    AddOn, AddOnKind, Anchor, Catalog, CatalogHash, Charge, Entry, EntryKind, Feature, GaugeCount,
    OnPlanChange, Overage, Plan, Quota, Route, StripeRefs, Unmatched, Value,
};
use crate::{ActionSet, Amount};

impl CatalogHash {
    /// The fingerprint of `catalog`.
    ///
    /// Everything that the catalog says goes into it, and nothing about how it was written. The order of plans, add-ons
    /// and routes is part of what it says: decisions list plans in that order.
    pub(super) fn of(catalog: &Catalog) -> Self {
        let mut form = Form(Sha256::new());
        form.text("entitlements catalog, form 1");
        form.number(catalog.past_due_grace.num_seconds().unsigned_abs());
        form.all(&catalog.features, Form::feature);
        form.all(&catalog.plans, Form::plan);
        form.all(&catalog.addons, Form::addon);
        form.option(catalog.default_plan, |form, index| form.number(index.0.into()));
        form.tag(match catalog.routing.unmatched {
            Unmatched::Allow => 0,
            Unmatched::Deny => 1,
        });
        form.all(&catalog.routing.routes, Form::route);
        Self(keep_hash(form.0.finalize().into()))
    }
}

/// The canonical form, hashed as it is written. Every text and list is led by its length and every choice by a number,
/// so that no two catalogs have the same form.
struct Form(Sha256);

impl Form {
    fn tag(&mut self, tag: u8) {
        self.0.update([tag]);
    }

    fn number(&mut self, number: u64) {
        self.0.update(number.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.update(text.as_bytes());
    }

    fn length(&mut self, length: usize) {
        self.number(u64::try_from(length).unwrap_or(u64::MAX));
    }

    fn amount(&mut self, amount: Amount) {
        self.number(amount.get());
    }

    fn option<T>(&mut self, option: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match option {
            None => self.tag(0),
            Some(some) => {
                self.tag(1);
                write(self, some);
            }
        }
    }

    fn all<'i, T: 'i>(&mut self, items: &'i [T], write: impl Fn(&mut Self, &'i T)) {
        self.length(items.len());
        for item in items {
            write(self, item);
        }
    }

    fn actions(&mut self, actions: ActionSet) {
        self.tag(actions.iter().fold(0, |bits, action| bits | 1 << action.index()));
    }

    fn feature(&mut self, feature: &Feature) {
        self.text(feature.key());
        self.text(feature.kind.as_str());
        self.option(feature.name(), Self::text);
        self.option(feature.unit(), Self::text);
        self.tag(match feature.on_plan_change {
            OnPlanChange::Carry => 0,
            OnPlanChange::Reset => 1,
            OnPlanChange::Prorate => 2,
        });
        self.option(feature.pool, |form, index| form.number(index.0.into()));
        self.option(feature.default.as_ref(), Self::value);
        self.tag(match feature.counts {
            GaugeCount::Holders => 0,
            GaugeCount::Level => 1,
        });
        self.tag(feature.limit_from_seats.into());
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Bool(bool) => {
                self.tag(0);
                self.tag((*bool).into());
            }
            Value::Integer(integer) => {
                self.tag(1);
                self.number(integer.cast_unsigned());
            }
            Value::Float(float) => {
                self.tag(2);
                self.number(float.to_bits());
            }
            Value::Text(text) => {
                self.tag(3);
                self.text(text);
            }
        }
    }

    fn stripe(&mut self, stripe: &StripeRefs) {
        self.all(&stripe.lookup_keys, |form, key| form.text(key));
        self.all(&stripe.prices, |form, price| form.text(price));
    }

    fn plan(&mut self, plan: &Plan) {
        self.text(plan.key());
        self.option(plan.name(), Self::text);
        self.option(plan.trial_days, |form, days| form.number(days.into()));
        self.stripe(&plan.stripe);
        self.all(&plan.entries, |form, entry| form.option(entry.as_ref(), Self::entry));
    }

    fn entry(&mut self, entry: &Entry) {
        self.actions(entry.actions);
        match &entry.kind {
            EntryKind::Flag => self.tag(0),
            EntryKind::Meter(quotas) => {
                self.tag(1);
                self.all(quotas, Self::quota);
            }
            EntryKind::Gauge(limit) => {
                self.tag(2);
                self.option(*limit, Self::amount);
            }
            EntryKind::Value(value) => {
                self.tag(3);
                self.value(value);
            }
        }
    }

    fn quota(&mut self, quota: &Quota) {
        self.option(quota.limit, Self::amount);
        self.text(quota.every.as_str());
        self.tag(match quota.anchor {
            Anchor::Calendar => 0,
            Anchor::Subscription => 1,
        });
        self.tag(match quota.over {
            Overage::Block => 0,
            Overage::Allow => 1,
        });
        self.amount(quota.rollover);
        self.all(&quota.alerts, |form, percent| form.number((*percent).into()));
    }

    fn addon(&mut self, addon: &AddOn) {
        self.text(addon.key());
        self.option(addon.name(), Self::text);
        self.stripe(&addon.stripe);
        self.all(&addon.entries, |form, entry| {
            form.number(entry.feature.0.into());
            form.actions(entry.actions);
            match entry.kind {
                AddOnKind::Flag => form.tag(0),
                AddOnKind::Meter { add, every } => {
                    form.tag(1);
                    form.amount(add);
                    form.text(every.as_str());
                }
                AddOnKind::Gauge { add } => {
                    form.tag(2);
                    form.amount(add);
                }
            }
        });
    }

    fn route(&mut self, route: &Route) {
        self.option(route.method.as_deref(), Self::text);
        self.text(&route.path);
        self.option(route.require.as_ref(), |form, require| {
            form.text(require.feature);
            form.option(require.action, |form, action| form.text(action.as_str()));
        });
        self.option(route.consume.as_ref(), |form, consume| {
            form.text(consume.feature);
            form.amount(consume.amount);
            form.tag(match consume.charge {
                Charge::Admit => 0,
                Charge::Success => 1,
                Charge::Actual => 2,
            });
        });
    }
}
