//! The SQL stores against raw statements that do the least of the same work, over as many connections: `load` against a SELECT
//! of the same rows, `debit` against a conditional UPDATE with an idempotency key, and one hot counter with 64 tasks.
//!
//! SQLite is always measured, in a temporary file; PostgreSQL if `ENTITLEMENTS_TEST_POSTGRES_URL` names a server, with whatever
//! it does about the disk (`POSTGRES_FSYNC=on scripts/postgres.sh …` starts one that waits for it), and another one if
//! `BENCH_OTHER_POSTGRES_URL` names it: `scripts/bench.sh` brings one of each kind.
//!
//! Both sides run in turn, in rounds so short that a busy machine is busy for both. A ratio is the median of the rounds'.

mod hot;
mod raw;
mod rounds;
mod world;

use std::error::Error;
use std::path::Path;

use entitlements_core::store::{GroupStore, Store};
use entitlements_sqlx::{Durability, PostgresConfig, PostgresStore, SqliteConfig, SqliteStore};

use crate::Failure;
use raw::{Raw, RawPostgres, RawSqlite};
use rounds::Comparison;

/// Why a side could not do its work.
type Failed = Box<dyn Error + Send + Sync>;

/// Prints the figures.
pub(crate) fn run() -> Result<(), Failure> {
    measure().map_err(|failed| -> Failure { failed })
}

fn measure() -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        if let Ok(load) = std::fs::read_to_string("/proc/loadavg") {
            crate::say(&format!("load of the machine: {}", load.trim()));
        }
        let folder = tempfile::tempdir()?;
        sqlite(&folder.path().join("full.db"), Durability::Full).await?;
        sqlite(&folder.path().join("normal.db"), Durability::Normal).await?;
        let servers = ["ENTITLEMENTS_TEST_POSTGRES_URL", "BENCH_OTHER_POSTGRES_URL"];
        let mut servers = servers.into_iter().filter_map(|name| std::env::var(name).ok()).peekable();
        if servers.peek().is_none() {
            crate::say("PostgreSQL: not measured, ENTITLEMENTS_TEST_POSTGRES_URL is not set");
        }
        for url in servers {
            postgres(&url).await?;
        }
        Ok(())
    })
}

async fn sqlite(path: &Path, durability: Durability) -> Result<(), Failed> {
    let store = SqliteStore::connect(&SqliteConfig::new(path).with_durability(durability)).await?;
    world::prepare(&store).await?;
    let raw = RawSqlite::connect(path, durability).await?;
    compare(&format!("SQLite, durability {durability:?}"), store, raw).await
}

async fn postgres(url: &str) -> Result<(), Failed> {
    let schema = format!("bench_{}", std::process::id());
    let store = PostgresStore::connect(&PostgresConfig::from_url(url)?.with_schema(&schema)?).await?;
    world::prepare(&store).await?;
    let raw = RawPostgres::connect(url, &schema).await?;
    let fsync = raw.fsync().await?;
    compare(&format!("PostgreSQL, fsync {fsync}"), store, raw).await
}

/// Everything that is measured on one database.
async fn compare(name: &str, store: impl Store + GroupStore + Clone, raw: impl Raw) -> Result<(), Failed> {
    crate::say(&format!(
        "{name}: calls in turn, medians of {} rounds of {:?}",
        rounds::ROUNDS,
        rounds::ROUND
    ));
    crate::say(
        "| what | tasks | raw µs per call | store µs per call | ratio | raw CPU µs | store CPU µs | ratio |",
    );
    crate::say("|---|---|---|---|---|---|---|---|");
    for tasks in [1, 8, 64] {
        let (one, two) = (raw.clone(), store.clone());
        let load = rounds::compare(
            tasks,
            &raw,
            move |_, _| {
                Box::pin({
                    let raw = one.clone();
                    async move { raw.load().await }
                })
            },
            move |_, _| {
                Box::pin({
                    let store = two.clone();
                    async move { world::load(&store).await }
                })
            },
        );
        report("load", tasks, &load.await?);
    }
    for tasks in [1, 8, 64] {
        let (one, two) = (raw.clone(), store.clone());
        let debit = rounds::compare(
            tasks,
            &raw,
            move |task, key| {
                Box::pin({
                    let raw = one.clone();
                    async move { raw.debit(world::name(task), key).await }
                })
            },
            move |task, key| {
                Box::pin({
                    let store = two.clone();
                    async move { world::debit(&store, world::name(task), key).await }
                })
            },
        );
        report("debit", tasks, &debit.await?);
    }
    crate::say(&format!(
        "{name}: a document for each company, kept in the same transaction, against rows; one task"
    ));
    crate::say(
        "| what | tasks | rows µs per call | document µs per call | ratio | rows CPU µs | document CPU µs | ratio |",
    );
    crate::say("|---|---|---|---|---|---|---|---|");
    let (one, two) = (raw.clone(), raw.clone());
    let read = rounds::compare(
        1,
        &raw,
        move |_, _| {
            Box::pin({
                let raw = one.clone();
                async move { raw.load().await }
            })
        },
        move |_, _| {
            Box::pin({
                let raw = two.clone();
                async move { raw.document().await }
            })
        },
    );
    report("load", 1, &read.await?);
    let (one, two) = (raw.clone(), raw.clone());
    let written = rounds::compare(
        1,
        &raw,
        move |_, key| {
            Box::pin({
                let raw = one.clone();
                async move { raw.debit("document".into(), key).await }
            })
        },
        move |_, key| {
            Box::pin({
                let raw = two.clone();
                async move { raw.debit_with_document("document".into(), key).await }
            })
        },
    );
    report("debit", 1, &written.await?);
    hot::compare(name, store, raw).await
}

fn report(what: &str, tasks: usize, comparison: &Comparison) {
    let Comparison { one, two, ratio, cpu_one, cpu_two } = comparison;
    let cpu = cpu_two / cpu_one;
    crate::say(&format!(
        "| {what} | {tasks} | {one:.1} | {two:.1} | {ratio:.2} | {cpu_one:.1} | {cpu_two:.1} | {cpu:.2} |"
    ));
}
