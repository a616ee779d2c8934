//! The store that the stories are told to: in memory here. The platform tells the same stories to its databases.

use std::sync::Arc;

use billing_stripe::BillingLedger;
use entitlements_core::MemoryStore;
use entitlements_core::store::Store;

/// How many orders of the webhooks of each story are tried, unless it is said.
pub(crate) const ORDERS: usize = 6;

/// What a process needs.
pub(crate) trait Ledger: Store + BillingLedger {}

impl<S: Store + BillingLedger + ?Sized> Ledger for S {}

/// An empty store.
pub(crate) async fn fresh() -> Arc<dyn Ledger> {
    // Where there is a database, it takes a moment.
    std::future::ready(Arc::new(MemoryStore::default())).await
}
