//! What holds of a cache in a database, beyond what every cache must do.

use std::time::Duration;

use chrono::TimeDelta;
use entitlements_core::ManualClock;
use entitlements_core::decision_cache::{DecisionCache, DecisionKey, Scope};
use entitlements_core::testkit::decision_cache::{decision, key};
use entitlements_core::testkit::fixtures::company;

const TTL: Duration = Duration::from_mins(5);

async fn put(cache: &impl DecisionCache, key: &DecisionKey) {
    let fence = cache.get(key).await.fence;
    cache.put(&decision(key, 1), &fence, TTL).await;
    assert!(cache.get(key).await.found.is_some(), "{key:?}");
}

/// What is over is not found, and is removed as others are put.
pub(crate) async fn what_is_over_is_removed(cache: &impl DecisionCache, clock: &ManualClock) {
    put(cache, &key("acme")).await;
    clock.advance(TimeDelta::minutes(5));
    assert_eq!(cache.get(&key("acme")).await.found, None);
    for number in 0..120 {
        put(cache, &key(&format!("other {number}"))).await;
    }
    assert_eq!(cache.stats().await.unwrap().keys, 120);
}

/// Nothing comes back to life when marks that nobody used for long are removed.
pub(crate) async fn what_was_forgotten_stays_forgotten(cache: &impl DecisionCache, clock: &ManualClock) {
    put(cache, &key("acme")).await;
    let fence = cache.get(&key("acme")).await.fence;
    cache.invalidate(&Scope::Company(company("acme"))).await;
    clock.advance(TimeDelta::hours(25));
    for number in 0..120 {
        put(cache, &key(&format!("other {number}"))).await;
    }
    assert_eq!(cache.get(&key("acme")).await.found, None);
    cache.put(&decision(&key("acme"), 1), &fence, TTL).await;
    assert_eq!(cache.get(&key("acme")).await.found, None);
}

/// Two processes find what either has put, and neither finds what either has forgotten.
pub(crate) async fn processes_share_what_is_kept_and_what_is_forgotten(caches: &[impl DecisionCache; 2]) {
    let [one, two] = caches;
    put(one, &key("acme")).await;
    assert!(two.get(&key("acme")).await.found.is_some());
    two.invalidate(&Scope::Everything).await;
    assert_eq!(one.get(&key("acme")).await.found, None);
}
