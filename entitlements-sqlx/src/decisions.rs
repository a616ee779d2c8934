//! Shared decisions, between statements and what they mean.
//!
//! Each decision is a row. Beside them are *fences*: random marks for all companies, for a company, for a user or feature
//! of it. A decision repeats the marks it was put under, and counts only while they are still so: changing one mark forgets
//! any number of decisions. A mark that is lost never comes back, and what was put under it counts no more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use entitlements_core::decision_cache::{
    CachedDecision, DecisionCacheStats, DecisionKey, FactsMark, Fence, Found, Lookup, Scope,
};
use entitlements_core::facts::Revision;

pub(crate) const FIND: &str = "find a decision";
pub(crate) const PUT: &str = "keep a decision";
pub(crate) const FORGET: &str = "forget decisions";
pub(crate) const COUNT: &str = "count decisions";

/// How long a look-up may take before it counts as a miss, unless another time is given.
pub(crate) const READ_LIMIT: Duration = Duration::from_millis(50);

/// How long everything else may take.
pub(crate) const WRITE_LIMIT: Duration = Duration::from_secs(1);

/// No decision is kept longer than this.
const LONGEST: Duration = Duration::from_hours(12);

/// Marks are kept so long after their last use, in hours; longer than any decision.
const FENCE_HOURS: i64 = 24;

/// Every so many decisions that are put, what is over is removed.
const SWEEP_EVERY: u64 = 100;

/// What `find_decision.sql` reads: marks of all companies, of the feature in all of them, of the company, the user and the
/// feature; the newest facts of the company; the marks that the decision was put under, and the decision.
pub(crate) type Row = (
    String,
    String,
    Option<String>,
    String,
    String,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<String>,
);

/// The marks that a decision is put under.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Words<'a> {
    everything: [&'a str; 2],
    /// Of the company; empty if it has none.
    pub(crate) company: &'a str,
    user: &'a str,
    feature: &'a str,
}

impl<'a> Words<'a> {
    pub(crate) fn to_text(&self) -> String {
        let [all, all_feature] = self.everything;
        format!("{all} {all_feature} {} {} {}", self.company, self.user, self.feature)
    }

    pub(crate) fn of(fence: &'a Fence) -> Option<Self> {
        let mut parts = fence.words()?.split(' ');
        let mut next = || parts.next();
        let words =
            Self { everything: [next()?, next()?], company: next()?, user: next()?, feature: next()? };
        parts.next().is_none().then_some(words)
    }
}

/// How often decisions were found, and put.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    puts: AtomicU64,
}

impl Counts {
    /// Counts a look-up, and makes sense of its answer; without one nothing is found, and nothing may be put.
    pub(crate) fn looked_up(&self, key: &DecisionKey, row: Option<Row>) -> Lookup {
        let lookup = row.map(|row| lookup(key, row)).unwrap_or_default();
        let count = if lookup.found.is_some() { &self.hits } else { &self.misses };
        count.fetch_add(1, Ordering::Relaxed);
        lookup
    }

    /// Counts a decision that is put; whether it is time to remove what is over.
    pub(crate) fn is_time_to_sweep(&self) -> bool {
        self.puts.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1
    }

    /// The statistics, out of what `count_decisions.sql` reads.
    pub(crate) fn stats(&self, (keys, bytes): (i64, i64)) -> DecisionCacheStats {
        DecisionCacheStats {
            keys: u64::try_from(keys).unwrap_or_default(),
            memory_bytes: u64::try_from(bytes).unwrap_or_default(),
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }
}

fn lookup(key: &DecisionKey, row: Row) -> Lookup {
    let (all, all_feature, company, user, feature, revision, policies, asked_at, under, decision) = row;
    let words = Words {
        everything: [&all, &all_feature],
        company: company.as_deref().unwrap_or_default(),
        user: &user,
        feature: &feature,
    }
    .to_text();
    let found = (|| {
        // Without a mark of the company nobody knows what was forgotten.
        company.as_ref()?;
        let latest = FactsMark {
            revision: Revision(revision?.parse().ok()?),
            policies: Revision(policies?.parse().ok()?),
            asked_at: DateTime::from_timestamp_micros(asked_at?)?,
        };
        let decision = CachedDecision::from_text(&decision?)?;
        (under? == words && decision.key == *key).then_some(Found { decision, latest })
    })();
    Lookup { found, fence: Fence::new(words) }
}

/// The user, resource and context of a key. What is missing is empty, which no name is.
pub(crate) fn optional_parts(key: &DecisionKey) -> [&str; 3] {
    [
        key.user.as_ref().map_or("", |user| user.as_str()),
        key.resource.as_deref().unwrap_or_default(),
        key.context.as_deref().unwrap_or_default(),
    ]
}

/// The scope of a user, or of nobody, which is never forgotten by itself.
pub(crate) fn user_scope(user: &str) -> String {
    format!("u:{user}")
}

pub(crate) fn feature_scope(feature: &str) -> String {
    format!("f:{feature}")
}

/// The company, or none for all of them, and the scope whose mark is changed.
pub(crate) fn columns(scope: &Scope) -> (&str, String) {
    match scope {
        Scope::Everything => ("", String::new()),
        Scope::Company(company) => (company.as_str(), String::new()),
        Scope::User(company, user) => (company.as_str(), user_scope(user.as_str())),
        Scope::Feature(company, feature) => {
            (company.as_ref().map_or("", |company| company.as_str()), feature_scope(feature.as_str()))
        }
    }
}

/// A mark that was never there before.
pub(crate) fn mark() -> String {
    let random = || getrandom::u64().unwrap_or_default();
    format!("{:016x}{:016x}", random(), random())
}

/// A revision as a text that compares as it does.
pub(crate) fn digits(revision: Revision) -> String {
    format!("{:020}", revision.0)
}

/// When a decision that is put now is over; `None` if that is now.
pub(crate) fn end(now: DateTime<Utc>, ttl: Duration) -> Option<i64> {
    let ttl = TimeDelta::from_std(ttl.min(LONGEST)).ok().filter(|ttl| TimeDelta::zero() < *ttl)?;
    Some(now.checked_add_signed(ttl)?.timestamp_micros())
}

/// Marks that were used last before this are of no use.
pub(crate) fn oldest_fence(now: DateTime<Utc>) -> i64 {
    (now - TimeDelta::hours(FENCE_HOURS)).timestamp_micros()
}
