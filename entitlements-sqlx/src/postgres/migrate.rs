//! The schema, version by version.

use entitlements_core::store::{StoreError, StoreErrorKind};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::config::{PostgresConfig, quoted};
use super::error::failed;
use crate::migrations::{Applied, Migration, missing, nothing_missing};

const CONNECT: &str = "open the database";
const OPERATION: &str = "bring the schema up to date";
const LOOK: &str = "read the version of the schema";

/// The versions of the schema.
const MIGRATIONS: &[Migration] = &[
    Migration::new(
        1,
        "entitlements",
        concat!(
            include_str!("../../migrations/postgres/0001_entitlements.sql"),
            include_str!("../../migrations/postgres/0001_usage.sql"),
        ),
    ),
    Migration::new(
        2,
        "usage",
        concat!(
            include_str!("../../migrations/postgres/0002_gauges.sql"),
            include_str!("../../migrations/postgres/0002_reservations.sql"),
            include_str!("../../migrations/postgres/0002_records.sql"),
        ),
    ),
    Migration::new(3, "audit", include_str!("../../migrations/postgres/0003_audit.sql")),
    Migration::new(4, "billing", include_str!("../../migrations/postgres/0004_billing.sql")),
    Migration::new(5, "erasure", include_str!("../../migrations/postgres/0005_erasure.sql")),
    Migration::new(6, "decisions", include_str!("../../migrations/postgres/0006_decisions.sql")),
    Migration::new(7, "groups", include_str!("../../migrations/postgres/0007_groups.sql")),
    Migration::new(8, "usage_records", include_str!("../../migrations/postgres/0008_usage_records.sql")),
    Migration::new(9, "plain_debits", include_str!("../../migrations/postgres/0009_plain_debits.sql")),
    Migration::new(10, "after_erasure", include_str!("../../migrations/postgres/0010_after_erasure.sql")),
    Migration::new(11, "alert_claims", include_str!("../../migrations/postgres/0011_alert_claims.sql")),
    Migration::new(12, "ended_periods", include_str!("../../migrations/postgres/0012_ended_periods.sql")),
    Migration::new(13, "settled_usage", include_str!("../../migrations/postgres/0013_settled_usage.sql")),
];

/// Brings the schema up to date, as one change: all of it happens, or nothing. Nothing is written if it is up to date.
///
/// It uses a connection of its own that nobody else gets: dropped half-way, it closes, and the server rolls back.
pub(crate) async fn migrate(config: &PostgresConfig) -> Result<(), StoreError> {
    let (mut connection, applied) = look(config).await?;
    let is_current = match &applied {
        Some(applied) => missing(OPERATION, MIGRATIONS, applied)?.is_empty(),
        None => false,
    };
    if !is_current {
        upgrade(&mut connection, config.schema.as_deref(), MIGRATIONS).await?;
    }
    end(connection, config).await;
    Ok(())
}

/// Looks whether the schema is up to date, and changes nothing.
pub(crate) async fn must_be_current(config: &PostgresConfig) -> Result<(), StoreError> {
    let (connection, applied) = look(config).await?;
    end(connection, config).await;
    nothing_missing(LOOK, MIGRATIONS, &applied.unwrap_or_default())
}

/// A connection, and the versions that the schema has; `None` if it is not there.
async fn look(config: &PostgresConfig) -> Result<(PgConnection, Option<Vec<Applied>>), StoreError> {
    let options = config.patient();
    let looking = async {
        let mut connection = PgConnection::connect_with(&options).await.map_err(failed(CONNECT))?;
        let exists: bool = sqlx::query_scalar("SELECT to_regclass('entitlements_schema') IS NOT NULL")
            .fetch_one(&mut connection)
            .await
            .map_err(failed(LOOK))?;
        let applied = if exists { Some(applied(LOOK, &mut connection).await?) } else { None };
        Ok((connection, applied))
    };
    let late = |late| StoreError::new(StoreErrorKind::Unavailable, CONNECT).with_source(late);
    tokio::time::timeout(config.wait, looking).await.map_err(late)?
}

/// Closes a connection that has done its work: a server that does not say goodbye changes nothing.
async fn end(connection: PgConnection, config: &PostgresConfig) {
    drop(tokio::time::timeout(config.wait, connection.close()).await);
}

async fn upgrade(
    connection: &mut PgConnection,
    schema: Option<&str>,
    versions: &[Migration],
) -> Result<(), StoreError> {
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
            applied_at BIGINT NOT NULL,
            checksum BIGINT
        )",
    )
    .await?;
    let applied = applied(OPERATION, connection).await?;
    for migration in missing(OPERATION, versions, &applied)? {
        run(connection, migration.statements).await?;
        sqlx::query(
            "INSERT INTO entitlements_schema (version, name, applied_at, checksum)
             VALUES ($1, $2, (extract(epoch FROM now()) * 1000000)::bigint, $3)",
        )
        .bind(migration.version)
        .bind(migration.name)
        .bind(migration.checksum())
        .execute(&mut *connection)
        .await
        .map_err(failed(OPERATION))?;
    }
    run(connection, "COMMIT").await
}

