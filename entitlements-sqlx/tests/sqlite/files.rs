//! Stores in temporary folders.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use entitlements_core::ManualClock;
use entitlements_core::decision_cache::DecisionCache;
use entitlements_core::testkit::fixtures::now;
use entitlements_sqlx::{Durability, SqliteConfig, SqliteDecisionCache, SqliteStore};
use tempfile::TempDir;

use crate::ground::Ground;

thread_local! {
    /// The folders of the test that runs on this thread; they go when it ends.
    static FOLDERS: RefCell<Vec<TempDir>> = const { RefCell::new(Vec::new()) };
}

/// The path of a database that does not exist yet, in a folder of its own.
pub(crate) fn temporary() -> PathBuf {
    let folder = tempfile::Builder::new().prefix("entitlements-").tempdir().unwrap();
    let path = folder.path().join("store.db");
    FOLDERS.with_borrow_mut(|folders| folders.push(folder));
    path
}

/// A store in a file.
pub(crate) async fn in_file(path: &Path) -> SqliteStore {
    SqliteStore::connect(&config(path)).await.unwrap()
}

/// The configuration of [`in_file`]: tests need no power failures.
pub(crate) fn config(path: &Path) -> SqliteConfig {
    SqliteConfig::new(path).with_durability(Durability::Normal)
}

/// A database in a folder of its own.
pub(crate) struct InFolder(PathBuf);

impl InFolder {
    pub(crate) fn new() -> Self {
        Self(temporary())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Ground for InFolder {
    type Store = SqliteStore;

    async fn open(&self) -> SqliteStore {
        in_file(&self.0).await
    }

    async fn beside(&self) -> SqliteStore {
        self.open().await
    }

    /// Statements end before their connection does.
    async fn close(&self, store: SqliteStore) {
        store.close().await;
    }

    /// What a process has begun ends with it.
    async fn quiet(&self) {}

    fn decisions(store: &SqliteStore) -> impl DecisionCache {
        SqliteDecisionCache::new(store, ManualClock::at(now())).with_read_timeout(Duration::from_secs(10))
    }
}
