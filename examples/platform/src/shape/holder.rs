//! Holders of gauges as JSON.

use chrono::{DateTime, Utc};
use entitlements_core::Amount;
use entitlements_core::gauge::Holder;
use entitlements_core::id::{CompanyId, HolderId};
use serde::Serialize;

/// A unit that was given to a holder, or that it has already.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AcquisitionShape {
    pub(crate) company_id: CompanyId,
    pub(crate) gauge: String,
    pub(crate) holder: HolderId,
    /// Units used with it.
    pub(crate) used: Amount,
}

/// One holder.
#[derive(Debug, Serialize)]
pub(crate) struct HolderShape {
    holder: HolderId,
    since: DateTime<Utc>,
}

impl From<Holder> for HolderShape {
    fn from(Holder { holder, since }: Holder) -> Self {
        Self { holder, since }
    }
}