/// The versions that the schema has.
async fn applied(operation: &'static str, connection: &mut PgConnection) -> Result<Vec<Applied>, StoreError> {
    sqlx::query_as("SELECT version, checksum FROM entitlements_schema")
        .fetch_all(connection)
        .await
        .map_err(failed(operation))
}

/// Runs statements that hold nothing from outside but quoted names.
async fn run(connection: &mut PgConnection, statements: impl Into<String>) -> Result<(), StoreError> {
    sqlx::raw_sql(AssertSqlSafe(statements.into())).execute(connection).await.map_err(failed(OPERATION))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection to a schema that exists, and has nothing yet.
    async fn empty(name: &str) -> (PgConnection, String) {
        let url = std::env::var("ENTITLEMENTS_TEST_POSTGRES_URL").expect(
            "ENTITLEMENTS_TEST_POSTGRES_URL names a PostgreSQL server; scripts/postgres.sh starts one",
        );
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        let schema = format!("test_{name}_{now:x}");
        let config = PostgresConfig::from_url(&url).unwrap().with_schema(&schema).unwrap();
        let mut connection = PgConnection::connect_with(&config.patient()).await.unwrap();
        run(&mut connection, format!("CREATE SCHEMA {schema}")).await.unwrap();
        (connection, schema)
    }

    /// Everything that the schema consists of.
    async fn catalog(connection: &mut PgConnection, schema: &str) -> Vec<String> {
        let definitions: Vec<String> = sqlx::query_scalar(
            "SELECT format('column %s.%s %s %s %s', c.relname, attname, format_type(atttypid, atttypmod), attnotnull,
                    pg_get_expr(adbin, adrelid))
                FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
                LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
                WHERE relnamespace = $1::regnamespace AND attnum > 0 AND NOT attisdropped AND c.relkind IN ('r', 'v')
            UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = $1
            UNION ALL SELECT format('%s %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint
                WHERE connamespace = $1::regnamespace
            UNION ALL SELECT pg_get_triggerdef(t.oid) FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid
                WHERE relnamespace = $1::regnamespace AND NOT tgisinternal
            UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = $1::regnamespace
            UNION ALL SELECT pg_get_viewdef(oid) FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'v'
            ORDER BY 1",
        )
        .bind(schema)
        .fetch_all(connection)
        .await
        .unwrap();
        definitions.iter().map(|definition| definition.replace(schema, "the_schema")).collect()
    }

    /// A statement for each table that reads the columns it has now, and what it answers.
    async fn rows(connection: &mut PgConnection, schema: &str) -> Vec<(String, String)> {
        let statements: Vec<String> = sqlx::query_scalar(
            "SELECT format(
                'SELECT coalesce(json_agg(json_build_array(%s)), ''[]'')::text FROM %I',
                string_agg(quote_ident(attname), ',' ORDER BY attnum), relname
            )
            FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
            WHERE relnamespace = $1::regnamespace AND attnum > 0 AND NOT attisdropped AND relkind = 'r'
                AND relname <> 'entitlements_schema'
            GROUP BY relname",
        )
        .bind(schema)
        .fetch_all(&mut *connection)
        .await
        .unwrap();
        let mut rows = Vec::new();
        for statement in statements {
            let answer =
                sqlx::query_scalar(AssertSqlSafe(statement.clone())).fetch_one(&mut *connection).await;
            rows.push((statement, answer.unwrap()));
        }
        rows
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
    async fn every_earlier_version_becomes_the_newest_and_keeps_what_it_holds() {
        let (mut connection, schema) = empty("newest").await;
        upgrade(&mut connection, Some(&schema), MIGRATIONS).await.unwrap();
        let newest = catalog(&mut connection, &schema).await;
        for versions in 0..MIGRATIONS.len() {
            let (mut connection, schema) = empty(&format!("from_{versions}")).await;
            upgrade(&mut connection, Some(&schema), &MIGRATIONS[..versions]).await.unwrap();
            if versions > 0 {
                run(&mut connection, include_str!("../../tests/postgres/first_version.sql")).await.unwrap();
            }
            let held = rows(&mut connection, &schema).await;
            upgrade(&mut connection, Some(&schema), MIGRATIONS).await.unwrap();
            assert_eq!(catalog(&mut connection, &schema).await, newest, "from version {versions}");
            for (statement, rows) in &held {
                let kept: String = sqlx::query_scalar(AssertSqlSafe(statement.clone()))
                    .fetch_one(&mut connection)
                    .await
                    .unwrap();
                assert_eq!(kept, *rows, "from version {versions}: {statement}");
            }
            let filled = held.iter().filter(|(_, rows)| rows != "[]").count();
            assert!(versions == 0 || filled >= 10, "{filled} tables hold something");
            run(&mut connection, format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
        }
        run(&mut connection, format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
    }
}
