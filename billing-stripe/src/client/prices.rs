//! Prices.

use serde_json::json;

use super::{PAGE, Page, StripeClient, StripeError};
use crate::wire::Price;

/// The most lookup keys that one request may name.
const KEYS_AT_ONCE: usize = 10;

impl StripeClient {
    /// The price `id`.
    ///
    /// # Errors
    ///
    /// [`NotFound`](super::StripeErrorKind::NotFound), or when Stripe cannot be reached.
    pub async fn price(&self, id: &str) -> Result<Price, StripeError> {
        self.get(&["v1", "prices", id], &json!({})).await
    }

    /// The active prices with these lookup keys; keys that no price has are not an error.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be reached.
    pub async fn prices_by_lookup_key(&self, keys: &[&str]) -> Result<Vec<Price>, StripeError> {
        let mut prices = Vec::new();
        for keys in keys.chunks(KEYS_AT_ONCE) {
            let params = json!({"lookup_keys": keys, "active": true, "limit": PAGE});
            let page: Page<Price> = self.get(&["v1", "prices"], &params).await?;
            prices.extend(page.data);
        }
        Ok(prices)
    }
}
