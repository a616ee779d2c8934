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
    for seed in 0..2 {
        agrees_with_memory(&in_schema(&new_schema()).await, seed, 2_000).await;
    }
}
