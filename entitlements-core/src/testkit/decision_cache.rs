//! What every cache of decisions must do.

mod keys;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::fixtures;
use crate::decision_cache::{CachedDecision, DecisionCache, DecisionKey, FactsMark, Fence, Found, Scope};
use crate::facts::Revision;
use crate::id::{CompanyId, FeatureKey, UserId};
use crate::{Action, Catalog, Request, Subject, evaluate};

pub use keys::*;

/// How to start a cache of decisions for a test.
///
/// # Contract
///
/// `start` returns an empty cache in a namespace of its own, so that tests run beside each other.
#[expect(
    async_fn_in_trait,
    reason = "a test awaits it where it calls it; nothing asks whether the future is Send"
)]
pub trait DecisionCacheHarness {
    /// The cache.
    type Cache: DecisionCache;

    /// Starts an empty cache.
    async fn start() -> Self::Cache;
}

const TTL: Duration = Duration::from_mins(5);

/// The catalog of the cases: a flag `export`, a flag `secret` that no plan has, and a value `size`.
#[must_use]
pub fn catalog() -> Catalog {
    let text = "schema = 1\ndefault_plan = \"free\"\npast_due_grace = \"7d\"\n\
                [features]\nexport = { type = \"flag\" }\nsecret = { type = \"flag\" }\n\
                size = { type = \"value\", default = 2.5 }\n[plans.free.grants]\nexport = true\n\
                [plans.pro.grants]\nsecret = true\n";
    text.parse().expect("a catalog")
}

/// The key of a question about `export`.
#[must_use]
pub fn key(company: &str) -> DecisionKey {
    DecisionKey {
        company: fixtures::company(company),
        user: None,
        feature: FeatureKey::new("export").expect("a name"),
        action: Action::View,
        resource: None,
        context: None,
    }
}

/// The decision on a key, made from facts of that revision.
#[must_use]
pub fn decision(key: &DecisionKey, revision: u64) -> CachedDecision {
    decision_at(key, revision, fixtures::now())
}

fn decision_at(key: &DecisionKey, revision: u64, asked_at: DateTime<Utc>) -> CachedDecision {
    let catalog = catalog();
    let subject = Subject { company: key.company.clone(), user: key.user.clone() };
    let mut facts = crate::facts::Facts::empty(key.company.clone());
    facts.revision = Revision(revision);
    let snapshot = crate::Snapshot::new(facts, std::sync::Arc::default(), &catalog);
    let mut request = Request::new(&subject, key.feature.as_str(), key.action);
    request.resource = key.resource.as_deref();
    let decision = evaluate(&request, &snapshot, &catalog, asked_at);
    let mark = FactsMark { revision: Revision(revision), policies: Revision(0), asked_at };
    CachedDecision::of(key.clone(), mark, &decision, &catalog).expect("a decision that may be kept")
}

/// Puts the decision on a key as a process does: after a question that found nothing.
async fn put(cache: &impl DecisionCache, decision: &CachedDecision) {
    let lookup = cache.get(&decision.key).await;
    let fence = match lookup.fence.words() {
        Some(_) => lookup.fence,
        // A cache that was empty may need one question to begin.
        None => cache.get(&decision.key).await.fence,
    };
    cache.put(decision, &fence, TTL).await;
}

async fn found(cache: &impl DecisionCache, key: &DecisionKey) -> Option<Found> {
    cache.get(key).await.found
}

/// The decision, if it may be used: it is from the newest facts that the cache knows.
async fn usable(cache: &impl DecisionCache, key: &DecisionKey) -> Option<CachedDecision> {
    let found = found(cache, key).await?;
    assert_eq!(found.decision.key, *key, "a cache answers the question that was asked");
    found.decision.mark.is_same_state(&found.latest).then_some(found.decision)
}

/// A decision is found as it was put.
pub async fn a_decision_is_found_as_it_was_put(cache: &impl DecisionCache) {
    for (feature, user, resource) in
        [("export", None, None), ("secret", Some("u"), Some("report:7")), ("size", Some("u"), None)]
    {
        let key = DecisionKey {
            user: user.map(|user| UserId::new(user).expect("a name")),
            feature: FeatureKey::new(feature).expect("a name"),
            resource: resource.map(Into::into),
            ..key("acme")
        };
        let decision = decision(&key, 7);
        put(cache, &decision).await;
        let found = found(cache, &key).await.expect("a decision");
        assert_eq!(found, Found { latest: decision.mark, decision: decision.clone() });
        assert_eq!(found.decision.bind(&catalog()), decision.bind(&catalog()));
        assert!(decision.bind(&catalog()).is_some());
    }
}

