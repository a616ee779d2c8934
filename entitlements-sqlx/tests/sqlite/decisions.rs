//! The cache of decisions in the database.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use entitlements_core::decision_cache::DecisionCache;
use entitlements_core::store::{ErasureStore, GrantStore};
use entitlements_core::testkit::decision_cache::{DecisionCacheHarness, decision, key};
use entitlements_core::testkit::fixtures::{company, grant, now};
use entitlements_core::{ManualClock, SystemClock};
use entitlements_sqlx::{SqliteDecisionCache, SqliteStore};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection};

use crate::files::{in_file, temporary};
use crate::shared_decisions as shared;

struct InFile;

impl DecisionCacheHarness for InFile {
    type Cache = SqliteDecisionCache;

    async fn start() -> SqliteDecisionCache {
        over(&in_file(&temporary()).await)
    }
}

/// A cache that waits as long as a busy machine needs.
fn over(store: &SqliteStore) -> SqliteDecisionCache {
    SqliteDecisionCache::new(store, SystemClock).with_read_timeout(Duration::from_secs(5))
}

/// Runs a statement as another program.
async fn meddle(path: &Path, statement: String) {
    let options = SqliteConnectOptions::new().filename(path);
    let mut stranger = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut stranger).await.unwrap();
}

async fn with_clock() -> (SqliteDecisionCache, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(now()));
    let store = in_file(&temporary()).await;
    (SqliteDecisionCache::new(&store, Arc::clone(&clock)).with_read_timeout(Duration::from_secs(5)), clock)
}

entitlements_core::decision_cache_suite!(InFile);

#[tokio::test]
async fn what_is_over_is_removed() {
    let (cache, clock) = with_clock().await;
    shared::what_is_over_is_removed(&cache, &clock).await;
}

#[tokio::test]
async fn what_was_forgotten_stays_forgotten() {
    let (cache, clock) = with_clock().await;
    shared::what_was_forgotten_stays_forgotten(&cache, &clock).await;
}

#[tokio::test]
async fn processes_share_what_is_kept_and_what_is_forgotten() {
    let path = temporary();
    let caches = [over(&in_file(&path).await), over(&in_file(&path).await)];
    shared::processes_share_what_is_kept_and_what_is_forgotten(&caches).await;
}

#[tokio::test]
async fn decisions_go_with_their_company() {
    let store = in_file(&temporary()).await;
    let cache = over(&store);
    store.insert_grant(&grant("g", "acme")).await.unwrap();
    for name in ["acme", "bolt"] {
        let fence = cache.get(&key(name)).await.fence;
        cache.put(&decision(&key(name), 1), &fence, Duration::from_mins(5)).await;
    }
    assert_eq!(cache.stats().await.unwrap().keys, 2);
    store.erase(&company("acme"), now()).await.unwrap().unwrap();
    assert_eq!(cache.stats().await.unwrap().keys, 1);
    assert!(cache.get(&key("bolt")).await.found.is_some());
}

#[tokio::test]
async fn a_row_that_is_moved_to_another_question_answers_none() {
    let path = temporary();
    let cache = over(&in_file(&path).await);
    shared::a_row_that_is_moved_to_another_question_answers_none(&cache, async |statement| {
        meddle(&path, statement).await;
    })
    .await;
}

#[tokio::test]
async fn a_decision_in_the_row_of_another_answers_nothing() {
    let path = temporary();
    let cache = over(&in_file(&path).await);
    shared::a_decision_in_the_row_of_another_answers_nothing(&cache, async |statement| {
        meddle(&path, statement).await;
    })
    .await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_a_miss() {
    let path = temporary();
    let cache = over(&in_file(&path).await);
    shared::a_row_that_cannot_be_read_is_a_miss(&cache, async |statement| meddle(&path, statement).await)
        .await;
}
