//! The store in a SQLite database.

#[path = "../dialect/audit.rs"]
mod audit;
#[path = "../dialect/billing.rs"]
mod billing;
#[path = "../dialect/calls.rs"]
mod calls;
mod config;
mod decisions;
mod error;
mod gauges;
#[path = "../dialect/grants.rs"]
mod grants;
mod migrate;
#[path = "../dialect/policies.rs"]
mod policies;
mod reservations;
#[path = "../dialect/snapshot.rs"]
mod snapshot;
mod sql;
#[path = "../dialect/steps.rs"]
mod steps;
#[path = "../dialect/subscriptions.rs"]
mod subscriptions;
mod transaction;
mod usage;
#[path = "../dialect/usage_outbox.rs"]
mod usage_outbox;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use entitlements_core::store::StoreError;
use sqlx::query::{Query, QueryAs};
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions, FromRow, Sqlite};

pub use config::{Durability, InvalidSqliteUrl, SqliteConfig};
pub use decisions::SqliteDecisionCache;
pub use transaction::SqliteTransaction;

use crate::connections::Connections;
use config::Place;
use error::{failed, io_kind};
use migrate::{migrate, must_be_current};

const CONNECT: &str = "open the database";

/// What the rooms that every dialect has are about.
type Store = SqliteStore;
type Row = SqliteRow;
type Transaction<'c> = SqliteTransaction<'c>;

/// A query without a type for its rows.
pub(crate) type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// A query whose rows are tuples.
pub(crate) type Typed<'q, R> = QueryAs<'q, Sqlite, R, SqliteArguments>;

/// Keeps everything in one SQLite database, in write-ahead mode: one connection writes, others read beside it.
///
/// Every write is one statement, so a call that is dropped while it waits leaves nothing half done: its write happens as
/// a whole, or not at all. Cloning shares the connections.
#[derive(Clone)]
pub struct SqliteStore {
    writer: Connections<Sqlite>,
    readers: Connections<Sqlite>,
}

impl SqliteStore {
    /// Opens the database, creates what is missing, and brings the schema up to date.
    ///
    /// # Errors
    ///
    /// * [`Unavailable`](entitlements_core::store::StoreErrorKind::Unavailable) when the file cannot be opened;
    /// * [`ReadOnly`](entitlements_core::store::StoreErrorKind::ReadOnly) when it cannot be written to;
    /// * [`Corrupt`](entitlements_core::store::StoreErrorKind::Corrupt) when it is no SQLite database;
    /// * [`Schema`](entitlements_core::store::StoreErrorKind::Schema) when a newer version of this library made it.
    pub async fn connect(config: &SqliteConfig) -> Result<Self, StoreError> {
        let file = match &config.place {
            Place::Memory => None,
            Place::File(path) => Some(prepare_folder(path, config.create_if_missing)?),
        };
        let options = connect_options(config, file.as_deref());
        let writer = pool(config).max_connections(1).min_connections(1);
        let writer = writer.connect_with(options.clone()).await.map_err(failed(CONNECT))?;
        // Nobody else has the pool yet: dropped half-way, it closes this connection and thereby rolls back.
        let mut connection = writer.acquire().await.map_err(failed(CONNECT))?;
        migrate(&mut connection).await?;
        drop(connection);
        let readers = if file.is_none() {
            None
        } else {
            let options = options.create_if_missing(false).pragma("query_only", "on");
            Some(pool(config).max_connections(config.readers).connect_lazy_with(options))
        };
        let writer = Connections::new(writer, None);
        let readers = readers.map_or_else(|| writer.clone(), |readers| Connections::new(readers, None));
        Ok(Self { writer, readers })
    }

    /// Opens a database that is only read: nothing is created, and no schema is brought up to date. Whatever writes fails as
    /// [`ReadOnly`](entitlements_core::store::StoreErrorKind::ReadOnly).
    ///
    /// The files beside a database in write-ahead mode are part of it: where they are missing, its folder has to be writable.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and [`Schema`](entitlements_core::store::StoreErrorKind::Schema) when the schema is older
    /// than this version, or not there.
    ///
    /// ```
    /// use entitlements_core::store::StoreErrorKind;
    /// use entitlements_sqlx::{SqliteConfig, SqliteStore};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = SqliteStore::connect_read_only(&SqliteConfig::new("no/such.db")).await.unwrap_err();
    /// assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    /// # }
    /// ```
    pub async fn connect_read_only(config: &SqliteConfig) -> Result<Self, StoreError> {
        let options = match &config.place {
            Place::Memory => reading_options(config).in_memory(true),
            Place::File(path) => {
                reading_options(config).filename(prepare_folder(path, false)?).read_only(true)
            }
        };
        let readers = pool(config).max_connections(config.readers);
        let readers = readers.connect_with(options).await.map_err(failed(CONNECT))?;
        must_be_current(&mut *readers.acquire().await.map_err(failed(CONNECT))?).await?;
        let readers = Connections::new(readers, None);
        Ok(Self { writer: readers.clone(), readers })
    }

    /// Waits for calls under way and closes every connection. Later calls fail.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Runs a writing statement; returns its rows when it is committed.
    ///
    /// All rows, never the first: the driver would hand out a first row before the commit, and lose its failure.
    pub(crate) async fn write_all<R>(
        &self,
        operation: &'static str,
        query: Typed<'_, R>,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        self.writer.call(async |on| query.fetch_all(on).await).await.map_err(failed(operation))
    }

    /// Runs a writing statement with at most one row, however long it takes.
    pub(crate) async fn write_patiently<R>(
        &self,
        operation: &'static str,
        query: Typed<'_, R>,
    ) -> Result<Option<R>, StoreError>
    where
        R: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        Ok(self.write_all(operation, query).await?.into_iter().next())
    }

    /// Runs a writing statement without rows; returns how many rows it changed.
    pub(crate) async fn affect(
        &self,
        operation: &'static str,
        query: Statement<'_>,
    ) -> Result<u64, StoreError> {
        let done = self.writer.call(async |on| query.execute(on).await).await;
        Ok(done.map_err(failed(operation))?.rows_affected())
    }

    /// Runs a reading statement.
    pub(crate) async fn read<R>(
        &self,
        operation: &'static str,
        query: Typed<'_, R>,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        self.readers.call(async |on| query.fetch_all(on).await).await.map_err(failed(operation))
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("readers", &self.readers.size())
            .field("closed", &self.writer.is_closed())
            .finish_non_exhaustive()
    }
}

/// The absolute path of the file, whose folder exists if it may be created.
fn prepare_folder(path: &Path, create: bool) -> Result<PathBuf, StoreError> {
    let failed = |error| StoreError::new(io_kind(&error), CONNECT).with_source(error);
    let path = std::path::absolute(path).map_err(failed)?;
    if let Some(folder) = path.parent().filter(|_| create) {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    Ok(path)
}

fn reading_options(config: &SqliteConfig) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .busy_timeout(config.wait)
        .foreign_keys(true)
        .optimize_on_close(false, None)
        .disable_statement_logging()
}

fn connect_options(config: &SqliteConfig, file: Option<&Path>) -> SqliteConnectOptions {
    let options = reading_options(config);
    let Some(file) = file else { return options };
    options
        .filename(file)
        .create_if_missing(config.create_if_missing)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(match config.durability {
            Durability::Full => SqliteSynchronous::Full,
            Durability::Normal => SqliteSynchronous::Normal,
        })
}

/// Connections stay open: opening one costs more than all it does, and one in memory is all there is.
fn pool(config: &SqliteConfig) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .acquire_timeout(config.wait)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}
