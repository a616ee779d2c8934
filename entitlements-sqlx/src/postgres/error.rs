//! What PostgreSQL's SQLSTATE codes mean to a caller.

use entitlements_core::store::{StoreError, StoreErrorKind};
use sqlx::error::DatabaseError;

/// Turns the driver's error of `operation` into the store's.
pub(crate) fn failed(operation: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    crate::error::failed(operation, database_kind, |_| StoreErrorKind::Unavailable)
}

fn database_kind(error: &dyn DatabaseError) -> StoreErrorKind {
    error.code().map_or(StoreErrorKind::Internal, |code| state_kind(&code))
}

/// What a SQLSTATE means: some codes by themselves, the others by their class.
fn state_kind(state: &str) -> StoreErrorKind {
    match state {
        // No privilege to do it, a read-only transaction or standby, a full disk.
        "42501" | "25006" | "53100" => return StoreErrorKind::ReadOnly,
        // Waited too long for a lock, or the object is in use.
        "55P03" | "55006" => return StoreErrorKind::Contention,
        // Cancelled: the statement took too long. The outcome of a commit is unknown. A transaction waited too long.
        "57014" | "40003" | "25P03" => return StoreErrorKind::Unavailable,
        // A text that the encoding of the database cannot hold.
        "22P05" | "22021" => return StoreErrorKind::Unsupported,
        // A plan that another version of the schema made useless.
        "0A000" => return StoreErrorKind::Schema,
        _ => {}
    }
    match state.get(..2) {
        // The connection, the name or password, the database, resources, shutdowns, the system below.
        Some("08" | "28" | "3D" | "53" | "57" | "58") => StoreErrorKind::Unavailable,
        // Serialization failures, deadlocks.
        Some("40") => StoreErrorKind::Contention,
        // Our statements are constant, so one that cannot be understood meets another schema.
        Some("3F" | "42") => StoreErrorKind::Schema,
        // A stored value that cannot be read; damaged files.
        Some("22" | "XX") => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_decides_the_kind() {
        for (state, expected) in [
            ("08006", StoreErrorKind::Unavailable), // connection_failure
            ("28P01", StoreErrorKind::Unavailable), // invalid_password
            ("3D000", StoreErrorKind::Unavailable), // invalid_catalog_name
            ("53300", StoreErrorKind::Unavailable), // too_many_connections
            ("57P01", StoreErrorKind::Unavailable), // admin_shutdown
            ("57P03", StoreErrorKind::Unavailable), // cannot_connect_now
            ("57014", StoreErrorKind::Unavailable), // query_canceled
            ("58030", StoreErrorKind::Unavailable), // io_error
            ("40003", StoreErrorKind::Unavailable), // statement_completion_unknown
            ("40001", StoreErrorKind::Contention),  // serialization_failure
            ("40P01", StoreErrorKind::Contention),  // deadlock_detected
            ("55P03", StoreErrorKind::Contention),  // lock_not_available
            ("25006", StoreErrorKind::ReadOnly),    // read_only_sql_transaction
            ("42501", StoreErrorKind::ReadOnly),    // insufficient_privilege
            ("53100", StoreErrorKind::ReadOnly),    // disk_full
            ("42P01", StoreErrorKind::Schema),      // undefined_table
            ("42883", StoreErrorKind::Schema),      // undefined_function
            ("42P07", StoreErrorKind::Schema),      // duplicate_table
            ("3F000", StoreErrorKind::Schema),      // invalid_schema_name
            ("0A000", StoreErrorKind::Schema),      // feature_not_supported
            ("22P02", StoreErrorKind::Corrupt),     // invalid_text_representation
            ("22003", StoreErrorKind::Corrupt),     // numeric_value_out_of_range
            ("XX001", StoreErrorKind::Corrupt),     // data_corrupted
            ("22P05", StoreErrorKind::Unsupported), // untranslatable_character
            ("23505", StoreErrorKind::Internal),    // unique_violation
            ("23514", StoreErrorKind::Internal),    // check_violation
            ("P0001", StoreErrorKind::Internal),    // raise_exception
            ("", StoreErrorKind::Internal),
        ] {
            assert_eq!(state_kind(state), expected, "state {state}");
        }
    }

    #[test]
    fn a_server_that_cannot_be_reached_is_unavailable() {
        let refused = sqlx::Error::Io(std::io::ErrorKind::ConnectionRefused.into());
        assert_eq!(failed("test")(refused).kind(), StoreErrorKind::Unavailable);
        let socket = sqlx::Error::Io(std::io::ErrorKind::PermissionDenied.into());
        assert_eq!(failed("test")(socket).kind(), StoreErrorKind::Unavailable);
    }
}
