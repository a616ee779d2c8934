//! Where Stripe and the database disagree.

use entitlements_core::Subscription;
use entitlements_core::billing::BillingError;
use entitlements_core::id::CompanyId;

use super::StripeBilling;

/// A subscription that is not stored as Stripe shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// As it is stored, if it is.
    pub stored: Option<Subscription>,
    /// As Stripe shows it, if it does.
    pub shown: Option<Subscription>,
}

impl StripeBilling {
    /// Compares what is stored of a company with what Stripe shows, and changes nothing.
    /// [`reconcile`](entitlements_core::billing::BillingProvider::reconcile) repairs it.
    ///
    /// # Errors
    ///
    /// When Stripe or the store cannot be reached.
    pub async fn drift(&self, company: &CompanyId) -> Result<Vec<Drift>, BillingError> {
        let shared = self.shared();
        let stored = shared.store.load(company, shared.entitlements.now()).await?.subscriptions;
        let Some(customer) = shared.store.customer_of(company).await? else {
            return Ok(stored.into_iter().map(|known| Drift { stored: Some(known), shown: None }).collect());
        };
        let mut drift = Vec::new();
        let listed = shared.client.subscriptions(customer.id.as_str()).await?;
        for from in &listed {
            let known = stored.iter().find(|known| known.id.as_str() == from.id);
            let shown = shared.meaning(from, company, known).await?;
            if known != Some(&shown) {
                drift.push(Drift { stored: known.cloned(), shown: Some(shown) });
            }
        }
        for known in stored {
            if !listed.iter().any(|from| from.id == known.id.as_str()) {
                drift.push(Drift { stored: Some(known), shown: None });
            }
        }
        Ok(drift)
    }
}
