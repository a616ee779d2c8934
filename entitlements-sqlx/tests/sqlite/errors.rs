//! What goes wrong with a file, and what a store says about it.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use entitlements_core::policy::{Effect, Policy, When};
use entitlements_core::store::{
    GrantStore, PolicyStore, SnapshotStore, StoreError, StoreErrorKind, SubscriptionStore, UsageStore,
};
use entitlements_core::testkit::fixtures::{
    addon, company, debit, facts, grant, key, monthly, now, policy, recorded,
};
use entitlements_sqlx::{SqliteConfig, SqliteStore};
use sqlx::{Connection, SqliteConnection};

use crate::files::{config, in_file, temporary};
use crate::orphans;

async fn connect(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::connect(&config(path)).await
}

/// Another program's connection to the same file.
async fn stranger(path: &Path) -> SqliteConnection {
    let url = format!("sqlite://{}", path.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("PRAGMA ignore_check_constraints = on").execute(&mut connection).await.unwrap();
    connection
}

/// Runs a statement as another program, on a store that was filled before.
async fn meddle(path: &Path, statement: &'static str) {
    let mut connection = stranger(path).await;
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[track_caller]
fn assert_kind<T>(result: Result<T, StoreError>, expected: StoreErrorKind) {
    let error = result.err().expect("an error");
    assert_eq!(error.kind(), expected, "{error}: {:?}", error.source());
    assert!(error.source().is_some(), "{error} has no source");
    assert!(!error.to_string().contains("entitlements-"), "{error} names a path");
}

#[tokio::test]
async fn a_folder_is_no_file() {
    let path = temporary();
    fs::create_dir_all(&path).unwrap();
    assert_kind(connect(&path).await, StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn a_file_is_no_folder() {
    let path = temporary();
    fs::write(&path, "").unwrap();
    assert_kind(connect(&path.join("below").join("store.db")).await, StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn garbage_is_no_database() {
    let path = temporary();
    fs::write(&path, "This is a letter, not a database. ".repeat(100)).unwrap();
    assert_kind(connect(&path).await, StoreErrorKind::Corrupt);
}

#[tokio::test]
async fn a_missing_file_is_created_with_its_folder_only_if_it_may_be() {
    let path = temporary().with_file_name("new").join("deep").join("store.db");
    let existing = config(&path).with_create_if_missing(false);
    assert_kind(SqliteStore::connect(&existing).await, StoreErrorKind::Unavailable);
    assert!(!path.parent().unwrap().exists());
    connect(&path).await.unwrap().close().await;
    assert!(path.is_file());
    SqliteStore::connect(&existing).await.unwrap();
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let path = temporary();
    in_file(&path).await.close().await;
    meddle(&path, "INSERT INTO entitlements_schema (version, name, applied_at) VALUES (999, 'future', 0)")
        .await;
    assert_kind(connect(&path).await, StoreErrorKind::Schema);
    let mut connection = stranger(&path).await;
    let version: i64 = sqlx::query_scalar("SELECT max(version) FROM entitlements_schema")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(version, 999);
}

#[tokio::test]
async fn a_missing_table_is_another_schema() {
    let path = temporary();
    let store = in_file(&path).await;
    meddle(&path, "DROP TABLE company_addons").await;
    assert_kind(store.load(&company("acme"), now()).await, StoreErrorKind::Schema);
}

#[tokio::test]
async fn a_closed_store_is_unavailable() {
    let store = in_file(&temporary()).await;
    store.close().await;
    assert_kind(store.load(&company("acme"), now()).await, StoreErrorKind::Unavailable);
    assert_kind(store.insert_grant(&grant("g", "acme")).await, StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn a_writer_that_does_not_finish_is_contention_and_readers_go_on() {
    let path = temporary();
    let store = SqliteStore::connect(&config(&path).with_wait(Duration::from_millis(300))).await.unwrap();
    let mut connection = stranger(&path).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
    assert_kind(store.insert_grant(&grant("g", "acme")).await, StoreErrorKind::Contention);
    assert_kind(store.debit(&debit("acme", "k", 1, [monthly(10)])).await, StoreErrorKind::Contention);
    assert_eq!(facts(&store, "acme").await.grants, []);
    sqlx::query("ROLLBACK").execute(&mut connection).await.unwrap();
    store.insert_grant(&grant("g", "acme")).await.unwrap();
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_corrupt() {
    for statement in [
        "UPDATE entitlement_grants SET kind = 'gift'",
        "UPDATE entitlement_grants SET actions = '[\"look\"]'",
        "UPDATE entitlement_grants SET actions = 'view'",
        "UPDATE entitlement_grants SET resource = 'a*b'",
        "UPDATE entitlement_grants SET amount = -1",
        "UPDATE billing_subscriptions SET plan = ''",
        "UPDATE billing_subscriptions SET anchor = 9223372036854775807",
        "UPDATE billing_subscriptions SET cancel_at_period_end = 2",
        "UPDATE company_overrides SET value = '{'",
        "UPDATE usage_quotas SET bucket = 'plan/decade/calendar'",
        "UPDATE usage_quotas SET used = -1",
    ] {
        let path = temporary();
        let store = in_file(&path).await;
        store.insert_grant(&grant("g", "acme")).await.unwrap();
        let subscription = entitlements_core::testkit::fixtures::subscription("s", "acme");
        store.put_subscription(&subscription, now()).await.unwrap();
        let value = entitlements_core::testkit::fixtures::overriding("reports", 5);
        store.put_override(&company("acme"), &value).await.unwrap();
        recorded(&store, &debit("acme", "k", 1, [monthly(10)])).await;
        meddle(&path, statement).await;
        let error = store.load(&company("acme"), now()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{statement}: {:?}", error.source());
        assert!(error.source().is_some());
        store.put_addon(&company("acme"), &addon("pack", 1)).await.unwrap();
        facts(&store, "other").await;
    }
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_is_corrupt_but_a_condition_breaks_its_policy_alone() {
    let path = temporary();
    let store = in_file(&path).await;
    store.insert_policy(&Policy { effect: Effect::Deny, ..policy("a") }).await.unwrap();
    store.insert_policy(&policy("b")).await.unwrap();
    for text in ["", "null", "{", "{\"near\": [\"context.x\", 1]}"] {
        let mut connection = stranger(&path).await;
        sqlx::query("UPDATE entitlement_policies SET condition = $1 WHERE id = 'a'")
            .bind(text)
            .execute(&mut connection)
            .await
            .unwrap();
        let policies = store.policies().await.unwrap().policies;
        let [a, b] = &policies[..] else { panic!("two policies") };
        assert!(matches!(&a.when, When::Broken { stored, .. } if stored == text), "{:?}", a.when);
        assert_eq!(a.effect, Effect::Deny);
        assert_eq!(b, &policy("b"));
    }
    meddle(&path, "UPDATE entitlement_policies SET effect = 'maybe' WHERE id = 'a'").await;
    assert_kind(store.policies().await, StoreErrorKind::Corrupt);
    meddle(&path, "UPDATE entitlement_policies SET effect = 'deny', target = '{\"users\": [\"\"]}'").await;
    assert_kind(store.policies().await, StoreErrorKind::Corrupt);
}

#[tokio::test]
async fn a_receipt_that_cannot_be_read_is_corrupt() {
    let path = temporary();
    let store = in_file(&path).await;
    recorded(&store, &debit("acme", "k", 1, [monthly(10)])).await;
    meddle(&path, "DROP TRIGGER usage_receipts_kept").await;
    meddle(&path, "UPDATE usage_receipts SET split = '[[\"reports\"]]'").await;
    assert_kind(store.receipt(&company("acme"), &key("k")).await, StoreErrorKind::Corrupt);
}

#[tokio::test]
async fn history_cannot_be_rewritten() {
    let path = temporary();
    let store = in_file(&path).await;
    recorded(&store, &debit("acme", "k", 1, [monthly(10)])).await;
    store
        .put_subscription(&entitlements_core::testkit::fixtures::subscription("s", "acme"), now())
        .await
        .unwrap();
    let mut connection = stranger(&path).await;
    for statement in
        ["UPDATE usage_receipts SET amount = 2", "UPDATE billing_subscription_history SET plan = 'free'"]
    {
        assert!(sqlx::query(statement).execute(&mut connection).await.is_err(), "{statement}");
    }
}

#[tokio::test]
async fn debug_and_errors_name_no_path() {
    let path = temporary();
    let store = in_file(&path).await;
    assert_eq!(format!("{store:?}"), "SqliteStore { readers: 0, closed: false, .. }");
    let error = SqliteStore::connect(&SqliteConfig::new("/dev/null/store.db")).await.unwrap_err();
    assert_eq!(error.to_string(), "could not open the database: the store is unavailable");
}

#[tokio::test]
async fn usage_whose_receipt_is_gone_goes_when_it_is_settled() {
    let path = temporary();
    let store = in_file(&path).await;
    let remove_receipts = async || meddle(&path, orphans::RECEIPTS_REMOVED).await;
    orphans::a_record_without_a_receipt_goes_when_it_is_settled(&store, remove_receipts).await;
}
