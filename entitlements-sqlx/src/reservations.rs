//! What the statements about reservations answer.

use chrono::{DateTime, Utc};
use entitlements_core::Amount;
use entitlements_core::reservation::{CommitOutcome, Reservation, ReservationEnd, ReserveOutcome};
use entitlements_core::store::{StoreError, StoreErrorKind};
use entitlements_core::usage::{Counter, Debit};

use crate::receipts;
use crate::rows::{ReservationRow, one};

/// A reservation that was just made.
pub(crate) fn reserved(
    operation: &'static str,
    debit: &Debit,
    expires_at: DateTime<Utc>,
    used: i64,
    split: &str,
) -> Result<ReserveOutcome, StoreError> {
    let held = receipts::made(operation, debit, used, split)?;
    Ok(ReserveOutcome::Reserved(Reservation { held, expires_at: receipts::kept(expires_at), end: None }))
}

/// What an attempt to reserve is whose key names a reservation.
pub(crate) fn known(debit: &Debit, first: Reservation) -> ReserveOutcome {
    if first.held.is_same_call(&debit.meter, debit.amount, debit.user.as_ref()) {
        ReserveOutcome::Duplicate(first)
    } else {
        ReserveOutcome::Conflict
    }
}

/// What a commit came to that found the reservation so, or left it so.
pub(crate) fn committed(
    operation: &'static str,
    is_new: bool,
    reservation: Reservation,
    actual: Amount,
) -> Result<CommitOutcome, StoreError> {
    match reservation.end {
        Some(ReservationEnd::Committed(settlement)) if is_new => Ok(CommitOutcome::Committed(settlement)),
        Some(end) if !is_new => Ok(CommitOutcome::of_ended(end, actual)),
        _ => Err(StoreError::new(StoreErrorKind::Corrupt, operation)),
    }
}

/// The reservation among the rows of a statement that reads one.
pub(crate) fn reservation(
    operation: &'static str,
    rows: &[(String,)],
) -> Result<Option<Reservation>, StoreError> {
    rows.first().map(|(json,)| one::<ReservationRow, _>(operation, json)).transpose()
}

/// Whether it makes sense to set units aside so.
pub(crate) fn is_well_formed(debit: &Debit, expires_at: DateTime<Utc>) -> bool {
    debit.is_well_formed() && expires_at.timestamp_micros() > debit.at.timestamp_micros()
}

/// The counters of a debit, as statements read them and reservations keep them.
pub(crate) fn counters_json(debit: &Debit) -> String {
    counters(debit).to_string()
}

/// The counters of a debit, tallies last.
pub(crate) fn counters(debit: &Debit) -> serde_json::Value {
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
    serde_json::Value::Array(buckets.chain(tallies).collect())
}
