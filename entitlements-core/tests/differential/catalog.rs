//! A plain model of a catalog, and the text it is written as.

use std::fmt::Write;

use serde_json::Value as Json;

pub(crate) const ACTIONS: [&str; 7] = ["view", "create", "update", "delete", "export", "query", "configure"];

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Flag,
    Meter { pool: Option<String>, change: String },
    Gauge { level: bool, seats: bool },
    Value { default: Json },
}

#[derive(Clone, Debug)]
pub(crate) struct Feature {
    pub(crate) key: String,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) key: String,
    pub(crate) extends: Option<String>,
    pub(crate) grants: Vec<(String, Json)>,
}

#[derive(Clone, Debug)]
pub(crate) struct AddOn {
    pub(crate) key: String,
    pub(crate) grants: Vec<(String, Json)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    pub(crate) default_plan: Option<String>,
    pub(crate) grace_hours: i64,
    pub(crate) features: Vec<Feature>,
    pub(crate) plans: Vec<Plan>,
    pub(crate) addons: Vec<AddOn>,
}

/// What a plan, an override or an add-on gives of a feature.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) actions: Vec<String>,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Flag,
    Meter(Vec<Quota>),
    Gauge(Option<i128>),
    Value(Json),
}

#[derive(Clone, Debug)]
pub(crate) struct Quota {
    pub(crate) limit: Option<i128>,
    pub(crate) every: String,
    pub(crate) calendar: bool,
    pub(crate) soft: bool,
    pub(crate) rollover: i128,
}

impl Catalog {
    pub(crate) fn feature(&self, key: &str) -> Option<&Feature> {
        self.features.iter().find(|feature| feature.key == key)
    }

    pub(crate) fn plan(&self, key: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.key == key)
    }

    /// The feature whose entry and counters count: the pool of a meter that has one.
    pub(crate) fn counted(&self, feature: &Feature) -> &Feature {
        match &feature.kind {
            Kind::Meter { pool: Some(pool), .. } => self.feature(pool).unwrap(),
            _ => self.feature(&feature.key).unwrap(),
        }
    }

    /// What a plan gives of a feature: its own entry, or else that of the plan it extends.
    pub(crate) fn plan_entry(&self, plan: &str, feature: &Feature) -> Option<Entry> {
        let plan = self.plan(plan)?;
        match plan.grants.iter().find(|(key, _)| *key == feature.key) {
            Some((_, value)) => entry(feature, value),
            None => self.plan_entry(plan.extends.as_ref()?, feature),
        }
    }

    /// Whether any plan or add-on includes the action.
    pub(crate) fn is_sold(&self, feature: &Feature, action: &str) -> bool {
        let by_plan =
            |plan: &Plan| self.plan_entry(&plan.key, feature).is_some_and(|entry| entry.includes(action));
        let by_addon = |addon: &AddOn| {
            let given = addon.grants.iter().find(|(key, _)| *key == feature.key);
            given.is_some_and(|(_, value)| actions(value).iter().any(|word| word == action))
        };
        self.plans.iter().any(by_plan) || self.addons.iter().any(by_addon)
    }

    pub(crate) fn to_toml(&self) -> String {
        let mut text = format!("schema = 1\npast_due_grace = \"{}h\"\n", self.grace_hours);
        if let Some(plan) = &self.default_plan {
            writeln!(text, "default_plan = \"{plan}\"").unwrap();
        }
        text.push_str("[features]\n");
        for feature in &self.features {
            writeln!(text, "{} = {}", feature.key, feature.kind.to_toml()).unwrap();
        }
        for plan in &self.plans {
            writeln!(text, "[plans.{}]", plan.key).unwrap();
            if let Some(parent) = &plan.extends {
                writeln!(text, "extends = \"{parent}\"").unwrap();
            }
            writeln!(text, "[plans.{}.grants]", plan.key).unwrap();
            write_grants(&mut text, &plan.grants);
        }
        for addon in &self.addons {
            writeln!(text, "[addons.{}.grants]", addon.key).unwrap();
            write_grants(&mut text, &addon.grants);
        }
        text
    }
}

