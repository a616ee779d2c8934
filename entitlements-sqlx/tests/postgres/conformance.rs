//! The conformance suite and the model test.

use entitlements_core::testkit::{Harness, agrees_with_memory};
use entitlements_sqlx::PostgresStore;

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
