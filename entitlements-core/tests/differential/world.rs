//! A plain model of everything a decision may read.

use std::rc::Rc;

use serde_json::Value as Json;

use super::calendar::Instant;
use super::catalog::Catalog;

/// The largest amount.
pub(crate) const MAX: i128 = i64::MAX as i128;

#[derive(Clone, Debug)]
pub(crate) struct Sub {
    pub(crate) id: String,
    pub(crate) plan: String,
    pub(crate) status: String,
    pub(crate) seats: Option<i128>,
    pub(crate) started_at: Instant,
    pub(crate) anchor: Instant,
    pub(crate) period_start: Instant,
    pub(crate) period_end: Instant,
    pub(crate) trial_end: Option<Instant>,
    pub(crate) past_due_since: Option<Instant>,
    pub(crate) cancel_at: Option<Instant>,
    pub(crate) cancel_at_period_end: bool,
    pub(crate) created_at: Instant,
}

/// A subscription changed plans.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) sub: String,
    pub(crate) at: Instant,
    pub(crate) from: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Award {
    pub(crate) id: String,
    pub(crate) user: Option<String>,
    pub(crate) feature: String,
    pub(crate) actions: Vec<String>,
    pub(crate) resource: Option<String>,
    pub(crate) amount: Option<i128>,
    pub(crate) starts_at: Instant,
    pub(crate) ends_at: Option<Instant>,
    pub(crate) created_at: Instant,
    pub(crate) voided: bool,
}

/// A policy as JSON; its condition may have been lost in the store.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) json: Json,
    pub(crate) broken: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Count {
    pub(crate) meter: String,
    pub(crate) bucket: String,
    pub(crate) start: Instant,
    pub(crate) used: i128,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) catalog: Rc<Catalog>,
    pub(crate) company: String,
    pub(crate) subs: Vec<Sub>,
    /// Oldest first.
    pub(crate) changes: Vec<Change>,
    pub(crate) addons: Vec<(String, u32)>,
    pub(crate) overrides: Vec<(String, Json)>,
    pub(crate) awards: Vec<Award>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) counts: Vec<Count>,
    pub(crate) levels: Vec<(String, i128)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) user: Option<String>,
    pub(crate) feature: String,
    pub(crate) action: String,
    pub(crate) resource: Option<String>,
    pub(crate) amount: i128,
    pub(crate) context: Json,
}

/// A decision without its last instant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) feature: String,
    pub(crate) action: String,
    pub(crate) reason: &'static str,
    /// The kind, and the id after a blank.
    pub(crate) source: String,
    pub(crate) plan: Option<String>,
    pub(crate) value: Option<Json>,
    pub(crate) quota: Option<Shown>,
    pub(crate) upgrade: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shown {
    pub(crate) meter: String,
    pub(crate) limit: Option<i128>,
    pub(crate) used: i128,
    pub(crate) remaining: Option<i128>,
    pub(crate) overage: i128,
    pub(crate) resets_at: Option<Instant>,
    pub(crate) soft: bool,
}

impl World {
    /// Units used out of one bucket in one period.
    pub(crate) fn used(&self, meter: &str, bucket: &str, start: Instant) -> i128 {
        let named = |count: &&Count| count.meter == meter && count.bucket == bucket && count.start == start;
        self.counts.iter().find(named).map_or(0, |count| count.used)
    }

    pub(crate) fn level(&self, gauge: &str) -> i128 {
        self.levels.iter().find(|(key, _)| key == gauge).map_or(0, |(_, used)| *used)
    }
}

impl Answer {
    /// The parts in which another answer differs.
    pub(crate) fn differs_from(&self, other: &Self) -> Vec<String> {
        let mut parts = Vec::new();
        let mut part = |name: &str, same: bool| {
            if !same {
                parts.push(name.to_owned());
            }
        };
        part(&format!("reason {}", other.reason), self.reason == other.reason);
        part("feature", self.feature == other.feature);
        part("action", self.action == other.action);
        part("source", self.source == other.source);
        part("plan", self.plan == other.plan);
        part("value", self.value == other.value);
        part("quota", self.quota.is_some() == other.quota.is_some());
        if let (Some(ours), Some(theirs)) = (&self.quota, &other.quota) {
            part("quota.meter", ours.meter == theirs.meter);
            part("quota.limit", ours.limit == theirs.limit);
            part("quota.used", ours.used == theirs.used);
            part("quota.remaining", ours.remaining == theirs.remaining);
            part("quota.overage", ours.overage == theirs.overage);
            part("quota.resets_at", ours.resets_at == theirs.resets_at);
            part("quota.soft", ours.soft == theirs.soft);
        }
        part("upgrade", self.upgrade == other.upgrade);
        parts
    }
}
