//! Usage as JSON: receipts, and how every quota stands.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use entitlements_core::id::{FeatureKey, ReceiptId};
use entitlements_core::usage::Receipt;
use entitlements_core::{Amount, UsageItem};
use serde::Serialize;

/// What became of a report of usage that was not refused.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// It was counted, just now.
    Recorded,
    /// It had been counted before; the numbers are those of then.
    Duplicate,
}

/// A receipt.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReceiptShape {
    outcome: Outcome,
    receipt_id: ReceiptId,
    meter: FeatureKey,
    amount: Amount,
    used: Amount,
    /// `None` is unlimited.
    limit: Option<Amount>,
    remaining: Option<Amount>,
    resets_at: Option<DateTime<Utc>>,
}

impl ReceiptShape {
    pub(crate) fn new(outcome: Outcome, receipt: Receipt) -> Self {
        Self {
            outcome,
            remaining: receipt.remaining(),
            receipt_id: receipt.id,
            meter: receipt.meter,
            amount: receipt.amount,
            used: receipt.used,
            limit: receipt.limit,
            resets_at: receipt.resets_at,
        }
    }
}

/// How one meter or gauge stands.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UsageShape {
    meter: &'static str,
    /// `None` is unlimited.
    limit: Option<Amount>,
    used: Amount,
    remaining: Option<Amount>,
    overage: Amount,
    soft: bool,
    resets_at: Option<DateTime<Utc>>,
    /// What the members of a pool have contributed; empty for everything else.
    parts: BTreeMap<&'static str, Amount>,
}

impl From<UsageItem> for UsageShape {
    fn from(item: UsageItem) -> Self {
        let UsageItem { quota, parts } = item;
        Self {
            meter: quota.meter,
            limit: quota.limit,
            used: quota.used,
            remaining: quota.remaining,
            overage: quota.overage,
            soft: quota.soft,
            resets_at: quota.resets_at,
            parts,
        }
    }
}
