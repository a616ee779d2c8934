//! A database, for tests that open and leave it many times.

use entitlements_core::billing::{BillingStore, UsageOutbox};
use entitlements_core::decision_cache::DecisionCache;
use entitlements_core::store::{GroupStore, Store};

/// A database in which stores are opened, one after the other.
pub(crate) trait Ground {
    type Store: Store + GroupStore + BillingStore + UsageOutbox + Clone;

    /// A store with connections of its own.
    async fn open(&self) -> Self::Store;

    /// A store of somebody else, whom nobody waits for.
    async fn beside(&self) -> Self::Store;

    /// Closes a store, and waits as [`quiet`](Self::quiet) does.
    async fn close(&self, store: Self::Store);

    /// Waits until the database works for nobody who has opened a store any more: also not for who has closed his connections,
    /// or died, and has left a statement behind that is still under way.
    async fn quiet(&self);

    /// A cache of decisions over the connections of a store, whose time stands still, and which waits for its answers.
    fn decisions(store: &Self::Store) -> impl DecisionCache;
}
