use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use entitlements_core::decision_cache::{CachedDecision, DecisionCache, DecisionKey};
use entitlements_redis::{RedisConfig, RedisDecisionCache};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The address of the server for tests.
pub(crate) fn url() -> String {
    std::env::var("ENTITLEMENTS_TEST_REDIS_URL").expect("ENTITLEMENTS_TEST_REDIS_URL, see scripts/redis.sh")
}

/// A prefix that no other test has.
pub(crate) fn prefix() -> String {
    static TESTS: AtomicU64 = AtomicU64::new(0);
    format!("test-{}-{}:", std::process::id(), TESTS.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn config_at(url: &str) -> RedisConfig {
    // Tests run beside each other on few cores.
    RedisConfig::new(url)
        .unwrap()
        .with_prefix(&prefix())
        .unwrap()
        .with_read_timeout(Duration::from_secs(2))
        .with_write_timeout(Duration::from_secs(2))
}

pub(crate) fn config() -> RedisConfig {
    config_at(&url())
}

/// A connection of the test's own.
pub(crate) async fn raw() -> redis::aio::MultiplexedConnection {
    // A busy machine is no failure of what is tested.
    let patient = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(30)))
        .set_response_timeout(Some(Duration::from_secs(50)));
    let client = redis::Client::open(url()).unwrap();
    client.get_multiplexed_async_connection_with_config(&patient).await.unwrap()
}

/// Puts a decision as a process does: after a question that found nothing.
pub(crate) async fn put(cache: &RedisDecisionCache, decision: &CachedDecision) {
    let mut fence = cache.get(&decision.key).await.fence;
    if fence.words().is_none() {
        fence = cache.get(&decision.key).await.fence;
    }
    cache.put(decision, &fence, Duration::from_mins(5)).await;
}

pub(crate) async fn finds(cache: &RedisDecisionCache, key: &DecisionKey) -> bool {
    cache.get(key).await.found.is_some()
}

/// Waits until something is so, for ten seconds at most.
pub(crate) async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    for _ in 0..500 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not come to it in ten seconds");
}

/// How a proxy treats what comes back from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    Fair,
    /// Connections are refused, and those that are there are closed.
    Down,
    /// Nothing gets through, and nothing is closed.
    Hung,
    /// Answers are replaced by noise.
    Garbage,
    /// Every answer comes late.
    Slow(Duration),
    /// The connection is closed in the middle of an answer.
    Torn,
}

/// A proxy before the server, on a port of its own.
pub(crate) struct Proxy {
    pub(crate) url: String,
    weather: watch::Sender<Weather>,
}

impl Proxy {
    pub(crate) async fn start(weather: Weather) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let real = url();
        let (credentials, address) = match real.strip_prefix("redis://").unwrap().rsplit_once('@') {
            Some((credentials, address)) => (format!("{credentials}@"), address.to_owned()),
            None => (String::new(), real.strip_prefix("redis://").unwrap().to_owned()),
        };
        let (weather, seen) = watch::channel(weather);
        let address = Arc::new(address);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *seen.borrow() != Weather::Down {
                    tokio::spawn(pass(client, Arc::clone(&address), seen.clone()));
                }
            }
        });
        Self { url: format!("redis://{credentials}127.0.0.1:{port}"), weather }
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send(weather).unwrap();
    }
}

async fn pass(client: TcpStream, address: Arc<String>, mut weather: watch::Receiver<Weather>) {
    let Ok(server) = TcpStream::connect(address.trim_end_matches('/')).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut buffer = vec![0; 65536];
    loop {
        tokio::select! {
            changed = weather.changed() => {
                if changed.is_err() || *weather.borrow() == Weather::Down {
                    return;
                }
            }
            read = from_server.read(&mut buffer) => {
                let Ok(length @ 1..) = read else { return };
                let answer = buffer.get(..length).unwrap();
                let now = *weather.borrow();
                let written = match now {
                    Weather::Fair => to_client.write_all(answer).await,
                    Weather::Down => return,
                    Weather::Hung => continue,
                    Weather::Garbage => to_client.write_all(b"\x07 what is this?\r\n").await,
                    Weather::Slow(time) => {
                        tokio::time::sleep(time).await;
                        to_client.write_all(answer).await
                    }
                    Weather::Torn => {
                        drop(to_client.write_all(answer.get(..length / 2).unwrap()).await);
                        return;
                    }
                };
                if written.is_err() {
                    return;
                }
            }
        }
    }
}
