//! Connections that were idle while their server or the network went away.
//!
//! On one thread, so that the clock of the runtime can be moved; it stands only while it is.

use std::time::{Duration, Instant};

use entitlements_core::store::{ErasureStore, SnapshotStore, StoreErrorKind};
use entitlements_core::testkit::fixtures::{company, now};
use entitlements_sqlx::{PostgresConfig, PostgresStore};

use crate::proxy::{Proxy, Weather};
use crate::server::new_schema;

/// More than the pause after which a connection is asked whether it works.
const LONG: Duration = Duration::from_secs(6);

const CONNECTIONS: u64 = 4;

fn config(proxy: &Proxy, schema: &str) -> PostgresConfig {
    proxy.config(schema).with_connections(u32::try_from(CONNECTIONS).unwrap())
}

/// A store all of whose connections have worked, and are idle.
async fn idle(proxy: &Proxy, config: &PostgresConfig) -> PostgresStore {
    let store = PostgresStore::connect(config).await.unwrap();
    let before = proxy.begun();
    // Nobody is answered before all have asked.
    let [a, b, c, d] = [(); 4].map(|()| store.policies());
    let (a, b, c, d) = tokio::join!(a, b, c, d);
    assert!([a, b, c, d].iter().all(Result::is_ok));
    assert_eq!(proxy.begun() - before, CONNECTIONS);
    store
}

async fn a_long_time_passes() {
    tokio::time::pause();
    tokio::time::advance(LONG).await;
    tokio::time::resume();
}

/// Closes all that there are.
async fn cut(proxy: &Proxy) {
    proxy.set(Weather::Down);
    while proxy.open() > 0 {
        tokio::task::yield_now().await;
    }
    proxy.set(Weather::Fair);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_call_asks_one_of_the_idle_connections_that_are_lost_and_takes_a_new_one() {
    let proxy = Proxy::start().await;
    let store = idle(&proxy, &config(&proxy, &new_schema()).with_wait(Duration::from_secs(3))).await;
    a_long_time_passes().await;
    proxy.lose();
    let (before, begun) = (proxy.begun(), Instant::now());
    store.policies().await.unwrap();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    // All others were dropped with the one that did not answer.
    assert_eq!(proxy.begun() - before, 1);
    let begun = Instant::now();
    let (one, other) = tokio::join!(store.policies(), store.policies());
    assert!(one.is_ok() && other.is_ok());
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(900), "{took:?}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_call_waits_for_a_connection_no_longer_than_it_may() {
    let proxy = Proxy::start().await;
    let wait = Duration::from_millis(600);
    let store = idle(&proxy, &config(&proxy, &new_schema()).with_wait(wait)).await;
    a_long_time_passes().await;
    proxy.set(Weather::Hung);
    let begun = Instant::now();
    let error = store.policies().await.unwrap_err();
    let took = begun.elapsed();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(took < wait + Duration::from_millis(300), "{took:?}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn after_a_restart_no_call_fails_on_connections_that_were_idle_for_long() {
    let proxy = Proxy::start().await;
    let store = idle(&proxy, &config(&proxy, &new_schema())).await;
    a_long_time_passes().await;
    cut(&proxy).await;
    for _ in 0..CONNECTIONS {
        store.policies().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn after_a_restart_one_call_fails_on_connections_that_were_just_used() {
    let proxy = Proxy::start().await;
    let store = idle(&proxy, &config(&proxy, &new_schema())).await;
    cut(&proxy).await;
    let error = store.policies().await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    for _ in 0..CONNECTIONS {
        store.policies().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn opening_ends_in_time_wherever_the_server_falls_silent() {
    let schema = new_schema();
    let proxy = Proxy::start().await;
    let wait = Duration::from_millis(300);
    PostgresStore::connect(&proxy.config(&schema)).await.unwrap();
    let mut late = 0;
    for answers in 0..8 {
        proxy.lose_after(answers);
        let config = proxy.config(&schema).with_wait(wait);
        let opening = tokio::time::timeout(wait * 4, PostgresStore::connect(&config)).await;
        if let Err(error) = opening.unwrap_or_else(|_| panic!("no end after {answers} answers")) {
            assert_eq!(error.kind(), StoreErrorKind::Unavailable, "after {answers} answers");
            late += 1;
        }
    }
    assert!(late >= 3, "{late}: while connecting, and while looking at the schema");
}

/// What takes its time has a connection of its own.
#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn what_may_take_long_does_not_wait_long_for_its_connection() {
    let proxy = Proxy::start().await;
    let wait = Duration::from_millis(300);
    let store = PostgresStore::connect(&config(&proxy, &new_schema()).with_wait(wait)).await.unwrap();
    proxy.set(Weather::Hung);
    let erasing = tokio::time::timeout(wait * 10, store.erase(&company("acme"), now())).await;
    assert_eq!(erasing.expect("it ends").unwrap_err().kind(), StoreErrorKind::Unavailable);
}
