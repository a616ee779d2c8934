//! Stores in temporary folders.

use std::path::{Path, PathBuf};

use entitlements_sqlx::{Durability, SqliteConfig, SqliteStore};

/// The path of a database that does not exist yet, in a folder of its own.
pub(crate) fn temporary() -> PathBuf {
    let folder = tempfile::Builder::new().prefix("entitlements-").tempdir().unwrap();
    // The folder is left to the system to clean: the store may outlive this call.
    folder.keep().join("store.db")
}

/// A store in a file.
pub(crate) async fn in_file(path: &Path) -> SqliteStore {
    SqliteStore::connect(&config(path)).await.unwrap()
}

/// The configuration of [`in_file`]: tests need no power failures.
pub(crate) fn config(path: &Path) -> SqliteConfig {
    SqliteConfig::new(path).with_durability(Durability::Normal)
}
