//! Plans and add-ons: reads the `[plans]` and `[addons]` sections.

use super::super::grants::{Given, addon_entry, plan_entry};
use super::super::node::Field;
use super::super::reader::{Fields, Place, Reader};
use super::super::{AddOn, AddOnEntry, Entry, FeatureKind, Plan, PlanIndex, StripeRefs, Symbol};
use super::features::{Declared, Features, MOST, feature_index, label};
use super::stripe::StripeReader;

/// A plan as it is declared, without what it inherits.
#[derive(Debug)]
struct Declaration {
    key: Box<str>,
    name: Option<Box<str>>,
    trial_days: Option<u16>,
    stripe: StripeRefs,
    /// Where `extends` is, and what it names.
    extends: Option<(usize, Box<str>)>,
    /// By feature index.
    given: Vec<(usize, Given)>,
}

/// The plans as they are declared, in the order of the text.
#[derive(Debug)]
pub(super) struct Plans {
    list: Vec<Declaration>,
    /// The plan that each extends.
    parents: Vec<Option<usize>>,
    /// Whether the section could not be read, so that nothing can be said about names.
    broken: bool,
}

impl Plans {
    pub(super) fn read(
        reader: &mut Reader,
        root: Fields<'_>,
        features: &Features,
        stripe: &mut StripeReader<'_>,
    ) -> Self {
        let place = Place::ROOT.key("plans");
        let mut plans = Self { list: Vec::new(), parents: Vec::new(), broken: false };
        let Some(node) = root.get("plans") else { return plans };
        let Some(fields) = reader.names(node, &place) else {
            plans.broken = true;
            return plans;
        };
        if fields.len() > MOST {
            reader.wrong(node.at, &place, format!("there are more than {MOST} plans"));
        }
        plans.list =
            fields.iter().map(|field| declaration(reader, field, &place, features, stripe)).collect();
        plans.parents = plans.list.iter().map(|plan| plans.parent(reader, plan, &place)).collect();
        plans.check_loops(reader, &place);
        plans
    }

    /// The plan of that name. Reports a name that does not exist.
    pub(super) fn find(
        &self,
        reader: &mut Reader,
        at: usize,
        place: &Place<'_>,
        name: &str,
    ) -> Option<PlanIndex> {
        let index = self.list.iter().position(|plan| *plan.key == *name);
        if index.is_none() && !self.broken {
            reader.unknown(at, place, "plan", name, self.list.iter().map(|plan| &*plan.key));
        }
        plan_index(index?)
    }

    /// The plans with `extends` flattened.
    pub(super) fn build(self, features: usize) -> Option<Vec<Plan>> {
        let mut flat: Vec<Option<Vec<Option<Entry>>>> = vec![None; self.list.len()];
        for start in 0..self.list.len() {
            // Up to the first ancestor that is done, then down again.
            let mut chain = Vec::new();
            let mut next = Some(start);
            while let Some(index) = next.filter(|index| matches!(flat.get(*index), Some(None))) {
                chain.push(index);
                next = *self.parents.get(index)?;
            }
            for index in chain.into_iter().rev() {
                let inherited = (*self.parents.get(index)?).and_then(|parent| flat.get(parent)?.clone());
                let mut entries = inherited.unwrap_or_else(|| vec![None; features]);
                for (feature, given) in &self.list.get(index)?.given {
                    *entries.get_mut(*feature)? = match given {
                        Given::Nothing => None,
                        Given::Entry(entry) => Some(entry.clone()),
                    };
                }
                *flat.get_mut(index)? = Some(entries);
            }
        }
        let plans = self.list.into_iter().zip(flat).enumerate();
        plans
            .map(|(index, (plan, entries))| {
                Some(Plan {
                    index: plan_index(index)?,
                    key: Symbol::of(&plan.key),
                    name: plan.name,
                    trial_days: plan.trial_days,
                    stripe: plan.stripe,
                    entries: entries?,
                })
            })
            .collect()
    }

    fn parent(&self, reader: &mut Reader, plan: &Declaration, plans: &Place<'_>) -> Option<usize> {
        let (at, name) = plan.extends.as_ref()?;
        let place = plans.key(&plan.key);
        self.find(reader, *at, &place.key("extends"), name).map(PlanIndex::get)
    }

    /// Reports each loop once, at the plan of it that comes first in the text.
    fn check_loops(&self, reader: &mut Reader, plans: &Place<'_>) {
        let mut seen = vec![false; self.list.len()];
        for start in 0..self.list.len() {
            let mut path = Vec::new();
            let mut next = Some(start);
            while let Some(index) = next.filter(|index| seen.get(*index) == Some(&false)) {
                if let Some(seen) = seen.get_mut(index) {
                    *seen = true;
                }
                path.push(index);
                next = self.parents.get(index).copied().flatten();
            }
            let Some(entry) = path.iter().position(|index| Some(*index) == next) else { continue };
            let mut members = path.split_off(entry);
            let first = members.iter().enumerate().min_by_key(|(_, index)| **index).map_or(0, |(at, _)| at);
            members.rotate_left(first);
            members.extend(members.first().copied());
            let members: Vec<_> = members.iter().filter_map(|index| self.list.get(*index)).collect();
            let Some((plan, (at, _))) = members.first().and_then(|plan| Some((plan, plan.extends.as_ref()?)))
            else {
                continue;
            };
            let names: Vec<&str> = members.iter().map(|plan| &*plan.key).collect();
            let place = plans.key(&plan.key);
            reader.unmet(*at, &place.key("extends"), format!("extends loops through {}", names.join(" -> ")));
        }
    }
}

