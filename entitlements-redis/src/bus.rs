//! The bus, on a channel of Redis.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use entitlements_core::bus::{Bus, Change, Message, Subscription};
use futures_util::StreamExt;
use redis::aio::PubSubStream;
use redis::{RedisError, pipe};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::backoff::{Backoff, jitter};
use crate::config::RedisConfig;
use crate::error::{FailureKind, InvalidRedisConfig, classify};
use crate::health::RedisHealth;
use crate::key::Keys;
use crate::link::Link;

/// What is announced when there is nothing else.
const BEAT: &str = "beat";

/// A subscriber that has heard nothing for this long, and up to half as long again, beats itself; so all together beat
/// about as often as one.
const QUIET: Duration = Duration::from_millis(400);

/// After so many beats of its own that did not come back, a subscription is dead, whatever it looks like.
const UNHEARD: u32 = 4;

/// A subscriber may be behind by so many messages.
const CAPACITY: usize = 4096;

/// A bus on a channel of Redis.
#[derive(Debug)]
pub struct RedisBus {
    link: Link,
    channel: String,
}

impl RedisBus {
    /// A bus on the server of `config`. Returns when the server is connected, or when it is plain that it is not there.
    ///
    /// # Errors
    ///
    /// When the configuration cannot be meant. A server that is not there is no error.
    pub async fn connect(config: RedisConfig) -> Result<Self, InvalidRedisConfig> {
        let channel = Keys::new(config.prefix()).channel();
        let link = Link::new(config)?;
        link.connect().await;
        Ok(Self { link, channel })
    }

    /// How the connection that announces does, and what went wrong so far, with subscriptions, too.
    #[must_use]
    pub fn health(&self) -> RedisHealth {
        self.link.health()
    }
}

async fn publish(link: &Link, channel: &str, text: &str) {
    let mut commands = pipe();
    commands.cmd("PUBLISH").arg(channel).arg(text);
    // Whoever does not hear of it sees it a little later.
    drop(link.query(&commands, link.config().write_timeout()).await);
}

#[async_trait]
impl Bus for RedisBus {
    async fn announce(&self, change: &Change) {
        publish(&self.link, &self.channel, &change.to_text()).await;
    }

    async fn subscribe(&self) -> Box<dyn Subscription> {
        let (messages, heard) = mpsc::channel(CAPACITY);
        let (ready, is_ready) = oneshot::channel();
        let lost = Arc::new(AtomicBool::new(false));
        let mut ear = Ear {
            link: self.link.clone(),
            channel: self.channel.clone(),
            messages,
            lost: Arc::clone(&lost),
            ready: Some(ready),
        };
        tokio::spawn(async move { ear.listen().await });
        // Whether it listens, or cannot: what is announced from here on is heard, or told to be lost.
        let _ = is_ready.await;
        Box::new(RedisSubscription { heard, lost })
    }
}

#[derive(Debug)]
struct RedisSubscription {
    heard: mpsc::Receiver<Message>,
    lost: Arc<AtomicBool>,
}

#[async_trait]
impl Subscription for RedisSubscription {
    async fn next(&mut self) -> Option<Message> {
        if self.lost.swap(false, Ordering::AcqRel) {
            return Some(Message::Lost);
        }
        self.heard.recv().await
    }
}

/// Listens for one subscriber.
struct Ear {
    link: Link,
    channel: String,
    messages: mpsc::Sender<Message>,
    /// Set when the subscriber was too slow.
    lost: Arc<AtomicBool>,
    ready: Option<oneshot::Sender<()>>,
}

impl Ear {
    async fn listen(&mut self) {
        let mut backoff = Backoff::default();
        let mut was_deaf = false;
        while !self.messages.is_closed() {
            let opened = timeout(self.link.config().connect_timeout(), self.open()).await;
            let kind = match opened {
                Ok(Ok(stream)) => {
                    backoff = Backoff::default();
                    if was_deaf {
                        self.tell(Message::Lost);
                    }
                    self.is_ready();
                    self.hear(stream).await;
                    FailureKind::Connection
                }
                Ok(Err(error)) => classify(&error),
                Err(_) => FailureKind::Timeout,
            };
            was_deaf = true;
            if self.messages.is_closed() {
                return;
            }
            self.link.failed(kind);
            self.is_ready();
            let wait = backoff.next();
            tracing::warn!(failure = kind.as_str(), retry_in = ?wait, "changes by other processes are not heard");
            sleep(wait).await;
        }
    }

    async fn open(&self) -> Result<PubSubStream, RedisError> {
        let mut connection = self.link.client().get_async_pubsub().await?;
        connection.subscribe(&self.channel).await?;
        Ok(connection.into_on_message())
    }

    /// Hears until the connection is lost, or nobody listens any more.
    async fn hear(&self, mut stream: PubSubStream) {
        let mut unheard = 0;
        while !self.messages.is_closed() {
            match timeout(QUIET + jitter(QUIET / 2), stream.next()).await {
                Ok(Some(message)) => {
                    unheard = 0;
                    match std::str::from_utf8(message.get_payload_bytes()) {
                        Ok(BEAT) => self.tell(Message::Heartbeat),
                        Ok(text) => match Change::from_text(text) {
                            Some(change) => self.tell(Message::Changed(change)),
                            None => self.link.failed(FailureKind::Garbage),
                        },
                        Err(_) => self.link.failed(FailureKind::Garbage),
                    }
                }
                Ok(None) => return,
                Err(_) if unheard >= UNHEARD => return,
                Err(_) => {
                    unheard += 1;
                    publish(&self.link, &self.channel, BEAT).await;
                }
            }
        }
    }

    fn tell(&self, message: Message) {
        if self.messages.try_send(message).is_err() {
            self.lost.store(true, Ordering::Release);
        }
    }

    fn is_ready(&mut self) {
        if let Some(ready) = self.ready.take() {
            // Nobody waits if the subscriber is gone.
            let _ = ready.send(());
        }
    }
}
