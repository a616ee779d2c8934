//! Grants: the syntax of what a plan, an override or an add-on gives of a feature.
//!
//! One set of rules for TOML and JSON: both are read as nodes.

mod quotas;
mod values;

use std::fmt;

use self::quotas::{interval, meter};
pub(super) use self::values::value;
use super::node::{Node, NodeKind};
use super::reader::{Fields, Place, Reader};
use super::{AddOnKind, Entry, EntryKind, Feature, FeatureKind, Value};
use crate::period::Interval;
use crate::{ActionSet, Amount};

const UNLIMITED: &str = "unlimited";

/// What an entry says: that something is given, or that nothing is.
#[derive(Clone, Debug)]
pub(super) enum Given {
    Nothing,
    Entry(Entry),
}

/// A JSON value that is no entry of its feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidEntry {
    problems: Vec<String>,
}

impl InvalidEntry {
    /// Every problem, in one line each; never empty.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for InvalidEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("; "))
    }
}

impl std::error::Error for InvalidEntry {}

impl Entry {
    /// Reads what a company has of `feature` instead of what its plan gives: `true`, `false`, a number, `"unlimited"` or
    /// an object, by the rules of a plan's grants.
    ///
    /// `None` means that the company has nothing of the feature: the value was `false`. For a `value` feature whose
    /// default is a boolean, `false` is its value.
    ///
    /// # Errors
    ///
    /// Every problem of the value.
    ///
    /// ```
    /// use entitlements_core::Catalog;
    /// use entitlements_core::catalog::{Entry, EntryKind};
    /// use serde_json::json;
    ///
    /// let catalog = Catalog::parse(
    ///     "catalog.toml",
    ///     r#"
    ///     schema = 1
    ///     past_due_grace = "7d"
    ///     [features]
    ///     seats = { type = "gauge" }
    ///     "#,
    /// )?;
    /// let seats = catalog.feature("seats").unwrap();
    /// assert_eq!(Entry::from_json(seats, &json!("unlimited"))?.unwrap().kind, EntryKind::Gauge(None));
    /// assert_eq!(Entry::from_json(seats, &json!(false))?, None);
    /// assert_eq!(Entry::from_json(seats, &json!(-1)).unwrap_err().to_string(), "must not be negative");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_json(feature: &Feature, value: &serde_json::Value) -> Result<Option<Self>, InvalidEntry> {
        if feature.is_pooled() {
            let problem = format!("`{}` shares the quota of its pool; give the pool instead", feature.key());
            return Err(InvalidEntry { problems: vec![problem] });
        }
        let mut reader = Reader::default();
        let node = Node::of_json(value);
        let given = plan_entry(&mut reader, &node, &Place::ROOT, feature.kind(), feature.default_value());
        match given {
            Some(Given::Entry(entry)) if reader.found.is_empty() => Ok(Some(entry)),
            Some(Given::Nothing) if reader.found.is_empty() => Ok(None),
            _ => Err(InvalidEntry { problems: reader.found.iter().map(one_line).collect() }),
        }
    }
}

fn one_line(found: &super::reader::Found) -> String {
    let place = if found.place.is_empty() { String::new() } else { format!("{}: ", found.place) };
    let suggestion = found.suggestion.as_ref().map(|text| format!("; {text}")).unwrap_or_default();
    format!("{place}{}{suggestion}", found.message)
}

/// Reads an entry of a plan or an override.
pub(super) fn plan_entry(
    reader: &mut Reader,
    node: &Node,
    place: &Place<'_>,
    kind: FeatureKind,
    default: Option<&Value>,
) -> Option<Given> {
    let is_value = matches!((kind, default), (FeatureKind::Value, Some(Value::Bool(_))));
    if matches!(node.kind, NodeKind::Bool(false)) && !is_value {
        return Some(Given::Nothing);
    }
    let (actions, kind) = match kind {
        FeatureKind::Flag => (flag(reader, node, place)?, EntryKind::Flag),
        FeatureKind::Meter => meter(reader, node, place)?,
        FeatureKind::Gauge => gauge(reader, node, place)?,
        FeatureKind::Value => (ActionSet::ALL, EntryKind::Value(value(reader, node, place, default)?)),
    };
    Some(Given::Entry(Entry { actions, kind }))
}

