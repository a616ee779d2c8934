//! The conformance suite and the model test.

use entitlements_core::store::Grouped;
use entitlements_core::testkit::{Harness, agrees_with_memory};
use entitlements_sqlx::PostgresStore;

use crate::grouped;
use crate::ledger;
use crate::server::{in_schema, new_schema};

struct Postgres;

impl Harness for Postgres {
    type Store = PostgresStore;

    async fn start() -> PostgresStore {
        in_schema(&new_schema()).await
    }
}

entitlements_core::store_suite!(
    #[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
    Postgres
);
entitlements_core::billing_suite!(
    #[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
    Postgres
);
entitlements_core::outbox_suite!(
    #[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
    Postgres
);

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn the_model_agrees() {
    // A new store for each seed, so that every one of them is small enough to be compared as a whole.
    for seed in 0..operations(4_000).div_ceil(2_000) {
        agrees_with_memory(&in_schema(&new_schema()).await, seed, 2_000).await;
    }
}

/// How many operations the model makes: `MODEL_OPERATIONS`, as the scripts set it, or this many.
fn operations(usual: u64) -> u64 {
    match std::env::var("MODEL_OPERATIONS") {
        Ok(text) => text.parse().expect("MODEL_OPERATIONS is a number"),
        Err(_) => usual,
    }
}
mod together {
    use super::Together;

    entitlements_core::store_suite!(
        #[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
        Together
    );
}

struct Together;

impl Harness for Together {
    type Store = Grouped<PostgresStore>;

    async fn start() -> Self::Store {
        Grouped::new(in_schema(&new_schema()).await)
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn each_debit_of_a_group_gets_its_own_outcome() {
    grouped::each_debit_of_a_group_gets_its_own_outcome(in_schema(&new_schema()).await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_group_that_fails_changes_nothing() {
    grouped::a_group_that_fails_changes_nothing(in_schema(&new_schema()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn exactly_the_limit_is_granted_to_groups() {
    let schema = new_schema();
    let stores =
        [Grouped::new(in_schema(&schema).await), Grouped::new(in_schema(&schema).await).with_largest(7)];
    ledger::exactly_the_limit_is_granted(&stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn nothing_is_oversold_by_groups_under_load() {
    let schema = new_schema();
    let stores = [Grouped::new(in_schema(&schema).await), Grouped::new(in_schema(&schema).await)];
    ledger::nothing_is_oversold_under_load(&stores).await;
}
