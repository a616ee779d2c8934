//! Features: reads the `[features]` section.

use super::super::grants::value;
use super::super::node::{Field, Node};
use super::super::reader::{Fields, Place, Reader};
use super::super::{Feature, FeatureIndex, FeatureKind, GaugeCount, OnPlanChange, Symbol, Value};

const KINDS: [(&str, FeatureKind); 4] = [
    ("flag", FeatureKind::Flag),
    ("meter", FeatureKind::Meter),
    ("gauge", FeatureKind::Gauge),
    ("value", FeatureKind::Value),
];

/// The options of features beside `type` and `name`, each with the kinds that have it.
const OPTIONS: [(&str, &[FeatureKind]); 6] = [
    ("unit", &[FeatureKind::Meter, FeatureKind::Gauge, FeatureKind::Value]),
    ("on_plan_change", &[FeatureKind::Meter]),
    ("pool", &[FeatureKind::Meter]),
    ("counts", &[FeatureKind::Gauge]),
    ("limit_from", &[FeatureKind::Gauge]),
    ("default", &[FeatureKind::Value]),
];

/// The most features or plans that dense indices can tell apart.
pub(super) const MOST: usize = u16::MAX as usize;

/// A feature as it is declared; parts that are broken are absent, and reported.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) key: Box<str>,
    pub(super) kind: Option<FeatureKind>,
    pub(super) default: Option<Value>,
    pub(super) pool: Option<Pool>,
    name: Option<Box<str>>,
    unit: Option<Box<str>>,
    on_plan_change: OnPlanChange,
    counts: GaugeCount,
    limit_from_seats: bool,
}

/// The pool that a meter names.
#[derive(Debug)]
pub(super) struct Pool {
    at: usize,
    pub(super) key: Box<str>,
}

/// The features as they are declared, in the order of their names.
#[derive(Debug, Default)]
pub(super) struct Features {
    list: Vec<Declared>,
    /// Whether the section could not be read, so that nothing can be said about names.
    broken: bool,
}

impl Features {
    pub(super) fn read(reader: &mut Reader, root: Fields<'_>) -> Self {
        let place = Place::ROOT.key("features");
        let Some(node) = reader.need(0, &place, root, "features", "there are no features") else {
            return Self { list: Vec::new(), broken: true };
        };
        let Some(fields) = reader.names(node, &place) else {
            return Self { list: Vec::new(), broken: true };
        };
        if fields.is_empty() {
            reader.unmet(node.at, &place, "there are no features");
        }
        if fields.len() > MOST {
            reader.wrong(node.at, &place, format!("there are more than {MOST} features"));
        }
        let mut list: Vec<_> = fields.iter().map(|field| declared(reader, field, &place)).collect();
        list.sort_by(|a, b| a.key.cmp(&b.key));
        let features = Self { list, broken: fields.is_empty() };
        features.check_pools(reader, &place);
        features
    }

    /// The feature of that name with its index. Reports a name that does not exist.
    pub(super) fn find(
        &self,
        reader: &mut Reader,
        at: usize,
        place: &Place<'_>,
        name: &str,
    ) -> Option<(usize, &Declared)> {
        let found = self.position(name).and_then(|index| Some((index, self.list.get(index)?)));
        if found.is_none() && !self.broken {
            reader.unknown(at, place, "feature", name, self.list.iter().map(|feature| &*feature.key));
        }
        found
    }

    pub(super) const fn len(&self) -> usize {
        self.list.len()
    }

    /// The features with pools resolved.
    pub(super) fn build(self) -> Option<Vec<Feature>> {
        let mut members = vec![Vec::new(); self.list.len()];
        let mut pools = Vec::with_capacity(self.list.len());
        for (index, feature) in self.list.iter().enumerate() {
            let pool = match &feature.pool {
                Some(pool) => Some(self.position(&pool.key)?),
                None => None,
            };
            if let Some(pool) = pool {
                members.get_mut(pool)?.push(feature_index(index)?);
            }
            pools.push(pool);
        }
        let all = self.list.into_iter().zip(pools).zip(members).enumerate();
        all.map(|(index, ((feature, pool), members))| {
            Some(Feature {
                index: feature_index(index)?,
                key: Symbol::of(&feature.key),
                kind: feature.kind?,
                name: feature.name,
                unit: feature.unit,
                on_plan_change: feature.on_plan_change,
                pool: match pool {
                    Some(pool) => Some(feature_index(pool)?),
                    None => None,
                },
                members,
                default: feature.default,
                counts: feature.counts,
                limit_from_seats: feature.limit_from_seats,
            })
        })
        .collect()
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.list.binary_search_by(|feature| (*feature.key).cmp(name)).ok()
    }

