//! The conformance suite on the store in memory, on it without each of its parts, and on every wrapper around it.

mod partial;
mod partial_store;
mod wrappers;

use entitlements_core::MemoryStore;
use entitlements_core::testkit::{Harness, agrees_with_memory, agrees_with_memory_in_all};

struct InMemory;

impl Harness for InMemory {
    type Store = MemoryStore;

    async fn start() -> MemoryStore {
        MemoryStore::default()
    }
}

mod memory {
    use super::InMemory;

    entitlements_core::store_suite!(InMemory);
    entitlements_core::billing_suite!(InMemory);
    entitlements_core::group_suite!(InMemory);
    entitlements_core::outbox_suite!(InMemory);
}

#[tokio::test]
async fn the_model_agrees_with_itself() {
    for seed in 0..20 {
        agrees_with_memory(&MemoryStore::default(), seed, 500).await;
        agrees_with_memory_in_all(&MemoryStore::default(), seed, 500).await;
    }
}
