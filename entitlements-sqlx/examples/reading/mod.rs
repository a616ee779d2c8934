//! What the examples about the audit log have in common: opening a database without changing it, and reading all of the log.

use std::error::Error;

use entitlements_core::audit::{AuditHead, AuditRow};
use entitlements_core::store::AuditStore;
use entitlements_sqlx::{PostgresConfig, PostgresStore, SqliteConfig, SqliteStore};

/// How many entries are read at once.
const PART: usize = 1_000;

pub(crate) type Failure = Box<dyn Error>;

/// Whether an argument is the URL of a database.
pub(crate) fn is_url(place: &str) -> bool {
    ["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| place.starts_with(scheme))
}

/// Opens a database, which is only read.
pub(crate) async fn open(url: &str) -> Result<Box<dyn AuditStore>, Failure> {
    if url.starts_with("sqlite:") {
        return Ok(Box::new(SqliteStore::connect_read_only(&SqliteConfig::from_url(url)?).await?));
    }
    Ok(Box::new(PostgresStore::connect_read_only(&PostgresConfig::from_url(url)?).await?))
}

/// Hands over the ends of the log, and then its entries, up to where it ends when this begins.
pub(crate) async fn read<T>(
    store: &dyn AuditStore,
    begin: impl FnOnce(AuditHead, AuditHead) -> Result<T, Failure>,
    mut next: impl FnMut(&mut T, AuditRow) -> Result<(), Failure>,
) -> Result<T, Failure> {
    let mut part = store.audit_rows(0, PART).await?;
    let (head, mut last) = (part.head.sequence, part.base.sequence);
    let mut reader = begin(part.base, part.head)?;
    while last < head && !part.rows.is_empty() {
        for row in part.rows.into_iter().filter(|row| row.sequence <= head) {
            last = row.sequence;
            next(&mut reader, row)?;
        }
        part = store.audit_rows(last, PART).await?;
    }
    Ok(reader)
}

/// An error with its causes.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
