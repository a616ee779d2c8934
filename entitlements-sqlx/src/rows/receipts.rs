//! What was taken from where: receipts, reservations and alerts.

use chrono::serde::{ts_microseconds, ts_microseconds_option};
use chrono::{DateTime, Utc};
use entitlements_core::Amount;
use entitlements_core::bucket::Bucket;
use entitlements_core::id::{CompanyId, FeatureKey, IdempotencyKey, ReceiptId, UserId};
use entitlements_core::reservation::{Reservation, ReservationEnd, Settlement};
use entitlements_core::usage::{Receipt, Split, UsageAlert};
use serde::Deserialize;

use super::{json_text, optional_flag, optional_json_text, parsed};

#[derive(Deserialize)]
pub(crate) struct SplitRow {
    meter: FeatureKey,
    #[serde(deserialize_with = "parsed")]
    bucket: Bucket,
    #[serde(with = "ts_microseconds")]
    period_start: DateTime<Utc>,
    #[serde(rename = "period_end")]
    _period_end: Option<i64>,
    amount: Amount,
    #[serde(rename = "after")]
    _after: Amount,
    #[serde(rename = "crossed")]
    _crossed: Vec<(u16, Amount)>,
}

impl From<SplitRow> for Split {
    fn from(row: SplitRow) -> Self {
        Self { meter: row.meter, bucket: row.bucket, period_start: row.period_start, amount: row.amount }
    }
}

#[derive(Deserialize)]
pub(crate) struct ReceiptRow {
    id: ReceiptId,
    company: CompanyId,
    user: Option<UserId>,
    key: IdempotencyKey,
    meter: FeatureKey,
    amount: Amount,
    #[serde(with = "ts_microseconds")]
    at: DateTime<Utc>,
    #[serde(deserialize_with = "json_text")]
    split: Vec<SplitRow>,
    used: Amount,
    limit: Option<Amount>,
    #[serde(with = "ts_microseconds_option")]
    resets_at: Option<DateTime<Utc>>,
    #[serde(with = "ts_microseconds_option")]
    refunded_at: Option<DateTime<Utc>>,
    /// For a reservation: whether it was committed.
    #[serde(deserialize_with = "optional_flag")]
    committed: Option<bool>,
}

/// What the key of a receipt names.
#[derive(Debug)]
pub(crate) enum Known {
    /// A receipt.
    Receipt(Receipt),
    /// A reservation without one.
    Reservation,
}

impl From<ReceiptRow> for Known {
    fn from(row: ReceiptRow) -> Self {
        if row.committed == Some(false) {
            return Self::Reservation;
        }
        Self::Receipt(Receipt {
            id: row.id,
            company: row.company,
            user: row.user,
            key: row.key,
            meter: row.meter,
            amount: row.amount,
            at: row.at,
            split: row.split.into_iter().map(Into::into).collect(),
            used: row.used,
            limit: row.limit,
            resets_at: row.resets_at,
            refunded_at: row.refunded_at,
        })
    }
}

#[derive(Deserialize)]
pub(crate) struct ReservationRow {
    id: ReceiptId,
    company: CompanyId,
    user: Option<UserId>,
    key: IdempotencyKey,
    meter: FeatureKey,
    amount: Amount,
    #[serde(with = "ts_microseconds")]
    at: DateTime<Utc>,
    #[serde(deserialize_with = "json_text")]
    split: Vec<SplitRow>,
    used: Amount,
    limit: Option<Amount>,
    #[serde(with = "ts_microseconds_option")]
    resets_at: Option<DateTime<Utc>>,
    #[serde(with = "ts_microseconds")]
    expires_at: DateTime<Utc>,
    #[serde(with = "ts_microseconds_option")]
    ended_at: Option<DateTime<Utc>>,
    actual: Option<Amount>,
    taken: Option<Amount>,
    used_then: Option<Amount>,
    #[serde(deserialize_with = "optional_json_text")]
    split_then: Option<Vec<SplitRow>>,
    #[serde(with = "ts_microseconds_option")]
    refunded_at: Option<DateTime<Utc>>,
}

impl From<ReservationRow> for Reservation {
    fn from(row: ReservationRow) -> Self {
        let held = Receipt {
            id: row.id,
            company: row.company,
            user: row.user,
            key: row.key,
            meter: row.meter,
            amount: row.amount,
            at: row.at,
            split: row.split.into_iter().map(Into::into).collect(),
            used: row.used,
            limit: row.limit,
            resets_at: row.resets_at,
            refunded_at: None,
        };
        let (taken, used) = (row.taken.unwrap_or_default(), row.used_then.unwrap_or_default());
        let split = row.split_then.into_iter().flatten().map(Into::into).collect();
        let end = match (row.ended_at, row.actual) {
            (None, _) => None,
            (Some(at), None) => Some(ReservationEnd::Released { at }),
            (Some(at), Some(actual)) => {
                let receipt = (!taken.is_zero()).then(|| Receipt {
                    amount: taken,
                    at,
                    split,
                    used,
                    refunded_at: row.refunded_at,
                    ..held.clone()
                });
                Some(ReservationEnd::Committed(Settlement { actual, at, receipt }))
            }
        };
        Self { held, expires_at: row.expires_at, end }
    }
}

#[derive(Deserialize)]
pub(crate) struct AlertRow {
    company: CompanyId,
    meter: FeatureKey,
    #[serde(deserialize_with = "parsed")]
    bucket: Bucket,
    #[serde(with = "ts_microseconds")]
    period_start: DateTime<Utc>,
    percent: u16,
    threshold: Amount,
    used: Amount,
    #[serde(with = "ts_microseconds")]
    at: DateTime<Utc>,
}

impl From<AlertRow> for UsageAlert {
    fn from(row: AlertRow) -> Self {
        Self {
            company: row.company,
            meter: row.meter,
            bucket: row.bucket,
            period_start: row.period_start,
            percent: row.percent,
            threshold: row.threshold,
            used: row.used,
            at: row.at,
        }
    }
}
