//! The model test, over many small stores.

use std::collections::VecDeque;

use entitlements_core::billing::{BillingStore, UsageOutbox};
use entitlements_core::store::{GroupStore, Store};
use entitlements_core::testkit::agrees_with_memory_in_all;

/// Operations on one store: few enough for it to be compared as a whole.
const EACH: u32 = 2_000;

/// Stores that are worked on at the same time.
const TOGETHER: usize = 6;

/// Makes as many operations as `MODEL_OPERATIONS` says, or else `usual`, on new stores, each with a seed of its own.
pub(crate) async fn agrees<S>(usual: u64, new_store: impl AsyncFn() -> S)
where
    S: Store + GroupStore + BillingStore + UsageOutbox,
{
    let operations = match std::env::var("MODEL_OPERATIONS") {
        Ok(text) => text.parse().expect("MODEL_OPERATIONS is a number"),
        Err(_) => usual,
    };
    let mut running = VecDeque::new();
    for seed in 0..operations.div_ceil(u64::from(EACH)) {
        let store = new_store().await;
        running.push_back(tokio::spawn(async move { agrees_with_memory_in_all(&store, seed, EACH).await }));
        if running.len() == TOGETHER
            && let Some(first) = running.pop_front()
        {
            first.await.unwrap();
        }
    }
    for one in running {
        one.await.unwrap();
    }
}
