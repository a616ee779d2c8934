//! A database that is only read stays as it is.

use std::error::Error;
use std::fs;
use std::path::Path;

use entitlements_core::audit::{AuditLine, ExportVerifier};
use entitlements_core::store::{AuditStore, PolicyStore, SnapshotStore, StoreError, StoreErrorKind};
use entitlements_core::testkit::fixtures::{audited, policy};
use entitlements_sqlx::SqliteStore;
use sqlx::{Connection, SqliteConnection};

use crate::files::{config, in_file, temporary};

async fn reading(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::connect_read_only(&config(path)).await
}

async fn meddle(path: &Path, statement: &'static str) {
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// What is said about a schema that does not fit.
async fn refused(path: &Path) -> String {
    let before = fs::read(path).unwrap();
    let error = reading(path).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Schema);
    assert!(fs::read(path).unwrap() == before, "it is as it was");
    error.source().unwrap().to_string()
}

#[tokio::test]
async fn a_log_is_read_and_exported_and_nothing_changes() {
    let path = temporary();
    let store = in_file(&path).await;
    store.append(&[audited("a", "acme"), audited("b", "globex")]).await.unwrap();
    store.close().await;
    let before = fs::read(&path).unwrap();
    let store = reading(&path).await.unwrap();
    let export = store.audit_rows(0, 10).await.unwrap();
    for error in [
        store.append(&[audited("c", "acme")]).await.map(drop).unwrap_err(),
        store.insert_policy(&policy("p")).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), StoreErrorKind::ReadOnly, "{error:?}");
    }
    assert_eq!(store.policies().await.unwrap().policies.len(), 0);
    store.close().await;
    assert!(fs::read(&path).unwrap() == before, "it is as it was");

    let mut verifier = ExportVerifier::new([export.head]);
    let ends = AuditLine::Ends { base: export.base, head: export.head };
    verifier.check(&ends.to_string()).unwrap();
    for row in export.rows {
        verifier.check(&AuditLine::Entry(Box::new(row)).to_string()).unwrap();
    }
    assert_eq!(verifier.finish().unwrap().rows, 2);
}

#[tokio::test]
async fn a_database_in_use_is_read_beside_it() {
    let path = temporary();
    let store = in_file(&path).await;
    let beside = reading(&path).await.unwrap();
    store.append(&[audited("a", "acme")]).await.unwrap();
    assert_eq!(beside.audit_rows(0, 10).await.unwrap().rows.len(), 1);
}

#[tokio::test]
async fn a_schema_of_another_version_is_refused_and_left_alone() {
    let path = temporary();
    in_file(&path).await.close().await;
    meddle(&path, "INSERT INTO entitlements_schema (version, name, applied_at) VALUES (999, 'future', 0)")
        .await;
    assert!(refused(&path).await.starts_with("the database has schema 999, and this version knows "));
    meddle(&path, "DELETE FROM entitlements_schema WHERE version > 3").await;
    assert!(refused(&path).await.starts_with("the database has schema 3, and this version reads "));
}

#[tokio::test]
async fn nothing_is_created() {
    let path = temporary();
    let error = reading(&path).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(!path.exists());
    fs::write(&path, "").unwrap();
    assert!(refused(&path).await.starts_with("the database has schema 0, and this version reads "));
}
