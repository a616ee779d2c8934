//! Decisions that processes share.

use std::time::Duration;

use entitlements_core::decision_cache::{DecisionCache as _, Scope};
use entitlements_core::testkit::decision_cache::{decision, key};
use entitlements_core::testkit::fixtures::company;

use super::{any, whole_or_not_at_all};
use crate::ground::Ground;

const TTL: Duration = Duration::from_mins(5);

/// A decision is kept under the fence that was found, or not; and forgotten, or not.
pub(crate) async fn decisions_are_kept_and_forgotten_whole_or_not_at_all<G: Ground>(ground: &G) {
    let put = async |store: &G::Store, name: &str| {
        let cache = G::decisions(store);
        let fence = cache.get(&key(name)).await.fence;
        cache.put(&decision(&key(name), 1), &fence, TTL).await;
    };
    let is_found = async |store: &G::Store, name: &str| {
        let found = G::decisions(store).get(&key(name)).await.found;
        found.map(|found| found.decision == decision(&key(name), 1))
    };
    whole_or_not_at_all(
        ground,
        [None, Some(true)],
        async |_, _| {},
        async |store, name, _| {
            put(store, name).await;
            Ok(())
        },
        &is_found,
        any,
    )
    .await;
    whole_or_not_at_all(
        ground,
        [Some(true), None],
        &put,
        async |store, name, _| {
            G::decisions(store).invalidate(&Scope::Company(company(name))).await;
            Ok(())
        },
        &is_found,
        any,
    )
    .await;
}
