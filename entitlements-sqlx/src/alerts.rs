//! Alerts that are claimed: the same in both dialects.

use entitlements_core::store::StoreError;
use entitlements_core::usage::UsageAlert;

use crate::rows::{AlertRow, one};

pub(crate) const CLAIM: &str = "claim alerts";

/// Alerts in the order of their making: a statement that changes them returns them in any.
pub(crate) fn claimed(mut rows: Vec<(i64, String)>) -> Result<Vec<UsageAlert>, StoreError> {
    rows.sort_unstable_by_key(|(sequence, _)| *sequence);
    rows.iter().map(|(_, json)| one::<AlertRow, _>(CLAIM, json)).collect()
}
