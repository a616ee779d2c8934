//! What the statements about gauges answer.

use chrono::DateTime;
use entitlements_core::Amount;
use entitlements_core::gauge::{Holder, LevelOutcome};
use entitlements_core::id::HolderId;
use entitlements_core::store::{Page, StoreError};

use crate::error::corrupt;
use crate::paging::page_of;

/// A stored number of units.
pub(crate) fn units(operation: &'static str, number: i64) -> Result<Amount, StoreError> {
    Amount::try_from(number).map_err(corrupt(operation))
}

/// What a report of a level came to: the units used if it was taken.
pub(crate) fn level_set(operation: &'static str, used: Option<i64>) -> Result<LevelOutcome, StoreError> {
    used.map_or(Ok(LevelOutcome::Refused), |used| units(operation, used).map(LevelOutcome::Set))
}

/// A page of holders, out of rows of holder and instant.
pub(crate) fn holders(
    operation: &'static str,
    rows: Vec<(String, i64)>,
    limit: usize,
) -> Result<Page<Holder>, StoreError> {
    let holder = |(id, since): (String, i64)| {
        Ok(Holder {
            holder: HolderId::try_from(id).map_err(corrupt(operation))?,
            since: DateTime::from_timestamp_micros(since)
                .ok_or_else(|| corrupt(operation)("an instant is out of range"))?,
        })
    };
    let items = rows.into_iter().map(holder).collect::<Result<_, _>>()?;
    Ok(page_of(items, limit, |last: &Holder| last.holder.to_string()))
}
