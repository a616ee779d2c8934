//! The SQL stores against raw statements that do the least of the same work: `load` against a SELECT of the same rows, `debit`
//! against a conditional UPDATE with an idempotency key, and one hot counter with 64 tasks.
//!
//! SQLite is always measured, in a temporary file; PostgreSQL if `ENTITLEMENTS_TEST_POSTGRES_URL` names a server, with whatever
//! it does about the disk.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use entitlements_core::bucket::Bucket;
use entitlements_core::id::{CompanyId, FeatureKey, IdempotencyKey, ReceiptId};
use entitlements_core::period::Period;
use entitlements_core::store::{GrantStore, GroupStore, Grouped, Store};
use entitlements_core::usage::{Counter, Debit, DebitBucket, DebitOutcome};
use entitlements_core::{
    Amount, BoxFuture, Catalog, Entitlements, Grant, GrantKind, LeaseTerms, Leased, Subject, TokioRuntime,
};
use entitlements_sqlx::{PostgresConfig, PostgresStore, SqliteConfig, SqliteStore};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use crate::Failure;

/// Rounds of both sides in turn.
const ROUNDS: usize = 15;
/// Calls in a round.
const CALLS: usize = 200;
const TASKS: usize = 64;
/// How long a side of the hot row runs in a round.
const HOT: Duration = Duration::from_millis(700);
const HOT_ROUNDS: usize = 3;

/// Prints the figures.
pub(crate) fn run() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        if let Ok(load) = std::fs::read_to_string("/proc/loadavg") {
            crate::say(&format!("load of the machine: {}", load.trim()));
        }
        let folder = tempfile::tempdir()?;
        sqlite(&folder.path().join("bench.db")).await?;
        if let Ok(url) = std::env::var("ENTITLEMENTS_TEST_POSTGRES_URL") {
            return postgres(&url).await;
        }
        crate::say("PostgreSQL: not measured, ENTITLEMENTS_TEST_POSTGRES_URL is not set");
        Ok(())
    })
}

/// A raw statement that does the same for a company and a key.
trait Raw: Clone + Send + Sync + 'static {
    fn load(&self) -> impl Future<Output = Result<usize, sqlx::Error>> + Send;
    fn debit(&self, company: &str, key: String) -> impl Future<Output = Result<bool, sqlx::Error>> + Send;
}

#[derive(Clone)]
struct RawPostgres(PgPool);

impl Raw for RawPostgres {
    async fn load(&self) -> Result<usize, sqlx::Error> {
        let rows: Vec<(Option<String>, Option<String>, i64)> = sqlx::query_as(
            "SELECT (SELECT json_agg(row_to_json(g))::text FROM entitlement_grants AS g WHERE company_id = $1),
                (SELECT json_agg(row_to_json(q))::text FROM usage_quotas AS q WHERE company_id = $1),
                (SELECT revision FROM companies WHERE id = $1)",
        )
        .bind("acme")
        .fetch_all(&self.0)
        .await?;
        Ok(rows.iter().map(|(grants, ..)| grants.as_ref().map_or(0, String::len)).sum())
    }

    async fn debit(&self, company: &str, key: String) -> Result<bool, sqlx::Error> {
        let rows: Vec<(i64,)> = sqlx::query_as(
            "WITH taken AS (
                UPDATE raw_quotas SET used = used + 1
                WHERE company = $1 AND used + 1 <= quota
                    AND NOT EXISTS (SELECT FROM raw_operations WHERE company = $1 AND key = $2)
                RETURNING used
            )
            INSERT INTO raw_operations (company, key, amount, used) SELECT $1, $2, 1, used FROM taken RETURNING used",
        )
        .bind(company)
        .bind(key)
        .fetch_all(&self.0)
        .await?;
        Ok(!rows.is_empty())
    }
}

#[derive(Clone)]
struct RawSqlite(SqlitePool);

impl Raw for RawSqlite {
    async fn load(&self) -> Result<usize, sqlx::Error> {
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT (SELECT json_group_array(json_array(id, user_id, feature, actions, resource, amount, kind, starts_at,
                    ends_at, reason, created_at, voided_at)) FROM entitlement_grants WHERE company_id = $1),
                (SELECT json_group_array(json_array(meter, bucket, period_start, used)) FROM usage_quotas
                    WHERE company_id = $1),
                (SELECT revision FROM companies WHERE id = $1)",
        )
        .bind("acme")
        .fetch_all(&self.0)
        .await?;
        Ok(rows.iter().map(|(grants, ..)| grants.len()).sum())
    }

    async fn debit(&self, company: &str, key: String) -> Result<bool, sqlx::Error> {
        let rows: Vec<(i64,)> = sqlx::query_as(
            "INSERT INTO raw_operations (company, key, amount, used)
            SELECT $1, $2, 1, used + 1 FROM raw_quotas
            WHERE company = $1 AND used + 1 <= quota
                AND NOT EXISTS (SELECT 1 FROM raw_operations WHERE company = $1 AND key = $2)
            RETURNING used",
        )
        .bind(company)
        .bind(key)
        .fetch_all(&self.0)
        .await?;
        Ok(!rows.is_empty())
    }
}

