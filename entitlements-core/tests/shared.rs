//! The conformance cases of the cache of decisions and of the bus, on those in memory.

use std::sync::Arc;

use entitlements_core::ManualClock;
use entitlements_core::bus::MemoryBus;
use entitlements_core::decision_cache::MemoryDecisionCache;
use entitlements_core::testkit::bus::BusHarness;
use entitlements_core::testkit::decision_cache::DecisionCacheHarness;
use entitlements_core::testkit::fixtures;

struct InMemory;

impl DecisionCacheHarness for InMemory {
    type Cache = MemoryDecisionCache;

    async fn start() -> MemoryDecisionCache {
        MemoryDecisionCache::new(ManualClock::at(fixtures::now()))
    }
}

impl BusHarness for InMemory {
    type Bus = Arc<MemoryBus>;

    async fn start() -> [Arc<MemoryBus>; 2] {
        let bus = Arc::default();
        [Arc::clone(&bus), bus]
    }
}

mod decision_cache {
    use super::InMemory;

    entitlements_core::decision_cache_suite!(InMemory);
}

mod bus {
    use super::InMemory;

    entitlements_core::bus_suite!(InMemory);
}
