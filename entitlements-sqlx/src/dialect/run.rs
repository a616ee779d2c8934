//! Where statements run: each on a connection of the store, or all in one transaction of the caller.

use entitlements_core::facts::Revision;
use entitlements_core::store::StoreError;
use sqlx::FromRow;

use super::super::error::failed;
use super::super::{Row, Store, Transaction, Typed};
use crate::facts;

/// Where statements run.
pub(in super::super) trait Run: Send {
    /// Runs a reading statement; returns its rows when it is done.
    fn read<R>(
        &mut self,
        operation: &'static str,
        query: Typed<'_, R>,
    ) -> impl Future<Output = Result<Vec<R>, StoreError>> + Send
    where
        R: for<'r> FromRow<'r, Row> + Send + Unpin;

    /// Runs a writing statement; returns its rows when it is done.
    fn write_all<R>(
        &mut self,
        operation: &'static str,
        query: Typed<'_, R>,
    ) -> impl Future<Output = Result<Vec<R>, StoreError>> + Send
    where
        R: for<'r> FromRow<'r, Row> + Send + Unpin;

    /// Runs a writing statement with at most one row.
    fn write<R>(
        &mut self,
        operation: &'static str,
        query: Typed<'_, R>,
    ) -> impl Future<Output = Result<Option<R>, StoreError>> + Send
    where
        R: for<'r> FromRow<'r, Row> + Send + Unpin,
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
            let row = self.write(operation, query).await?;
            row.map(|(revision,)| facts::revision(operation, revision)).transpose()
        }
    }
}

impl Run for &Store {
    async fn read<R>(&mut self, operation: &'static str, query: Typed<'_, R>) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, Row> + Send + Unpin,
    {
        Store::read(self, operation, query).await
    }

    async fn write_all<R>(
        &mut self,
        operation: &'static str,
        query: Typed<'_, R>,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, Row> + Send + Unpin,
    {
        Store::write_all(self, operation, query).await
    }
}

impl Run for Transaction<'_> {
    async fn read<R>(&mut self, operation: &'static str, query: Typed<'_, R>) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, Row> + Send + Unpin,
    {
        query.fetch_all(&mut *self.connection).await.map_err(failed(operation))
    }

    async fn write_all<R>(
        &mut self,
        operation: &'static str,
        query: Typed<'_, R>,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, Row> + Send + Unpin,
    {
        query.fetch_all(&mut *self.connection).await.map_err(failed(operation))
    }
}
