//! The store's steps inside a transaction of the caller.

use std::fmt;

use entitlements_core::facts::Revision;
use entitlements_core::store::StoreError;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgConnection};

use super::error::failed;
use super::{PostgresStore, Typed};
use crate::facts;

/// A transaction of the caller, over a connection of the caller, as a store: what is consumed through it and what the caller
/// writes beside it are committed together, or rolled back together.
///
/// The schema of the store has to be in the `search_path` of the connection; `SET LOCAL search_path` in the transaction does
/// it. What is read is what the isolation of the transaction shows: with READ COMMITTED, the default, a debit waits for
/// others and goes on; with a stricter one it fails with [`Contention`](entitlements_core::store::StoreErrorKind::Contention)
/// when others were faster, as does a transaction that takes its locks in another order than the next. After an error
/// PostgreSQL lets a transaction only roll back.
///
/// Where callers may leave before the end, run the transaction in a task of its own: a future that is dropped inside the
/// `begin` of sqlx can leave a transaction open in the pool, and what is written next over that connection is lost.
#[must_use = "it does nothing by itself"]
pub struct PostgresTransaction<'c> {
    connection: &'c mut PgConnection,
}

impl<'c> PostgresTransaction<'c> {
    /// Works in the transaction that is open on `connection`. Without one every step is committed by itself.
    pub const fn new(connection: &'c mut PgConnection) -> Self {
        Self { connection }
    }
}

impl fmt::Debug for PostgresTransaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresTransaction").finish_non_exhaustive()
    }
}

/// Where statements run: each on a connection of the store, or all in one transaction.
pub(super) trait Run: Send {
    /// Runs a statement; returns its rows when it is done.
    fn read<R>(
        &mut self,
        operation: &'static str,
        query: Typed<'_, R>,
    ) -> impl Future<Output = Result<Vec<R>, StoreError>> + Send
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin;

    /// Runs a writing statement that returns the revision of what it changed, if it changed something.
    fn change(
        &mut self,
        operation: &'static str,
        query: Typed<'_, (i64,)>,
    ) -> impl Future<Output = Result<Option<Revision>, StoreError>> + Send {
        async move {
            let rows = self.read(operation, query).await?;
            rows.first().map(|(revision,)| facts::revision(operation, *revision)).transpose()
        }
    }
}

impl Run for &PostgresStore {
    async fn read<R>(&mut self, operation: &'static str, query: Typed<'_, R>) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        PostgresStore::read(self, operation, query).await
    }
}

impl Run for PostgresTransaction<'_> {
    async fn read<R>(&mut self, operation: &'static str, query: Typed<'_, R>) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        query.fetch_all(&mut *self.connection).await.map_err(failed(operation))
    }
}
