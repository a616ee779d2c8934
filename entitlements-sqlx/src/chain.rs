//! The chain of the audit log, between statements and what they mean.

use std::borrow::Cow;
use std::collections::HashSet;

use chrono::serde::ts_microseconds;
use chrono::{DateTime, Utc};
use entitlements_core::Action;
use entitlements_core::audit::{
    AuditEntry, AuditExport, AuditHash, AuditHead, AuditRecord, AuditRow, AuditSalt, AuditSource, link,
};
use entitlements_core::id::{CompanyId, UserId};
use entitlements_core::observer::Tier;
use entitlements_core::store::{StoreError, StoreErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::corrupt;
use crate::rows::flag;

pub(crate) const APPEND: &str = "append to the audit log";
pub(crate) const LIST: &str = "read the audit log";
pub(crate) const EXPIRE: &str = "remove what is old";
pub(crate) const ERASE: &str = "erase a company";

/// How often rows are linked again when others appended in between.
pub(crate) const ROUNDS: usize = 32;

/// What `audit_end.sql` reads: number and hash of the last row, and an array of the ids that are known.
pub(crate) type End = (i64, String, String);

/// What `audit_rows.sql` reads: the two ends, and an array of rows.
pub(crate) type Export = (i64, String, i64, String, String);

/// Refuses what no backend can keep.
pub(crate) fn well_formed(records: &[AuditRecord]) -> Result<(), StoreError> {
    if records.iter().all(AuditRecord::is_well_formed) {
        Ok(())
    } else {
        Err(StoreError::new(StoreErrorKind::Unsupported, APPEND))
    }
}

/// The ids of records, as a JSON array.
pub(crate) fn ids(records: &[AuditRecord]) -> String {
    records.iter().map(|record| record.id.as_str()).collect::<Value>().to_string()
}

/// Where the chain ends, and the records that are not in it: mostly all of them.
pub(crate) fn after(
    records: &[AuditRecord],
    ends: Vec<End>,
) -> Result<(AuditHead, Cow<'_, [AuditRecord]>), StoreError> {
    let (sequence, hash, known) =
        ends.into_iter().next().ok_or(StoreError::new(StoreErrorKind::Corrupt, APPEND))?;
    let mut known: HashSet<Cow<'_, str>> = serde_json::from_str(&known).map_err(corrupt(APPEND))?;
    let new: Vec<&AuditRecord> =
        records.iter().filter(|record| known.insert(record.id.as_str().into())).collect();
    let new =
        if new.len() == records.len() { Cow::Borrowed(records) } else { new.into_iter().cloned().collect() };
    Ok((head(APPEND, sequence, &hash)?, new))
}

/// The rows that records become after `head`, as a JSON array of arrays in the order of the columns.
pub(crate) fn linked(head: AuditHead, records: &[AuditRecord]) -> Result<String, StoreError> {
    let rows = link(head, records);
    let rows: Vec<Columns<'_>> = rows.iter().map(Columns::of).collect();
    serde_json::to_string(&rows).map_err(corrupt(APPEND))
}

/// A row as it is written: an array in the order of the columns.
#[derive(Serialize)]
struct Columns<'a>(
    u64,
    &'a str,
    i64,
    &'a str,
    Option<&'a str>,
    &'a str,
    &'static str,
    Option<&'a str>,
    u8,
    &'a str,
    &'a str,
    Option<&'a str>,
    &'static str,
    u64,
    Option<AuditSalt>,
    AuditHash,
    AuditHash,
);

impl<'a> Columns<'a> {
    fn of(row: &'a AuditRow) -> Self {
        let entry = &row.entry;
        Self(
            row.sequence,
            &row.id,
            entry.at.timestamp_micros(),
            entry.company.as_str(),
            entry.user.as_ref().map(UserId::as_str),
            &entry.feature,
            entry.action.as_str(),
            entry.resource.as_deref(),
            u8::from(entry.allowed),
            &entry.reason,
            &entry.source.kind,
            entry.source.id.as_deref(),
            entry.tier.as_str(),
            entry.latency_us,
            row.salt,
            row.persons,
            row.hash,
        )
    }
}

/// A number as databases keep it.
pub(crate) fn number(operation: &'static str, number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(corrupt(operation))
}

fn head(operation: &'static str, sequence: i64, hash: &str) -> Result<AuditHead, StoreError> {
    Ok(AuditHead {
        sequence: u64::try_from(sequence).map_err(corrupt(operation))?,
        hash: hash.parse().map_err(corrupt(operation))?,
    })
}

/// The head in the only row.
pub(crate) fn only_head(operation: &'static str, rows: &[(i64, String)]) -> Result<AuditHead, StoreError> {
    let (sequence, hash) = rows.first().ok_or(StoreError::new(StoreErrorKind::Corrupt, operation))?;
    head(operation, *sequence, hash)
}

/// A part of the chain.
pub(crate) fn export(rows: Vec<Export>) -> Result<AuditExport, StoreError> {
    let (base, base_hash, last, last_hash, rows) =
        rows.into_iter().next().ok_or(StoreError::new(StoreErrorKind::Corrupt, LIST))?;
    let rows: Vec<CheckRow> = serde_json::from_str(&rows).map_err(corrupt(LIST))?;
    Ok(AuditExport {
        base: head(LIST, base, &base_hash)?,
        head: head(LIST, last, &last_hash)?,
        rows: rows.into_iter().map(Into::into).collect(),
    })
}

/// Reads one row.
pub(crate) fn row(operation: &'static str, json: &str) -> Result<AuditRow, StoreError> {
    serde_json::from_str::<CheckRow>(json).map(Into::into).map_err(corrupt(operation))
}

/// Names the last row of a page.
pub(crate) fn cursor(last: &AuditRow) -> String {
    format!("{}:{}", last.entry.at.timestamp_micros(), last.sequence)
}

/// The instant and the number before which a page begins; without a page before, what is after every row.
pub(crate) fn before(cursor: Option<&str>) -> Result<(i64, i64), StoreError> {
    let Some(cursor) = cursor else { return Ok((i64::MAX, i64::MAX)) };
    (cursor.split_once(':'))
        .and_then(|(at, sequence)| Some((at.parse().ok()?, sequence.parse().ok()?)))
        .ok_or(StoreError::new(StoreErrorKind::Unsupported, "list audit entries from such a cursor"))
}

#[derive(Deserialize)]
struct CheckRow {
    sequence: u64,
    id: String,
    #[serde(with = "ts_microseconds")]
    at: DateTime<Utc>,
    company: CompanyId,
    user: Option<UserId>,
    feature: String,
    action: Action,
    resource: Option<String>,
    #[serde(deserialize_with = "flag")]
    allowed: bool,
    reason: String,
    source: String,
    source_id: Option<String>,
    tier: Tier,
    latency_us: u64,
    salt: Option<AuditSalt>,
    persons: AuditHash,
    hash: AuditHash,
}

impl From<CheckRow> for AuditRow {
    fn from(row: CheckRow) -> Self {
        Self {
            sequence: row.sequence,
            id: row.id,
            entry: AuditEntry {
                at: row.at,
                company: row.company,
                user: row.user,
                feature: row.feature.into(),
                action: row.action,
                resource: row.resource,
                allowed: row.allowed,
                reason: row.reason.into(),
                source: AuditSource { kind: row.source.into(), id: row.source_id.map(Into::into) },
                tier: row.tier,
                latency_us: row.latency_us,
            },
            salt: row.salt,
            persons: row.persons,
            hash: row.hash,
        }
    }
}
