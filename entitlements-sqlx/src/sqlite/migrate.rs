//! The schema, version by version.

use entitlements_core::store::StoreError;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::failed;
use crate::migrations::{Applied, Migration, missing, nothing_missing};

const OPERATION: &str = "bring the schema up to date";
const LOOK: &str = "read the version of the schema";

/// The versions of the schema.
const MIGRATIONS: &[Migration] = &[
    Migration::new(1, "entitlements", include_str!("../../migrations/sqlite/0001_entitlements.sql")),
    Migration::new(
        2,
        "usage",
        concat!(
            include_str!("../../migrations/sqlite/0002_gauges.sql"),
            include_str!("../../migrations/sqlite/0002_reservations.sql"),
            include_str!("../../migrations/sqlite/0002_records.sql"),
        ),
    ),
    Migration::new(3, "audit", include_str!("../../migrations/sqlite/0003_audit.sql")),
    Migration::new(4, "billing", include_str!("../../migrations/sqlite/0004_billing.sql")),
    Migration::new(5, "erasure", include_str!("../../migrations/sqlite/0005_erasure.sql")),
    Migration::new(6, "decisions", include_str!("../../migrations/sqlite/0006_decisions.sql")),
    Migration::new(7, "groups", include_str!("../../migrations/sqlite/0007_groups.sql")),
    Migration::new(8, "usage_records", include_str!("../../migrations/sqlite/0008_usage_records.sql")),
    Migration::new(9, "plain_debits", include_str!("../../migrations/sqlite/0009_plain_debits.sql")),
    Migration::new(10, "after_erasure", include_str!("../../migrations/sqlite/0010_after_erasure.sql")),
    Migration::new(11, "alert_claims", include_str!("../../migrations/sqlite/0011_alert_claims.sql")),
    Migration::new(12, "ended_periods", include_str!("../../migrations/sqlite/0012_ended_periods.sql")),
    Migration::new(13, "settled_usage", include_str!("../../migrations/sqlite/0013_settled_usage.sql")),
    Migration::new(14, "groups_expire", include_str!("../../migrations/sqlite/0014_groups_expire.sql")),
];

/// Brings the schema up to date, as one change: all of it happens, or nothing.
///
/// The database is locked for writing meanwhile, so that several processes may start at once. A connection that is
/// dropped half-way rolls back when it closes, so the caller must not put it back into a pool that is used again.
pub(crate) async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    bring_to(connection, MIGRATIONS).await
}

/// Looks whether the schema is up to date, and changes nothing.
///
/// # Errors
///
/// [`Schema`](entitlements_core::store::StoreErrorKind::Schema) if it is not.
pub(crate) async fn must_be_current(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let exists: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'entitlements_schema')")
            .fetch_one(&mut *connection)
            .await
            .map_err(failed(LOOK))?;
    let applied = if exists { applied(LOOK, connection).await? } else { Vec::new() };
    nothing_missing(LOOK, MIGRATIONS, &applied)
}

async fn bring_to(connection: &mut SqliteConnection, versions: &[Migration]) -> Result<(), StoreError> {
    run(connection, "BEGIN IMMEDIATE").await?;
    match upgrade(connection, versions).await {
        Ok(()) => run(connection, "COMMIT").await,
        Err(error) => {
            // The first error is the one to report; a failed rollback ends with the connection.
            let _ = run(connection, "ROLLBACK").await;
            Err(error)
        }
    }
}

async fn upgrade(connection: &mut SqliteConnection, versions: &[Migration]) -> Result<(), StoreError> {
    run(
        connection,
        "CREATE TABLE IF NOT EXISTS entitlements_schema (
            version INTEGER NOT NULL PRIMARY KEY,
            name TEXT NOT NULL,
            applied_at INTEGER NOT NULL,
            checksum INTEGER
        ) STRICT",
    )
    .await?;
    let applied = applied(OPERATION, connection).await?;
    for migration in missing(OPERATION, versions, &applied)? {
        run(connection, migration.statements).await?;
        sqlx::query(
            "INSERT INTO entitlements_schema (version, name, applied_at, checksum)
             VALUES ($1, $2, unixepoch() * 1000000, $3)",
        )
        .bind(migration.version)
        .bind(migration.name)
        .bind(migration.checksum())
        .execute(&mut *connection)
        .await
        .map_err(failed(OPERATION))?;
    }
    Ok(())
}

