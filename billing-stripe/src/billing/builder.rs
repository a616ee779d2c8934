//! How a provider is put together.

use std::sync::Arc;

use entitlements_core::{Clock, Entitlements, SystemClock};

use super::{BillingLedger, Shared, StripeBilling};
use crate::client::StripeClient;
use crate::notice::{NoNotices, Notices};
use crate::prices::PriceBook;

/// A provider that is being put together.
#[derive(Debug)]
pub struct StripeBillingBuilder(Shared);

impl StripeBillingBuilder {
    pub(super) fn new(
        client: StripeClient,
        store: Arc<dyn BillingLedger>,
        entitlements: Entitlements,
    ) -> Self {
        Self(Shared {
            client,
            store,
            entitlements,
            prices: PriceBook::default(),
            notices: Arc::new(NoNotices),
            clock: Arc::new(SystemClock),
        })
    }

    /// Prices beside those that the catalog names.
    #[must_use]
    pub fn prices(mut self, prices: PriceBook) -> Self {
        self.0.prices = prices;
        self
    }

    /// Who tells people of failed payments and ending trials. By default nobody.
    #[must_use]
    pub fn notices(mut self, notices: impl Notices) -> Self {
        self.0.notices = Arc::new(notices);
        self
    }

    /// The clock of leases, retries and signatures. By default the machine's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.0.clock = Arc::new(clock);
        self
    }

    /// The provider.
    #[must_use]
    pub fn build(self) -> StripeBilling {
        StripeBilling(Arc::new(self.0))
    }
}