/// An unknown key finds nothing.
pub async fn an_unknown_key_finds_nothing(cache: &impl DecisionCache) {
    assert_eq!(found(cache, &key("acme")).await, None);
    put(cache, &decision(&key("acme"), 1)).await;
    assert_eq!(found(cache, &key("bolt")).await, None);
}

/// A newer state of a company outdates its decisions.
pub async fn a_newer_state_of_a_company_outdates_its_decisions(cache: &impl DecisionCache) {
    let (old, new) = (key("acme"), DecisionKey { action: Action::Export, ..key("acme") });
    put(cache, &decision(&old, 5)).await;
    put(cache, &decision(&key("bolt"), 5)).await;
    put(cache, &decision(&new, 6)).await;
    assert_eq!(usable(cache, &old).await, None);
    assert!(usable(cache, &new).await.is_some());
    assert!(usable(cache, &key("bolt")).await.is_some());
}

/// An older state of a company is not kept.
pub async fn an_older_state_of_a_company_is_not_kept(cache: &impl DecisionCache) {
    let (old, new) = (key("acme"), DecisionKey { action: Action::Export, ..key("acme") });
    put(cache, &decision(&new, 9)).await;
    put(cache, &decision(&old, 8)).await;
    assert_eq!(usable(cache, &old).await, None);
    assert!(usable(cache, &new).await.is_some());
    let extremes = key("bolt");
    put(cache, &decision(&extremes, u64::MAX)).await;
    assert!(usable(cache, &extremes).await.is_some());
    put(cache, &decision(&extremes, 9_007_199_254_740_993)).await;
    assert_eq!(usable(cache, &extremes).await.map(|found| found.mark.revision.0), Some(u64::MAX));
}

/// Loading the same state again makes every decision younger.
pub async fn loading_the_same_state_again_makes_every_decision_younger(cache: &impl DecisionCache) {
    let (first, second) = (key("acme"), DecisionKey { action: Action::Export, ..key("acme") });
    let later = fixtures::now() + TimeDelta::seconds(4);
    put(cache, &decision(&first, 3)).await;
    put(cache, &decision_at(&second, 3, later)).await;
    assert_eq!(found(cache, &first).await.map(|found| found.latest.asked_at), Some(later));
    // A load that began earlier and ended later does not make them older.
    put(cache, &decision(&first, 3)).await;
    assert_eq!(found(cache, &second).await.map(|found| found.latest.asked_at), Some(later));
}

/// Scopes with a key that is in it, and one that is not.
fn scopes() -> Vec<(Scope, DecisionKey, Option<DecisionKey>)> {
    let user =
        |company, user: &str| DecisionKey { user: Some(UserId::new(user).expect("a name")), ..key(company) };
    let secret =
        |company| DecisionKey { feature: FeatureKey::new("secret").expect("a name"), ..key(company) };
    let name = |name| FeatureKey::new(name).expect("a name");
    let company = |name| -> CompanyId { fixtures::company(name) };
    vec![
        (Scope::Company(company("acme")), key("acme"), Some(key("bolt"))),
        (Scope::Company(company("acme")), user("acme", "u"), Some(user("bolt", "u"))),
        (
            Scope::User(company("acme"), UserId::new("u").expect("a name")),
            user("acme", "u"),
            Some(user("acme", "v")),
        ),
        (
            Scope::User(company("acme"), UserId::new("u").expect("a name")),
            DecisionKey { action: Action::Export, ..user("acme", "u") },
            Some(user("bolt", "u")),
        ),
        (Scope::Feature(Some(company("acme")), name("secret")), secret("acme"), Some(key("acme"))),
        (Scope::Feature(Some(company("acme")), name("secret")), secret("acme"), Some(secret("bolt"))),
        // A user may have the name of a feature.
        (
            Scope::User(company("acme"), UserId::new("export").expect("a name")),
            user("acme", "export"),
            Some(key("acme")),
        ),
        (Scope::Feature(Some(company("acme")), name("secret")), secret("acme"), Some(user("acme", "secret"))),
        (Scope::Feature(None, name("secret")), secret("acme"), Some(key("acme"))),
        (Scope::Everything, key("acme"), None),
    ]
}

/// What is invalidated is not found.
pub async fn what_is_invalidated_is_not_found(cache: &impl DecisionCache) {
    for (revision, (scope, inside, outside)) in (1..).zip(scopes()) {
        put(cache, &decision(&inside, revision)).await;
        if let Some(outside) = &outside {
            put(cache, &decision(outside, revision)).await;
            assert!(usable(cache, outside).await.is_some(), "{scope:?}");
        }
        assert!(usable(cache, &inside).await.is_some(), "{scope:?}");
        cache.invalidate(&scope).await;
        assert_eq!(usable(cache, &inside).await, None, "{scope:?}");
        if let Some(outside) = &outside {
            assert!(usable(cache, outside).await.is_some(), "{scope:?}");
        }
    }
}

