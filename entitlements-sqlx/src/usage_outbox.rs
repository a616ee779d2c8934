//! Usage that is billed: the same statements in both dialects.

use chrono::{DateTime, Utc};
use entitlements_core::Amount;
use entitlements_core::billing::{UnsettledUsage, UsageOutcome, UsageRecord, UsageRecordState};
use entitlements_core::id::FeatureKey;
use entitlements_core::store::StoreError;

use crate::error::corrupt;

pub(crate) const BILL: &str = "say which meters are billed";
pub(crate) const CLAIM: &str = "claim usage";
pub(crate) const FINISH: &str = "finish an attempt to report usage";
pub(crate) const FIND: &str = "read a record of usage";
pub(crate) const SUM: &str = "sum up unsettled usage";

fn instant(operation: &'static str, micros: i64) -> Result<DateTime<Utc>, StoreError> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| corrupt(operation)("an instant is out of range"))
}

fn state(operation: &'static str, word: &str) -> Result<UsageRecordState, StoreError> {
    let known = UsageRecordState::ALL.into_iter().find(|state| state.as_str() == word);
    known.ok_or_else(|| corrupt(operation)(format!("`{word}` is no state of usage")))
}

fn amount(operation: &'static str, units: i128) -> Result<Amount, StoreError> {
    let units = u64::try_from(units.min(i128::from(i64::MAX))).map_err(corrupt(operation))?;
    Amount::new(units).ok_or_else(|| corrupt(operation)("an amount is out of range"))
}

pub(crate) type Row =
    (i64, String, String, String, String, i64, i64, String, i64, Option<i64>, Option<String>);

pub(crate) fn record(row: Row) -> Result<UsageRecord, StoreError> {
    let (_, id, company, receipt, meter, units, at, word, attempts, tried_at, note) = row;
    Ok(UsageRecord {
        id: id.try_into().map_err(corrupt(FIND))?,
        company: company.try_into().map_err(corrupt(FIND))?,
        receipt: receipt.try_into().map_err(corrupt(FIND))?,
        meter: meter.try_into().map_err(corrupt(FIND))?,
        amount: amount(FIND, units.into())?,
        at: instant(FIND, at)?,
        state: state(FIND, &word)?,
        attempts: attempts.try_into().map_err(corrupt(FIND))?,
        tried_at: tried_at.map(|at| instant(FIND, at)).transpose()?,
        note,
    })
}

/// Records in the order of their making: a statement that changes them returns them in any.
pub(crate) fn records(mut rows: Vec<Row>) -> Result<Vec<UsageRecord>, StoreError> {
    rows.sort_unstable_by_key(|row| row.0);
    rows.into_iter().map(record).collect()
}

pub(crate) type SumRow = (String, String, i64, i64, i64, i64);

pub(crate) fn unsettled(
    (meter, word, records, high, low, oldest): SumRow,
) -> Result<UnsettledUsage, StoreError> {
    Ok(UnsettledUsage {
        meter: meter.try_into().map_err(corrupt(SUM))?,
        state: state(SUM, &word)?,
        records: records.try_into().map_err(corrupt(SUM))?,
        amount: amount(SUM, (i128::from(high) << 32) + i128::from(low))?,
        oldest: instant(SUM, oldest)?,
    })
}

/// The meters as a list in JSON.
pub(crate) fn list(meters: &[FeatureKey]) -> String {
    serde_json::Value::from(meters.iter().map(FeatureKey::as_str).collect::<Vec<_>>()).to_string()
}

/// The word of an outcome, its note, when it is due again, and since when the provider may have it.
pub(crate) fn outcome(outcome: &UsageOutcome) -> (&'static str, Option<&str>, Option<i64>, Option<i64>) {
    let micros = |at: &Option<DateTime<Utc>>| at.map(|at| at.timestamp_micros());
    match outcome {
        UsageOutcome::Sent => ("sent", None, None, None),
        UsageOutcome::Refused { why, tried_at } => ("refused", Some(why), None, micros(tried_at)),
        UsageOutcome::Corrected => ("corrected", None, None, None),
        UsageOutcome::Uncorrected(why) => ("uncorrected", Some(why), None, None),
        UsageOutcome::Failed { error, retry_at, tried_at } => {
            ("failed", Some(error), Some(retry_at.timestamp_micros()), micros(tried_at))
        }
    }
}
