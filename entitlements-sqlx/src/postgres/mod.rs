//! The store in a PostgreSQL database.

#[path = "../dialect/audit.rs"]
mod audit;
#[path = "../dialect/billing.rs"]
mod billing;
mod bus;
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

pub use bus::PostgresBus;
pub use config::{InvalidPostgresUrl, PostgresConfig};
pub use decisions::PostgresDecisionCache;
pub use transaction::PostgresTransaction;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use entitlements_core::store::StoreError;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::query::{Query, QueryAs};
use sqlx::{Connection, FromRow, PgConnection, Postgres};

use crate::connections::Connections;
use error::failed;
use migrate::{migrate, must_be_current};

/// How much longer than the server the client waits for an answer, for what the network takes.
const GRACE: Duration = Duration::from_secs(1);

/// What the rooms that every dialect has are about.
type Store = PostgresStore;
type Row = PgRow;
type Transaction<'c> = PostgresTransaction<'c>;

/// A query without a type for its rows.
pub(crate) type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// A query whose rows are tuples.
pub(crate) type Typed<'q, R> = QueryAs<'q, Postgres, R, PgArguments>;

/// Keeps everything in one schema of a PostgreSQL database, which many processes may share.
///
/// Every call is one statement and, on a warm connection, one round trip; only storing the state of a subscription that is
/// stored already takes two, and a group of debits with a key that is known, after one without; retention takes as many as there
/// is to remove, and an erasure, which may take long, has a connection of its own. No call opens a transaction, so one that is
/// dropped while it waits leaves none behind: its
/// write happens as a whole, or not at all. A call ends a second after the limit of its statement, whatever the network does;
/// what has become of a write is then not known, and its caller tries again with the same key. Cloning shares the connections.
#[derive(Clone)]
pub struct PostgresStore {
    connections: Connections<Postgres>,
    /// Whether the last group had a key that was known: the next one looks its keys up.
    repeating: Arc<AtomicBool>,
}

impl PostgresStore {
    /// Connects, creates what is missing, and brings the schema up to date. A schema that is up to date is not written to, so
    /// that a standby can be read from. Whether it is, is known within the time that a call may wait for a connection; to bring
    /// it up to date takes what it takes, and others that do so are waited for.
    ///
    /// # Errors
    ///
    /// * [`Unavailable`](entitlements_core::store::StoreErrorKind::Unavailable) when the server cannot be reached, or does
    ///   not let this user in;
    /// * [`ReadOnly`](entitlements_core::store::StoreErrorKind::ReadOnly) when the schema cannot be written to, and must be;
    /// * [`Schema`](entitlements_core::store::StoreErrorKind::Schema) when a newer version of this library made it, or other
    ///   tables with such names are there.
    pub async fn connect(config: &PostgresConfig) -> Result<Self, StoreError> {
        migrate(config).await?;
        Ok(Self::over(config, config.working()))
    }

    /// Connects to a database that is only read: nothing is created, and no schema is brought up to date. Whatever writes fails
    /// as [`ReadOnly`](entitlements_core::store::StoreErrorKind::ReadOnly).
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and [`Schema`](entitlements_core::store::StoreErrorKind::Schema) when the schema is older
    /// than this version, or not there.
    ///
    /// ```
    /// use entitlements_core::store::StoreErrorKind;
    /// use entitlements_sqlx::{PostgresConfig, PostgresStore};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let config = PostgresConfig::from_url("postgres://audit@127.0.0.1:1/shop").unwrap();
    /// let error = PostgresStore::connect_read_only(&config).await.unwrap_err();
    /// assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    /// # }
    /// ```
    pub async fn connect_read_only(config: &PostgresConfig) -> Result<Self, StoreError> {
        must_be_current(config).await?;
        Ok(Self::over(config, config.working().options([("default_transaction_read_only", "on")])))
    }

    fn over(config: &PostgresConfig, options: PgConnectOptions) -> Self {
        let pool = PgPoolOptions::new().max_connections(config.connections).acquire_timeout(config.wait);
        let limit = config.statement_timeout;
        let patience = (!limit.is_zero()).then(|| limit.saturating_add(GRACE));
        Self { connections: Connections::lazily(pool, options, patience), repeating: Arc::default() }
    }

    /// Waits for calls under way and closes every connection. Later calls fail.
    pub async fn close(&self) {
        self.connections.close().await;
    }

    /// Runs a statement; returns its rows when it is committed.
    ///
    /// All rows, never the first: the driver would hand out a first row before the commit, and lose its failure.
    pub(crate) async fn read<R>(
        &self,
        operation: &'static str,
        query: Typed<'_, R>,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        self.connections.call(async |on| query.fetch_all(on).await).await.map_err(failed(operation))
    }

    /// Runs a writing statement with several rows; returns them when it is committed.
    pub(crate) async fn write_all<R>(
        &self,
        operation: &'static str,
        query: Typed<'_, R>,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        self.read(operation, query).await
    }

    /// Runs a writing statement with at most one row, however long it takes, on a connection of its own.
    pub(crate) async fn write_patiently<R>(
        &self,
        operation: &'static str,
        query: Typed<'_, R>,
    ) -> Result<Option<R>, StoreError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let options = self.connections.options();
        // Of the same setting, the last counts.
        let options = options.as_ref().clone().options([("statement_timeout", "0")]);
        let mut connection = within(self.connections.wait(), PgConnection::connect_with(&options))
            .await
            .map_err(failed(operation))?;
        let rows = query.fetch_all(&mut connection).await.map_err(failed(operation))?;
        // It is done, however the connection ends.
        drop(within(self.connections.wait(), connection.close()).await);
        Ok(rows.into_iter().next())
    }

    /// Runs a writing statement without rows; returns how many rows it changed.
    pub(crate) async fn affect(
        &self,
        operation: &'static str,
        query: Statement<'_>,
    ) -> Result<u64, StoreError> {
        let done = self.connections.call(async |on| query.execute(on).await).await;
        let done = done.map_err(failed(operation))?;
        Ok(done.rows_affected())
    }
}

/// Gives up after some time.
async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    tokio::time::timeout(limit, work).await.map_err(|_| sqlx::Error::PoolTimedOut)?
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("connections", &self.connections.size())
            .field("closed", &self.connections.is_closed())
            .finish_non_exhaustive()
    }
}
