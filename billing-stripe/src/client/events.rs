//! Events, as Stripe keeps them for 30 days.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{PAGE, Page, StripeClient, StripeError};
use crate::wire::V1Event;

/// Which events are asked for.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Of these kinds; every kind if empty.
    pub kinds: Vec<String>,
    /// Not older than this.
    pub since: Option<DateTime<Utc>>,
    /// Older than the event with this id.
    pub after: Option<String>,
}

impl StripeClient {
    /// The event `id`.
    ///
    /// # Errors
    ///
    /// [`NotFound`](super::StripeErrorKind::NotFound), or when Stripe cannot be reached.
    pub async fn event(&self, id: &str) -> Result<V1Event, StripeError> {
        self.get(&["v1", "events", id], &json!({})).await
    }

    /// A page of events, newest first.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be reached.
    pub async fn events(&self, filter: &EventFilter) -> Result<Page<V1Event>, StripeError> {
        let since = filter.since.map(|since| json!({"gte": since.timestamp()}));
        let params = json!({
            "types": filter.kinds, "created": since, "starting_after": filter.after, "limit": PAGE,
        });
        self.get(&["v1", "events"], &params).await
    }
}
