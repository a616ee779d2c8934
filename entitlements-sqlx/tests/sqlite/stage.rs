//! Transactions of a caller with a pool of its own, beside the store.

use entitlements_sqlx::SqliteStore;
pub(crate) use entitlements_sqlx::SqliteTransaction as InTransaction;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, Pool, Sqlite, Transaction};

use crate::files::{in_file, temporary};
use crate::{in_transaction, interrupted};

/// A store, and the caller's own connections to its database, where it has a table of its own.
pub(crate) struct Stage {
    pub(crate) store: SqliteStore,
    pub(crate) pool: Pool<Sqlite>,
    others: Pool<Sqlite>,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        let path = temporary();
        let store = in_file(&path).await;
        let options = SqliteConnectOptions::new().filename(&path);
        let one = || SqlitePoolOptions::new().max_connections(1).connect_with(options.clone());
        let (pool, others) = (one().await.unwrap(), one().await.unwrap());
        sqlx::query("CREATE TABLE orders (id TEXT PRIMARY KEY) STRICT").execute(&pool).await.unwrap();
        Self { store, pool, others }
    }

    /// How many rows the caller's table has, over another connection.
    pub(crate) async fn orders_seen_by_others(&self) -> i64 {
        orders(&self.others).await
    }
}

pub(crate) trait Beginning {
    async fn beginning(&self) -> Transaction<'static, Sqlite>;
}

impl Beginning for Pool<Sqlite> {
    async fn beginning(&self) -> Transaction<'static, Sqlite> {
        self.begin_with("BEGIN IMMEDIATE").await.unwrap()
    }
}

pub(crate) async fn execute(transaction: &mut Transaction<'static, Sqlite>, statement: &str) {
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut **transaction).await.unwrap();
}

/// Inserts a row without a transaction.
pub(crate) async fn insert_alone(pool: &Pool<Sqlite>, id: &str) {
    sqlx::query("INSERT INTO orders VALUES ($1)").bind(id).execute(pool).await.unwrap();
}

/// How many rows the caller's table has.
pub(crate) async fn orders(pool: &Pool<Sqlite>) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM orders").fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_commit_keeps_the_units_and_the_callers_rows() {
    in_transaction::a_commit_keeps_the_units_and_the_callers_rows(Stage::start().await).await;
}

#[tokio::test]
async fn a_rollback_leaves_nothing() {
    in_transaction::a_rollback_leaves_nothing(Stage::start().await).await;
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing() {
    in_transaction::a_dropped_transaction_leaves_nothing(Stage::start().await).await;
}

#[tokio::test]
async fn a_refusal_changes_nothing_and_leaves_the_transaction_usable() {
    in_transaction::a_refusal_changes_nothing_and_leaves_the_transaction_usable(Stage::start().await).await;
}

#[tokio::test]
async fn a_key_counts_once_across_transactions() {
    in_transaction::a_key_counts_once_across_transactions(Stage::start().await).await;
}

#[tokio::test]
async fn a_refund_takes_part() {
    in_transaction::a_refund_takes_part(Stage::start().await).await;
}

#[tokio::test]
async fn a_grant_takes_part_and_nothing_seen_is_kept() {
    in_transaction::a_grant_takes_part_and_nothing_seen_is_kept(Stage::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_is_given_up_is_rolled_back_with_its_transaction() {
    interrupted::a_step_that_is_given_up_is_rolled_back_with_its_transaction(Stage::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_up_and_committed_is_whole_or_not_there() {
    interrupted::what_is_given_up_and_committed_is_whole_or_not_there(Stage::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_in_a_task_of_its_own_outlives_its_caller() {
    interrupted::a_transaction_in_a_task_of_its_own_outlives_its_caller(Stage::start().await).await;
}