const TABLES: [&str; 2] = [
    "CREATE TABLE raw_quotas (company TEXT PRIMARY KEY, used BIGINT NOT NULL, quota BIGINT NOT NULL)",
    "CREATE TABLE raw_operations (company TEXT NOT NULL, key TEXT NOT NULL, amount BIGINT NOT NULL, used BIGINT NOT NULL,
        PRIMARY KEY (company, key))",
];
const COUNTERS: &str = "INSERT INTO raw_quotas VALUES ('acme', 0, 1000000000), ('hot', 0, 1000000000)";

async fn sqlite(path: &std::path::Path) -> Result<(), Failure> {
    let store = SqliteStore::connect(&SqliteConfig::new(path)).await?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10));
    // One writer, as the store has.
    let pool =
        SqlitePoolOptions::new().max_connections(1).test_before_acquire(false).connect_with(options).await?;
    let trigger = "CREATE TRIGGER raw_taken AFTER INSERT ON raw_operations BEGIN
        UPDATE raw_quotas SET used = used + NEW.amount WHERE company = NEW.company; END";
    for statement in TABLES.into_iter().chain([COUNTERS, trigger]) {
        sqlx::query(statement).execute(&pool).await?;
    }
    compare("SQLite, every write on the disk", store, RawSqlite(pool)).await
}

async fn postgres(url: &str) -> Result<(), Failure> {
    let schema = format!("bench_{}", std::process::id());
    let config = PostgresConfig::from_url(url)?.with_schema(&schema)?;
    let store = PostgresStore::connect(&config).await?;
    let separator = if url.contains('?') { '&' } else { '?' };
    let pool = PgPoolOptions::new()
        .max_connections(10)
        .test_before_acquire(false)
        .connect(&format!("{url}{separator}options[search_path]={schema}"))
        .await?;
    for statement in TABLES.into_iter().chain([COUNTERS]) {
        sqlx::query(statement).execute(&pool).await?;
    }
    let (fsync,): (String,) = sqlx::query_as("SELECT current_setting('fsync')").fetch_one(&pool).await?;
    compare(&format!("PostgreSQL, fsync {fsync}"), store, RawPostgres(pool)).await
}

async fn compare(name: &str, store: impl Store + GroupStore + Clone, raw: impl Raw) -> Result<(), Failure> {
    prepare(&store).await?;
    crate::say(&format!("{name}: {ROUNDS} rounds of {CALLS} calls in turn, medians of rounds, one task"));
    crate::say("| what | raw µs | store µs | ratio |");
    crate::say("|---|---|---|---|");
    let acme = CompanyId::new("acme")?;
    let now = "2026-11-24T12:00:00Z".parse()?;
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let begun = Instant::now();
        for _ in 0..CALLS {
            raw.load().await?;
        }
        let first = begun.elapsed();
        let begun = Instant::now();
        for _ in 0..CALLS {
            store.load(&acme, now).await?;
        }
        keep(round, &mut one, first, &mut two, begun.elapsed());
    }
    report("load", one, two);
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let keys: Vec<String> = (0..CALLS).map(|call| format!("one-{round}-{call}")).collect();
        let debits = keys.iter().map(|key| debit("acme", key)).collect::<Result<Vec<_>, _>>()?;
        let begun = Instant::now();
        for key in keys {
            expect(raw.debit("acme", key).await?)?;
        }
        let first = begun.elapsed();
        let begun = Instant::now();
        for debit in &debits {
            expect(matches!(store.debit(debit).await?, DebitOutcome::Recorded(_)))?;
        }
        keep(round, &mut one, first, &mut two, begun.elapsed());
    }
    report("debit", one, two);
    hot(store, raw).await
}

/// One counter, many tasks.
async fn hot(store: impl Store + GroupStore + Clone, raw: impl Raw) -> Result<(), Failure> {
    crate::say(&format!(
        "hot row, {TASKS} tasks: best of {HOT_ROUNDS} rounds of {} ms in turn",
        HOT.as_millis()
    ));
    let grouped = Grouped::new(store.clone());
    let runtime = TokioRuntime::current().ok_or("no runtime")?;
    let handle = Entitlements::builder(Catalog::parse("catalog.toml", CATALOG)?)
        .store(store.clone())
        .runtime(runtime)
        .build();
    let subject = Subject::company(CompanyId::new("leased")?);
    let lease = handle.lease(&subject, "reports", LeaseTerms::new(Amount::from(1_000_000)))?;
    let mut best = [0.0_f64; 4];
    for _ in 0..HOT_ROUNDS {
        let side = raw.clone();
        let rates = [
            throughput(move |key| {
                let side = side.clone();
                async move { side.debit("hot", key).await.unwrap_or(false) }
            })
            .await,
            throughput(debiting(store.clone())).await,
            throughput(debiting(grouped.clone())).await,
            leased(&lease).await,
        ];
        best.iter_mut().zip(rates).for_each(|(best, rate)| *best = best.max(rate));
    }
    let uncollected = lease.close().await;
    crate::say("| way | consumptions per second | against raw |");
    crate::say("|---|---|---|");
    let raw = best.first().copied().unwrap_or(1.0);
    for (way, rate) in ["raw UPDATE with a key", "debit", "Grouped", "LeasedMeter"].into_iter().zip(best) {
        crate::say(&format!("| {way} | {rate:.0} | {:.2} |", rate / raw));
    }
    crate::say(&format!("uncollected by the lease: {uncollected}"));
    Ok(())
}

