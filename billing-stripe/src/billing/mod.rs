//! The billing provider: what an application asks Stripe for, and what is stored of it.

mod builder;
mod change;
mod customer;
mod drift;
mod invoice;
mod operation;
mod portal;
mod provider;
mod subscribe;
mod sync;

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use entitlements_core::billing::{BillingError, BillingErrorKind, BillingStore, UsageOutbox};
use entitlements_core::store::{SnapshotStore, SubscriptionStore};
use entitlements_core::{Clock, Entitlements};

pub use self::builder::StripeBillingBuilder;
pub use self::drift::Drift;
pub(crate) use self::sync::{Owner, Synced, company_in, unusable};

use crate::client::StripeClient;
use crate::notice::Notices;
use crate::prices::PriceBook;
use crate::usage::MeterBook;

/// A store that can keep what billing needs.
pub trait BillingLedger: SnapshotStore + SubscriptionStore + BillingStore + UsageOutbox {}

impl<S: SnapshotStore + SubscriptionStore + BillingStore + UsageOutbox + ?Sized> BillingLedger for S {}

/// Stripe as the billing provider. Cheap to clone; clones share everything.
///
/// Every call runs to its end also when its caller goes away, and holds the lock of its company meanwhile, so that nothing
/// that was asked of Stripe earlier replaces what was asked later.
#[derive(Clone, Debug)]
pub struct StripeBilling(Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) client: StripeClient,
    pub(crate) store: Arc<dyn BillingLedger>,
    pub(crate) entitlements: Entitlements,
    pub(crate) prices: PriceBook,
    pub(crate) meters: MeterBook,
    pub(crate) notices: Arc<dyn Notices>,
    /// The time of leases, retries and signatures; it is the machine's, also where the time of decisions is moved.
    pub(crate) clock: Arc<dyn Clock>,
    /// How long a lock that somebody else holds is waited for.
    pub(crate) patience: Duration,
}

impl StripeBilling {
    /// Begins to build a provider that reaches Stripe through `client`, keeps what it learns in `store`, and makes it
    /// known to `entitlements`, which must read the same store.
    pub fn builder(
        client: StripeClient,
        store: impl BillingLedger,
        entitlements: Entitlements,
    ) -> StripeBillingBuilder {
        StripeBillingBuilder::new(client, Arc::new(store), entitlements)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }

    /// Runs `work` to its end, whatever becomes of the caller.
    pub(crate) async fn to_the_end<T, F>(&self, work: impl FnOnce(Self) -> F) -> Result<T, BillingError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, BillingError>> + Send + 'static,
    {
        tokio::spawn(work(self.clone())).await.unwrap_or_else(|error| {
            Err(BillingError::new(BillingErrorKind::Internal, "an internal failure").with_source(error))
        })
    }
}