/// What is invalidated can be put again.
pub async fn what_is_invalidated_can_be_put_again(cache: &impl DecisionCache) {
    for (scope, inside, _) in scopes() {
        put(cache, &decision(&inside, 1)).await;
        cache.invalidate(&scope).await;
        put(cache, &decision(&inside, 1)).await;
        assert!(usable(cache, &inside).await.is_some(), "{scope:?}");
    }
}

/// A fence of before an invalidation is closed.
pub async fn a_fence_of_before_an_invalidation_is_closed(cache: &impl DecisionCache) {
    for (scope, inside, _) in scopes() {
        // Both when the cache knows the company and when it does not.
        for known in [false, true] {
            if known {
                put(cache, &decision(&inside, 1)).await;
            } else {
                cache.invalidate(&Scope::Everything).await;
                cache.get(&inside).await;
            }
            let fence = cache.get(&inside).await.fence;
            cache.invalidate(&scope).await;
            cache.put(&decision(&inside, 1), &fence, TTL).await;
            assert_eq!(usable(cache, &inside).await, None, "{scope:?}");
        }
    }
}

/// A closed fence keeps nothing.
pub async fn a_closed_fence_keeps_nothing(cache: &impl DecisionCache) {
    let key = key("acme");
    cache.put(&decision(&key, 1), &Fence::closed(), TTL).await;
    assert_eq!(found(cache, &key).await, None);
    cache.put(&decision(&key, 1), &Fence::new("of another cache"), TTL).await;
    assert_eq!(found(cache, &key).await, None);
}

/// An invalidation of nothing does no harm.
pub async fn an_invalidation_of_nothing_does_no_harm(cache: &impl DecisionCache) {
    for (scope, inside, _) in scopes() {
        cache.invalidate(&scope).await;
        assert_eq!(found(cache, &inside).await, None);
    }
}

/// Hits and misses are counted.
pub async fn hits_and_misses_are_counted(cache: &impl DecisionCache) {
    let key = key("acme");
    put(cache, &decision(&key, 1)).await;
    let before = cache.stats().await.expect("a cache that is there");
    assert!(before.keys > 0 && before.memory_bytes > 0, "{before:?}");
    cache.get(&key).await;
    cache.get(&DecisionKey { action: Action::Delete, ..key }).await;
    let after = cache.stats().await.expect("a cache that is there");
    assert_eq!((after.hits, after.misses), (before.hits + 1, before.misses + 1));
}

/// Turns every case into a test of its own, for a cache of decisions that a
/// [`DecisionCacheHarness`](crate::testkit::decision_cache::DecisionCacheHarness) starts.
///
/// Attributes before the harness go to every test.
#[macro_export]
macro_rules! decision_cache_suite {
    ($(#[$attribute:meta])* $harness:ty) => {
        $crate::decision_cache_cases! { [$(#[$attribute])*] $harness:
            a_decision_is_found_as_it_was_put
            an_unknown_key_finds_nothing
            a_newer_state_of_a_company_outdates_its_decisions
            an_older_state_of_a_company_is_not_kept
            loading_the_same_state_again_makes_every_decision_younger
            what_is_invalidated_is_not_found
            what_is_invalidated_can_be_put_again
            a_fence_of_before_an_invalidation_is_closed
            a_closed_fence_keeps_nothing
            an_invalidation_of_nothing_does_no_harm
            hits_and_misses_are_counted
            every_part_of_a_key_counts
            hostile_keys_never_mix
            parts_of_a_key_never_run_into_each_other
        }
    };
}

/// The tests.
#[doc(hidden)]
#[macro_export]
macro_rules! decision_cache_cases {
    ($attributes:tt $harness:ty: $($case:ident)+) => {
        $($crate::decision_cache_case! { $attributes $harness, $case })+
    };
}

/// One test.
#[doc(hidden)]
#[macro_export]
macro_rules! decision_cache_case {
    ([$(#[$attribute:meta])*] $harness:ty, $case:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        $(#[$attribute])*
        async fn $case() {
            let cache = <$harness as $crate::testkit::decision_cache::DecisionCacheHarness>::start().await;
            let cache: ::std::sync::Arc<dyn $crate::decision_cache::DecisionCache> =
                ::std::sync::Arc::new(cache);
            $crate::testkit::decision_cache::$case(&cache).await;
        }
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_is_listed() {
        let list = include_str!("decision_cache.rs");
        let cases = concat!(include_str!("decision_cache.rs"), include_str!("decision_cache/keys.rs"));
        super::super::suite::assert_listed(list, "*] $harness:\n", cases);
    }
}
