//! The conformance suite on the store in memory, and on it behind an `Arc<dyn Store>`.

use std::sync::Arc;

use entitlements_core::MemoryStore;
use entitlements_core::store::{Grouped, SharedStore};
use entitlements_core::testkit::{Harness, agrees_with_memory};

struct InMemory;

impl Harness for InMemory {
    type Store = MemoryStore;

    async fn start() -> MemoryStore {
        MemoryStore::default()
    }
}

struct Shared;

impl Harness for Shared {
    type Store = SharedStore;

    async fn start() -> SharedStore {
        Arc::new(MemoryStore::default())
    }
}

mod memory {
    use super::InMemory;

    entitlements_core::store_suite!(InMemory);
    entitlements_core::billing_suite!(InMemory);
    entitlements_core::group_suite!(InMemory);
    entitlements_core::outbox_suite!(InMemory);
}

mod shared {
    use super::Shared;

    entitlements_core::store_suite!(Shared);
}

#[tokio::test]
async fn the_model_agrees_with_itself() {
    for seed in 0..20 {
        agrees_with_memory(&MemoryStore::default(), seed, 500).await;
    }
}

struct InGroups;

impl Harness for InGroups {
    type Store = Grouped<MemoryStore>;

    async fn start() -> Self::Store {
        Grouped::new(MemoryStore::default())
    }
}

mod grouped {
    use super::InGroups;

    entitlements_core::store_suite!(InGroups);
}
