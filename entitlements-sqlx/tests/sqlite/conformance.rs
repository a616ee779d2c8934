//! The conformance suite and the model test on SQLite: in files, in memory, and shared.

use std::sync::Arc;

use entitlements_core::store::SharedStore;
use entitlements_core::testkit::{Harness, agrees_with_memory};
use entitlements_sqlx::{SqliteConfig, SqliteStore};

use crate::files::{in_file, temporary};

struct InFile;

impl Harness for InFile {
    type Store = SqliteStore;

    async fn start() -> SqliteStore {
        in_file(&temporary()).await
    }
}

struct InMemory;

impl Harness for InMemory {
    type Store = SharedStore;

    async fn start() -> SharedStore {
        Arc::new(SqliteStore::connect(&SqliteConfig::in_memory()).await.unwrap())
    }
}

mod file {
    use super::InFile;

    entitlements_core::store_suite!(InFile);
    entitlements_core::billing_suite!(InFile);
}

mod memory {
    use super::InMemory;

    entitlements_core::store_suite!(InMemory);
}

#[tokio::test]
async fn the_model_agrees() {
    for seed in 0..4 {
        agrees_with_memory(&in_file(&temporary()).await, seed, 2_000).await;
    }
}
