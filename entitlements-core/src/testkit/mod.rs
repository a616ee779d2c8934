//! What proves a store: one conformance suite for all of them, a model test, and fixtures. And what an application tests its
//! plans with: [`TestEntitlements`].
//!
//! A store is proved in a dozen lines: a [`Harness`] says how to start one, and [`store_suite!`](crate::store_suite)
//! turns every case into a test of its own. A new case reaches every store without a change to the store.
//!
//! ```
//! use entitlements_core::MemoryStore;
//! use entitlements_core::testkit::Harness;
//!
//! struct InMemory;
//!
//! impl Harness for InMemory {
//!     type Store = MemoryStore;
//!
//!     async fn start() -> MemoryStore {
//!         MemoryStore::default()
//!     }
//! }
//!
//! # #[cfg(test)]
//! entitlements_core::store_suite!(InMemory);
//! # fn main() {}
//! ```
//!
//! Cases are plain functions over a fresh store; one that fails panics and says what it expected. No case sleeps or
//! reads a clock.
//!
#![doc = include_str!("wrong_stores.md")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a case that fails panics: that is how a test says so"
)]

pub mod alert;
mod application;
pub mod audit;
pub mod billing;
pub mod bus;
pub mod debit;
pub mod decision_cache;
pub mod erasure;
pub mod fixtures;
mod flaky;
pub mod gauge;
pub mod grant;
pub mod group;
pub mod hostile;
mod model;
pub mod outbox;
pub mod policy;
pub mod race;
mod random;
pub mod receipt;
pub mod record;
pub mod reservation;
pub mod snapshot;
pub mod subscription;
mod suite;

pub use application::{Decided, TestEntitlements};
pub use flaky::FlakyStore;
pub use model::agrees_with_memory;

use crate::store::Store;

/// How to start a store for a test.
///
/// # Contract
///
/// `start` returns an empty store in a namespace of its own (a schema, a key prefix, a file), so that tests run beside
/// each other and nothing needs to be deleted.
#[expect(
    async_fn_in_trait,
    reason = "a test awaits it where it calls it; nothing asks whether the future is Send"
)]
pub trait Harness {
    /// The store.
    type Store: Store;

    /// Starts an empty store.
    async fn start() -> Self::Store;
}
