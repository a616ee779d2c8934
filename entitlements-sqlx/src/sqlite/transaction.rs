//! The store's steps inside a transaction of the caller.

use std::fmt;

use entitlements_core::facts::Revision;
use entitlements_core::store::StoreError;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, SqliteConnection};

use super::error::failed;
use super::{SqliteStore, Typed};
use crate::facts;

/// A transaction of the caller, over a connection of the caller, as a store: what is consumed through it and what the caller
/// writes beside it are committed together, or rolled back together.
///
/// Begin it with `BEGIN IMMEDIATE`: one that reads first and writes later fails with
/// [`Contention`](entitlements_core::store::StoreErrorKind::Contention) when somebody else has written in between. Nobody else
/// writes to the database until it ends, so keep it short.
#[must_use = "it does nothing by itself"]
pub struct SqliteTransaction<'c> {
    connection: &'c mut SqliteConnection,
}

impl<'c> SqliteTransaction<'c> {
    /// Works in the transaction that is open on `connection`. Without one every step is committed by itself.
    pub const fn new(connection: &'c mut SqliteConnection) -> Self {
        Self { connection }
    }
}

impl fmt::Debug for SqliteTransaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteTransaction").finish_non_exhaustive()
    }
}

/// Where statements run: each on a connection of the store, or all in one transaction.
pub(super) trait Run: Send {
    /// Runs a reading statement; returns its rows when it is done.
    fn read<R>(
        &mut self,
        operation: &'static str,
        query: Typed<'_, R>,
    ) -> impl Future<Output = Result<Vec<R>, StoreError>> + Send
    where
        R: for<'r> FromRow<'r, SqliteRow> + Send + Unpin;

    /// Runs a writing statement; returns its rows when it is done.
    fn write_all<R>(
        &mut self,
        operation: &'static str,
        query: Typed<'_, R>,
    ) -> impl Future<Output = Result<Vec<R>, StoreError>> + Send
    where
        R: for<'r> FromRow<'r, SqliteRow> + Send + Unpin;

    /// Runs a writing statement with at most one row.
    fn write<R>(
        &mut self,
        operation: &'static str,
        query: Typed<'_, R>,
    ) -> impl Future<Output = Result<Option<R>, StoreError>> + Send
    where
        R: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        async move { Ok(self.write_all(operation, query).await?.into_iter().next()) }
    }

    /// Runs a writing statement that returns the revision of what it changed, if it changed something.
    fn change(
        &mut self,
        operation: &'static str,
        query: Typed<'_, (i64,)>,
    ) -> impl Future<Output = Result<Option<Revision>, StoreError>> + Send {
        async move {
            let rows = self.write_all(operation, query).await?;
            rows.first().map(|(revision,)| facts::revision(operation, *revision)).transpose()
        }
    }
}

impl Run for &SqliteStore {
    async fn read<R>(&mut self, operation: &'static str, query: Typed<'_, R>) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        SqliteStore::read(self, operation, query).await
    }

    async fn write_all<R>(
        &mut self,
        operation: &'static str,
        query: Typed<'_, R>,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        SqliteStore::write_all(self, operation, query).await
    }
}

impl Run for SqliteTransaction<'_> {
    async fn read<R>(&mut self, operation: &'static str, query: Typed<'_, R>) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        query.fetch_all(&mut *self.connection).await.map_err(failed(operation))
    }

    async fn write_all<R>(
        &mut self,
        operation: &'static str,
        query: Typed<'_, R>,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        query.fetch_all(&mut *self.connection).await.map_err(failed(operation))
    }
}
