//! The conformance suite and the model test on SQLite: in files, in memory, and shared.

use std::sync::Arc;

use entitlements_core::store::{Grouped, SharedStore};
use entitlements_core::testkit::{Harness, agrees_with_memory};
use entitlements_sqlx::{SqliteConfig, SqliteStore};

use crate::files::{in_file, temporary};
use crate::grouped;
use crate::ledger;

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
    entitlements_core::outbox_suite!(InFile);
}

mod memory {
    use super::InMemory;

    entitlements_core::store_suite!(InMemory);
}

#[tokio::test]
async fn the_model_agrees() {
    // A new store for each seed, so that every one of them is small enough to be compared as a whole.
    for seed in 0..operations(8_000).div_ceil(2_000) {
        agrees_with_memory(&in_file(&temporary()).await, seed, 2_000).await;
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

    entitlements_core::store_suite!(Together);
}

struct Together;

impl Harness for Together {
    type Store = Grouped<SqliteStore>;

    async fn start() -> Self::Store {
        Grouped::new(in_file(&temporary()).await)
    }
}

#[tokio::test]
async fn each_debit_of_a_group_gets_its_own_outcome() {
    grouped::each_debit_of_a_group_gets_its_own_outcome(in_file(&temporary()).await).await;
}

#[tokio::test]
async fn a_group_that_fails_changes_nothing() {
    grouped::a_group_that_fails_changes_nothing(in_file(&temporary()).await).await;
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
