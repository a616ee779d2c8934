//! Debits, refunds and alerts: one statement each.

use std::collections::HashSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::Amount;
use entitlements_core::id::{CompanyId, IdempotencyKey, ReceiptId, UserId};
use entitlements_core::store::{GroupStore, StoreError, StoreErrorKind, UsageStore};
use entitlements_core::usage::{Counter, Debit, DebitOutcome, Receipt, RecordOutcome, UsageAlert};
use sqlx::FromRow;
use sqlx::sqlite::SqliteRow;

use super::transaction::Run;
use super::{SqliteStore, Typed, sql};
use crate::alerts;
use crate::receipts::{self, debits_json, events_json, plain_debits_json};
use crate::reservations::counters_json;
use crate::rows::{AlertRow, Known, ReceiptRow, one};

const DEBIT: &str = "debit units";
const RECORD: &str = "record usage";
const REFUND: &str = "refund a receipt";
const RECEIPT: &str = "read a receipt";
const ALERTS: &str = "read the pending alerts";
const ACKNOWLEDGE: &str = "acknowledge an alert";

#[async_trait]
impl UsageStore for SqliteStore {
    async fn debit(&self, debit: &Debit) -> Result<DebitOutcome, StoreError> {
        debit_on(&mut &*self, debit).await
    }

    async fn record(&self, company: &CompanyId, events: &[Debit]) -> Result<Vec<RecordOutcome>, StoreError> {
        let rows = events_json(RECORD, company, events)?;
        let query = sqlx::query_as(sql::RECORD).bind(company.as_str()).bind(rows);
        let mut answers: Vec<(i64, bool, String)> = self.write_all(RECORD, query).await?;
        answers.sort_by_key(|(place, ..)| *place);
        if answers.len() != events.len() {
            return Err(StoreError::new(StoreErrorKind::Corrupt, RECORD));
        }
        let mut recorded = HashSet::new();
        let outcomes = events.iter().zip(answers).map(|(event, (_, is_new, known))| {
            // Of several with one key the first is new.
            if is_new && recorded.insert(&event.key) {
                return Ok(RecordOutcome::Recorded);
            }
            Ok(receipts::repeated(event, one::<ReceiptRow, _>(RECORD, &known)?))
        });
        outcomes.collect()
    }

    async fn refund(
        &self,
        company: &CompanyId,
        receipt: &ReceiptId,
        at: DateTime<Utc>,
    ) -> Result<Option<Receipt>, StoreError> {
        refund_on(&mut &*self, company, receipt, at).await
    }

    async fn receipt(
        &self,
        company: &CompanyId,
        key: &IdempotencyKey,
    ) -> Result<Option<Receipt>, StoreError> {
        receipt_on(&mut &*self, company, key).await
    }

