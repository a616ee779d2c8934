//! The store that the stories are told to: SQLite; PostgreSQL if `BILLING_DATABASE` is `postgres`, on the server of
//! `ENTITLEMENTS_TEST_POSTGRES_URL`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use billing_stripe::BillingLedger;
use entitlements_core::store::Store;
use entitlements_sqlx::{PostgresConfig, PostgresStore, SqliteConfig, SqliteStore};

/// How many orders of the webhooks of each story are tried, unless it is said.
pub(crate) const ORDERS: usize = 1;

/// What a process needs.
pub(crate) trait Ledger: Store + BillingLedger {}

impl<S: Store + BillingLedger + ?Sized> Ledger for S {}

/// An empty store.
pub(crate) async fn fresh() -> Arc<dyn Ledger> {
    if std::env::var("BILLING_DATABASE").is_ok_and(|name| name == "postgres") {
        return Arc::new(in_schema().await);
    }
    Arc::new(SqliteStore::connect(&SqliteConfig::in_memory()).await.unwrap())
}

/// A store in a schema of its own.
async fn in_schema() -> PostgresStore {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let url = std::env::var("ENTITLEMENTS_TEST_POSTGRES_URL").expect("the address of a server for tests");
    let separator = if url.contains('?') { '&' } else { '?' };
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let url = format!("{url}{separator}search_path=stories_{}_{number}", std::process::id());
    let config = PostgresConfig::from_url(&url).unwrap().with_connections(2);
    PostgresStore::connect(&config).await.unwrap()
}
