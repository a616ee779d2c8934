//! What SQLite's result codes mean to a caller.

use std::io;

use entitlements_core::store::{StoreError, StoreErrorKind};
use sqlx::error::DatabaseError;

/// Turns the driver's error of `operation` into the store's.
pub(crate) fn failed(operation: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    crate::error::failed(operation, database_kind, io_kind)
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

fn database_kind(error: &dyn DatabaseError) -> StoreErrorKind {
    let code = error.code().and_then(|code| code.parse().ok());
    code.map_or(StoreErrorKind::Internal, code_kind)
}

/// What the result code of SQLite means; the low byte is the primary code.
const fn code_kind(code: i32) -> StoreErrorKind {
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
    use entitlements_core::store::{GrantStore as _, UsageStore as _};
    use entitlements_core::testkit::fixtures::{debit, facts, grant, monthly, used};

    use super::*;
    use crate::{SqliteConfig, SqliteStore};

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
            assert_eq!(code_kind(code), expected, "code {code}");
        }
    }

    /// Sets how the writer of a store may write.
    async fn pragma(store: &SqliteStore, statement: &'static str) {
        store.writer.call(async |on| sqlx::query(statement).execute(on).await).await.unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_takes_no_more_and_loses_nothing() {
        let store = SqliteStore::connect(&SqliteConfig::in_memory()).await.unwrap();
        // The file cannot become larger than it is.
        pragma(&store, "PRAGMA max_page_count = 1").await;
        let mut taken = 0;
        let error = loop {
            match store.debit(&debit("acme", &format!("key {taken}"), 1, [monthly(None)])).await {
                Ok(_) => taken += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), StoreErrorKind::ReadOnly);
        assert!(!error.is_retryable());
        assert_eq!(used(&store, "acme", &monthly(None)).await, taken);
        pragma(&store, "PRAGMA max_page_count = 1000000").await;
        store.debit(&debit("acme", &format!("key {taken}"), 1, [monthly(None)])).await.unwrap();
        assert_eq!(used(&store, "acme", &monthly(None)).await, taken + 1);
    }

    #[tokio::test]
    async fn a_database_that_may_only_be_read_is_read() {
        let store = SqliteStore::connect(&SqliteConfig::in_memory()).await.unwrap();
        store.insert_grant(&grant("g", "acme")).await.unwrap();
        pragma(&store, "PRAGMA query_only = on").await;
        let refused = [
            store.insert_grant(&grant("h", "acme")).await.unwrap_err(),
            store.debit(&debit("acme", "k", 1, [monthly(10)])).await.unwrap_err(),
        ];
        for error in refused {
            assert_eq!((error.kind(), error.is_retryable()), (StoreErrorKind::ReadOnly, false));
        }
        assert_eq!(facts(&store, "acme").await.grants, [grant("g", "acme")]);
    }

    #[test]
    fn an_error_of_the_file_system_decides_the_kind() {
        for (error, expected) in [
            (io::ErrorKind::PermissionDenied, StoreErrorKind::ReadOnly),
            (io::ErrorKind::StorageFull, StoreErrorKind::ReadOnly),
            (io::ErrorKind::NotFound, StoreErrorKind::Unavailable),
        ] {
            assert_eq!(failed("test")(sqlx::Error::Io(error.into())).kind(), expected);
        }
    }
}
