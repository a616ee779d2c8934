//! The server of the tests, and schemas in it.
//!
//! A server with many schemas is slow, so what a test has made goes when its thread ends, also if it fails. Only a process
//! that is killed leaves something behind.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use entitlements_core::ManualClock;
use entitlements_core::decision_cache::DecisionCache;
use entitlements_core::testkit::fixtures::now;
use entitlements_sqlx::{PostgresConfig, PostgresDecisionCache, PostgresStore};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::Mutex;

use crate::ground::Ground;

/// The URL of the server, with more parameters.
pub(crate) fn url(parameters: &str) -> String {
    let url = std::env::var("ENTITLEMENTS_TEST_POSTGRES_URL")
        .expect("ENTITLEMENTS_TEST_POSTGRES_URL names a PostgreSQL server; scripts/postgres.sh starts one");
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{parameters}")
}

/// The name of a schema that does not exist yet, and does not outlive this thread.
pub(crate) fn new_schema() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    passing(format!("test_{now:x}_{}", NUMBER.fetch_add(1, Ordering::Relaxed)))
}

/// The name of a schema that does not outlive this thread.
pub(crate) fn passing(name: String) -> String {
    MADE.with_borrow_mut(|made| made.0.push(name.clone()));
    name
}

thread_local! {
    static MADE: RefCell<Made> = const { RefCell::new(Made(Vec::new())) };
}

/// Schemas that are dropped with it.
struct Made(Vec<String>);

impl Drop for Made {
    fn drop(&mut self) {
        let schemas = std::mem::take(&mut self.0);
        // A runtime needs what this thread no longer has.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                // Whoever still uses one is not waited for.
                let mut connection = PgConnection::connect(&url("options[lock_timeout]=5s")).await?;
                for schema in schemas {
                    let name = schema.replace('"', "\"\"");
                    let statement = format!("DROP SCHEMA IF EXISTS \"{name}\" CASCADE");
                    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
                }
                connection.close().await
            })
        });
        match dropping.join() {
            Ok(Ok(())) => {}
            // Its test has ended: whatever it showed stands.
            other => eprintln!("a schema of a test stays: {other:?}"),
        }
    }
}

/// A way to a schema.
pub(crate) fn config(schema: &str) -> PostgresConfig {
    PostgresConfig::from_url(&url(&format!("search_path={schema}"))).unwrap()
}

/// A store in a schema.
pub(crate) async fn in_schema(schema: &str) -> PostgresStore {
    PostgresStore::connect(&config(schema)).await.unwrap()
}

/// A store whose connections can be told from all others: their name is that of the schema.
pub(crate) async fn named(schema: &str, connections: u32) -> PostgresStore {
    let url = url(&format!("search_path={schema}&application_name={schema}"));
    let config = PostgresConfig::from_url(&url).unwrap().with_connections(connections);
    PostgresStore::connect(&config).await.unwrap()
}

/// Another program's connection to a schema.
pub(crate) async fn stranger(schema: &str) -> PgConnection {
    let url = url(&format!("options[search_path]={schema}"));
    PgConnection::connect(&url).await.unwrap()
}

/// Runs statements as another program.
pub(crate) async fn meddle(schema: &str, statements: &str) {
    run(&mut stranger(schema).await, statements).await;
}

/// Runs statements over a connection.
pub(crate) async fn run(connection: &mut PgConnection, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(connection).await.unwrap();
}

/// A schema of its own.
pub(crate) struct InSchema {
    schema: String,
    /// Looks what the server does.
    watch: Mutex<Option<PgConnection>>,
}

impl InSchema {
    pub(crate) fn new() -> Self {
        Self { schema: new_schema(), watch: Mutex::new(None) }
    }

    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }
}

impl Ground for InSchema {
    type Store = PostgresStore;

    async fn open(&self) -> PostgresStore {
        named(&self.schema, 2).await
    }

    async fn beside(&self) -> PostgresStore {
        in_schema(&self.schema).await
    }

    async fn close(&self, store: PostgresStore) {
        store.close().await;
        self.quiet().await;
    }

    /// The server goes on with a statement whose client has gone, and notices it when that has ended.
    async fn quiet(&self) {
        let mut watch = self.watch.lock().await;
        if watch.is_none() {
            *watch = Some(stranger(&self.schema).await);
        }
        let connection = watch.as_mut().unwrap();
        let waiting = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let working: i64 =
                    sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE application_name = $1")
                        .bind(&self.schema)
                        .fetch_one(&mut *connection)
                        .await
                        .unwrap();
                if working == 0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        waiting.await.expect("the server works for nobody");
    }

    fn decisions(store: &PostgresStore) -> impl DecisionCache {
        PostgresDecisionCache::new(store, ManualClock::at(now())).with_read_timeout(Duration::from_secs(10))
    }
}
