//! How a provider is put together.

use std::sync::Arc;
use std::time::Duration;

use entitlements_core::{Clock, Entitlements, SystemClock};

use super::{BillingLedger, Shared, StripeBilling};
use crate::client::StripeClient;
use crate::notice::{NoNotices, Notices};
use crate::prices::PriceBook;
use crate::usage::MeterBook;

/// How long the lock of a company is waited for, unless it is said.
const PATIENCE: Duration = Duration::from_secs(5);

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
            meters: MeterBook::default(),
            notices: Arc::new(NoNotices),
            clock: Arc::new(SystemClock),
            patience: PATIENCE,
        })
    }

    /// Prices beside those that the catalog names.
    #[must_use]
    pub fn prices(mut self, prices: PriceBook) -> Self {
        self.0.prices = prices;
        self
    }

    /// The meters whose usage Stripe bills. By default none.
    #[must_use]
    pub fn meters(mut self, meters: MeterBook) -> Self {
        self.0.meters = meters;
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

    /// How long a call or a webhook waits while another one works on the same company, before it is refused as
    /// unavailable. By default five seconds.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.0.patience = patience;
        self
    }

    /// The provider.
    #[must_use]
    pub fn build(self) -> StripeBilling {
        StripeBilling(Arc::new(self.0))
    }
}
