//! The cache of decisions in the database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use entitlements_core::decision_cache::{DecisionCache, Scope};
use entitlements_core::store::{ErasureStore, GrantStore};
use entitlements_core::testkit::decision_cache::{DecisionCacheHarness, decision, key};
use entitlements_core::testkit::fixtures::{company, grant, now};
use entitlements_core::{ManualClock, SystemClock};
use entitlements_sqlx::{PostgresDecisionCache, PostgresStore};

use crate::server::{in_schema, meddle, new_schema, stranger};
use crate::shared_decisions as shared;

struct InSchema;

impl DecisionCacheHarness for InSchema {
    type Cache = PostgresDecisionCache;

    async fn start() -> PostgresDecisionCache {
        over(&in_schema(&new_schema()).await)
    }
}

/// A cache that waits as long as a busy machine needs.
fn over(store: &PostgresStore) -> PostgresDecisionCache {
    PostgresDecisionCache::new(store, SystemClock).with_read_timeout(Duration::from_secs(5))
}

async fn with_clock() -> (PostgresDecisionCache, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(now()));
    let store = in_schema(&new_schema()).await;
    let cache =
        PostgresDecisionCache::new(&store, Arc::clone(&clock)).with_read_timeout(Duration::from_secs(5));
    (cache, clock)
}

entitlements_core::decision_cache_suite!(
    #[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
    InSchema
);

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn what_is_over_is_removed() {
    let (cache, clock) = with_clock().await;
    shared::what_is_over_is_removed(&cache, &clock).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn what_was_forgotten_stays_forgotten() {
    let (cache, clock) = with_clock().await;
    shared::what_was_forgotten_stays_forgotten(&cache, &clock).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn processes_share_what_is_kept_and_what_is_forgotten() {
    let schema = new_schema();
    let caches = [over(&in_schema(&schema).await), over(&in_schema(&schema).await)];
    shared::processes_share_what_is_kept_and_what_is_forgotten(&caches).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn decisions_go_with_their_company() {
    let schema = new_schema();
    let store = in_schema(&schema).await;
    let cache = over(&store);
    store.insert_grant(&grant("g", "acme")).await.unwrap();
    for name in ["acme", "bolt"] {
        let fence = cache.get(&key(name)).await.fence;
        cache.put(&decision(&key(name), 1), &fence, Duration::from_mins(5)).await;
    }
    store.erase(&company("acme"), now()).await.unwrap().unwrap();
    let left: Vec<String> = sqlx::query_scalar(
        "SELECT company_id FROM entitlement_decisions UNION ALL SELECT company_id FROM entitlement_decision_fences",
    )
    .fetch_all(&mut stranger(&schema).await)
    .await
    .unwrap();
    assert_eq!(left, ["bolt", "bolt"]);
}

/// However many decisions there are, forgetting them is one row that changes.
#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_hundred_thousand_decisions_are_forgotten_by_one_row() {
    let schema = new_schema();
    let store = in_schema(&schema).await;
    let cache = over(&store);
    let fence = cache.get(&key("acme")).await.fence;
    cache.put(&decision(&key("acme"), 1), &fence, Duration::from_mins(5)).await;
    meddle(
        &schema,
        "INSERT INTO entitlement_decisions
         SELECT company_id, user_id, feature, action, 'r' || n, context, fence, decision, expires_at
         FROM entitlement_decisions, generate_series(2, 100000) AS n",
    )
    .await;
    assert_eq!(cache.stats().await.unwrap().keys, 100_000);
    let begun = Instant::now();
    cache.invalidate(&Scope::Company(company("acme"))).await;
    let forgotten = begun.elapsed();
    assert_eq!(cache.get(&key("acme")).await.found, None);
    let changed: i64 = sqlx::query_scalar("SELECT count(*) FROM entitlement_decision_fences")
        .fetch_one(&mut stranger(&schema).await)
        .await
        .unwrap();
    assert_eq!(changed, 1);
    let begun = Instant::now();
    meddle(&schema, "DELETE FROM entitlement_decisions WHERE company_id = 'acme'").await;
    println!("100000 decisions forgotten in {forgotten:?}; removing their rows takes {:?}", begun.elapsed());
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_cache_that_cannot_be_reached_finds_nothing_and_says_nothing() {
    let store = in_schema(&new_schema()).await;
    let cache = over(&store);
    store.close().await;
    let lookup = cache.get(&key("acme")).await;
    assert_eq!((lookup.found, lookup.fence.words()), (None, None));
    cache.put(&decision(&key("acme"), 1), &lookup.fence, Duration::from_mins(5)).await;
    cache.invalidate(&Scope::Everything).await;
    assert_eq!(cache.stats().await, None);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_row_that_is_moved_to_another_question_answers_none() {
    let schema = new_schema();
    let cache = over(&in_schema(&schema).await);
    shared::a_row_that_is_moved_to_another_question_answers_none(&cache, async |statement| {
        meddle(&schema, &statement).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_decision_in_the_row_of_another_answers_nothing() {
    let schema = new_schema();
    let cache = over(&in_schema(&schema).await);
    shared::a_decision_in_the_row_of_another_answers_nothing(&cache, async |statement| {
        meddle(&schema, &statement).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_row_that_cannot_be_read_is_a_miss() {
    let schema = new_schema();
    let cache = over(&in_schema(&schema).await);
    shared::a_row_that_cannot_be_read_is_a_miss(&cache, async |statement| meddle(&schema, &statement).await)
        .await;
}
