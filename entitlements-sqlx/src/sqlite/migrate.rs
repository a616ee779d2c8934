//! The schema, version by version.

use entitlements_core::store::{StoreError, StoreErrorKind};
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::failed;

const OPERATION: &str = "bring the schema up to date";

/// Each version of the schema: its number, its name, and the statements that make it out of the version before.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "entitlements", include_str!("../../migrations/sqlite/0001_entitlements.sql")),
    (
        2,
        "usage",
        concat!(
            include_str!("../../migrations/sqlite/0002_gauges.sql"),
            include_str!("../../migrations/sqlite/0002_reservations.sql"),
            include_str!("../../migrations/sqlite/0002_records.sql"),
        ),
    ),
    (3, "audit", include_str!("../../migrations/sqlite/0003_audit.sql")),
    (4, "billing", include_str!("../../migrations/sqlite/0004_billing.sql")),
    (5, "erasure", include_str!("../../migrations/sqlite/0005_erasure.sql")),
    (6, "decisions", include_str!("../../migrations/sqlite/0006_decisions.sql")),
    (7, "groups", include_str!("../../migrations/sqlite/0007_groups.sql")),
    (8, "usage_records", include_str!("../../migrations/sqlite/0008_usage_records.sql")),
];

/// Brings the schema up to date, as one change: all of it happens, or nothing.
///
/// The database is locked for writing meanwhile, so that several processes may start at once. A connection that is
/// dropped half-way rolls back when it closes, so the caller must not put it back into a pool that is used again.
pub(crate) async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    run(connection, "BEGIN IMMEDIATE").await?;
    match upgrade(connection).await {
        Ok(()) => run(connection, "COMMIT").await,
        Err(error) => {
            // The first error is the one to report; a failed rollback ends with the connection.
            let _ = run(connection, "ROLLBACK").await;
            Err(error)
        }
    }
}

async fn upgrade(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    run(
        connection,
        "CREATE TABLE IF NOT EXISTS entitlements_schema (
            version INTEGER NOT NULL PRIMARY KEY,
            name TEXT NOT NULL,
            applied_at INTEGER NOT NULL
        ) STRICT",
    )
    .await?;
    let found: i64 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM entitlements_schema")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed(OPERATION))?;
    let newest = MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or(0);
    if found > newest {
        let why = format!("the database has schema {found}, and this version knows {newest}");
        return Err(StoreError::new(StoreErrorKind::Schema, OPERATION).with_source(why));
    }
    for (version, name, statements) in MIGRATIONS.iter().filter(|(version, ..)| *version > found) {
        run(connection, statements).await?;
        sqlx::query(
            "INSERT INTO entitlements_schema (version, name, applied_at) VALUES ($1, $2, unixepoch() * 1000000)",
        )
        .bind(version)
        .bind(name)
        .execute(&mut *connection)
        .await
        .map_err(failed(OPERATION))?;
    }
    Ok(())
}

/// Runs constant statements.
async fn run(connection: &mut SqliteConnection, statements: &'static str) -> Result<(), StoreError> {
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(connection).await.map_err(failed(OPERATION))?;
    Ok(())
}
