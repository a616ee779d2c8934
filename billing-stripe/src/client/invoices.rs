//! Invoices.

use serde_json::json;

use super::{OperationId, PAGE, Page, StripeClient, StripeError};
use crate::wire::{Invoice, InvoiceStatus};

impl StripeClient {
    /// The invoice `id`.
    ///
    /// # Errors
    ///
    /// [`NotFound`](super::StripeErrorKind::NotFound), or when Stripe cannot be reached.
    pub async fn invoice(&self, id: &str) -> Result<Invoice, StripeError> {
        self.get(&["v1", "invoices", id], &json!({})).await
    }

    /// A page of the invoices of `customer`, newest first, after the invoice `after`.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be reached.
    pub async fn invoices(&self, customer: &str, after: Option<&str>) -> Result<Page<Invoice>, StripeError> {
        let params = json!({"customer": customer, "limit": PAGE, "starting_after": after});
        self.get(&["v1", "invoices"], &params).await
    }

    /// The invoices of the subscription that are to be paid, newest first.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be reached.
    pub async fn open_invoices(&self, subscription: &str) -> Result<Vec<Invoice>, StripeError> {
        let mut invoices: Vec<Invoice> = Vec::new();
        loop {
            let after = invoices.last().map(|invoice| invoice.id.clone());
            let status = InvoiceStatus::Open.as_str();
            let params = json!({
                "subscription": subscription, "status": status, "limit": PAGE, "starting_after": after,
            });
            let page: Page<Invoice> = self.get(&["v1", "invoices"], &params).await?;
            let last = page.data.is_empty() || !page.has_more;
            invoices.extend(page.data);
            if last {
                return Ok(invoices);
            }
        }
    }

    /// Tries to collect the invoice `id` now.
    ///
    /// # Errors
    ///
    /// [`CardDeclined`](super::StripeErrorKind::CardDeclined) when the bank refuses.
    pub async fn pay_invoice(&self, id: &str, operation: &OperationId) -> Result<Invoice, StripeError> {
        self.post(&["v1", "invoices", id, "pay"], &json!({}), operation).await
    }
}
