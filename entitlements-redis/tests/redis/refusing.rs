//! Servers that are there and refuse: started here, because the one for tests serves others.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use entitlements_core::decision_cache::{DecisionCache, Scope};
use entitlements_core::testkit::decision_cache::{decision, key};
use entitlements_redis::RedisDecisionCache;

use crate::server::{config_at, finds, put, until};

/// A server of the test's own.
pub(crate) struct Own {
    process: Child,
    pub(crate) folder: PathBuf,
}

impl Own {
    /// `None` where there is no such program: the tests also run on a server elsewhere.
    pub(crate) fn start(name: &str, options: &[&str]) -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("entitlements-redis-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let started = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(folder.join("socket"))
            .arg("--dir")
            .arg(&folder)
            .args(options)
            .stdout(Stdio::null())
            .spawn();
        match started {
            Ok(process) => Some(Self { process, folder }),
            Err(error) => {
                println!("not run, because redis-server cannot be started: {error}");
                None
            }
        }
    }

    /// Its address, when it is there.
    pub(crate) async fn url(&self) -> String {
        let socket = self.folder.join("socket");
        until(|| async { socket.exists() }).await;
        format!("redis+unix://{}", socket.display())
    }

    async fn cache(&self) -> RedisDecisionCache {
        let url = self.url().await;
        RedisDecisionCache::connect(config_at(&url).with_write_timeout(Duration::from_secs(2))).await.unwrap()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn a_read_only_replica_is_a_miss() {
    let Some(own) = Own::start("replica", &["--replicaof", "127.0.0.1 1"]) else { return };
    let cache = own.cache().await;
    let decision = decision(&key("acme"), 1);
    put(&cache, &decision).await;
    cache.invalidate(&Scope::Everything).await;
    assert!(!finds(&cache, &decision.key).await);
    assert!(cache.health().failures.refused > 0, "{:?}", cache.health());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn a_server_without_memory_keeps_nothing_and_says_nothing_wrong() {
    let options = ["--maxmemory", "2mb", "--maxmemory-policy", "noeviction"];
    let Some(own) = Own::start("full", &options) else { return };
    let cache = own.cache().await;
    let first = decision(&key("first"), 1);
    put(&cache, &first).await;
    assert!(finds(&cache, &first.key).await);
    for number in 0..2000 {
        put(&cache, &decision(&key(&format!("c{number}")), 1)).await;
    }
    assert!(cache.health().failures.refused > 0, "{:?}", cache.health());
    assert!(cache.get(&first.key).await.found.is_none_or(|found| found.decision == first));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn what_a_server_evicts_is_a_miss() {
    let options = ["--maxmemory", "2mb", "--maxmemory-policy", "allkeys-lru"];
    let Some(own) = Own::start("evicting", &options) else { return };
    let cache = own.cache().await;
    let mut found = 0;
    for number in 0..3000 {
        let decision = decision(&key(&format!("c{number}")), 1);
        put(&cache, &decision).await;
        let lookup = cache.get(&decision.key).await;
        assert!(lookup.found.as_ref().is_none_or(|found| found.decision == decision));
        found += u32::from(lookup.found.is_some());
    }
    assert!(found > 1000, "{found}");
    let mut kept = 0;
    for number in 0..3000 {
        kept += u32::from(finds(&cache, &key(&format!("c{number}"))).await);
    }
    assert!(kept < 3000);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn a_server_that_is_flushed_is_as_good_as_new() {
    let Some(own) = Own::start("flushed", &[]) else { return };
    let cache = own.cache().await;
    let socket = own.folder.join("socket");
    let client = redis::Client::open(format!("redis+unix://{}", socket.display())).unwrap();
    let mut raw = client.get_multiplexed_async_connection().await.unwrap();
    let decision = decision(&key("acme"), 1);
    for _ in 0..3 {
        put(&cache, &decision).await;
        assert!(finds(&cache, &decision.key).await);
        let () = redis::cmd("FLUSHALL").query_async(&mut raw).await.unwrap();
        assert!(!finds(&cache, &decision.key).await);
    }
}
