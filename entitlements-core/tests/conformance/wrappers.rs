//! What is put around a store is a store: shared, without its type, in groups, and one that could fail.

use std::sync::Arc;

use entitlements_core::MemoryStore;
use entitlements_core::billing::{BillingStore, UsageOutbox};
use entitlements_core::store::{GroupStore, Grouped, SharedStore, Store};
use entitlements_core::testkit::{FlakyStore, Harness};

struct Shared;

impl Harness for Shared {
    type Store = SharedStore;

    async fn start() -> SharedStore {
        Arc::new(MemoryStore::default())
    }
}

mod shared {
    use super::Shared;

    entitlements_core::store_suite!(Shared);
}

/// Everything that some store can do. Its traits can be called without the type, as `dyn BillingStore`,
/// `dyn UsageOutbox` and `dyn GroupStore` are.
trait Everything: Store + BillingStore + UsageOutbox + GroupStore {}

impl<S: Store + BillingStore + UsageOutbox + GroupStore> Everything for S {}

struct Untyped;

impl Harness for Untyped {
    type Store = Arc<dyn Everything>;

    async fn start() -> Self::Store {
        Arc::new(MemoryStore::default())
    }
}

mod untyped {
    use super::Untyped;

    entitlements_core::billing_suite!(Untyped);
    entitlements_core::group_suite!(Untyped);
    entitlements_core::outbox_suite!(Untyped);
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

/// As long as it is told nothing, it fails nothing.
struct Healthy;

impl Harness for Healthy {
    type Store = FlakyStore<MemoryStore>;

    async fn start() -> Self::Store {
        FlakyStore::new(MemoryStore::default())
    }
}

mod flaky {
    use super::Healthy;

    entitlements_core::store_suite!(Healthy);
}
