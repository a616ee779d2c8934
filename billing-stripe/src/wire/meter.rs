//! Meters: usage that Stripe bills.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Metadata;

/// How Stripe adds up the usage of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    /// `mtr_…`
    pub id: String,
    /// The name that its events carry.
    pub event_name: String,
    /// The name for people.
    #[serde(default)]
    pub display_name: Option<String>,
    /// `active` or `inactive`.
    #[serde(default)]
    pub status: Option<String>,
}

/// One report of usage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterEvent {
    /// Which meter.
    pub event_name: String,
    /// Names the report, so that sending it twice counts once.
    pub identifier: String,
    /// The customer and the value, under the keys of the meter.
    #[serde(default, deserialize_with = "super::or_default")]
    pub payload: Metadata,
    /// When the usage happened.
    #[serde(with = "super::time")]
    pub timestamp: DateTime<Utc>,
}

/// That a report was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterEventAdjustment {
    /// Which meter.
    pub event_name: String,
    /// `pending` or `complete`.
    #[serde(default)]
    pub status: Option<String>,
}

/// What an event says that Stripe sends because reports could not be counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterErrorReport {
    /// What is wrong, for people.
    #[serde(default)]
    pub developer_message_summary: Option<String>,
    /// What is wrong, one by one.
    #[serde(default, deserialize_with = "super::or_default")]
    pub reason: MeterErrors,
}

/// How many reports could not be counted, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterErrors {
    /// How many.
    #[serde(default, deserialize_with = "super::or_default")]
    pub error_count: u64,
    /// By kind.
    #[serde(default, deserialize_with = "super::or_default")]
    pub error_types: Vec<MeterErrorKind>,
}

/// Reports that could not be counted for the same reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterErrorKind {
    /// The reason, for example `meter_event_customer_not_found`.
    #[serde(default, deserialize_with = "super::or_default")]
    pub code: String,
    /// How many there are.
    #[serde(default, deserialize_with = "super::or_default")]
    pub error_count: u64,
    /// Some of them.
    #[serde(default, deserialize_with = "super::or_default")]
    pub sample_errors: Vec<MeterErrorSample>,
}

/// A report that could not be counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterErrorSample {
    /// Why, for people.
    #[serde(default)]
    pub error_message: Option<String>,
    /// What was reported.
    #[serde(default, deserialize_with = "super::or_default")]
    pub request: MeterErrorRequest,
}

/// Names a report that could not be counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterErrorRequest {
    /// Its identifier.
    #[serde(default)]
    pub identifier: Option<String>,
}

impl MeterErrorReport {
    /// Reads the report out of the body of its event.
    ///
    /// # Errors
    ///
    /// When the text is no JSON, or what it says of the errors cannot be read.
    ///
    /// ```
    /// use billing_stripe::wire::MeterErrorReport;
    ///
    /// let body = br#"{"data": {"reason": {"error_count": 2}}}"#;
    /// assert_eq!(MeterErrorReport::from_slice(body)?.reason.error_count, 2);
    /// assert_eq!(MeterErrorReport::from_slice(b"{}")?, MeterErrorReport::default());
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn from_slice(body: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Body {
            #[serde(default, deserialize_with = "super::or_default")]
            data: MeterErrorReport,
        }
        serde_json::from_slice(body).map(|body: Body| body.data)
    }
}
