//! A database that is only read stays as it is.

use std::error::Error;

use entitlements_core::audit::Verifier;
use entitlements_core::store::{AuditStore, ErasureStore, PolicyStore, SnapshotStore, StoreErrorKind};
use entitlements_core::testkit::fixtures::{audited, company, now, policy};
use entitlements_sqlx::PostgresStore;

use crate::server::{config, in_schema, meddle, new_schema, stranger};

/// What is said about a schema that does not fit.
async fn refused(schema: &str) -> String {
    let error = PostgresStore::connect_read_only(&config(schema)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Schema);
    error.source().unwrap().to_string()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_log_is_read_and_nothing_can_be_written() {
    let schema = new_schema();
    let store = in_schema(&schema).await;
    store.append(&[audited("a", "acme"), audited("b", "globex")]).await.unwrap();
    let reading = PostgresStore::connect_read_only(&config(&schema)).await.unwrap();
    let export = reading.audit_rows(0, 10).await.unwrap();
    let mut verifier = Verifier::new(export.base);
    export.rows.iter().try_for_each(|row| verifier.check(row)).unwrap();
    assert_eq!(verifier.finish(export.head).unwrap().rows, 2);
    assert_eq!(reading.policies().await.unwrap().policies.len(), 0);
    for error in [
        reading.append(&[audited("c", "acme")]).await.map(drop).unwrap_err(),
        reading.insert_policy(&policy("p")).await.map(drop).unwrap_err(),
        reading.erase(&company("acme"), now()).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), StoreErrorKind::ReadOnly, "{error:?}");
    }
    assert_eq!(store.audit_rows(0, 10).await.unwrap(), export);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_schema_of_another_version_is_refused_and_left_alone() {
    let schema = new_schema();
    assert!(refused(&schema).await.starts_with("the database has schema 0, and this version reads "));
    let made: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
        .bind(&schema)
        .fetch_one(&mut stranger("public").await)
        .await
        .unwrap();
    assert!(!made);
    in_schema(&schema).await.close().await;
    meddle(&schema, "DELETE FROM entitlements_schema WHERE version > 3").await;
    assert!(refused(&schema).await.starts_with("the database has schema 3, and this version reads "));
    meddle(&schema, "INSERT INTO entitlements_schema (version, name, applied_at) VALUES (999, 'future', 0)")
        .await;
    assert!(refused(&schema).await.starts_with("the database has schema 999, and this version knows "));
}
