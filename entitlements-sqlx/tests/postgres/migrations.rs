//! The schema: made once, out of every earlier state, and never by halves.

use entitlements_core::store::{PolicyStore, SnapshotStore, StoreErrorKind};
use entitlements_core::testkit::fixtures::policy;
use entitlements_sqlx::{PostgresConfig, PostgresStore};

use crate::errors::assert_kind;
use crate::giving_up::after_polls;
use crate::server::{config, in_schema, meddle, new_schema, passing, stranger, url};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn many_may_open_a_new_schema_at_once() {
    let schema = new_schema();
    let openers: Vec<_> = (0..8)
        .map(|n| {
            let schema = schema.clone();
            tokio::spawn(async move {
                let store = in_schema(&schema).await;
                store.insert_policy(&policy(&format!("p{n}"))).await.unwrap();
            })
        })
        .collect();
    for opener in openers {
        opener.await.unwrap();
    }
    assert_eq!(in_schema(&schema).await.policies().await.unwrap().policies.len(), 8);
    let alone = new_schema();
    in_schema(&alone).await;
    assert_eq!(versions(&schema).await, versions(&alone).await);
}

/// Every version of a schema that was applied, in the order of its number.
async fn versions(schema: &str) -> Vec<(i64, String)> {
    sqlx::query_as("SELECT version, name FROM entitlements_schema ORDER BY version")
        .fetch_all(&mut stranger(schema).await)
        .await
        .unwrap()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn an_empty_schema_and_one_of_no_version_are_filled() {
    for statements in [
        "",
        "CREATE TABLE entitlements_schema (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL, checksum BIGINT)",
    ] {
        let schema = new_schema();
        meddle(&schema, &format!("CREATE SCHEMA {schema}; {statements}")).await;
        in_schema(&schema).await.insert_policy(&policy("p")).await.unwrap();
    }
}

/// A search path of the server, or one in the options of the URL, is as good as `search_path`; only a schema is not created.
#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn the_search_path_may_come_from_the_options() {
    let schema = new_schema();
    let config = PostgresConfig::from_url(&url(&format!("options[search_path]={schema}"))).unwrap();
    assert_kind(PostgresStore::connect(&config).await, StoreErrorKind::Schema);
    meddle("public", &format!("CREATE SCHEMA {schema}")).await;
    PostgresStore::connect(&config).await.unwrap().insert_policy(&policy("p")).await.unwrap();
    assert_eq!(in_schema(&schema).await.policies().await.unwrap().policies, [policy("p")]);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_schema_with_any_name_is_created() {
    let name = passing(format!("It's \\a \"Schema\", {}", &new_schema()[..20]));
    let config = config("public").with_schema(&name).unwrap();
    PostgresStore::connect(&config).await.unwrap().insert_policy(&policy("p")).await.unwrap();
    assert_eq!(PostgresStore::connect(&config).await.unwrap().policies().await.unwrap().policies.len(), 1);
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
        .bind(&name)
        .fetch_one(&mut stranger("public").await)
        .await
        .unwrap();
    assert!(exists);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_newer_schema_is_refused_and_left_alone() {
    let schema = new_schema();
    in_schema(&schema).await.close().await;
    meddle(&schema, "INSERT INTO entitlements_schema (version, name, applied_at) VALUES (999, 'future', 0)")
        .await;
    assert_kind(PostgresStore::connect(&config(&schema)).await, StoreErrorKind::Schema);
    let version: i64 = sqlx::query_scalar("SELECT max(version) FROM entitlements_schema")
        .fetch_one(&mut stranger(&schema).await)
        .await
        .unwrap();
    assert_eq!(version, 999);
}

/// Somebody else's table with one of the names is another schema, and nothing is made beside it.
#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_foreign_table_of_the_same_name_is_refused_and_left_alone() {
    let schema = new_schema();
    meddle(&schema, &format!("CREATE SCHEMA {schema}; CREATE TABLE usage_alerts (theirs TEXT)")).await;
    assert_kind(PostgresStore::connect(&config(&schema)).await, StoreErrorKind::Schema);
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = $1")
        .bind(&schema)
        .fetch_one(&mut stranger(&schema).await)
        .await
        .unwrap();
    assert_eq!(tables, 1);
}

/// A call to open a store that is given up leaves a database that the next call opens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_dropped_opening_leaves_no_half_made_schema() {
    for polls in 0..16 {
        let schema = new_schema();
        let _ = after_polls(polls, PostgresStore::connect(&config(&schema))).await;
        in_schema(&schema).await.insert_policy(&policy("p")).await.unwrap();
    }
}
