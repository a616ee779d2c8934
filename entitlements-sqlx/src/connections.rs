//! Connections that are used again as they are.
//!
//! A pool asks each connection that comes back whether it still works: another round trip, in a task of its own. After a call
//! that went well that is known. So such connections wait here for the next call, and the pool sees only the others.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{Connection, Database, Error, Pool};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// A connection that was idle for so long is asked whether it still works before it is used, and goes back to the pool while
/// others are used instead.
const LONG_IDLE: Duration = Duration::from_secs(5);

/// How long a connection may take to say that it still works.
const GRACE: Duration = Duration::from_secs(1);

/// The connections of a store. Cloning shares them.
pub(crate) struct Connections<DB: Database>(Arc<Shared<DB>>);

struct Shared<DB: Database> {
    pool: Pool<DB>,
    /// How long the answer to a statement is waited for; without a limit, a connection whose caller has given up goes back to
    /// the pool when its statement has ended, and with one it closes, since that may never be.
    patience: Option<Duration>,
    /// As many as the pool may have connections: who has a turn finds one that waits, or may ask the pool.
    turns: Semaphore,
    /// The one that was used last is used next. None when everything is closed.
    waiting: Mutex<Option<VecDeque<Waiting<DB>>>>,
}

struct Waiting<DB: Database> {
    connection: PoolConnection<DB>,
    /// When the pool gave it.
    taken: Instant,
    /// When it came back.
    since: Instant,
}

/// A connection that works for one call.
struct Working<'a, DB: Database> {
    shared: &'a Shared<DB>,
    /// Until it goes back.
    connection: Option<PoolConnection<DB>>,
    taken: Instant,
    answered: bool,
    /// Given up after the connection.
    _turn: SemaphorePermit<'a>,
}

impl<DB: Database> Connections<DB> {
    /// The connections of a pool that nobody else uses.
    pub(crate) fn new(pool: Pool<DB>, patience: Option<Duration>) -> Self {
        let turns = usize::try_from(pool.options().get_max_connections()).unwrap_or(Semaphore::MAX_PERMITS);
        let turns = Semaphore::new(turns.min(Semaphore::MAX_PERMITS));
        Self(Arc::new(Shared { pool, patience, turns, waiting: Mutex::new(Some(VecDeque::new())) }))
    }

    /// Runs a statement over one of them. It waits for a connection as long as the pool lets its callers wait.
    pub(crate) async fn call<T>(
        &self,
        statement: impl AsyncFnOnce(&mut DB::Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut working = self.0.take().await?;
        let running = statement(working.connection.as_deref_mut().ok_or(Error::PoolClosed)?);
        let answer = match self.0.patience {
            Some(patience) => timeout(patience, running).await.map_err(late)?,
            None => running.await,
        };
        working.answered = true;
        if answer.is_ok() {
            working.keep();
        }
        answer
    }

    /// Waits for calls under way and closes every connection. Later calls fail.
    pub(crate) async fn close(&self) {
        self.0.turns.close();
        let waiting = self.0.waiting().take();
        drop(waiting);
        self.0.pool.close().await;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.pool.is_closed()
    }

    /// How many are open.
    pub(crate) fn size(&self) -> u32 {
        self.0.pool.size()
    }

    /// How they are opened.
    #[cfg(feature = "postgres")]
    pub(crate) fn options(&self) -> Arc<<DB::Connection as Connection>::Options> {
        self.0.pool.connect_options()
    }
}

impl<DB: Database> Clone for Connections<DB> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<DB: Database> Shared<DB> {
    async fn take(&self) -> Result<Working<'_, DB>, Error> {
        let patience = self.pool.options().get_acquire_timeout();
        let turn = match self.turns.try_acquire() {
            Ok(turn) => turn,
            Err(_) => timeout(patience, self.turns.acquire())
                .await
                .map_err(|_| Error::PoolTimedOut)?
                .map_err(|_| Error::PoolClosed)?,
        };
        while let Some(Waiting { mut connection, taken, since }) = self.next() {
            if since.elapsed() < LONG_IDLE || works(&mut connection).await {
                let connection = Some(connection);
                return Ok(Working { shared: self, connection, taken, answered: false, _turn: turn });
            }
            connection.close_on_drop();
        }
        let connection = Some(self.pool.acquire().await?);
        Ok(Working { shared: self, connection, taken: Instant::now(), answered: false, _turn: turn })
    }

    fn waiting(&self) -> MutexGuard<'_, Option<VecDeque<Waiting<DB>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Waiting<DB>> {
        self.waiting().as_mut()?.pop_back()
    }

    /// Lets a connection wait for the next call; returns one that goes back to the pool instead.
    fn put(&self, waiting: Waiting<DB>) -> Option<Waiting<DB>> {
        let mut all = self.waiting();
        let options = self.pool.options();
        let is_old = options.get_max_lifetime().is_some_and(|life| waiting.taken.elapsed() >= life);
        let Some(queue) = all.as_mut().filter(|_| !is_old) else { return Some(waiting) };
        queue.push_back(waiting);
        let is_idle = |first: &Waiting<DB>| first.since.elapsed() >= LONG_IDLE;
        if options.get_idle_timeout().is_some() && queue.front().is_some_and(is_idle) {
            return queue.pop_front();
        }
        None
    }
}

impl<DB: Database> Working<'_, DB> {
    fn keep(mut self) {
        if let Some(connection) = self.connection.take() {
            let waiting = Waiting { connection, taken: self.taken, since: Instant::now() };
            self.connection = self.shared.put(waiting).map(|other| other.connection);
        }
    }
}

impl<DB: Database> Drop for Working<'_, DB> {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if self.shared.patience.is_none() {
            return;
        }
        let Some(runtime) = tokio::runtime::Handle::try_current().ok().filter(|_| self.answered) else {
            connection.close_on_drop();
            return;
        };
        // The pool asks it whether it still works, and that answer may never come: then it closes.
        let returning = connection.return_to_pool();
        runtime.spawn(async move { timeout(GRACE, returning).await });
    }
}

async fn works<DB: Database>(connection: &mut PoolConnection<DB>) -> bool {
    matches!(timeout(GRACE, connection.ping()).await, Ok(Ok(())))
}

fn late(elapsed: tokio::time::error::Elapsed) -> Error {
    Error::Io(io::Error::new(io::ErrorKind::TimedOut, elapsed))
}
