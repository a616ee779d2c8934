//! Calls that are made of others.

use entitlements_core::facts::Revision;
use entitlements_core::store::StoreError;
use sqlx::FromRow;

use super::{Row, Statement, Store, Typed};
use crate::facts;

impl Store {
    /// Runs a writing statement with at most one row; returns it when it is committed.
    pub(crate) async fn write<R>(
        &self,
        operation: &'static str,
        query: Typed<'_, R>,
    ) -> Result<Option<R>, StoreError>
    where
        R: for<'r> FromRow<'r, Row> + Send + Unpin,
    {
        Ok(self.write_all(operation, query).await?.into_iter().next())
    }

    /// Runs a writing statement that returns the revision of what it changed, if it changed something.
    pub(crate) async fn change(
        &self,
        operation: &'static str,
        query: Typed<'_, (i64,)>,
    ) -> Result<Option<Revision>, StoreError> {
        let row = self.write(operation, query).await?;
        row.map(|(revision,)| facts::revision(operation, revision)).transpose()
    }

    /// Runs a writing statement without rows.
    pub(crate) async fn execute(
        &self,
        operation: &'static str,
        query: Statement<'_>,
    ) -> Result<(), StoreError> {
        self.affect(operation, query).await?;
        Ok(())
    }
}
