//! Entries written down: the JSON form that [`Entry::from_json`] reads.

use serde_json::{Map, Value as Json, json};

use super::{Anchor, Entry, EntryKind, Overage, Quota};
use crate::period::Interval;
use crate::{Action, ActionSet, Amount};

impl Entry {
    /// The entry in the form of a catalog's grants, with every setting written out.
    ///
    /// ```
    /// use entitlements_core::Catalog;
    /// use entitlements_core::catalog::Entry;
    /// use serde_json::json;
    ///
    /// let catalog: Catalog = r#"
    ///     schema = 1
    ///     past_due_grace = "7d"
    ///     [features]
    ///     seats = { type = "gauge" }
    ///     [plans.pro.grants]
    ///     seats = 25
    /// "#
    /// .parse()?;
    /// let seats = catalog.feature("seats").unwrap();
    /// let entry = catalog.plan("pro").unwrap().entry(seats.index()).unwrap();
    /// assert_eq!(entry.to_json(), json!(25));
    /// assert_eq!(Entry::from_json(seats, &entry.to_json())?.as_ref(), Some(entry));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_json(&self) -> Json {
        let actions = (self.actions != ActionSet::ALL).then_some(self.actions);
        match &self.kind {
            EntryKind::Flag => actions.map_or(Json::Bool(true), |set| json!({ "actions": words(set) })),
            EntryKind::Gauge(limit) => match actions {
                Some(set) => json!({ "limit": units(*limit), "actions": words(set) }),
                None => units(*limit),
            },
            EntryKind::Value(value) => json!(value),
            EntryKind::Meter(quotas) => {
                // The actions of parallel quotas are named in the first.
                let first = std::iter::once(actions).chain(std::iter::repeat(None));
                let mut written: Vec<_> =
                    quotas.iter().zip(first).map(|(quota, set)| table(quota, set)).collect();
                match (written.pop(), written.is_empty()) {
                    (Some(only), true) => only,
                    (last, _) => Json::Array(written.into_iter().chain(last).collect()),
                }
            }
        }
    }
}

fn table(quota: &Quota, actions: Option<ActionSet>) -> Json {
    let mut table = Map::new();
    let mut set = |name: &str, value: Json| table.insert(name.to_owned(), value);
    set("limit", units(quota.limit));
    set("every", json!(quota.every.as_str()));
    if quota.every != Interval::Lifetime {
        set("anchor", json!(if quota.anchor == Anchor::Calendar { "calendar" } else { "subscription" }));
    }
    set("over", json!(if quota.over == Overage::Allow { "allow" } else { "block" }));
    set("rollover", json!(quota.rollover));
    set("alerts", json!(quota.alerts));
    if let Some(actions) = actions {
        set("actions", json!(words(actions)));
    }
    Json::Object(table)
}

fn units(limit: Option<Amount>) -> Json {
    limit.map_or_else(|| json!("unlimited"), |limit| json!(limit))
}

fn words(actions: ActionSet) -> Vec<&'static str> {
    actions.iter().map(Action::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalog;

    #[test]
    fn what_is_written_down_reads_back_as_it_was() {
        let catalog: Catalog = r#"
            schema = 1
            past_due_grace = "7d"
            [features]
            export = { type = "flag" }
            view = { type = "flag" }
            reports = { type = "meter" }
            calls = { type = "meter" }
            tokens = { type = "meter" }
            seats = { type = "gauge" }
            rooms = { type = "gauge" }
            size = { type = "value", default = 10 }
            [plans.pro.grants]
            export = true
            view = { actions = ["view", "export"] }
            reports = { limit = 10, every = "month", anchor = "calendar", over = "allow", rollover = 3, alerts = [50] }
            calls = [
                { limit = 5, every = "day", actions = ["create"] },
                { limit = 9, every = "lifetime" },
            ]
            tokens = "unlimited"
            seats = "unlimited"
            rooms = { limit = 2, actions = ["view"] }
            size = 20
        "#
        .parse()
        .unwrap();
        let plan = catalog.plan("pro").unwrap();
        for feature in catalog.features() {
            let entry = plan.entry(feature.index()).unwrap();
            let written = entry.to_json();
            assert_eq!(Entry::from_json(feature, &written).unwrap().as_ref(), Some(entry), "{written}");
        }
    }
}
