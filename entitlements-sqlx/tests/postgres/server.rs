//! The server of the tests, and schemas in it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use entitlements_sqlx::{PostgresConfig, PostgresStore};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// The URL of the server, with more parameters.
pub(crate) fn url(parameters: &str) -> String {
    let url = std::env::var("ENTITLEMENTS_TEST_POSTGRES_URL")
        .expect("ENTITLEMENTS_TEST_POSTGRES_URL names a PostgreSQL server; scripts/postgres.sh starts one");
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{parameters}")
}

/// The name of a schema that does not exist yet.
pub(crate) fn new_schema() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    format!("test_{now:x}_{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A way to a schema.
pub(crate) fn config(schema: &str) -> PostgresConfig {
    PostgresConfig::from_url(&url(&format!("search_path={schema}"))).unwrap()
}

/// A store in a schema.
pub(crate) async fn in_schema(schema: &str) -> PostgresStore {
    PostgresStore::connect(&config(schema)).await.unwrap()
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
