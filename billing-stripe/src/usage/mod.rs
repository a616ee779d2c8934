//! Usage that Stripe bills: from the outbox of the store to Stripe's meters, each unit once.
//!
//! The store writes a record in the step that counts the usage. Here the records are claimed in batches, reported with their
//! own identifier, and closed. After a crash they are claimed again when the lease has ended, and reported again under the
//! same identifier, which Stripe counts once within a day; what is uncertain for longer is not sent again, and shown as
//! unsettled.

mod book;
mod report;

pub use self::book::{InvalidEventName, MeterBook};
pub use self::report::UsageProgress;

use entitlements_core::billing::{BillingError, UnsettledUsage};

use crate::StripeBilling;

impl StripeBilling {
    /// Has usage of the meters of the [`MeterBook`] written down from now on, and no other. For the start of the process.
    ///
    /// # Errors
    ///
    /// When the store cannot be reached.
    pub async fn bill_usage(&self) -> Result<(), BillingError> {
        let shared = self.shared();
        let meters: Vec<_> = shared.meters.meters().cloned().collect();
        Ok(shared.store.bill_meters(&meters).await?)
    }

    /// Reports usage that is due, up to `limit` records of it.
    ///
    /// For a task that calls it every few seconds, in as many processes as there are: each claims other records. It runs to
    /// its end also when its caller goes away.
    ///
    /// # Errors
    ///
    /// When the store cannot be reached. Why a record could not be reported is kept with it.
    pub async fn report_usage(&self, limit: usize) -> Result<UsageProgress, BillingError> {
        self.to_the_end(move |this| async move { this.shared().report(limit).await }).await
    }

    /// The usage that Stripe does not count as it was used, as far as is known: what waits, what it refused, and what it
    /// counts although it was given back.
    ///
    /// # Errors
    ///
    /// When the store cannot be reached.
    pub async fn unsettled_usage(&self) -> Result<Vec<UnsettledUsage>, BillingError> {
        Ok(self.shared().store.unsettled_usage().await?)
    }
}