impl Kind {
    /// Whether it is a meter that does this when the plan changes.
    pub(crate) fn changes_by(&self, wanted: &str) -> bool {
        matches!(self, Self::Meter { change, .. } if change == wanted)
    }

    fn to_toml(&self) -> String {
        match self {
            Self::Flag => "{ type = \"flag\" }".into(),
            Self::Meter { pool: Some(pool), .. } => format!("{{ type = \"meter\", pool = \"{pool}\" }}"),
            Self::Meter { change, .. } => {
                format!("{{ type = \"meter\", on_plan_change = \"{change}\" }}")
            }
            Self::Gauge { level, seats } => {
                let counts = if *level { "level" } else { "holders" };
                let from = if *seats { ", limit_from = \"seats\"" } else { "" };
                format!("{{ type = \"gauge\", counts = \"{counts}\"{from} }}")
            }
            Self::Value { default } => format!("{{ type = \"value\", default = {} }}", toml(default)),
        }
    }
}

fn write_grants(text: &mut String, grants: &[(String, Json)]) {
    for (feature, value) in grants {
        writeln!(text, "{feature} = {}", toml(value)).unwrap();
    }
}

/// A value in one line of TOML.
fn toml(value: &Json) -> String {
    match value {
        Json::Object(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|(key, value)| format!("{key} = {}", toml(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Json::Array(elements) => format!("[{}]", elements.iter().map(toml).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

impl Entry {
    pub(crate) fn includes(&self, action: &str) -> bool {
        self.actions.iter().any(|word| word == action)
    }
}

/// The actions that a value names, or every one.
pub(crate) fn actions(value: &Json) -> Vec<String> {
    let named = value.get("actions").or_else(|| value.get(0)?.get("actions"));
    match named {
        Some(words) => words.as_array().unwrap().iter().map(|word| word.as_str().unwrap().into()).collect(),
        None => ACTIONS.map(String::from).into(),
    }
}

/// What no kind of feature takes for an entry. Who has it instead of an entry has nothing.
pub(crate) fn unreadable() -> Json {
    serde_json::json!({"nonsense": true})
}

/// An entry as plans and overrides write it; `false` is none, but for a value that is true or false.
pub(crate) fn entry(feature: &Feature, value: &Json) -> Option<Entry> {
    let what = match &feature.kind {
        Kind::Value { default: Json::Bool(_) } if value.is_boolean() => What::Value(value.clone()),
        _ if *value == Json::Bool(false) || *value == unreadable() => return None,
        Kind::Value { default } if default.is_f64() => What::Value(value.as_f64().unwrap().into()),
        Kind::Value { .. } => What::Value(value.clone()),
        Kind::Flag => What::Flag,
        Kind::Gauge { .. } => What::Gauge(limit(value.get("limit").unwrap_or(value))),
        Kind::Meter { .. } => {
            let mut quotas: Vec<Quota> = match value {
                Json::Array(quotas) => quotas.iter().map(quota).collect(),
                one => vec![quota(one)],
            };
            let length = |every: &str| {
                ["hour", "day", "week", "month", "year", "lifetime"].iter().position(|e| *e == every)
            };
            quotas.sort_by_key(|quota| length(&quota.every));
            What::Meter(quotas)
        }
    };
    Some(Entry { actions: actions(value), what })
}

/// A number of units, or "unlimited".
pub(crate) fn limit(value: &Json) -> Option<i128> {
    if value == "unlimited" { None } else { Some(value.as_u64().unwrap().into()) }
}

fn quota(value: &Json) -> Quota {
    let word =
        |key: &str, default: &str| value.get(key).map_or(default, |word| word.as_str().unwrap()).to_owned();
    Quota {
        limit: limit(value.get("limit").unwrap_or(value)),
        every: word("every", "month"),
        calendar: word("anchor", "subscription") == "calendar",
        soft: word("over", "block") == "allow",
        rollover: value.get("rollover").map_or(0, |units| units.as_u64().unwrap().into()),
    }
}
