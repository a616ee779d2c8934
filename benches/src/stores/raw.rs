//! What somebody would write by hand: one statement each, over as many connections as the store has.
//!
//! An operation's row is what tells a retry: its key, when it was, what it took, and the units used then. There is an index on
//! the instant, since keys are removed some day.

use std::path::Path;
use std::time::Duration;

use entitlements_sqlx::Durability;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Database, Executor, Pool};

use super::Failed;
use super::rounds::Processes;
use super::world;

/// Raw statements that do the same for a company and a key.
pub(super) trait Raw: Processes + Clone + Send + Sync + 'static {
    /// The rows of the company that a load reads.
    fn load(&self) -> impl Future<Output = Result<(), Failed>> + Send;
    /// One unit.
    fn debit(&self, company: String, key: String) -> impl Future<Output = Result<(), Failed>> + Send;
    /// All of the company as one document.
    fn document(&self) -> impl Future<Output = Result<(), Failed>> + Send;
    /// One unit, with a document of the company that is kept current.
    fn debit_with_document(
        &self,
        company: String,
        key: String,
    ) -> impl Future<Output = Result<(), Failed>> + Send;
}

#[derive(Clone)]
pub(super) struct RawPostgres(PgPool);

#[derive(Clone)]
pub(super) struct RawSqlite {
    writer: SqlitePool,
    readers: SqlitePool,
}

/// The parts of a company, in one row.
type Parts = (Option<String>, i64, i64);

const TABLES: [&str; 5] = [
    "CREATE TABLE raw_quotas (company TEXT PRIMARY KEY, used BIGINT NOT NULL, quota BIGINT NOT NULL)",
    "CREATE TABLE raw_operations (company TEXT NOT NULL, key TEXT NOT NULL, amount BIGINT NOT NULL, at BIGINT NOT NULL,
        used BIGINT NOT NULL, PRIMARY KEY (company, key))",
    "CREATE INDEX raw_operations_by_instant ON raw_operations (at)",
    "CREATE TABLE raw_documents (company TEXT PRIMARY KEY, document TEXT NOT NULL, revision BIGINT NOT NULL)",
    "CREATE TABLE raw_kept (company TEXT NOT NULL, key TEXT NOT NULL, amount BIGINT NOT NULL, at BIGINT NOT NULL,
        used BIGINT NOT NULL, PRIMARY KEY (company, key))",
];

/// The tables, a counter for each task, the hot one and one with a document.
async fn prepare<DB: Database>(pool: &Pool<DB>, document: &str) -> Result<(), Failed>
where
    for<'p> &'p Pool<DB>: Executor<'p, Database = DB>,
{
    for table in TABLES {
        pool.execute(table).await?;
    }
    let companies = (0..64).map(world::name).chain(["hot".to_owned(), "document".to_owned()]);
    for company in companies {
        let insert = format!("INSERT INTO raw_quotas VALUES ('{company}', 0, 1000000000)");
        pool.execute(AssertSqlSafe(insert)).await?;
    }
    for company in ["acme", "document"] {
        let insert = format!("INSERT INTO raw_documents VALUES ('{company}', '{document}', 1)");
        pool.execute(AssertSqlSafe(insert)).await?;
    }
    Ok(())
}

fn some<T>(rows: &[T]) -> Result<(), Failed> {
    if rows.is_empty() { Err("a statement that fits came to nothing".into()) } else { Ok(()) }
}

impl RawPostgres {
    pub(super) async fn connect(url: &str, schema: &str) -> Result<Self, Failed> {
        let separator = if url.contains('?') { '&' } else { '?' };
        let pool = PgPoolOptions::new()
            .max_connections(10)
            .test_before_acquire(false)
            .connect(&format!("{url}{separator}options[search_path]={schema}"))
            .await?;
        let (rows, ..): Parts = sqlx::query_as(POSTGRES_LOAD).bind("acme").bind(NOW).fetch_one(&pool).await?;
        prepare(&pool, &rows.unwrap_or_default()).await?;
        Ok(Self(pool))
    }

    pub(super) async fn fsync(&self) -> Result<String, Failed> {
        Ok(sqlx::query_scalar("SELECT current_setting('fsync')").fetch_one(&self.0).await?)
    }
}

/// The server's processes of both sides, if they are on this machine.
impl Processes for RawPostgres {
    async fn processes(&self) -> Result<Vec<i32>, Failed> {
        let query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()";
        Ok(sqlx::query_scalar(query).fetch_all(&self.0).await?)
    }
}

