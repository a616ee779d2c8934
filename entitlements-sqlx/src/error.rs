//! From what a driver reports to what a caller can do. Only kinds and codes decide, never the words.

use std::error::Error;
use std::io;

use entitlements_core::store::{StoreError, StoreErrorKind};
use sqlx::error::DatabaseError;

/// Turns the driver's error of `operation` into the store's.
pub(crate) fn failed(operation: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| StoreError::new(kind(&error), operation).with_source(error)
}

/// What is stored for `operation` cannot be read.
pub(crate) fn corrupt<E>(operation: &'static str) -> impl Fn(E) -> StoreError
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    move |error| StoreError::new(StoreErrorKind::Corrupt, operation).with_source(error)
}

/// What kind of failure of the file system it is.
pub(crate) fn io_kind(error: &io::Error) -> StoreErrorKind {
    match error.kind() {
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded => StoreErrorKind::ReadOnly,
        _ => StoreErrorKind::Unavailable,
    }
}

fn kind(error: &sqlx::Error) -> StoreErrorKind {
    match error {
        sqlx::Error::Database(error) => code_of(&**error).map_or(StoreErrorKind::Internal, sqlite_kind),
        sqlx::Error::Io(error) => io_kind(error),
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            StoreErrorKind::Unavailable
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::RowNotFound => {
            StoreErrorKind::Corrupt
        }
        _ => StoreErrorKind::Internal,
    }
}

fn code_of(error: &dyn DatabaseError) -> Option<i32> {
    error.code()?.parse().ok()
}

/// What the result code of SQLite means; the low byte is the primary code.
const fn sqlite_kind(code: i32) -> StoreErrorKind {
    match code & 0xff {
        // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_SCHEMA (another connection changed it)
        5 | 6 | 17 => StoreErrorKind::Contention,
        // SQLITE_NOMEM, SQLITE_INTERRUPT, SQLITE_IOERR, SQLITE_CANTOPEN, SQLITE_PROTOCOL
        7 | 9 | 10 | 14 | 15 => StoreErrorKind::Unavailable,
        // SQLITE_PERM, SQLITE_READONLY, SQLITE_FULL, SQLITE_AUTH
        3 | 8 | 13 | 23 => StoreErrorKind::ReadOnly,
        // SQLITE_CORRUPT, SQLITE_NOTADB
        11 | 26 => StoreErrorKind::Corrupt,
        // SQLITE_ERROR: our statements are constant, so one that cannot be prepared meets another schema.
        1 => StoreErrorKind::Schema,
        _ => StoreErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_code_decides_the_kind() {
        for (code, expected) in [
            (5, StoreErrorKind::Contention),    // SQLITE_BUSY
            (517, StoreErrorKind::Contention),  // SQLITE_BUSY_SNAPSHOT
            (262, StoreErrorKind::Contention),  // SQLITE_LOCKED_SHAREDCACHE
            (526, StoreErrorKind::Unavailable), // SQLITE_CANTOPEN_ISDIR
            (778, StoreErrorKind::Unavailable), // SQLITE_IOERR_WRITE
            (1032, StoreErrorKind::ReadOnly),   // SQLITE_READONLY_DBMOVED
            (13, StoreErrorKind::ReadOnly),     // SQLITE_FULL
            (267, StoreErrorKind::Corrupt),     // SQLITE_CORRUPT_VTAB
            (26, StoreErrorKind::Corrupt),      // SQLITE_NOTADB
            (1, StoreErrorKind::Schema),        // SQLITE_ERROR
            (2067, StoreErrorKind::Internal),   // SQLITE_CONSTRAINT_UNIQUE
            (21, StoreErrorKind::Internal),     // SQLITE_MISUSE
        ] {
            assert_eq!(sqlite_kind(code), expected, "code {code}");
        }
    }

    #[test]
    fn an_error_of_the_file_system_decides_the_kind() {
        for (error, expected) in [
            (io::ErrorKind::PermissionDenied, StoreErrorKind::ReadOnly),
            (io::ErrorKind::StorageFull, StoreErrorKind::ReadOnly),
            (io::ErrorKind::NotFound, StoreErrorKind::Unavailable),
        ] {
            assert_eq!(kind(&sqlx::Error::Io(error.into())), expected);
        }
    }

    #[test]
    fn the_pool_decides_the_kind() {
        assert_eq!(kind(&sqlx::Error::PoolTimedOut), StoreErrorKind::Unavailable);
        assert_eq!(kind(&sqlx::Error::RowNotFound), StoreErrorKind::Corrupt);
        let error = failed("load a company")(sqlx::Error::PoolClosed);
        assert_eq!(error.to_string(), "could not load a company: the store is unavailable");
        assert!(error.source().is_some());
    }
}