/// Reads an entry of an add-on.
pub(super) fn addon_entry(
    reader: &mut Reader,
    node: &Node,
    place: &Place<'_>,
    kind: FeatureKind,
) -> Option<(ActionSet, AddOnKind)> {
    if matches!(node.kind, NodeKind::Bool(false)) {
        reader.wrong(node.at, place, "an add-on has nothing to remove");
        return None;
    }
    let known: &[&str] = match kind {
        FeatureKind::Flag => return Some((flag(reader, node, place)?, AddOnKind::Flag)),
        FeatureKind::Meter => &["add", "every", "actions"],
        FeatureKind::Gauge => &["add", "actions"],
        FeatureKind::Value => {
            reader.wrong(node.at, place, "an add-on cannot give a value");
            return None;
        }
    };
    if !matches!(node.kind, NodeKind::Table(_)) {
        reader.expected(node, place, "`{ add = … }`");
        return None;
    }
    let fields = reader.fields(node, place, known)?;
    let add = reader.need(node.at, place, fields, "add", "needs `add`");
    let add = add.and_then(|add| reader.amount(add, &place.key("add"), 1));
    let actions = actions(reader, fields, place);
    if kind == FeatureKind::Gauge {
        return Some((actions?, AddOnKind::Gauge { add: add? }));
    }
    let every = match fields.get("every") {
        Some(every) => interval(reader, every, place),
        None => Some(Interval::Month),
    };
    Some((actions?, AddOnKind::Meter { add: add?, every: every? }))
}

fn flag(reader: &mut Reader, node: &Node, place: &Place<'_>) -> Option<ActionSet> {
    match node.kind {
        NodeKind::Bool(true) => Some(ActionSet::ALL),
        NodeKind::Table(_) => {
            let fields = reader.fields(node, place, &["actions"])?;
            let actions = reader.need(node.at, place, fields, "actions", "needs `actions`")?;
            reader.actions(actions, &place.key("actions"))
        }
        _ => {
            reader.expected(node, place, "`true`, `false` or `{ actions = […] }` for a flag");
            None
        }
    }
}

fn gauge(reader: &mut Reader, node: &Node, place: &Place<'_>) -> Option<(ActionSet, EntryKind)> {
    match &node.kind {
        NodeKind::Integer(_) | NodeKind::Float(_) | NodeKind::Text(_) => {
            Some((ActionSet::ALL, EntryKind::Gauge(units(reader, node, place)?.0)))
        }
        NodeKind::Table(_) => {
            let fields = reader.fields(node, place, &["limit", "actions"])?;
            let limit = limit(reader, node, fields, place);
            let actions = actions(reader, fields, place);
            Some((actions?, EntryKind::Gauge(limit?.0)))
        }
        _ => {
            reader.expected(
                node,
                place,
                "a whole number, `{ limit = … }`, `\"unlimited\"` or `false` for a gauge",
            );
            None
        }
    }
}

/// How many units; `None` is unlimited.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Limit(Option<Amount>);

/// The limit of a table.
fn limit(reader: &mut Reader, node: &Node, fields: Fields<'_>, place: &Place<'_>) -> Option<Limit> {
    let limit = reader.need(node.at, place, fields, "limit", "needs `limit`")?;
    units(reader, limit, &place.key("limit"))
}

fn units(reader: &mut Reader, node: &Node, place: &Place<'_>) -> Option<Limit> {
    match node.kind {
        NodeKind::Text(_) => reader.word(node, place, "limit", &[(UNLIMITED, ())]).map(|()| Limit(None)),
        _ => reader.amount(node, place, 0).map(|units| Limit(Some(units))),
    }
}

fn actions(reader: &mut Reader, fields: Fields<'_>, place: &Place<'_>) -> Option<ActionSet> {
    match fields.get("actions") {
        Some(actions) => reader.actions(actions, &place.key("actions")),
        None => Some(ActionSet::ALL),
    }
}
