//! Coverage: which rules are hit, and which routes have none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use entitlements_core::PartedCounter;

use crate::rules::Rules;

/// How many route patterns without a rule are remembered at most.
const MAX_PATTERNS: usize = 1000;

/// How often a rule was hit since the gate was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleHits {
    /// The rule, as `METHOD /path`.
    pub rule: String,
    /// How many requests it matched.
    pub hits: u64,
}

/// What a gate has seen since it was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Every rule in force.
    pub rules: Vec<RuleHits>,
    /// The patterns of routes that requests reached and that no rule matched. Only a router that says which pattern it
    /// chose can be listed here; at most 1000 are kept. What is gated by a layer of its own, or by the signature of its
    /// handler, has no rule here and is listed.
    pub unruled: Vec<String>,
    /// Whether more patterns were seen than are kept.
    pub truncated: bool,
    /// How many requests no rule matched.
    pub unmatched_requests: u64,
}

impl Coverage {
    /// The rules that no request has matched yet.
    pub fn never_hit(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter(|rule| rule.hits == 0).map(|rule| rule.rule.as_str())
    }
}

/// Counts what a gate sees.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    hits: Mutex<BTreeMap<String, Arc<PartedCounter>>>,
    /// Copied on write: it changes once per route, and is read on every request without a rule.
    unruled: ArcSwap<BTreeSet<String>>,
    truncated: AtomicBool,
    unmatched_requests: AtomicU64,
}

impl Watch {
    /// The counter of the rule with that label; it survives a recompilation.
    pub(crate) fn counter(&self, label: &str) -> Arc<PartedCounter> {
        let mut hits = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(hits.entry(label.into()).or_default())
    }

    pub(crate) fn unmatched(&self, matched: Option<&str>) {
        self.unmatched_requests.fetch_add(1, Ordering::Relaxed);
        let Some(pattern) = matched else { return };
        if self.unruled.load().contains(pattern) || self.truncated.load(Ordering::Relaxed) {
            return;
        }
        let before = self.unruled.rcu(|known| {
            let mut known = BTreeSet::clone(known);
            if known.len() < MAX_PATTERNS {
                known.insert(pattern.into());
            }
            known
        });
        if before.len() >= MAX_PATTERNS {
            self.truncated.store(true, Ordering::Relaxed);
        } else if !before.contains(pattern) {
            tracing::info!(route = pattern, "no entitlement rule for this route");
        }
    }

    pub(crate) fn report(&self, rules: &Rules) -> Coverage {
        let hits = |rule: &Arc<crate::rules::CompiledRule>| RuleHits {
            rule: rule.label.clone(),
            hits: rule.hits.count(),
        };
        Coverage {
            rules: rules.all.iter().map(hits).collect(),
            unruled: self.unruled.load().iter().cloned().collect(),
            truncated: self.truncated.load(Ordering::Relaxed),
            unmatched_requests: self.unmatched_requests.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_without_a_rule_are_bounded() {
        let watch = Watch::default();
        for n in 0..=MAX_PATTERNS {
            watch.unmatched(Some(&format!("/{n}")));
        }
        assert_eq!(watch.unruled.load().len(), MAX_PATTERNS);
        assert!(watch.truncated.load(Ordering::Relaxed));
        assert_eq!(watch.unmatched_requests.load(Ordering::Relaxed), MAX_PATTERNS as u64 + 1);
    }
}