fn debiting<S: Store + Clone>(store: S) -> impl Fn(String) -> BoxFuture<bool> + Clone + Send {
    move |key| {
        let store = store.clone();
        Box::pin(async move {
            let Ok(debit) = debit("hot", &key) else { return false };
            matches!(store.debit(&debit).await, Ok(DebitOutcome::Recorded(_)))
        })
    }
}

/// Successes per second of all tasks together.
async fn throughput<F>(call: impl Fn(String) -> F + Clone + Send + 'static) -> f64
where
    F: Future<Output = bool> + Send,
{
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let (begun, done) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (call, done) = (call.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                while begun.elapsed() < HOT {
                    let key = format!("hot-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
                    if call(key).await {
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        drop(task.await);
    }
    rate(done.load(Ordering::Relaxed), begun)
}

async fn leased(lease: &entitlements_core::LeasedMeter) -> f64 {
    let (begun, done) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (lease, done) = (lease.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                while begun.elapsed() < HOT {
                    let mut taken = 0;
                    for _ in 0..1_000 {
                        let leased = lease.take(Amount::ONE)
                            || matches!(lease.consume(Amount::ONE).await, Ok(Leased::Taken));
                        taken += u64::from(leased);
                    }
                    done.fetch_add(taken, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        drop(task.await);
    }
    rate(done.load(Ordering::Relaxed), begun)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 calls")]
fn rate(done: u64, begun: Instant) -> f64 {
    done as f64 / begun.elapsed().as_secs_f64()
}

const CATALOG: &str = r#"
    schema = 1
    default_plan = "free"
    past_due_grace = "7d"
    [features]
    reports = { type = "meter" }
    [plans.free.grants]
    reports = { limit = 1000000000000, every = "month" }
"#;

/// A company with ten grants, and a counter.
async fn prepare(store: &impl Store) -> Result<(), Failure> {
    for number in 0..10 {
        let grant = Grant {
            id: entitlements_core::id::GrantId::new(format!("g{number}"))?,
            company: CompanyId::new("acme")?,
            user: None,
            feature: FeatureKey::new("reports")?,
            actions: entitlements_core::ActionSet::ALL,
            resource: None,
            amount: None,
            kind: GrantKind::Manual,
            starts_at: "2026-01-01T00:00:00Z".parse()?,
            ends_at: None,
            reason: Some("for the figures".into()),
            created_at: "2026-01-01T00:00:00Z".parse()?,
            voided_at: None,
        };
        GrantStore::insert_grant(store, &grant).await?;
    }
    Ok(())
}

fn debit(company: &str, key: &str) -> Result<Debit, Failure> {
    let period =
        Period { start: "2026-11-01T00:00:00Z".parse()?, end: Some("2026-12-01T00:00:00Z".parse()?) };
    let counter = Counter {
        meter: FeatureKey::new("reports")?,
        bucket: "plan/month/calendar".parse::<Bucket>()?,
        period,
        limit: Amount::new(1_000_000_000),
        alerts: vec![(80, Amount::from(800_000_000))],
    };
    Ok(Debit {
        company: CompanyId::new(company)?,
        user: None,
        key: IdempotencyKey::new(key)?,
        receipt: ReceiptId::new(key)?,
        meter: FeatureKey::new("reports")?,
        amount: Amount::ONE,
        buckets: vec![DebitBucket { counters: vec![counter] }],
        tallies: Vec::new(),
        limit: Amount::new(1_000_000_000),
        resets_at: period.end,
        at: "2026-11-24T12:00:00Z".parse()?,
    })
}

fn expect(done: bool) -> Result<(), Failure> {
    if done { Ok(()) } else { Err("a debit that fits was not made".into()) }
}

/// The first round warms up.
fn keep(round: usize, one: &mut Vec<Duration>, first: Duration, two: &mut Vec<Duration>, second: Duration) {
    if round > 0 {
        one.push(first);
        two.push(second);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred calls")]
fn report(what: &str, one: Vec<Duration>, two: Vec<Duration>) {
    let median = |mut rounds: Vec<Duration>| {
        rounds.sort_unstable();
        rounds.get(rounds.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1e6 / CALLS as f64
    };
    let (raw, store) = (median(one), median(two));
    crate::say(&format!("| {what} | {raw:.1} | {store:.1} | {:.2} |", store / raw));
}
