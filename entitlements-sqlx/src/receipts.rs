//! What a debit came to.

use chrono::{DateTime, Utc};
use entitlements_core::Amount;
use entitlements_core::id::CompanyId;
use entitlements_core::store::{StoreError, StoreErrorKind};
use entitlements_core::usage::{Debit, DebitOutcome, Receipt, RecordOutcome};

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
    Ok(Receipt {
        id: debit.receipt.clone(),
        company: debit.company.clone(),
        user: debit.user.clone(),
        key: debit.key.clone(),
        meter: debit.meter.clone(),
        amount: debit.amount,
        at: kept(debit.at),
        split: many::<SplitRow, _>(operation, split)?,
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
