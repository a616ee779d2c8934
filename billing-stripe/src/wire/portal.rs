//! Sessions of the customer portal.

use serde::{Deserialize, Serialize};

/// A visit to the portal, where a customer changes cards and cancels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortalSession {
    /// `bps_…`
    pub id: String,
    /// Where to send the visitor; short-lived, so never kept.
    pub url: String,
    /// Who visits.
    #[serde(default)]
    pub customer: Option<String>,
    /// Where the visitor goes afterwards.
    #[serde(default)]
    pub return_url: Option<String>,
}
