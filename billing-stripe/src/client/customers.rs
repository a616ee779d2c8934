//! Customers, their payment methods and their visits to the portal.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;

use super::{Gone, OperationId, PAGE, Page, StripeClient, StripeError};
use crate::wire::{Customer, Metadata, PaymentMethod, PortalSession};

/// A customer to be made.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NewCustomer {
    /// The name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The address for receipts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What is kept with it.
    pub metadata: Metadata,
}

impl StripeClient {
    /// Makes a customer.
    ///
    /// # Errors
    ///
    /// When Stripe refuses or cannot be reached.
    pub async fn create_customer(
        &self,
        customer: &NewCustomer,
        operation: &OperationId,
    ) -> Result<Customer, StripeError> {
        self.post(&["v1", "customers"], customer, operation).await
    }

    /// The customer `id`; one that was deleted says so.
    ///
    /// # Errors
    ///
    /// [`NotFound`](super::StripeErrorKind::NotFound), or when Stripe cannot be reached.
    pub async fn customer(&self, id: &str) -> Result<Customer, StripeError> {
        self.get(&["v1", "customers", id], &json!({})).await
    }

    /// The customers with this address, newest first. Unlike a search, it sees what was made a moment ago.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be reached.
    pub async fn customers_by_email(&self, email: &str) -> Result<Vec<Customer>, StripeError> {
        let page: Page<Customer> =
            self.get(&["v1", "customers"], &json!({"email": email, "limit": PAGE})).await?;
        Ok(page.data)
    }

    /// The customers that were made since an instant, newest first. Unlike a search, it sees what was made a moment ago.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be reached.
    pub async fn customers_since(&self, since: DateTime<Utc>) -> Result<Vec<Customer>, StripeError> {
        let mut customers: Vec<Customer> = Vec::new();
        loop {
            let after = customers.last().map(|customer| customer.id.clone());
            let params = json!({
                "created": {"gte": since.timestamp()}, "limit": PAGE, "starting_after": after,
            });
            let page: Page<Customer> = self.get(&["v1", "customers"], &params).await?;
            let last = page.data.is_empty() || !page.has_more;
            customers.extend(page.data);
            if last {
                return Ok(customers);
            }
        }
    }

    /// The customers whose metadata has `value` under `key`. What was made within the last minutes may be missing.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be reached.
    pub async fn customers_by_metadata(&self, key: &str, value: &str) -> Result<Vec<Customer>, StripeError> {
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
        let query = format!("metadata['{}']:'{}'", quoted(key), quoted(value));
        let page: Page<Customer> =
            self.get(&["v1", "customers", "search"], &json!({"query": query, "limit": PAGE})).await?;
        Ok(page.data)
    }

    /// Deletes the customer `id`; its subscriptions end.
    ///
    /// # Errors
    ///
    /// [`NotFound`](super::StripeErrorKind::NotFound), or when Stripe cannot be reached.
    pub async fn delete_customer(&self, id: &str, operation: &OperationId) -> Result<(), StripeError> {
        self.delete::<Gone>(&["v1", "customers", id], &json!({}), operation).await.map(|_| ())
    }

    /// Gives the payment method `id` to `customer`. The answer has the id to use from then on.
    ///
    /// # Errors
    ///
    /// [`CardDeclined`](super::StripeErrorKind::CardDeclined) when the bank refuses already now.
    pub async fn attach_payment_method(
        &self,
        id: &str,
        customer: &str,
        operation: &OperationId,
    ) -> Result<PaymentMethod, StripeError> {
        let path = ["v1", "payment_methods", id, "attach"];
        self.post(&path, &json!({"customer": customer}), operation).await
    }

    /// Has the invoices of `customer` paid by `payment_method` from now on.
    ///
    /// # Errors
    ///
    /// When the payment method is not the customer's, or Stripe cannot be reached.
    pub async fn set_default_payment_method(
        &self,
        customer: &str,
        payment_method: &str,
        operation: &OperationId,
    ) -> Result<Customer, StripeError> {
        let params = json!({"invoice_settings": {"default_payment_method": payment_method}});
        self.post(&["v1", "customers", customer], &params, operation).await
    }

    /// Opens the portal for `customer`, who comes back to `return_url`.
    ///
    /// # Errors
    ///
    /// When the customer does not exist, or the account has no configuration of the portal.
    pub async fn create_portal_session(
        &self,
        customer: &str,
        return_url: Option<&str>,
        operation: &OperationId,
    ) -> Result<PortalSession, StripeError> {
        let params = json!({"customer": customer, "return_url": return_url});
        self.post(&["v1", "billing_portal", "sessions"], &params, operation).await
    }
}
