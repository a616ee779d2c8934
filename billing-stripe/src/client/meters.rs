//! Usage that Stripe bills.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{OperationId, StripeClient, StripeError};
use crate::wire::{MeterEvent, MeterEventAdjustment};

/// A report of usage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMeterEvent {
    /// Which meter.
    pub event_name: String,
    /// Whose usage.
    pub customer: String,
    /// How much, in whole units.
    pub value: u64,
    /// Names the report, so that sending it twice counts once: the key of the stored row, never made anew.
    pub identifier: String,
    /// When the usage happened: at most 35 days ago.
    pub timestamp: DateTime<Utc>,
}

impl StripeClient {
    /// Reports usage. That it was taken says nothing yet: Stripe looks at it later, and sends an event if it is wrong.
    ///
    /// # Errors
    ///
    /// When Stripe refuses (for one, because the identifier was taken already) or cannot be reached.
    pub async fn create_meter_event(
        &self,
        event: &NewMeterEvent,
        operation: &OperationId,
    ) -> Result<MeterEvent, StripeError> {
        let params = json!({
            "event_name": event.event_name,
            "identifier": event.identifier,
            "timestamp": event.timestamp.timestamp(),
            "payload": {"stripe_customer_id": event.customer, "value": event.value.to_string()},
        });
        self.post(&["v1", "billing", "meter_events"], &params, operation).await
    }

    /// Takes a report of usage back. Stripe does so within a day of it.
    ///
    /// # Errors
    ///
    /// When Stripe refuses (it does not know the report, or it is too late) or cannot be reached.
    pub async fn cancel_meter_event(
        &self,
        event_name: &str,
        identifier: &str,
        operation: &OperationId,
    ) -> Result<MeterEventAdjustment, StripeError> {
        let params =
            json!({"event_name": event_name, "type": "cancel", "cancel": {"identifier": identifier}});
        self.post(&["v1", "billing", "meter_event_adjustments"], &params, operation).await
    }
}