/// The versions that the schema has.
async fn applied(
    operation: &'static str,
    connection: &mut SqliteConnection,
) -> Result<Vec<Applied>, StoreError> {
    sqlx::query_as("SELECT version, checksum FROM entitlements_schema")
        .fetch_all(connection)
        .await
        .map_err(failed(operation))
}

/// Runs constant statements.
async fn run(connection: &mut SqliteConnection, statements: &'static str) -> Result<(), StoreError> {
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(connection).await.map_err(failed(OPERATION))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::Connection;

    use super::*;

    async fn empty() -> SqliteConnection {
        SqliteConnection::connect("sqlite::memory:").await.unwrap()
    }

    /// Everything that the schema consists of.
    async fn catalog(connection: &mut SqliteConnection) -> Vec<(String, String, Option<String>)> {
        sqlx::query_as("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")
            .fetch_all(connection)
            .await
            .unwrap()
    }

    /// A statement for each table that reads the columns it has now, and what it answers.
    async fn rows(connection: &mut SqliteConnection) -> Vec<(String, String)> {
        let statements: Vec<String> = sqlx::query_scalar(
            "SELECT 'SELECT json_group_array(json_array(' || group_concat(quote(column.name), ',')
                || ')) FROM ' || quote(tables.name)
            FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS column
            WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%' AND tables.name <> 'entitlements_schema'
            GROUP BY tables.name",
        )
        .fetch_all(&mut *connection)
        .await
        .unwrap();
        let mut rows = Vec::new();
        for statement in statements {
            // `quote` makes texts of names, which are columns here.
            let statement = statement.replace('\'', "\"");
            let answer =
                sqlx::query_scalar(AssertSqlSafe(statement.clone())).fetch_one(&mut *connection).await;
            rows.push((statement, answer.unwrap()));
        }
        rows
    }

    #[tokio::test]
    async fn every_earlier_version_becomes_the_newest_and_keeps_what_it_holds() {
        let mut connection = empty().await;
        migrate(&mut connection).await.unwrap();
        let newest = catalog(&mut connection).await;
        for versions in 0..MIGRATIONS.len() {
            let mut connection = empty().await;
            bring_to(&mut connection, &MIGRATIONS[..versions]).await.unwrap();
            if versions > 0 {
                run(&mut connection, include_str!("../../tests/sqlite/first_version.sql")).await.unwrap();
            }
            let held = rows(&mut connection).await;
            migrate(&mut connection).await.unwrap();
            assert_eq!(catalog(&mut connection).await, newest, "from version {versions}");
            for (statement, rows) in &held {
                let kept: String = sqlx::query_scalar(AssertSqlSafe(statement.clone()))
                    .fetch_one(&mut connection)
                    .await
                    .unwrap();
                assert_eq!(kept, *rows, "from version {versions}: {statement}");
            }
            let filled = held.iter().filter(|(_, rows)| rows != "[]").count();
            assert!(versions == 0 || filled >= 10, "{filled} tables hold something");
        }
    }

    #[tokio::test]
    async fn every_version_is_written_down_and_one_that_was_made_otherwise_is_refused() {
        let mut connection = empty().await;
        migrate(&mut connection).await.unwrap();
        let known: Vec<_> = MIGRATIONS.iter().map(|one| (one.version, Some(one.checksum()))).collect();
        let applied: Vec<Applied> = sqlx::query_as("SELECT version, checksum FROM entitlements_schema")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        assert_eq!(applied, known);
        run(&mut connection, "UPDATE entitlements_schema SET checksum = checksum + 1 WHERE version = 2")
            .await
            .unwrap();
        let error = migrate(&mut connection).await.unwrap_err();
        assert_eq!(error.kind(), entitlements_core::store::StoreErrorKind::Schema);
    }
}
