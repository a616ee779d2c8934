//! The store's steps inside a transaction of the caller.

#[path = "../dialect/run.rs"]
mod run;

use std::fmt;

use sqlx::PgConnection;

pub(super) use run::Run;

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
