use entitlements_core::testkit::bus::BusHarness;
use entitlements_core::testkit::decision_cache::DecisionCacheHarness;
use entitlements_redis::{RedisBus, RedisDecisionCache};

use crate::server::config;

struct OnRedis;

impl DecisionCacheHarness for OnRedis {
    type Cache = RedisDecisionCache;

    async fn start() -> RedisDecisionCache {
        RedisDecisionCache::connect(config()).await.unwrap()
    }
}

impl BusHarness for OnRedis {
    type Bus = RedisBus;

    async fn start() -> [RedisBus; 2] {
        let config = config();
        [RedisBus::connect(config.clone()).await.unwrap(), RedisBus::connect(config).await.unwrap()]
    }
}

mod decision_cache {
    use super::OnRedis;

    entitlements_core::decision_cache_suite!(
        #[ignore = "needs a server, see scripts/redis.sh"]
        OnRedis
    );
}

mod bus {
    use super::OnRedis;

    entitlements_core::bus_suite!(
        #[ignore = "needs a server, see scripts/redis.sh"]
        OnRedis
    );
}