    fn check_pools(&self, reader: &mut Reader, features: &Place<'_>) {
        for feature in &self.list {
            let Some(pool) = &feature.pool else { continue };
            let place = features.key(&feature.key);
            let place = place.key("pool");
            let Some((_, shared)) = self.find(reader, pool.at, &place, &pool.key) else { continue };
            let key = &*pool.key;
            match shared.kind {
                Some(FeatureKind::Meter) if *feature.key == *key => {
                    reader.unmet(pool.at, &place, "a meter cannot be its own pool");
                }
                Some(FeatureKind::Meter) if shared.pool.is_some() => {
                    reader.unmet(
                        pool.at,
                        &place,
                        format!("`{key}` is itself a member of a pool; pools do not nest"),
                    );
                }
                Some(FeatureKind::Meter) | None => {}
                Some(kind) => {
                    reader.unmet(pool.at, &place, format!("`{key}` is a {kind}; a pool must be a meter"));
                }
            }
        }
    }
}

/// The dense index at `position`.
pub(super) fn feature_index(position: usize) -> Option<FeatureIndex> {
    u16::try_from(position).ok().map(FeatureIndex)
}

fn declared(reader: &mut Reader, field: &Field, features: &Place<'_>) -> Declared {
    let place = features.key(&field.key);
    let mut declared = Declared {
        key: field.key.clone(),
        kind: None,
        default: None,
        pool: None,
        name: None,
        unit: None,
        on_plan_change: OnPlanChange::default(),
        counts: GaugeCount::default(),
        limit_from_seats: false,
    };
    let known: Vec<&str> = ["type", "name"].into_iter().chain(OPTIONS.map(|(option, _)| option)).collect();
    let Some(options) = reader.fields(&field.value, &place, &known) else { return declared };
    let at = field.value.at;
    let kind = reader.need(at, &place, options, "type", "needs `type`: flag, meter, gauge or value");
    declared.kind = kind.and_then(|kind| reader.word(kind, &place.key("type"), "type", &KINDS));
    declared.name = label(reader, options, "name", &place);
    let Some(kind) = declared.kind else { return declared };
    for (option, kinds) in OPTIONS {
        let Some(node) = options.get(option) else { continue };
        let place = place.key(option);
        if kinds.contains(&kind) {
            set(reader, &mut declared, option, node, &place);
        } else {
            let kinds: Vec<_> = kinds.iter().map(|kind| format!("{kind}s")).collect();
            reader.wrong(
                node.at,
                &place,
                format!("a {kind} has no such option; {} have it", kinds.join(", ")),
            );
        }
    }
    if kind == FeatureKind::Value {
        reader.need(at, &place, options, "default", "needs `default`");
    }
    declared
}

fn set(reader: &mut Reader, declared: &mut Declared, option: &str, node: &Node, place: &Place<'_>) {
    match option {
        "unit" => declared.unit = reader.text(node, place).map(Into::into),
        "on_plan_change" => {
            let words = [
                ("carry", OnPlanChange::Carry),
                ("reset", OnPlanChange::Reset),
                ("prorate", OnPlanChange::Prorate),
            ];
            if let Some(choice) = reader.word(node, place, "choice", &words) {
                declared.on_plan_change = choice;
            }
        }
        "pool" => {
            declared.pool = reader.text(node, place).map(|key| Pool { at: node.at, key: key.into() });
        }
        "counts" => {
            let words = [("holders", GaugeCount::Holders), ("level", GaugeCount::Level)];
            if let Some(counts) = reader.word(node, place, "choice", &words) {
                declared.counts = counts;
            }
        }
        "limit_from" => {
            declared.limit_from_seats =
                reader.word(node, place, "choice", &[("seats", true)]).unwrap_or_default();
        }
        _ => declared.default = value(reader, node, place, None),
    }
}

/// A text for people, if the table has it under `key`.
pub(super) fn label(
    reader: &mut Reader,
    fields: Fields<'_>,
    key: &str,
    place: &Place<'_>,
) -> Option<Box<str>> {
    fields.get(key).and_then(|node| reader.text(node, &place.key(key))).map(Into::into)
}