    async fn pending_alerts(&self, limit: usize) -> Result<Vec<UsageAlert>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows: Vec<(String,)> = self.read(ALERTS, sqlx::query_as(sql::PENDING_ALERTS).bind(limit)).await?;
        rows.iter().map(|(json,)| one::<AlertRow, _>(ALERTS, json)).collect()
    }

    async fn claim_alerts(
        &self,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<UsageAlert>, StoreError> {
        let query = sqlx::query_as(sql::CLAIM_ALERTS)
            .bind(until.timestamp_micros())
            .bind(now.timestamp_micros())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        alerts::claimed(self.write_all(alerts::CLAIM, query).await?)
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

#[async_trait]
impl GroupStore for SqliteStore {
    async fn debit_group(&self, debits: &[Debit]) -> Result<Vec<DebitOutcome>, StoreError> {
        let Some(first) = debits.first() else { return Ok(Vec::new()) };
        if !Debit::is_group(debits) {
            return Err(StoreError::new(StoreErrorKind::Unsupported, DEBIT));
        }
        if let Some(outcomes) = self.debit_group_plainly(first, debits).await? {
            return Ok(outcomes);
        }
        let query = sqlx::query_as(sql::DEBIT_GROUP).bind(first.company.as_str()).bind(debits_json(debits));
        let mut answers: Vec<(i64, Option<bool>, Option<String>)> = self.write_all(DEBIT, query).await?;
        answers.sort_by_key(|(place, ..)| *place);
        if answers.len() != debits.len() {
            return Err(StoreError::new(StoreErrorKind::Corrupt, DEBIT));
        }
        let outcomes = debits.iter().zip(answers).map(|(debit, (_, is_new, known))| {
            let known = known.map(|json| one::<ReceiptRow, _>(DEBIT, &json)).transpose()?;
            match (is_new, known) {
                (Some(true), Some(Known::Receipt(receipt))) => Ok(DebitOutcome::Recorded(receipt)),
                (Some(true), _) => Err(StoreError::new(StoreErrorKind::Corrupt, DEBIT)),
                (_, known) => Ok(receipts::not_recorded(debit, known)),
            }
        });
        outcomes.collect()
    }
}

impl SqliteStore {
    /// Makes the debits of a group, if all of them are plain; makes none otherwise.
    async fn debit_group_plainly(
        &self,
        first: &Debit,
        debits: &[Debit],
    ) -> Result<Option<Vec<DebitOutcome>>, StoreError> {
        let (Some(counter), Some(sums)) = (receipts::only_counter(first), receipts::sums(debits)) else {
            return Ok(None);
        };
        let query = sqlx::query_as(sql::DEBIT_GROUP_PLAIN)
            .bind(first.company.as_str())
            .bind(plain_debits_json(DEBIT, debits, &sums)?)
            .bind(first.limit.map(Amount::as_i64))
            .bind(first.resets_at.map(|at| at.timestamp_micros()))
            .bind(first.meter.as_str())
            .bind(sums.last().copied())
            .bind(debits.iter().map(|debit| debit.at.timestamp_micros()).max())
            .bind(receipts::beginning(counter));
        let query = with_counter(query, counter).bind(counter.period.end.map(|end| end.timestamp_micros()));
        let before = match self.write::<(i64,)>(DEBIT, query).await {
            Ok(Some((before,))) => before,
            Ok(None) => return Ok(None),
            Err(error) if receipts::is_taken(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let made = |(debit, sum): (&Debit, i64)| {
            receipts::made_plainly(DEBIT, debit, counter, before.saturating_add(sum))
        };
        debits.iter().zip(sums).map(made).collect::<Result<_, _>>().map(Some)
    }
}

/// A statement with a counter, its limit and its thresholds.
fn with_counter<'q, R>(query: Typed<'q, R>, counter: &'q Counter) -> Typed<'q, R> {
    let thresholds: Vec<_> = counter.alerts.iter().map(|(_, threshold)| threshold).collect();
    query
        .bind(counter.meter.as_str())
        .bind(counter.bucket.to_string())
        .bind(counter.period.start.timestamp_micros())
        .bind(counter.limit.map(Amount::as_i64))
        .bind(serde_json::json!(thresholds).to_string())
}

/// Takes units where the statement runs.
pub(super) async fn debit_on(run: &mut impl Run, debit: &Debit) -> Result<DebitOutcome, StoreError> {
    if !debit.is_well_formed() {
        return Err(StoreError::new(StoreErrorKind::Unsupported, DEBIT));
    }
    if let Some(counter) = receipts::only_counter(debit) {
        let query = named(sql::DEBIT_PLAIN, debit).bind(receipts::beginning(counter));
        if let Some((used,)) = run.write::<(i64,)>(DEBIT, with_counter(query, counter)).await? {
            return receipts::made_plainly(DEBIT, debit, counter, used);
        }
    }
    let query = bound(sql::DEBIT, debit);
    if let Some((used, split)) = run.write::<(i64, String)>(DEBIT, query).await? {
        return receipts::recorded(DEBIT, debit, used, &split);
    }
    // A key that is found now may have been free then; then another call with it came first, which is the same thing.
    let query = sqlx::query_as(sql::RECEIPT_BY_KEY).bind(debit.company.as_str()).bind(debit.key.as_str());
    let first = receipts::known(DEBIT, &run.read(DEBIT, query).await?)?;
    Ok(receipts::not_recorded(debit, first))
}

/// Gives a receipt back where the statement runs.
pub(super) async fn refund_on(
    run: &mut impl Run,
    company: &CompanyId,
    receipt: &ReceiptId,
    at: DateTime<Utc>,
) -> Result<Option<Receipt>, StoreError> {
    let query =
        sqlx::query_as(sql::REFUND).bind(company.as_str()).bind(receipt.as_str()).bind(at.timestamp_micros());
    if let Some((json,)) = run.write::<(String,)>(REFUND, query).await? {
        return receipts::receipt(REFUND, &[(json,)]);
    }
    find_receipt(run, REFUND, sql::RECEIPT_BY_ID, company, receipt.as_str()).await
}

/// Reads a receipt where the statement runs.
pub(super) async fn receipt_on(
    run: &mut impl Run,
    company: &CompanyId,
    key: &IdempotencyKey,
) -> Result<Option<Receipt>, StoreError> {
    find_receipt(run, RECEIPT, sql::RECEIPT_BY_KEY, company, key.as_str()).await
}

async fn find_receipt(
    run: &mut impl Run,
    operation: &'static str,
    statement: &'static str,
    company: &CompanyId,
    name: &str,
) -> Result<Option<Receipt>, StoreError> {
    let query = sqlx::query_as(statement).bind(company.as_str()).bind(name);
    receipts::receipt(operation, &run.read(operation, query).await?)
}

/// A statement with everything about a debit.
pub(super) fn bound<'q>(statement: &'static str, debit: &'q Debit) -> Typed<'q, (i64, String)> {
    named(statement, debit).bind(counters_json(debit))
}

/// A statement with everything about a debit but its counters.
fn named<'q, R>(statement: &'static str, debit: &'q Debit) -> Typed<'q, R>
where
    R: for<'r> FromRow<'r, SqliteRow>,
{
    sqlx::query_as(statement)
        .bind(debit.company.as_str())
        .bind(debit.key.as_str())
        .bind(debit.receipt.as_str())
        .bind(debit.user.as_ref().map(UserId::as_str))
        .bind(debit.meter.as_str())
        .bind(debit.amount.as_i64())
        .bind(debit.at.timestamp_micros())
        .bind(debit.limit.map(Amount::as_i64))
        .bind(debit.resets_at.map(|at| at.timestamp_micros()))
}
