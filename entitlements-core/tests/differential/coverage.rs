//! What the trials have reached, so that a generator that goes blind is noticed.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::conditions::{Seen, Truth};

/// What must have been reached at least once, by table.
const EXPECTED: [(&str, &[&str]); 9] = [
    (
        "reason",
        &[
            "allowed_by_grant",
            "allowed_by_plan",
            "allowed_by_policy",
            "allowed_by_default",
            "unknown_feature",
            "policy_denied",
            "quota_exceeded",
            "no_subscription",
            "subscription_inactive",
            "feature_not_in_plan",
            "not_granted",
        ],
    ),
    ("source", &["grant", "plan", "policy", "guardrail", "default"]),
    ("kind", &["flag", "meter", "member of a pool", "gauge", "value", "unknown"]),
    ("amount", &["nothing", "one", "exactly what is left", "one more than is left", "more"]),
    (
        "quota",
        &[
            "none",
            "limited",
            "unlimited",
            "soft",
            "overage",
            "nothing left",
            "largest amount used",
            "never resets",
            "resets",
        ],
    ),
    (
        "status",
        &[
            "trialing",
            "active",
            "past_due",
            "canceled",
            "incomplete",
            "incomplete_expired",
            "unpaid",
            "paused",
            "brand_new",
            "no subscription",
        ],
    ),
    (
        "instant",
        &[
            "grant starts",
            "grant ends",
            "subscription starts",
            "trial ends",
            "paid period ends",
            "cancelled",
            "grace ends",
            "plan changed",
            "policy starts",
            "policy ends",
            "instant of a condition",
            "time of day",
            "calendar period ends",
            "subscription period ends",
        ],
    ),
    ("day", &["29 February", "last of its month", "year 1", "year 9999", "another"]),
    (
        "world",
        &[
            "parallel quotas",
            "rollover",
            "reset on change",
            "prorated",
            "add-on",
            "override",
            "override takes away",
            "override that cannot be read",
            "limit from seats",
            "broken policy",
            "tie of priorities",
            "default plan",
            "plan the catalog does not know",
            "anchor in the future",
        ],
    ),
];

const OPERATORS: [&str; 18] = [
    "all",
    "any",
    "not",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "in",
    "not_in",
    "contains",
    "starts_with",
    "ends_with",
    "cidr",
    "semver",
    "exists",
    "time_between",
];

/// How often everything has been reached.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    tables: BTreeMap<&'static str, BTreeMap<String, u64>>,
    pub(crate) seen: Seen,
}

impl Coverage {
    pub(crate) fn add(&mut self, table: &'static str, what: impl Into<String>) {
        *self.tables.entry(table).or_default().entry(what.into()).or_default() += 1;
    }

    pub(crate) fn count(&self, table: &str, what: &str) -> u64 {
        self.tables.get(table).and_then(|rows| rows.get(what)).copied().unwrap_or(0)
    }

    /// Every table, for people.
    pub(crate) fn report(&self) -> String {
        let mut text = String::new();
        for (table, rows) in &self.tables {
            let rows: Vec<_> = rows.iter().map(|(what, count)| format!("{what} {count}")).collect();
            writeln!(text, "{table}: {}", rows.join(", ")).unwrap();
        }
        for operator in OPERATORS {
            let count = |truth| self.operator(operator, truth);
            let (yes, maybe, no) = (count(Truth::True), count(Truth::Unknown), count(Truth::False));
            writeln!(text, "{operator:>12}: true {yes}, unknown {maybe}, false {no}").unwrap();
        }
        text
    }

    fn operator(&self, operator: &str, truth: Truth) -> u64 {
        self.seen.borrow().get(&(operator.to_owned(), truth)).copied().unwrap_or(0)
    }

    /// What was never reached.
    pub(crate) fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for (table, rows) in EXPECTED {
            let absent = rows.iter().filter(|what| self.count(table, what) == 0);
            missing.extend(absent.map(|what| format!("{table}: {what}")));
        }
        for operator in OPERATORS {
            for truth in [Truth::True, Truth::Unknown, Truth::False] {
                // Whether an attribute is there, and what time it is, is always known.
                let is_known = ["exists", "time_between"].contains(&operator);
                if self.operator(operator, truth) == 0 && !(is_known && truth == Truth::Unknown) {
                    missing.push(format!("{operator}: {truth:?}"));
                }
            }
        }
        missing
    }
}
