//! What a debit came to.

use std::error::Error as _;

use chrono::{DateTime, Utc};
use entitlements_core::Amount;
use entitlements_core::id::CompanyId;
use entitlements_core::store::{StoreError, StoreErrorKind};
use entitlements_core::usage::{Counter, Debit, DebitOutcome, Receipt, RecordOutcome, Split};
use sqlx::error::DatabaseError;

use crate::error::corrupt;
use crate::reservations::counters;
use crate::rows::{Known, ReceiptRow, SplitRow, many, one};

/// The receipt of a debit that was just made.
pub(crate) fn recorded(
    operation: &'static str,
    debit: &Debit,
    used: i64,
    split: &str,
) -> Result<DebitOutcome, StoreError> {
    made(operation, debit, used, split).map(DebitOutcome::Recorded)
}

/// The receipt of units that were just taken.
pub(crate) fn made(
    operation: &'static str,
    debit: &Debit,
    used: i64,
    split: &str,
) -> Result<Receipt, StoreError> {
    receipt_of(operation, debit, used, many::<SplitRow, _>(operation, split)?)
}

/// The receipt of units that were just taken from the one counter of a debit.
pub(crate) fn made_plainly(
    operation: &'static str,
    debit: &Debit,
    counter: &Counter,
    used: i64,
) -> Result<DebitOutcome, StoreError> {
    let part = Split {
        meter: counter.meter.clone(),
        bucket: counter.bucket.clone(),
        period_start: kept(counter.period.start),
        amount: debit.amount,
    };
    receipt_of(operation, debit, used, vec![part]).map(DebitOutcome::Recorded)
}

/// The counter of a debit that takes from one, if whether one of its thresholds is crossed can be seen by counting those below.
pub(crate) fn only_counter(debit: &Debit) -> Option<&Counter> {
    let [bucket] = debit.buckets.as_slice() else { return None };
    let [counter] = bucket.counters.as_slice() else { return None };
    let is_plain = debit.tallies.is_empty() && counter.alerts.is_sorted_by_key(|(_, threshold)| *threshold);
    is_plain.then_some(counter)
}

/// The units of debits up to each of them, itself included; nothing if they do not fit into a number.
pub(crate) fn sums(debits: &[Debit]) -> Option<Vec<i64>> {
    let mut sum = 0_i64;
    let units = debits.iter().map(|debit| debit.amount.as_i64());
    units
        .map(|units| {
            sum = sum.checked_add(units)?;
            Some(sum)
        })
        .collect()
}

/// Whether a statement failed since somebody has the key, or the receipt.
pub(crate) fn is_taken(error: &StoreError) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<sqlx::Error>());
    source.and_then(sqlx::Error::as_database_error).is_some_and(DatabaseError::is_unique_violation)
}

/// How the split of a receipt begins that lists this counter alone, up to the units.
pub(crate) fn beginning(counter: &Counter) -> String {
    let counter = serde_json::json!([
        counter.meter,
        counter.bucket.to_string(),
        counter.period.start.timestamp_micros(),
        counter.period.end.map(|end| end.timestamp_micros()),
    ]);
    let mut text = format!("[{counter}");
    text.pop();
    text.push(',');
    text
}

fn receipt_of(
    operation: &'static str,
    debit: &Debit,
    used: i64,
    split: Vec<Split>,
) -> Result<Receipt, StoreError> {
    Ok(Receipt {
        id: debit.receipt.clone(),
        company: debit.company.clone(),
        user: debit.user.clone(),
        key: debit.key.clone(),
        meter: debit.meter.clone(),
        amount: debit.amount,
        at: kept(debit.at),
        split,
        used: Amount::try_from(used).map_err(corrupt(operation))?,
        limit: debit.limit,
        resets_at: debit.resets_at.map(kept),
        refunded_at: None,
    })
}

/// An instant as it is stored: in whole microseconds.
pub(crate) fn kept(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}

/// What a debit is that took nothing: one that was made before if its key is known, and refused otherwise.
pub(crate) fn not_recorded(debit: &Debit, first: Option<Known>) -> DebitOutcome {
    match first {
        None => DebitOutcome::Refused,
        Some(Known::Receipt(first))
            if first.is_same_call(&debit.meter, debit.amount, debit.user.as_ref()) =>
        {
            DebitOutcome::Duplicate(first)
        }
        Some(_) => DebitOutcome::Conflict,
    }
}

/// What an event is that was not recorded, since its key is known.
pub(crate) fn repeated(event: &Debit, first: Known) -> RecordOutcome {
    match not_recorded(event, Some(first)) {
        DebitOutcome::Duplicate(_) => RecordOutcome::Duplicate,
        _ => RecordOutcome::Conflict,
    }
}

/// Events as the statement reads them, counted in full; an error if one makes no sense.
pub(crate) fn events_json(
    operation: &'static str,
    company: &CompanyId,
    events: &[Debit],
) -> Result<String, StoreError> {
    if !events.iter().all(|event| event.is_event_of(company)) {
        return Err(StoreError::new(StoreErrorKind::Unsupported, operation));
    }
    Ok(serde_json::Value::Array(events.iter().map(|event| row(event, &event.clone().in_full())).collect())
        .to_string())
}

/// Debits as the statement reads them.
#[cfg(feature = "sqlite")]
pub(crate) fn debits_json(debits: &[Debit]) -> String {
    serde_json::Value::Array(debits.iter().map(|debit| row(debit, debit)).collect()).to_string()
}

/// Debits of one counter as the statement reads them, with the units up to each.
#[cfg(feature = "sqlite")]
pub(crate) fn plain_debits_json(
    operation: &'static str,
    debits: &[Debit],
    sums: &[i64],
) -> Result<String, StoreError> {
    let each = debits.iter().zip(sums);
    let rows: Vec<_> = each
        .map(|(debit, sum)| {
            let Debit { key, receipt, user, amount, at, .. } = debit;
            (key, receipt, user, amount, at.timestamp_micros(), sum)
        })
        .collect();
    serde_json::to_string(&rows)
        .map_err(|error| StoreError::new(StoreErrorKind::Internal, operation).with_source(error))
}

/// What a statement reads of a debit, with the counters of another that differs in nothing else.
fn row(debit: &Debit, counted: &Debit) -> serde_json::Value {
    serde_json::json!([
        debit.key,
        debit.receipt,
        debit.user,
        debit.meter,
        debit.amount,
        debit.at.timestamp_micros(),
        debit.limit,
        debit.resets_at.map(|at| at.timestamp_micros()),
        counters(counted),
    ])
}

/// What a key names, among the rows of a statement that reads it.
pub(crate) fn known(operation: &'static str, rows: &[(String,)]) -> Result<Option<Known>, StoreError> {
    rows.first().map(|(json,)| one::<ReceiptRow, _>(operation, json)).transpose()
}

/// The receipt among the rows of a statement that reads one.
pub(crate) fn receipt(operation: &'static str, rows: &[(String,)]) -> Result<Option<Receipt>, StoreError> {
    Ok(match known(operation, rows)? {
        Some(Known::Receipt(receipt)) => Some(receipt),
        Some(Known::Reservation) | None => None,
    })
}
