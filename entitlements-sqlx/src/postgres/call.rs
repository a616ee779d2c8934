//! Calls over the pool: bounded in time, and never leaving a connection behind that waits for an answer.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPool;
use sqlx::{PgConnection, Postgres};
use tokio::time::timeout;

use entitlements_core::store::{StoreError, StoreErrorKind};

use super::error::failed;

/// How much longer than the server the client waits for an answer, for what the network takes.
const GRACE: Duration = Duration::from_secs(1);

/// How long the client waits for an answer to a statement that the server works on for `limit` at most.
pub(super) fn patience(limit: Duration) -> Option<Duration> {
    (!limit.is_zero()).then(|| limit.saturating_add(GRACE))
}

/// Runs a statement over a connection of the pool.
pub(super) async fn call<T>(
    pool: &PgPool,
    patience: Option<Duration>,
    operation: &'static str,
    statement: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
) -> Result<T, StoreError> {
    let mut connection =
        Borrowed { connection: pool.acquire().await.map_err(failed(operation))?, answered: false };
    let running = statement(&mut connection.connection);
    let answer = match patience {
        Some(patience) => timeout(patience, running).await,
        None => Ok(running.await),
    };
    let answer =
        answer.map_err(|late| StoreError::new(StoreErrorKind::Unavailable, operation).with_source(late))?;
    connection.answered = true;
    answer.map_err(failed(operation))
}

/// A connection that closes unless its call has ended. One that waits for an answer would not go back to the pool before
/// the answer comes, and it may never come.
struct Borrowed {
    connection: PoolConnection<Postgres>,
    answered: bool,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let Some(runtime) = tokio::runtime::Handle::try_current().ok().filter(|_| self.answered) else {
            self.connection.close_on_drop();
            return;
        };
        // On its way back it is asked whether it still works, and that answer may never come, either: then it closes.
        let returning = self.connection.return_to_pool();
        runtime.spawn(async move { timeout(GRACE, returning).await });
    }
}
