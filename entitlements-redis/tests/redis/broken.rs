use std::time::{Duration, Instant};

use entitlements_core::decision_cache::{DecisionCache, Scope};
use entitlements_core::testkit::decision_cache::{decision, key};
use entitlements_redis::RedisDecisionCache;

use crate::server::{Proxy, Weather, config_at, finds, put, until, url};

/// A cache behind a proxy, with timeouts as short as in production.
async fn behind(proxy: &Proxy) -> RedisDecisionCache {
    let config = config_at(&proxy.url)
        .with_connect_timeout(Duration::from_millis(500))
        .with_read_timeout(Duration::from_millis(100))
        .with_write_timeout(Duration::from_millis(100));
    RedisDecisionCache::connect(config).await.unwrap()
}

/// Everything a process does, in bounded time and without an error.
async fn use_all(cache: &RedisDecisionCache) {
    let begun = Instant::now();
    let key = key("acme");
    let fence = cache.get(&key).await.fence;
    cache.put(&decision(&key, 1), &fence, Duration::from_mins(5)).await;
    cache.invalidate(&Scope::Everything).await;
    cache.stats().await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn a_server_that_is_not_there_at_start_is_used_when_it_comes() {
    let proxy = Proxy::start(Weather::Down).await;
    let cache = behind(&proxy).await;
    use_all(&cache).await;
    assert!(!cache.health().connected);
    proxy.set(Weather::Fair);
    let decision = decision(&key("acme"), 1);
    until(|| async {
        put(&cache, &decision).await;
        finds(&cache, &decision.key).await
    })
    .await;
    assert!(cache.health().connected);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn whatever_breaks_is_a_miss_and_heals() {
    for weather in [
        Weather::Down,
        Weather::Hung,
        Weather::Garbage,
        Weather::Torn,
        Weather::Slow(Duration::from_millis(300)),
    ] {
        let proxy = Proxy::start(Weather::Fair).await;
        let cache = behind(&proxy).await;
        let (old, new) = (decision(&key("acme"), 1), decision(&key("acme"), 2));
        put(&cache, &old).await;
        assert!(finds(&cache, &old.key).await);
        let before = cache.health().failures;
        proxy.set(weather);
        for _ in 0..20 {
            use_all(&cache).await;
            assert!(!finds(&cache, &old.key).await, "{weather:?}");
        }
        assert_ne!(cache.health().failures, before, "{weather:?}");
        proxy.set(Weather::Fair);
        until(|| async {
            put(&cache, &new).await;
            cache.get(&new.key).await.found.is_some_and(|found| found.decision == new)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn a_server_that_hangs_costs_little_after_a_few_calls() {
    let proxy = Proxy::start(Weather::Fair).await;
    let cache = behind(&proxy).await;
    proxy.set(Weather::Hung);
    for _ in 0..5 {
        finds(&cache, &key("acme")).await;
    }
    let begun = Instant::now();
    for _ in 0..1000 {
        finds(&cache, &key("acme")).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn a_wrong_password_is_a_miss() {
    let real = url();
    let address = real.rsplit_once('@').map_or(real.as_str(), |(_, address)| address);
    let cache =
        RedisDecisionCache::connect(config_at(&format!("redis://:wrong-one@{address}"))).await.unwrap();
    use_all(&cache).await;
    let health = cache.health();
    assert!(!health.connected && health.failures.refused > 0, "{health:?}");
    assert_eq!(cache.stats().await, None);
}