/// The database is in this process.
impl Processes for RawSqlite {
    async fn processes(&self) -> Result<Vec<i32>, Failed> {
        Ok(Vec::new())
    }
}

/// 2026-11-24T12:00:00Z in microseconds.
const NOW: i64 = 1_795_521_600_000_000;

const POSTGRES_LOAD: &str = "SELECT
    json_build_array(
        (SELECT json_agg(t) FROM billing_subscriptions AS t WHERE company_id = $1),
        (SELECT json_agg(t ORDER BY at, sequence) FROM billing_plan_changes AS t WHERE company_id = $1),
        (SELECT json_agg(t) FROM company_addons AS t WHERE company_id = $1 AND quantity > 0),
        (SELECT json_agg(t) FROM company_overrides AS t WHERE company_id = $1),
        (SELECT json_agg(t) FROM entitlement_grants AS t
            WHERE company_id = $1 AND voided_at IS NULL AND coalesce(ends_at, 9223372036854775807) > $2),
        (SELECT json_agg(t) FROM usage_quotas AS t
            WHERE company_id = $1 AND coalesce(period_end, 9223372036854775807) > $2 AND used <> 0),
        (SELECT json_agg(t) FROM usage_gauges AS t WHERE company_id = $1),
        (SELECT json_agg(t) FROM usage_reservations AS t WHERE company_id = $1 AND NOT freed)
    )::text,
    (SELECT revision FROM companies WHERE id = $1),
    (SELECT policies FROM revision_sequence WHERE id = 1)";

impl Raw for RawPostgres {
    async fn load(&self) -> Result<(), Failed> {
        let rows: Vec<Parts> =
            sqlx::query_as(POSTGRES_LOAD).bind("acme").bind(NOW).fetch_all(&self.0).await?;
        some(&rows)
    }

    async fn debit(&self, company: String, key: String) -> Result<(), Failed> {
        let rows: Vec<(i64,)> = sqlx::query_as(
            "WITH taken AS (
                UPDATE raw_quotas SET used = used + $3
                WHERE company = $1 AND used + $3 <= quota
                    AND NOT EXISTS (SELECT FROM raw_operations WHERE company = $1 AND key = $2)
                RETURNING used
            )
            INSERT INTO raw_operations (company, key, amount, at, used) SELECT $1, $2, $3, $4, used FROM taken
            RETURNING used",
        )
        .bind(company)
        .bind(key)
        .bind(1_i64)
        .bind(NOW)
        .fetch_all(&self.0)
        .await?;
        some(&rows)
    }

    async fn document(&self) -> Result<(), Failed> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT document, revision FROM raw_documents WHERE company = $1")
                .bind("acme")
                .fetch_all(&self.0)
                .await?;
        some(&rows)
    }

    async fn debit_with_document(&self, company: String, key: String) -> Result<(), Failed> {
        let rows: Vec<(i64,)> = sqlx::query_as(
            "WITH taken AS (
                UPDATE raw_quotas SET used = used + $3
                WHERE company = $1 AND used + $3 <= quota
                    AND NOT EXISTS (SELECT FROM raw_operations WHERE company = $1 AND key = $2)
                RETURNING used
            ), kept AS (
                UPDATE raw_documents SET document = document || '', revision = revision + 1
                WHERE company = $1 AND EXISTS (SELECT FROM taken)
            )
            INSERT INTO raw_operations (company, key, amount, at, used) SELECT $1, $2, $3, $4, used FROM taken
            RETURNING used",
        )
        .bind(company)
        .bind(key)
        .bind(1_i64)
        .bind(NOW)
        .fetch_all(&self.0)
        .await?;
        some(&rows)
    }
}

