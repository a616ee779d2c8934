//! The portal, where customers manage their billing themselves.

use entitlements_core::billing::{BillingError, BillingErrorKind, Portal};
use entitlements_core::id::CompanyId;
use uuid::Uuid;

use super::StripeBilling;
use super::sync::unusable;
use crate::client::OperationId;

impl StripeBilling {
    pub(super) async fn open_portal(
        &self,
        company: &CompanyId,
        return_url: &str,
    ) -> Result<Portal, BillingError> {
        let shared = self.shared();
        let customer = shared.store.customer_of(company).await?.ok_or_else(|| {
            BillingError::new(
                BillingErrorKind::NotFound,
                "the company is no customer of the billing provider",
            )
        })?;
        // Each visit is a session of its own, so nothing needs to be stored.
        let operation = OperationId::new(Uuid::new_v4().to_string()).map_err(unusable)?;
        let session =
            shared.client.create_portal_session(customer.id.as_str(), Some(return_url), &operation).await?;
        Ok(Portal { url: session.url })
    }
}
