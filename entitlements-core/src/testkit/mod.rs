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
//! To write a store, begin with the example `ordered_store` of this crate (`examples/ordered_store/main.rs`): a small one that
//! is complete and correct, in ordered maps behind one lock, and has the suite as its tests.
//!
//! Cases are plain functions over a fresh store; one that fails panics and says what it expected. No case sleeps or
//! reads a clock.
//!
//! # Stores that do not do everything
//!
//! A store may do without a [`Part`] of what a complete store does. It says so in its [`Harness`], and answers every call of
//! that part as [`Unsupported`](crate::store::StoreErrorKind::Unsupported). Nothing is skipped: wherever a case would need the
//! part, the suite checks instead that it is [refused](refusal) and that nothing changes. So a store that claims a part and
//! refuses it is caught, and so is one that disclaims a part and does it.
//!
//! ```
//! use entitlements_core::testkit::{Capabilities, Harness, Part};
//! # use entitlements_core::MemoryStore as Small;
//!
//! struct WithoutLog;
//!
//! impl Harness for WithoutLog {
//!     type Store = Small;
//!     const CAPABILITIES: Capabilities = Capabilities::ALL.without(Part::Audit).without(Part::Erasure);
//!
//!     async fn start() -> Small {
//!         Small::default()
//!     }
//! }
//! # assert!(!WithoutLog::CAPABILITIES.has(Part::Erasure));
//! ```
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
mod capability;
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
pub mod refusal;
pub mod reservation;
pub mod snapshot;
pub mod subscription;
mod suite;

pub use application::{Decided, TestEntitlements};
#[doc(hidden)]
pub use capability::missing;
pub use capability::{Capabilities, Part};
pub use flaky::FlakyStore;
pub use model::{agrees_with_memory, agrees_with_memory_in_all, agrees_with_memory_on};

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

    /// What the store does; everything, unless it says otherwise. The suite holds it to both: a part that it does runs its
    /// cases, and one that it does not do has to be refused wherever a case would need it.
    const CAPABILITIES: Capabilities = Capabilities::ALL;

    /// Starts an empty store.
    async fn start() -> Self::Store;
}