impl RawSqlite {
    /// One writer, and readers beside it, as the store has.
    pub(super) async fn connect(path: &Path, durability: Durability) -> Result<Self, Failed> {
        let synchronous = match durability {
            Durability::Full => SqliteSynchronous::Full,
            _ => SqliteSynchronous::Normal,
        };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .busy_timeout(Duration::from_secs(10));
        let pool =
            |connections| SqlitePoolOptions::new().max_connections(connections).test_before_acquire(false);
        let writer = pool(1).connect_with(options.clone()).await?;
        let readers = pool(4).connect_with(options).await?;
        let (rows, ..): Parts =
            sqlx::query_as(SQLITE_LOAD).bind("acme").bind(NOW).fetch_one(&readers).await?;
        prepare(&writer, &rows.unwrap_or_default()).await?;
        for trigger in [
            "CREATE TRIGGER raw_taken AFTER INSERT ON raw_operations BEGIN
                UPDATE raw_quotas SET used = used + NEW.amount WHERE company = NEW.company;
            END",
            "CREATE TRIGGER raw_kept_taken AFTER INSERT ON raw_kept BEGIN
                UPDATE raw_quotas SET used = used + NEW.amount WHERE company = NEW.company;
                UPDATE raw_documents SET document = document || '', revision = revision + 1 WHERE company = NEW.company;
            END",
        ] {
            sqlx::query(trigger).execute(&writer).await?;
        }
        Ok(Self { writer, readers })
    }

    async fn take(&self, statement: &'static str, company: String, key: String) -> Result<(), Failed> {
        let query = sqlx::query_as(statement).bind(company).bind(key).bind(1_i64).bind(NOW);
        let rows: Vec<(i64,)> = query.fetch_all(&self.writer).await?;
        some(&rows)
    }
}

const SQLITE_LOAD: &str = "SELECT
    json_array(
        (SELECT json_group_array(json_array(id, company_id, plan, status, seats, started_at, anchor, current_period_start,
            current_period_end, trial_end, past_due_since, cancel_at, cancel_at_period_end, created_at))
            FROM billing_subscriptions WHERE company_id = $1),
        (SELECT json_group_array(json_array(subscription_id, at, from_plan) ORDER BY at, sequence)
            FROM billing_plan_changes WHERE company_id = $1),
        (SELECT json_group_array(json_array(addon, quantity)) FROM company_addons
            WHERE company_id = $1 AND quantity > 0),
        (SELECT json_group_array(json_array(feature, value)) FROM company_overrides WHERE company_id = $1),
        (SELECT json_group_array(json_array(id, company_id, user_id, feature, actions, resource, amount, kind, starts_at,
            ends_at, reason, created_at, voided_at)) FROM entitlement_grants
            WHERE company_id = $1 AND voided_at IS NULL AND coalesce(ends_at, 9223372036854775807) > $2),
        (SELECT json_group_array(json_array(meter, bucket, period_start, used)) FROM usage_quotas
            WHERE company_id = $1 AND coalesce(period_end, 9223372036854775807) > $2),
        (SELECT json_group_array(json_array(gauge, level + holders)) FROM usage_gauges WHERE company_id = $1),
        (SELECT json_group_array(json_array(receipt_id, expires_at)) FROM usage_reservations
            WHERE company_id = $1 AND freed = 0)
    ),
    (SELECT revision FROM companies WHERE id = $1),
    (SELECT policies FROM revision_sequence WHERE id = 1)";

impl Raw for RawSqlite {
    async fn load(&self) -> Result<(), Failed> {
        let query = sqlx::query_as(SQLITE_LOAD).bind("acme").bind(NOW);
        let rows: Vec<Parts> = query.fetch_all(&self.readers).await?;
        some(&rows)
    }

    async fn debit(&self, company: String, key: String) -> Result<(), Failed> {
        let statement = "INSERT INTO raw_operations (company, key, amount, at, used)
            SELECT $1, $2, $3, $4, used + $3 FROM raw_quotas
            WHERE company = $1 AND used + $3 <= quota
                AND NOT EXISTS (SELECT 1 FROM raw_operations WHERE company = $1 AND key = $2)
            RETURNING used";
        self.take(statement, company, key).await
    }

    async fn document(&self) -> Result<(), Failed> {
        let query =
            sqlx::query_as("SELECT document, revision FROM raw_documents WHERE company = $1").bind("acme");
        let rows: Vec<(String, i64)> = query.fetch_all(&self.readers).await?;
        some(&rows)
    }

    async fn debit_with_document(&self, company: String, key: String) -> Result<(), Failed> {
        let statement = "INSERT INTO raw_kept (company, key, amount, at, used)
            SELECT $1, $2, $3, $4, used + $3 FROM raw_quotas
            WHERE company = $1 AND used + $3 <= quota
                AND NOT EXISTS (SELECT 1 FROM raw_kept WHERE company = $1 AND key = $2)
            RETURNING used";
        self.take(statement, company, key).await
    }
}
