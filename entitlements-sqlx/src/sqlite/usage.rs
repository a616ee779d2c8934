//! Debits, refunds and alerts: one statement each.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::Amount;
use entitlements_core::id::{CompanyId, IdempotencyKey, ReceiptId, UserId};
use entitlements_core::store::{StoreError, StoreErrorKind, UsageStore};
use entitlements_core::usage::{Counter, Debit, DebitOutcome, Receipt, UsageAlert};

use super::{SqliteStore, sql};
use crate::receipts;
use crate::rows::{AlertRow, one};

const DEBIT: &str = "debit units";
const REFUND: &str = "refund a receipt";
const RECEIPT: &str = "read a receipt";
const ALERTS: &str = "read the pending alerts";
const ACKNOWLEDGE: &str = "acknowledge an alert";

#[async_trait]
impl UsageStore for SqliteStore {
    async fn debit(&self, debit: &Debit) -> Result<DebitOutcome, StoreError> {
        if !debit.is_well_formed() {
            return Err(StoreError::new(StoreErrorKind::Unsupported, DEBIT));
        }
        let query = sqlx::query_as(sql::DEBIT)
            .bind(debit.company.as_str())
            .bind(debit.key.as_str())
            .bind(debit.receipt.as_str())
            .bind(debit.user.as_ref().map(UserId::as_str))
            .bind(debit.meter.as_str())
            .bind(debit.amount.as_i64())
            .bind(debit.at.timestamp_micros())
            .bind(debit.limit.map(Amount::as_i64))
            .bind(debit.resets_at.map(|at| at.timestamp_micros()))
            .bind(counters_json(debit));
        if let Some((used, split)) = self.write::<(i64, String)>(DEBIT, query).await? {
            return receipts::recorded(DEBIT, debit, used, &split);
        }
        // A key that is found now may have been free then; then another call with it came first, which is the same thing.
        let first = self.find_receipt(DEBIT, sql::RECEIPT_BY_KEY, &debit.company, debit.key.as_str()).await?;
        Ok(receipts::not_recorded(debit, first))
    }

    async fn refund(
        &self,
        company: &CompanyId,
        receipt: &ReceiptId,
        at: DateTime<Utc>,
    ) -> Result<Option<Receipt>, StoreError> {
        let query = sqlx::query_as(sql::REFUND)
            .bind(company.as_str())
            .bind(receipt.as_str())
            .bind(at.timestamp_micros());
        if let Some((json,)) = self.write::<(String,)>(REFUND, query).await? {
            return receipts::receipt(REFUND, &[(json,)]);
        }
        self.find_receipt(REFUND, sql::RECEIPT_BY_ID, company, receipt.as_str()).await
    }

    async fn receipt(
        &self,
        company: &CompanyId,
        key: &IdempotencyKey,
    ) -> Result<Option<Receipt>, StoreError> {
        self.find_receipt(RECEIPT, sql::RECEIPT_BY_KEY, company, key.as_str()).await
    }

    async fn pending_alerts(&self, limit: usize) -> Result<Vec<UsageAlert>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows: Vec<(String,)> = self.read(ALERTS, sqlx::query_as(sql::PENDING_ALERTS).bind(limit)).await?;
        rows.iter().map(|(json,)| one::<AlertRow, _>(ALERTS, json)).collect()
    }

    async fn acknowledge_alert(&self, alert: &UsageAlert) -> Result<(), StoreError> {
        let query = sqlx::query(sql::ACKNOWLEDGE_ALERT)
            .bind(alert.company.as_str())
            .bind(alert.meter.as_str())
            .bind(alert.bucket.to_string())
            .bind(alert.period_start.timestamp_micros())
            .bind(i64::from(alert.percent))
            .bind(alert.threshold.as_i64());
        self.execute(ACKNOWLEDGE, query).await
    }
}

impl SqliteStore {
    async fn find_receipt(
        &self,
        operation: &'static str,
        statement: &'static str,
        company: &CompanyId,
        name: &str,
    ) -> Result<Option<Receipt>, StoreError> {
        let query = sqlx::query_as(statement).bind(company.as_str()).bind(name);
        receipts::receipt(operation, &self.read(operation, query).await?)
    }
}

/// The counters of a debit, as its statement reads them.
fn counters_json(debit: &Debit) -> String {
    let row = |bucket: Option<usize>, shown: bool, counter: &Counter| {
        serde_json::json!([
            bucket,
            u8::from(shown),
            counter.meter,
            counter.bucket.to_string(),
            counter.period.start.timestamp_micros(),
            counter.period.end.map(|end| end.timestamp_micros()),
            counter.limit,
            counter.alerts,
        ])
    };
    let buckets = debit.buckets.iter().enumerate().flat_map(|(number, bucket)| {
        bucket.counters.iter().enumerate().map(move |(place, counter)| row(Some(number), place == 0, counter))
    });
    let tallies = debit.tallies.iter().map(|counter| row(None, false, counter));
    serde_json::Value::Array(buckets.chain(tallies).collect()).to_string()
}
