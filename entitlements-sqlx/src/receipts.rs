//! What a debit came to.

use chrono::{DateTime, Utc};
use entitlements_core::Amount;
use entitlements_core::store::StoreError;
use entitlements_core::usage::{Debit, DebitOutcome, Receipt};

use crate::error::corrupt;
use crate::rows::{ReceiptRow, SplitRow, many, one};

/// The receipt of a debit that was just made.
pub(crate) fn recorded(
    operation: &'static str,
    debit: &Debit,
    used: i64,
    split: &str,
) -> Result<DebitOutcome, StoreError> {
    let kept = |at: DateTime<Utc>| DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at);
    Ok(DebitOutcome::Recorded(Receipt {
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
    }))
}

/// What a debit is that took nothing: one that was made before if its key is known, and refused otherwise.
pub(crate) fn not_recorded(debit: &Debit, first: Option<Receipt>) -> DebitOutcome {
    match first {
        None => DebitOutcome::Refused,
        Some(first) if first.is_same_call(&debit.meter, debit.amount, debit.user.as_ref()) => {
            DebitOutcome::Duplicate(first)
        }
        Some(_) => DebitOutcome::Conflict,
    }
}

/// The receipt among the rows of a statement that reads one.
pub(crate) fn receipt(operation: &'static str, rows: &[(String,)]) -> Result<Option<Receipt>, StoreError> {
    rows.first().map(|(json,)| one::<ReceiptRow, _>(operation, json)).transpose()
}
