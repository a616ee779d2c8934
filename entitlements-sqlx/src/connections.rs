//! Connections that are used again as they are.
//!
//! A pool asks each connection that comes back whether it still works: another round trip, in a task of its own. After a call
//! that went well that is known. So such connections wait here for the next call, and the pool sees only the others.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
#[cfg(feature = "postgres")]
use sqlx::pool::PoolOptions;
use sqlx::{Connection, Database, Error, Pool};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

/// A connection that was idle for so long is asked whether it still works before it is used, and goes back to the pool while
/// others are used instead.
const LONG_IDLE: Duration = Duration::from_secs(5);

/// How long a connection may take to say that it still works; never more than half of what a call may wait for one, so that
/// there is time for another.
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
    /// A connection that last worked then, or earlier, is not used any more.
    doubted: Doubted,
}

/// When a connection last worked that was found to be broken: as a rule those that have not worked since are broken, too,
/// since they lead to the same server, which has ended, or over the same network. Finding out one by one takes long.
type Doubted = Arc<Mutex<Option<Instant>>>;

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
    /// When it was last known to work.
    since: Instant,
    answered: bool,
    /// Given up after the connection.
    _turn: SemaphorePermit<'a>,
}

impl<DB: Database> Connections<DB> {
    /// The connections of a pool that nobody else uses.
    #[cfg(feature = "sqlite")]
    pub(crate) fn new(pool: Pool<DB>, patience: Option<Duration>) -> Self {
        Self::of(pool, patience, Doubted::default())
    }

    /// Connections that are opened when they are needed.
    #[cfg(feature = "postgres")]
    pub(crate) fn lazily(
        pool: PoolOptions<DB>,
        options: <DB::Connection as Connection>::Options,
        patience: Option<Duration>,
    ) -> Self {
        let doubted = Doubted::default();
        let (doubts, grace) = (Arc::clone(&doubted), grace(pool.get_acquire_timeout()));
        // Asking each time would be a second round trip.
        let pool = pool.test_before_acquire(false).before_acquire(move |connection, is| {
            let worked = Instant::now().checked_sub(is.idle_for);
            let is_doubted = worked.is_some_and(|worked| has_doubts(&doubts, worked));
            Box::pin(async move {
                Ok(!is_doubted && (is.idle_for < LONG_IDLE || works::<DB>(connection, grace).await))
            })
        });
        Self::of(pool.connect_lazy_with(options), patience, doubted)
    }

    fn of(pool: Pool<DB>, patience: Option<Duration>, doubted: Doubted) -> Self {
        let turns = usize::try_from(pool.options().get_max_connections()).unwrap_or(Semaphore::MAX_PERMITS);
        let turns = Semaphore::new(turns.min(Semaphore::MAX_PERMITS));
        let waiting = Mutex::new(Some(VecDeque::new()));
        Self(Arc::new(Shared { pool, patience, turns, waiting, doubted }))
    }

    /// Runs a statement over one of them. It waits for a connection as long as the pool lets its callers wait, whatever it
    /// waits for: a turn, what those that are idle say, and a new one.
    pub(crate) async fn call<T>(
        &self,
        statement: impl AsyncFnOnce(&mut DB::Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut working = match self.0.at_once() {
            Some(working) => working,
            None => timeout(self.wait(), self.0.take()).await.map_err(|_| Error::PoolTimedOut)??,
        };
        let running = statement(working.connection.as_deref_mut().ok_or(Error::PoolClosed)?);
        let answer = match self.0.patience {
            Some(patience) => match timeout(patience, running).await {
                Ok(answer) => answer,
                Err(elapsed) => {
                    self.0.doubt(working.since);
                    return Err(late(elapsed));
                }
            },
            None => running.await,
        };
        working.answered = true;
        match &answer {
            Ok(_) => working.keep(),
            Err(error) if is_broken(error) => working.discard(),
            Err(_) => {}
        }
        answer
    }

    /// How long a call waits for a connection.
    pub(crate) fn wait(&self) -> Duration {
        self.0.pool.options().get_acquire_timeout()
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
    /// One that worked a short while ago, if nothing has to be waited for.
    fn at_once(&self) -> Option<Working<'_, DB>> {
        let turn = self.turns.try_acquire().ok()?;
        let mut all = self.waiting();
        let waiting = all.as_mut()?.pop_back_if(|last| last.since.elapsed() < LONG_IDLE)?;
        let Waiting { connection, taken, since } = waiting;
        Some(Working {
            shared: self,
            connection: Some(connection),
            taken,
            since,
            answered: false,
            _turn: turn,
        })
    }

    async fn take(&self) -> Result<Working<'_, DB>, Error> {
        let turn = self.turns.acquire().await.map_err(|_| Error::PoolClosed)?;
        let grace = grace(self.pool.options().get_acquire_timeout());
        let now = Instant::now();
        let mut working =
            Working { shared: self, connection: None, taken: now, since: now, answered: false, _turn: turn };
        while let Some(waiting) = self.next() {
            working.hold(waiting);
            if working.since.elapsed() < LONG_IDLE || working.works(grace).await {
                return Ok(working);
            }
            working.discard();
        }
        let connection = self.pool.acquire().await?;
        let now = Instant::now();
        working.hold(Waiting { connection, taken: now, since: now });
        Ok(working)
    }

    /// Something that last worked at this instant does not work any more: nothing is used that has not worked since.
    fn doubt(&self, since: Instant) {
        {
            let mut doubted = self.doubted.lock().unwrap_or_else(PoisonError::into_inner);
            *doubted = (*doubted).max(Some(since));
        }
        let Some(queue) = &mut *self.waiting() else { return };
        while let Some(one) = queue.pop_front_if(|one| one.since <= since) {
            drop(one.connection.detach());
        }
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
    fn hold(&mut self, Waiting { connection, taken, since }: Waiting<DB>) {
        self.connection = Some(connection);
        (self.taken, self.since) = (taken, since);
    }

    /// Asks whether it still works.
    async fn works(&mut self, grace: Duration) -> bool {
        match self.connection.as_deref_mut() {
            Some(connection) => works::<DB>(connection, grace).await,
            None => false,
        }
    }

    /// Leaves it alone: there is nobody to say goodbye to. What has not worked since goes with it.
    fn discard(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
        self.shared.doubt(self.since);
    }

    fn keep(&mut self) {
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

async fn works<DB: Database>(connection: &mut DB::Connection, grace: Duration) -> bool {
    matches!(timeout(grace, connection.ping()).await, Ok(Ok(())))
}

fn grace(wait: Duration) -> Duration {
    GRACE.min(wait / 2)
}

#[cfg(feature = "postgres")]
fn has_doubts(doubted: &Doubted, worked: Instant) -> bool {
    doubted.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|doubted| worked <= doubted)
}

/// Whether it is the connection that failed, or the server behind all of them: it is being shut down, or has crashed.
fn is_broken(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::Tls(_) | Error::Protocol(_) => true,
        Error::Database(error) => matches!(error.code().as_deref(), Some("57P01" | "57P02")),
        _ => false,
    }
}

fn late(elapsed: tokio::time::error::Elapsed) -> Error {
    Error::Io(io::Error::new(io::ErrorKind::TimedOut, elapsed))
}
