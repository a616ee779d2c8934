//! Transactions of a caller with a pool of its own, beside the store.

use entitlements_sqlx::PostgresStore;
pub(crate) use entitlements_sqlx::PostgresTransaction as InTransaction;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Pool, Postgres, Transaction};

use crate::proxy::Proxy;
use crate::server::{in_schema, meddle, new_schema, url};
use crate::{in_transaction, interrupted};

/// A store, and the caller's own connections to its database, where it has a table of its own.
pub(crate) struct Stage {
    pub(crate) store: PostgresStore,
    pub(crate) pool: Pool<Postgres>,
    others: Pool<Postgres>,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        Self::reached(url).await
    }

    /// The caller's connections go through the proxy.
    pub(crate) async fn behind(proxy: &Proxy) -> Self {
        Self::reached(|parameters| proxy.url(parameters)).await
    }

    async fn reached(url: impl Fn(&str) -> String) -> Self {
        let schema = new_schema();
        let store = in_schema(&schema).await;
        let url = url(&format!("options[search_path]={schema}"));
        let one = || PgPoolOptions::new().max_connections(1).connect(&url);
        let (pool, others) = (one().await.unwrap(), one().await.unwrap());
        meddle(&schema, "CREATE TABLE orders (id TEXT PRIMARY KEY)").await;
        Self { store, pool, others }
    }

    /// How many rows the caller's table has, over another connection.
    pub(crate) async fn orders_seen_by_others(&self) -> i64 {
        orders(&self.others).await
    }
}

pub(crate) trait Beginning {
    async fn beginning(&self) -> Transaction<'static, Postgres>;
}

impl Beginning for Pool<Postgres> {
    async fn beginning(&self) -> Transaction<'static, Postgres> {
        self.begin().await.unwrap()
    }
}

pub(crate) async fn execute(transaction: &mut Transaction<'static, Postgres>, statement: &str) {
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut **transaction).await.unwrap();
}

/// Inserts a row without a transaction.
pub(crate) async fn insert_alone(pool: &Pool<Postgres>, id: &str) {
    sqlx::query("INSERT INTO orders VALUES ($1)").bind(id).execute(pool).await.unwrap();
}

/// How many rows the caller's table has.
pub(crate) async fn orders(pool: &Pool<Postgres>) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM orders").fetch_one(pool).await.unwrap()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_commit_keeps_the_units_and_the_callers_rows() {
    in_transaction::a_commit_keeps_the_units_and_the_callers_rows(Stage::start().await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_rollback_leaves_nothing() {
    in_transaction::a_rollback_leaves_nothing(Stage::start().await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_dropped_transaction_leaves_nothing() {
    in_transaction::a_dropped_transaction_leaves_nothing(Stage::start().await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_refusal_changes_nothing_and_leaves_the_transaction_usable() {
    in_transaction::a_refusal_changes_nothing_and_leaves_the_transaction_usable(Stage::start().await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_key_counts_once_across_transactions() {
    in_transaction::a_key_counts_once_across_transactions(Stage::start().await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_refund_takes_part() {
    in_transaction::a_refund_takes_part(Stage::start().await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_grant_takes_part_and_nothing_seen_is_kept() {
    in_transaction::a_grant_takes_part_and_nothing_seen_is_kept(Stage::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_step_that_is_given_up_is_rolled_back_with_its_transaction() {
    interrupted::a_step_that_is_given_up_is_rolled_back_with_its_transaction(Stage::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn what_is_given_up_and_committed_is_whole_or_not_there() {
    interrupted::what_is_given_up_and_committed_is_whole_or_not_there(Stage::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_transaction_in_a_task_of_its_own_outlives_its_caller() {
    interrupted::a_transaction_in_a_task_of_its_own_outlives_its_caller(Stage::start().await).await;
}
