//! The bus, on a channel of the database.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use entitlements_core::bus::{Bus, Change, Message, Subscription};
use sqlx::postgres::{PgListener, PgPool, PgPoolOptions};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::PostgresStore;

/// The channel of a schema: channels belong to the database.
const CHANNEL: &str =
    "SELECT 'entitlements_changes_' || hashtextextended(coalesce(current_schema(), ''), 0)::text";

const ANNOUNCE: &str = "SELECT pg_notify('entitlements_changes_' || hashtextextended(coalesce(current_schema(), ''), 0)::text, $1)";

/// What is announced when there is nothing else.
const BEAT: &str = "beat";

/// A subscriber that has heard nothing for this long, and up to half as long again, beats itself; so all together beat
/// about as often as one.
const QUIET: Duration = Duration::from_millis(400);

/// After so many beats of its own that did not come back, a subscription is dead, whatever it looks like.
const UNHEARD: u32 = 4;

/// A subscriber may be behind by so many messages.
const CAPACITY: usize = 4096;

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// How long announcing may take.
const ANNOUNCE_LIMIT: Duration = Duration::from_millis(250);

/// The first wait after a failure, and the longest.
const WAITS: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(5)];

/// A bus on a channel of the database of a [`PostgresStore`], for processes that share no other.
///
/// Announcements go over the connections of the store. Each subscription has a connection of its own, which is made again
/// when it is lost; it has to lead to the server itself, not to a pooler that lends connections for a transaction.
///
/// ```
/// use entitlements_core::{Catalog, Entitlements};
/// use entitlements_sqlx::{PostgresBus, PostgresStore};
///
/// fn handle(catalog: Catalog, store: &PostgresStore) -> Entitlements {
///     Entitlements::builder(catalog).store(store.clone()).bus(PostgresBus::new(store)).build()
/// }
/// ```
#[derive(Clone, Debug)]
pub struct PostgresBus {
    store: PostgresStore,
    lost: Arc<AtomicU64>,
}

impl PostgresBus {
    /// A bus in the schema of `store`.
    #[must_use]
    pub fn new(store: &PostgresStore) -> Self {
        Self { store: store.clone(), lost: Arc::default() }
    }

    /// How often a subscription could not connect, or lost its connection.
    #[must_use]
    pub fn lost_connections(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

async fn announce(store: &PostgresStore, text: &str) {
    let announcing = store.execute("announce a change", sqlx::query(ANNOUNCE).bind(text));
    // Whoever does not hear of it sees it a little later.
    drop(timeout(ANNOUNCE_LIMIT, announcing).await);
}

#[async_trait]
impl Bus for PostgresBus {
    async fn announce(&self, change: &Change) {
        announce(&self.store, &change.to_text()).await;
    }

    async fn subscribe(&self) -> Box<dyn Subscription> {
        let (messages, heard) = mpsc::channel(CAPACITY);
        let (ready, is_ready) = oneshot::channel();
        let missed = Arc::new(AtomicBool::new(false));
        let mut ear = Ear { bus: self.clone(), messages, missed: Arc::clone(&missed), ready: Some(ready) };
        tokio::spawn(async move { ear.listen().await });
        // Whether it listens, or cannot: what is announced from here on is heard, or told to be lost.
        let _ = is_ready.await;
        Box::new(PostgresSubscription { heard, missed })
    }
}

#[derive(Debug)]
struct PostgresSubscription {
    heard: mpsc::Receiver<Message>,
    missed: Arc<AtomicBool>,
}

#[async_trait]
impl Subscription for PostgresSubscription {
    async fn next(&mut self) -> Option<Message> {
        if self.missed.swap(false, Ordering::AcqRel) {
            return Some(Message::Lost);
        }
        self.heard.recv().await
    }
}

/// Listens for one subscriber.
struct Ear {
    bus: PostgresBus,
    messages: mpsc::Sender<Message>,
    /// Set when the subscriber was too slow.
    missed: Arc<AtomicBool>,
    ready: Option<oneshot::Sender<()>>,
}

impl Ear {
    async fn listen(&mut self) {
        let mut failures = 0;
        let mut was_deaf = false;
        while !self.is_over() {
            let pool = self.pool();
            if let Ok(Ok(listener)) = timeout(CONNECT_LIMIT, open(&pool)).await {
                failures = 0;
                if was_deaf {
                    self.tell(Message::Lost);
                }
                self.is_ready();
                self.hear(listener).await;
            }
            was_deaf = true;
            if self.is_over() {
                return;
            }
            self.bus.lost.fetch_add(1, Ordering::Relaxed);
            self.is_ready();
            sleep(wait(failures)).await;
            failures += 1;
        }
    }

    /// For one connection, and no other after it.
    fn pool(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT_LIMIT)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with((*self.bus.store.connections.options()).clone())
    }

    fn is_over(&self) -> bool {
        self.messages.is_closed() || self.bus.store.connections.is_closed()
    }

    /// Hears until the connection is lost, or nobody listens any more.
    async fn hear(&self, mut listener: PgListener) {
        let mut unheard = 0;
        loop {
            // It is not dropped before it ends: half a message would be lost with it.
            let mut next = pin!(listener.try_recv());
            let heard = loop {
                match timeout(QUIET + jitter(QUIET / 2), &mut next).await {
                    Ok(heard) => break heard,
                    Err(_) if unheard >= UNHEARD || self.is_over() => return,
                    Err(_) => {
                        unheard += 1;
                        announce(&self.bus.store, BEAT).await;
                    }
                }
            };
            let Ok(Some(notification)) = heard else { return };
            unheard = 0;
            match notification.payload() {
                BEAT => self.tell(Message::Heartbeat),
                // What cannot be read is of a version that knows more.
                text => self.tell(Change::from_text(text).map_or(Message::Lost, Message::Changed)),
            }
            if self.is_over() {
                return;
            }
        }
    }

    fn tell(&self, message: Message) {
        if self.messages.try_send(message).is_err() {
            self.missed.store(true, Ordering::Release);
        }
    }

    fn is_ready(&mut self) {
        if let Some(ready) = self.ready.take() {
            // Nobody waits if the subscriber is gone.
            let _ = ready.send(());
        }
    }
}

async fn open(pool: &PgPool) -> sqlx::Result<PgListener> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);
    let channel: String = sqlx::query_scalar(CHANNEL).fetch_one(&mut listener).await?;
    listener.listen(&channel).await?;
    Ok(listener)
}

/// The time to wait after so many failures in a row: a random part of an interval that doubles, at least half of it.
fn wait(failures: u32) -> Duration {
    let [first, longest] = WAITS;
    let interval = first.saturating_mul(1 << failures.min(16)).min(longest);
    interval / 2 + jitter(interval / 2)
}

/// A random time up to `most`.
fn jitter(most: Duration) -> Duration {
    let Ok(random) = getrandom::u32() else { return most };
    most.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound() {
        let mut interval = Duration::from_millis(50);
        for failures in 0..40 {
            let wait = wait(failures);
            assert!(interval / 2 <= wait && wait <= interval, "{wait:?} of {interval:?}");
            interval = (interval * 2).min(Duration::from_secs(5));
        }
    }
}
