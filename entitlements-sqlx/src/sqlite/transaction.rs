//! The store's steps inside a transaction of the caller.

#[path = "../dialect/run.rs"]
mod run;

use std::fmt;

use sqlx::SqliteConnection;

pub(super) use run::Run;

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