fn plan_index(position: usize) -> Option<PlanIndex> {
    u16::try_from(position).ok().map(PlanIndex)
}

fn declaration(
    reader: &mut Reader,
    field: &Field,
    plans: &Place<'_>,
    features: &Features,
    stripe: &mut StripeReader<'_>,
) -> Declaration {
    let place = plans.key(&field.key);
    let mut plan = Declaration {
        key: field.key.clone(),
        name: None,
        trial_days: None,
        stripe: StripeRefs::default(),
        extends: None,
        given: Vec::new(),
    };
    let known = ["name", "stripe", "trial", "extends", "grants"];
    let Some(fields) = reader.fields(&field.value, &place, &known) else { return plan };
    plan.name = label(reader, fields, "name", &place);
    plan.stripe = stripe.read(reader, fields, &place);
    plan.trial_days = trial(reader, fields, &place);
    plan.extends = fields.get("extends").and_then(|node| {
        let parent = reader.text(node, &place.key("extends"))?;
        Some((node.at, parent.into()))
    });
    each_grant(reader, fields, &place, features, |reader, index, field, place, kind, feature| {
        let given = plan_entry(reader, &field.value, place, kind, feature.default.as_ref());
        plan.given.extend(given.map(|given| (index, given)));
    });
    plan
}

fn trial(reader: &mut Reader, fields: Fields<'_>, plan: &Place<'_>) -> Option<u16> {
    let node = fields.get("trial")?;
    let place = plan.key("trial");
    let fields = reader.fields(node, &place, &["days"])?;
    let days = reader.need(node.at, &place, fields, "days", "needs `days`")?;
    reader.whole(days, &place.key("days"), 0, 30).and_then(|days| u16::try_from(days).ok())
}

/// Reads the `[addons]` section.
pub(super) fn addons(
    reader: &mut Reader,
    root: Fields<'_>,
    features: &Features,
    stripe: &mut StripeReader<'_>,
) -> Vec<AddOnDeclaration> {
    let place = Place::ROOT.key("addons");
    let fields = root.get("addons").and_then(|node| reader.names(node, &place)).unwrap_or_default();
    fields.iter().map(|field| addon(reader, field, &place, features, stripe)).collect()
}

/// An add-on as it is declared.
#[derive(Debug)]
pub(super) struct AddOnDeclaration {
    key: Box<str>,
    name: Option<Box<str>>,
    stripe: StripeRefs,
    entries: Vec<AddOnEntry>,
}

impl AddOnDeclaration {
    pub(super) fn build(self) -> AddOn {
        AddOn { key: Symbol::of(&self.key), name: self.name, stripe: self.stripe, entries: self.entries }
    }
}

fn addon(
    reader: &mut Reader,
    field: &Field,
    addons: &Place<'_>,
    features: &Features,
    stripe: &mut StripeReader<'_>,
) -> AddOnDeclaration {
    let place = addons.key(&field.key);
    let mut addon = AddOnDeclaration {
        key: field.key.clone(),
        name: None,
        stripe: StripeRefs::default(),
        entries: Vec::new(),
    };
    let Some(fields) = reader.fields(&field.value, &place, &["name", "stripe", "grants"]) else {
        return addon;
    };
    addon.name = label(reader, fields, "name", &place);
    addon.stripe = stripe.read(reader, fields, &place);
    each_grant(reader, fields, &place, features, |reader, index, field, place, kind, _| {
        let entry = addon_entry(reader, &field.value, place, kind).zip(feature_index(index));
        addon.entries.extend(entry.map(|((actions, kind), feature)| AddOnEntry { feature, actions, kind }));
    });
    addon.entries.sort_by_key(|entry| entry.feature);
    addon
}

/// Calls `read` with every entry under `grants` whose feature is known, is sound and has a quota of its own.
fn each_grant(
    reader: &mut Reader,
    fields: Fields<'_>,
    owner: &Place<'_>,
    features: &Features,
    mut read: impl FnMut(&mut Reader, usize, &Field, &Place<'_>, FeatureKind, &Declared),
) {
    let Some(node) = fields.get("grants") else { return };
    let grants = owner.key("grants");
    for field in reader.table(node, &grants).unwrap_or_default() {
        let place = grants.key(&field.key);
        let Some((index, feature)) = features.find(reader, field.at, &place, &field.key) else { continue };
        let Some(kind) = feature.kind else { continue };
        if let Some(pool) = &feature.pool {
            let message = format!("shares the quota of `{}`; grant that instead", pool.key);
            reader.unmet(field.at, &place, message);
            continue;
        }
        read(reader, index, field, &place, kind, feature);
    }
}
