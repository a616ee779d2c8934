//! The conformance suite and the model test on SQLite: in files, in memory, and shared.

use std::sync::Arc;

use entitlements_core::store::{Grouped, SharedStore};
use entitlements_core::testkit::Harness;
use entitlements_sqlx::{SqliteConfig, SqliteStore};

use crate::files::{in_file, temporary};
use crate::ledger;
use crate::modelling;

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
        Arc::new(in_memory().await)
    }
}

async fn in_memory() -> SqliteStore {
    SqliteStore::connect(&SqliteConfig::in_memory()).await.unwrap()
}

mod file {
    use super::InFile;

    entitlements_core::store_suite!(InFile);
    entitlements_core::billing_suite!(InFile);
    entitlements_core::group_suite!(InFile);
    entitlements_core::outbox_suite!(InFile);
}

mod memory {
    use super::InMemory;

    entitlements_core::store_suite!(InMemory);
}

/// In memory, where nothing waits for a disk; the suite runs in files as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_model_agrees() {
    modelling::agrees(8_000, in_memory).await;
}

mod together {
    use super::Together;

    entitlements_core::store_suite!(Together);
}

struct Together;

impl Harness for Together {
    type Store = Grouped<SqliteStore>;

    async fn start() -> Self::Store {
        Grouped::new(in_file(&temporary()).await)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_the_limit_is_granted_to_groups() {
    let path = temporary();
    let stores = [Grouped::new(in_file(&path).await), Grouped::new(in_file(&path).await).with_largest(7)];
    ledger::exactly_the_limit_is_granted(&stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_oversold_by_groups_under_load() {
    let path = temporary();
    let stores = [Grouped::new(in_file(&path).await), Grouped::new(in_file(&path).await)];
    ledger::nothing_is_oversold_under_load(&stores).await;
}
