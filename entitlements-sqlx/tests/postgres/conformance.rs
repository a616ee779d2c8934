//! The conformance suite and the model test on PostgreSQL: as it is, shared, and in groups.

use std::sync::Arc;

use entitlements_core::store::{Grouped, SharedStore};
use entitlements_core::testkit::Harness;
use entitlements_sqlx::PostgresStore;

use crate::ledger;
use crate::modelling;
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
entitlements_core::group_suite!(
    #[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
    Postgres
);
entitlements_core::outbox_suite!(
    #[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
    Postgres
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn the_model_agrees() {
    modelling::agrees(4_000, Postgres::start).await;
}

mod shared {
    use super::Shared;

    entitlements_core::store_suite!(
        #[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
        Shared
    );
}

struct Shared;

impl Harness for Shared {
    type Store = SharedStore;

    async fn start() -> SharedStore {
        Arc::new(in_schema(&new_schema()).await)
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
