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
