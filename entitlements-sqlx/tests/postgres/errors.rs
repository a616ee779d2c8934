//! What goes wrong with a server, and what a store says about it.

use std::error::Error;
use std::time::Duration;

use entitlements_core::policy::{Effect, Policy, When};
use entitlements_core::store::{
    GrantStore, PolicyStore, SnapshotStore, StoreError, StoreErrorKind, SubscriptionStore, UsageStore,
};
use entitlements_core::testkit::fixtures::{
    addon, company, debit, facts, grant, key, monthly, now, overriding, policy, recorded, subscription, used,
};
use entitlements_sqlx::{PostgresConfig, PostgresStore};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::orphans;
use crate::server::{config, in_schema, meddle, new_schema, run, stranger, url};

const SOON: Duration = Duration::from_millis(250);

#[track_caller]
pub(crate) fn assert_kind<T>(result: Result<T, StoreError>, expected: StoreErrorKind) {
    let error = result.err().expect("an error");
    assert_eq!(error.kind(), expected, "{error}: {:?}", error.source());
    assert!(error.source().is_some(), "{error} has no source");
    assert_eq!(error.to_string(), format!("could not {}: {expected}", error.operation()));
}

async fn connect(url: &str) -> Result<PostgresStore, StoreError> {
    let config = PostgresConfig::from_url(url).unwrap().with_wait(Duration::from_millis(500));
    PostgresStore::connect(&config).await
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    assert_kind(connect("postgres://app:hunter2@127.0.0.1:1/x").await, StoreErrorKind::Unavailable);
    assert_kind(connect("postgres://app@%2Fno%2Fsuch%2Ffolder/x").await, StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let silent = connect(&format!("postgres://app:hunter2@{address}/x")).await;
    assert_kind(silent, StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn a_server_of_something_else_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let _ = connection.write_all(b"220 mail.example ready\r\n").await;
        }
    });
    let other = connect(&format!("postgres://app:hunter2@{address}/x")).await;
    assert_kind(other, StoreErrorKind::Unavailable);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn who_is_not_let_in_meets_an_unavailable_store() {
    for parameter in ["password=hunter2", "user=nobody-of-that-name", "dbname=no-such-database"] {
        let error = connect(&url(parameter)).await.unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        assert_kind(Err::<(), _>(error), StoreErrorKind::Unavailable);
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_missing_table_or_function_is_another_schema() {
    let schema = new_schema();
    let store = in_schema(&schema).await;
    meddle(&schema, "DROP TABLE company_addons; DROP FUNCTION usage_refund").await;
    assert_kind(store.load(&company("acme"), now()).await, StoreErrorKind::Schema);
    let receipt = entitlements_core::testkit::fixtures::receipt_id("r");
    assert_kind(store.refund(&company("acme"), &receipt, now()).await, StoreErrorKind::Schema);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn what_may_only_be_read_is_read() {
    let schema = new_schema();
    let url = url(&format!("search_path={schema}&options[default_transaction_read_only]=on"));
    assert_kind(connect(&url).await, StoreErrorKind::ReadOnly);
    in_schema(&schema).await.insert_grant(&grant("g", "acme")).await.unwrap();

    let reader = connect(&url).await.unwrap();
    assert_eq!(facts(&reader, "acme").await.grants, [grant("g", "acme")]);
    assert_kind(reader.insert_grant(&grant("h", "acme")).await, StoreErrorKind::ReadOnly);
    assert_kind(reader.debit(&debit("acme", "k", 1, [monthly(10)])).await, StoreErrorKind::ReadOnly);
}

/// What waits for a lock too long is given up by the server, and has changed nothing.
#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_statement_that_takes_too_long_is_unavailable_and_changes_nothing() {
    let schema = new_schema();
    let store = PostgresStore::connect(&config(&schema).with_statement_timeout(SOON)).await.unwrap();
    recorded(&store, &debit("acme", "a", 3, [monthly(10)])).await;
    let mut other = stranger(&schema).await;
    run(&mut other, "BEGIN; SELECT FROM usage_quotas FOR UPDATE; SELECT FROM revision_sequence FOR UPDATE")
        .await;
    assert_kind(store.debit(&debit("acme", "b", 1, [monthly(10)])).await, StoreErrorKind::Unavailable);
    assert_kind(store.insert_grant(&grant("g", "acme")).await, StoreErrorKind::Unavailable);
    // Who takes nothing does not wait.
    let full = store.debit(&debit("acme", "c", 8, [monthly(10)])).await.unwrap();
    assert_eq!(full, entitlements_core::usage::DebitOutcome::Refused);
    assert_eq!(facts(&store, "acme").await.grants, []);
    run(&mut other, "ROLLBACK").await;
    recorded(&store, &debit("acme", "b", 1, [monthly(10)])).await;
    assert_eq!(used(&store, "acme", &monthly(10)).await, 4);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_lock_that_is_not_given_in_time_is_contention() {
    let schema = new_schema();
    let store = connect(&url(&format!("search_path={schema}&options[lock_timeout]=60ms"))).await.unwrap();
    let mut other = stranger(&schema).await;
    run(&mut other, "BEGIN; SELECT FROM revision_sequence FOR UPDATE").await;
    assert_kind(store.insert_policy(&policy("p")).await, StoreErrorKind::Contention);
    run(&mut other, "ROLLBACK").await;
    store.insert_policy(&policy("p")).await.unwrap();
}

/// A server that fails in the middle of a write, and then no more.
#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_write_that_the_server_gives_up_changes_nothing() {
    for (code, kind, again) in [
        ("40001", StoreErrorKind::Contention, true),  // could not serialize
        ("40P01", StoreErrorKind::Contention, true),  // deadlock
        ("53100", StoreErrorKind::ReadOnly, false),   // disk full
        ("57P01", StoreErrorKind::Unavailable, true), // the administrator stops it
    ] {
        let schema = new_schema();
        let store = in_schema(&schema).await;
        recorded(&store, &debit("acme", "a", 3, [monthly(10)])).await;
        let fails = format!(
            "CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE 'a secret of the driver' USING ERRCODE = '{code}'; END $$; \
             CREATE TRIGGER fails AFTER INSERT ON usage_receipts FOR EACH ROW EXECUTE FUNCTION fails(); \
             CREATE TRIGGER fails AFTER INSERT ON entitlement_grants FOR EACH ROW EXECUTE FUNCTION fails()"
        );
        let mut other = stranger(&schema).await;
        run(&mut other, &fails).await;
        let refused = [
            store.debit(&debit("acme", "b", 1, [monthly(10)])).await.unwrap_err(),
            store.insert_grant(&grant("g", "acme")).await.unwrap_err(),
        ];
        for error in refused {
            assert_eq!((error.kind(), error.is_retryable()), (kind, again), "{code}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        run(&mut other, "DROP FUNCTION fails CASCADE").await;
        assert_eq!(facts(&store, "acme").await.grants, []);
        assert_eq!(used(&store, "acme", &monthly(10)).await, 3);
        recorded(&store, &debit("acme", "b", 1, [monthly(10)])).await;
        assert_eq!(used(&store, "acme", &monthly(10)).await, 4);
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_pool_without_a_free_connection_is_unavailable() {
    let schema = new_schema();
    let config = config(&schema).with_connections(1).with_wait(SOON * 5);
    let store = PostgresStore::connect(&config).await.unwrap();
    recorded(&store, &debit("acme", "a", 1, [monthly(10)])).await;
    let mut other = stranger(&schema).await;
    run(&mut other, "BEGIN; SELECT FROM usage_quotas FOR UPDATE").await;
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.debit(&debit("acme", "b", 1, [monthly(10)])).await }
    });
    while !is_waiting(&mut stranger(&schema).await, &schema).await {}
    assert_kind(store.load(&company("acme"), now()).await, StoreErrorKind::Unavailable);
    run(&mut other, "ROLLBACK").await;
    waiting.await.unwrap().unwrap();
}

/// Whether some statement waits for a row of this schema's counters.
async fn is_waiting(connection: &mut sqlx::PgConnection, schema: &str) -> bool {
    sqlx::query_scalar(
        "SELECT EXISTS (
            SELECT FROM pg_locks AS waiting
            JOIN pg_locks AS held USING (pid)
            JOIN pg_class ON pg_class.oid = held.relation
            WHERE NOT waiting.granted AND relname = 'usage_quotas' AND relnamespace = to_regnamespace($1)
        )",
    )
    .bind(schema)
    .fetch_one(connection)
    .await
    .unwrap()
}

/// Connections that the server ended cost each one call at most; the store finds new ones.
#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_store_outlives_its_connections() {
    let schema = new_schema();
    let store = connect(&url(&format!("search_path={schema}&application_name={schema}"))).await.unwrap();
    facts(&store, "acme").await;
    let ended: i64 = sqlx::query_scalar(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE application_name = $1",
    )
    .bind(&schema)
    .fetch_one(&mut stranger(&schema).await)
    .await
    .unwrap();
    assert_eq!(ended, 1);
    if let Err(error) = store.load(&company("acme"), now()).await {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{:?}", error.source());
    }
    facts(&store, "acme").await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_closed_store_is_unavailable() {
    let store = in_schema(&new_schema()).await;
    store.close().await;
    assert_kind(store.load(&company("acme"), now()).await, StoreErrorKind::Unavailable);
    assert_kind(store.insert_grant(&grant("g", "acme")).await, StoreErrorKind::Unavailable);
}

/// Takes every check away, so that another program can write what it likes.
const UNCHECKED: &str = "DO $$ DECLARE found record; BEGIN
    FOR found IN
        SELECT CASE contypid
            WHEN 0 THEN format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)
            ELSE format('ALTER DOMAIN %s DROP CONSTRAINT %I', contypid::regtype, conname)
        END AS statement
        FROM pg_constraint
        WHERE contype = 'c' AND connamespace = current_schema()::regnamespace
    LOOP
        EXECUTE found.statement;
    END LOOP;
END $$";

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_row_that_cannot_be_read_is_corrupt() {
    for statement in [
        "UPDATE entitlement_grants SET kind = 'gift'",
        "UPDATE entitlement_grants SET actions = '[\"look\"]'",
        "UPDATE entitlement_grants SET actions = 'view'",
        "UPDATE entitlement_grants SET resource = 'a*b'",
        "UPDATE entitlement_grants SET amount = -1",
        "UPDATE billing_subscriptions SET plan = ''",
        "UPDATE billing_subscriptions SET anchor = 9223372036854775807",
        "UPDATE company_overrides SET value = '{'",
        "UPDATE usage_quotas SET bucket = 'plan/decade/calendar'",
        "UPDATE usage_quotas SET used = -1",
    ] {
        let schema = new_schema();
        let store = in_schema(&schema).await;
        store.insert_grant(&grant("g", "acme")).await.unwrap();
        store.put_subscription(&subscription("s", "acme"), now()).await.unwrap();
        store.put_override(&company("acme"), &overriding("reports", 5)).await.unwrap();
        recorded(&store, &debit("acme", "k", 1, [monthly(10)])).await;
        meddle(&schema, UNCHECKED).await;
        meddle(&schema, statement).await;
        let error = store.load(&company("acme"), now()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{statement}: {:?}", error.source());
        assert!(error.source().is_some());
        store.put_addon(&company("acme"), &addon("pack", 1)).await.unwrap();
        facts(&store, "other").await;
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_policy_that_cannot_be_read_is_corrupt_but_a_condition_breaks_its_policy_alone() {
    let schema = new_schema();
    let store = in_schema(&schema).await;
    store.insert_policy(&Policy { effect: Effect::Deny, ..policy("a") }).await.unwrap();
    store.insert_policy(&policy("b")).await.unwrap();
    for text in ["", "null", "{", "{\"near\": [\"context.x\", 1]}"] {
        meddle(&schema, &format!("UPDATE entitlement_policies SET condition = '{text}' WHERE id = 'a'"))
            .await;
        let policies = store.policies().await.unwrap().policies;
        let [a, b] = &policies[..] else { panic!("two policies") };
        assert!(matches!(&a.when, When::Broken { stored, .. } if stored == text), "{:?}", a.when);
        assert_eq!(a.effect, Effect::Deny);
        assert_eq!(b, &policy("b"));
    }
    meddle(&schema, "UPDATE entitlement_policies SET effect = 'maybe' WHERE id = 'a'").await;
    assert_kind(store.policies().await, StoreErrorKind::Corrupt);
    let target = "UPDATE entitlement_policies SET effect = 'deny', target = '{\"users\": [\"\"]}'";
    meddle(&schema, target).await;
    assert_kind(store.policies().await, StoreErrorKind::Corrupt);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_receipt_that_cannot_be_read_is_corrupt() {
    let schema = new_schema();
    let store = in_schema(&schema).await;
    let receipt = recorded(&store, &debit("acme", "k", 1, [monthly(10)])).await;
    meddle(&schema, "DROP TRIGGER usage_receipts_kept ON usage_receipts").await;
    meddle(&schema, "UPDATE usage_receipts SET split = '[[\"reports\"]]'").await;
    assert_kind(store.receipt(&company("acme"), &key("k")).await, StoreErrorKind::Corrupt);
    assert_kind(store.refund(&company("acme"), &receipt.id, now()).await, StoreErrorKind::Corrupt);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn history_cannot_be_rewritten_and_another_programs_write_takes_a_revision() {
    let schema = new_schema();
    let store = in_schema(&schema).await;
    recorded(&store, &debit("acme", "k", 1, [monthly(10)])).await;
    store.put_subscription(&subscription("s", "acme"), now()).await.unwrap();
    let mut connection = stranger(&schema).await;
    for statement in
        ["UPDATE usage_receipts SET amount = 2", "UPDATE billing_subscription_history SET plan = 'free'"]
    {
        assert!(sqlx::query(statement).execute(&mut connection).await.is_err(), "{statement}");
    }
    let before = facts(&store, "acme").await;
    // From outside the schema.
    let statement = format!("UPDATE {schema}.billing_subscriptions SET plan = 'free'");
    meddle("public", &statement).await;
    let after = facts(&store, "acme").await;
    assert!(before.revision < after.revision);
    assert_eq!(after.plan_changes.len(), 1);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn debug_says_little() {
    let store = in_schema(&new_schema()).await;
    assert_eq!(format!("{store:?}"), "PostgresStore { connections: 0, closed: false, .. }");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn usage_whose_receipt_is_gone_goes_when_it_is_settled() {
    let schema = new_schema();
    let store = in_schema(&schema).await;
    let remove_receipts = async || meddle(&schema, orphans::RECEIPTS_REMOVED).await;
    orphans::a_record_without_a_receipt_goes_when_it_is_settled(&store, remove_receipts).await;
}
