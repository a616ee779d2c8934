//! From what a driver reports to what a caller can do. Only kinds and codes decide, never the words.

use std::error::Error;

use entitlements_core::store::{StoreError, StoreErrorKind};
use sqlx::error::DatabaseError;

/// Turns the driver's error of `operation` into the store's, with the dialect's word on what the database answered.
pub(crate) fn failed(
    operation: &'static str,
    of_database: fn(&dyn DatabaseError) -> StoreErrorKind,
    of_io: fn(&std::io::Error) -> StoreErrorKind,
) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| {
        let kind = match &error {
            sqlx::Error::Database(error) => of_database(&**error),
            sqlx::Error::Io(error) => of_io(error),
            // Something answers that does not speak the protocol, or its certificate is not good.
            sqlx::Error::Protocol(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => StoreErrorKind::Unavailable,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::RowNotFound => {
                StoreErrorKind::Corrupt
            }
            _ => StoreErrorKind::Internal,
        };
        StoreError::new(kind, operation).with_source(error)
    }
}

/// What is stored for `operation` cannot be read.
pub(crate) fn corrupt<E>(operation: &'static str) -> impl Fn(E) -> StoreError
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    move |error| StoreError::new(StoreErrorKind::Corrupt, operation).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(error: sqlx::Error) -> StoreErrorKind {
        failed("test", |_| StoreErrorKind::Internal, |_| StoreErrorKind::ReadOnly)(error).kind()
    }

    #[test]
    fn the_pool_and_the_file_system_decide_the_kind() {
        assert_eq!(kind(sqlx::Error::PoolTimedOut), StoreErrorKind::Unavailable);
        assert_eq!(kind(sqlx::Error::Protocol("what?".into())), StoreErrorKind::Unavailable);
        assert_eq!(kind(sqlx::Error::RowNotFound), StoreErrorKind::Corrupt);
        assert_eq!(kind(std::io::Error::from(std::io::ErrorKind::NotFound).into()), StoreErrorKind::ReadOnly);
        assert_eq!(kind(sqlx::Error::Configuration("what?".into())), StoreErrorKind::Internal);
    }

    #[test]
    fn the_words_of_the_driver_are_the_source_and_not_the_message() {
        let failed = failed("load a company", |_| StoreErrorKind::Internal, |_| StoreErrorKind::Unavailable);
        let error = failed(sqlx::Error::PoolClosed);
        assert_eq!(error.to_string(), "could not load a company: the store is unavailable");
        assert!(error.source().is_some());
    }
}
