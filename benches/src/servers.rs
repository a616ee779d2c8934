//! Servers: where Redis is, and a proxy that counts round trips to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use entitlements_redis::{RedisConfig, RedisDecisionCache};
use redis::aio::MultiplexedConnection;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::Failure;

/// Said in place of figures that need a server.
pub(crate) const NO_REDIS: &str =
    "*Not measured: `ENTITLEMENTS_TEST_REDIS_URL` names no server. `scripts/bench.sh` brings one.*";

/// The address of a Redis server, if there is one for the benchmarks.
pub(crate) fn redis_url() -> Option<String> {
    std::env::var("ENTITLEMENTS_TEST_REDIS_URL").ok()
}

/// A connection of the kind that the cache uses.
pub(crate) async fn raw(url: &str) -> Result<MultiplexedConnection, Failure> {
    Ok(redis::Client::open(url)?.get_multiplexed_async_connection().await?)
}

/// Our cache on the server at `url`, with its own keys; patient, since a benchmark keeps the machine busy.
pub(crate) async fn cache(url: &str, prefix: &str) -> Result<RedisDecisionCache, Failure> {
    let patience = Duration::from_secs(5);
    let config = RedisConfig::new(url)?.with_prefix(prefix)?;
    let config = config.with_read_timeout(patience).with_write_timeout(patience);
    Ok(RedisDecisionCache::connect(config).await?)
}

/// Removes what a benchmark put: the server may be somebody's.
pub(crate) async fn clear(connection: &mut MultiplexedConnection, prefix: &str) -> Result<(), Failure> {
    let mut cursor = 0_u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{prefix}*")).arg("COUNT").arg(1_000);
        let (next, keys): (u64, Vec<String>) = scan.query_async(connection).await?;
        if !keys.is_empty() {
            redis::cmd("DEL").arg(&keys).query_async::<usize>(connection).await?;
        }
        cursor = next;
        if cursor == 0 {
            return Ok(());
        }
    }
}

/// Hands bytes on between clients and a server, and counts how often a client speaks after the server did.
pub(crate) struct Proxy {
    turns: Arc<AtomicU64>,
    url: String,
}

impl Proxy {
    /// A proxy before the server at `url`.
    pub(crate) async fn before(url: &str) -> Result<Self, Failure> {
        let (begin, rest) =
            url.rsplit_once('@').map_or(("", url), |(_, rest)| (&url[..url.len() - rest.len()], rest));
        let begin = if begin.is_empty() { "redis://" } else { begin };
        let server = rest.trim_start_matches("redis://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("{begin}{}", listener.local_addr()?);
        let turns = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&turns);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&server).await else { return };
                join(client, server, &counter);
            }
        });
        Ok(Self { turns, url })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Round trips so far.
    pub(crate) fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }
}

fn join(client: TcpStream, server: TcpStream, turns: &Arc<AtomicU64>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Whether the server spoke last; it counts when a client speaks then.
    let answered = Arc::new(AtomicU64::new(1));
    let (turns, asked) = (Arc::clone(turns), Arc::clone(&answered));
    tokio::spawn(pass(from_client, to_server, move || {
        turns.fetch_add(asked.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }));
    tokio::spawn(pass(from_server, to_client, move || answered.store(1, Ordering::Relaxed)));
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, note: impl Fn() + Send) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(many @ 1..) = from.read(&mut bytes).await {
        note();
        if to.write_all(bytes.get(..many).unwrap_or_default()).await.is_err() {
            return;
        }
    }
}
