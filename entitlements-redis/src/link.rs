//! The connection: one for all, made again in the background when it is lost. Whoever finds none goes without.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, Pipeline, RedisError, Value};
use tokio::time::{Instant, timeout};

use crate::backoff::Backoff;
use crate::config::RedisConfig;
use crate::error::{FailureKind, InvalidRedisConfig, classify};
use crate::health::{Health, RedisHealth};

/// So many answers in a row that come too late mean that the connection is dead, whatever it looks like.
const LATE: u32 = 3;

/// A connection that is shared and repaired. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Link(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    config: RedisConfig,
    state: Mutex<State>,
    health: Health,
}

#[derive(Debug)]
enum State {
    Down { backoff: Backoff, retry_at: Instant },
    Connecting,
    Up { connection: Box<MultiplexedConnection>, number: u64, late: u32 },
}

impl Link {
    /// A link that connects when it is used first.
    pub(crate) fn new(config: RedisConfig) -> Result<Self, InvalidRedisConfig> {
        Ok(Self(Arc::new(Inner {
            client: config.client()?,
            config,
            state: Mutex::new(State::Down { backoff: Backoff::default(), retry_at: Instant::now() }),
            health: Health::default(),
        })))
    }

    pub(crate) fn config(&self) -> &RedisConfig {
        &self.0.config
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    pub(crate) fn health(&self) -> RedisHealth {
        self.0.health.report()
    }

    pub(crate) fn failed(&self, kind: FailureKind) {
        self.0.health.failed(kind);
    }

    /// Connects, unless there is a connection, somebody is at it, or it is too early to try again.
    pub(crate) async fn connect(&self) {
        let mut backoff = {
            let mut state = self.lock();
            match &*state {
                State::Down { backoff, retry_at } if *retry_at <= Instant::now() => {
                    let backoff = *backoff;
                    *state = State::Connecting;
                    backoff
                }
                _ => return,
            }
        };
        let mut attempt = Attempt { link: self, ended: false };
        let limit = self.0.config.connect_timeout();
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(limit))
            // Each call has a limit of its own.
            .set_response_timeout(None);
        let connected = timeout(limit, async {
            let mut connection =
                self.0.client.get_multiplexed_async_connection_with_config(&settings).await?;
            // A server that accepts and then says nothing is not there.
            redis::cmd("PING").query_async::<()>(&mut connection).await?;
            Ok::<_, RedisError>(connection)
        })
        .await;
        attempt.ended = true;
        let kind = match connected {
            Ok(Ok(connection)) => {
                self.0.health.connected();
                let number = self.health().connects;
                *self.lock() = State::Up { connection: Box::new(connection), number, late: 0 };
                tracing::info!(connects = number, "connected to Redis");
                return;
            }
            Ok(Err(error)) => classify(&error),
            Err(_) => FailureKind::Timeout,
        };
        self.failed(kind);
        let wait = backoff.next();
        tracing::warn!(failure = kind.as_str(), retry_in = ?wait, "cannot connect to Redis");
        *self.lock() = State::Down { backoff, retry_at: Instant::now() + wait };
    }

    /// The answers to the commands, within the limit; each is an error of its own where the server says so.
    pub(crate) async fn query(
        &self,
        commands: &Pipeline,
        limit: Duration,
    ) -> Result<Vec<Value>, FailureKind> {
        let Some((mut connection, number)) = self.current() else {
            self.failed(FailureKind::Connection);
            return Err(FailureKind::Connection);
        };
        let count = commands.len();
        let answer = timeout(limit, connection.req_packed_commands(commands, 0, count)).await;
        let kind = match answer {
            Ok(Ok(values)) if values.len() == count => {
                self.answered(number);
                return Ok(values);
            }
            Ok(Ok(_)) => FailureKind::Garbage,
            Ok(Err(error)) => classify(&error),
            Err(_) => FailureKind::Timeout,
        };
        self.failed(kind);
        self.broke(number, kind);
        Err(kind)
    }

    /// The connection, if there is one; otherwise somebody begins to make one.
    fn current(&self) -> Option<(MultiplexedConnection, u64)> {
        let due = match &*self.lock() {
            State::Up { connection, number, .. } => return Some(((**connection).clone(), *number)),
            State::Down { retry_at, .. } => *retry_at <= Instant::now(),
            State::Connecting => false,
        };
        if due && let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let link = self.clone();
            runtime.spawn(async move { link.connect().await });
        }
        None
    }

    fn answered(&self, of: u64) {
        if let State::Up { number, late, .. } = &mut *self.lock()
            && *number == of
        {
            *late = 0;
        }
    }

    fn broke(&self, of: u64, kind: FailureKind) {
        let mut state = self.lock();
        let State::Up { number, late, .. } = &mut *state else { return };
        if *number != of {
            return;
        }
        *late += 1;
        let is_dead = match kind {
            FailureKind::Timeout => *late >= LATE,
            // What garbage is followed by belongs to nobody knows which question.
            FailureKind::Connection | FailureKind::Garbage => true,
            FailureKind::Refused => false,
        };
        if is_dead {
            *state = State::Down { backoff: Backoff::default(), retry_at: Instant::now() };
            drop(state);
            self.0.health.disconnected();
            tracing::warn!(failure = kind.as_str(), "the connection to Redis is lost");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt that is given up half-way makes room for another.
struct Attempt<'a> {
    link: &'a Link,
    ended: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.ended {
            *self.link.lock() = State::Down { backoff: Backoff::default(), retry_at: Instant::now() };
        }
    }
}
