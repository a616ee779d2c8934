//! The schema, version by version.

use entitlements_core::store::{StoreError, StoreErrorKind};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::config::{PostgresConfig, quoted};
use super::error::failed;

const CONNECT: &str = "open the database";
const OPERATION: &str = "bring the schema up to date";

/// Each version of the schema: its number, its name, and the statements that make it out of the version before.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (
        1,
        "entitlements",
        concat!(
            include_str!("../../migrations/postgres/0001_entitlements.sql"),
            include_str!("../../migrations/postgres/0001_usage.sql"),
        ),
    ),
    (
        2,
        "usage",
        concat!(
            include_str!("../../migrations/postgres/0002_gauges.sql"),
            include_str!("../../migrations/postgres/0002_reservations.sql"),
            include_str!("../../migrations/postgres/0002_records.sql"),
        ),
    ),
    (3, "audit", include_str!("../../migrations/postgres/0003_audit.sql")),
    (4, "billing", include_str!("../../migrations/postgres/0004_billing.sql")),
    (5, "erasure", include_str!("../../migrations/postgres/0005_erasure.sql")),
    (6, "decisions", include_str!("../../migrations/postgres/0006_decisions.sql")),
    (7, "groups", include_str!("../../migrations/postgres/0007_groups.sql")),
    (8, "usage_records", include_str!("../../migrations/postgres/0008_usage_records.sql")),
];

/// Brings the schema up to date, as one change: all of it happens, or nothing. Nothing is written if it is up to date.
///
/// It uses a connection of its own that nobody else gets: dropped half-way, it closes, and the server rolls back.
pub(crate) async fn migrate(config: &PostgresConfig) -> Result<(), StoreError> {
    let options = config.patient();
    let mut connection = tokio::time::timeout(config.wait, PgConnection::connect_with(&options))
        .await
        .map_err(|late| StoreError::new(StoreErrorKind::Unavailable, CONNECT).with_source(late))?
        .map_err(failed(CONNECT))?;
    if !is_current(&mut connection).await? {
        upgrade(&mut connection, config.schema.as_deref()).await?;
    }
    // It has done its work: a server that does not say goodbye changes nothing.
    let _ = connection.close().await;
    Ok(())
}

async fn upgrade(connection: &mut PgConnection, schema: Option<&str>) -> Result<(), StoreError> {
    run(connection, "BEGIN").await?;
    // One process at a time for each schema; the others wait, and then find it done.
    sqlx::query(
        "SELECT pg_advisory_xact_lock(
            hashtextextended('entitlements_schema of ' || coalesce($1, current_schema(), ''), 0)
        )",
    )
    .bind(schema)
    .execute(&mut *connection)
    .await
    .map_err(failed(OPERATION))?;
    if let Some(name) = schema {
        let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
            .bind(name)
            .fetch_one(&mut *connection)
            .await
            .map_err(failed(OPERATION))?;
        if !known {
            run(connection, format!("CREATE SCHEMA {}", quoted(name))).await?;
        }
    }
    run(
        connection,
        "CREATE TABLE IF NOT EXISTS entitlements_schema (
            version BIGINT NOT NULL PRIMARY KEY,
            name TEXT NOT NULL,
            applied_at BIGINT NOT NULL
        )",
    )
    .await?;
    let found = version(connection).await?;
    for (version, name, statements) in MIGRATIONS.iter().filter(|(version, ..)| *version > found) {
        run(connection, *statements).await?;
        sqlx::query(
            "INSERT INTO entitlements_schema (version, name, applied_at)
             VALUES ($1, $2, (extract(epoch FROM now()) * 1000000)::bigint)",
        )
        .bind(version)
        .bind(name)
        .execute(&mut *connection)
        .await
        .map_err(failed(OPERATION))?;
    }
    run(connection, "COMMIT").await
}

/// Whether the schema is the newest version.
async fn is_current(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let exists: bool = sqlx::query_scalar("SELECT to_regclass('entitlements_schema') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed(OPERATION))?;
    let newest = MIGRATIONS.iter().map(|(version, ..)| *version).max();
    Ok(exists && Some(version(connection).await?) == newest)
}

/// The version of the schema, 0 before the first; one that is newer than this library is an error.
async fn version(connection: &mut PgConnection) -> Result<i64, StoreError> {
    let found: i64 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM entitlements_schema")
        .fetch_one(connection)
        .await
        .map_err(failed(OPERATION))?;
    let newest = MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or(0);
    if found > newest {
        let why = format!("the database has schema {found}, and this version knows {newest}");
        return Err(StoreError::new(StoreErrorKind::Schema, OPERATION).with_source(why));
    }
    Ok(found)
}

/// Runs statements that hold nothing from outside but quoted names.
async fn run(connection: &mut PgConnection, statements: impl Into<String>) -> Result<(), StoreError> {
    sqlx::raw_sql(AssertSqlSafe(statements.into())).execute(connection).await.map_err(failed(OPERATION))?;
    Ok(())
}
