//! A network that fails: every call ends in time with an error of the right kind, and nothing is lost, or done twice.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use entitlements_core::ErrorKind;
use entitlements_core::store::{
    AuditStore, GaugeStore, GrantStore, PageRequest, PolicyStore, ReservationStore, SnapshotStore,
    StoreError, StoreErrorKind, SubscriptionStore, UsageStore,
};
use entitlements_core::testkit::fixtures::{
    addon, audited, company, debit, facts, feature, grant, grant_id, granted, holder, key, monthly, now,
    policy, receipt_id, subscription, units, used_in,
};
use entitlements_core::usage::{Debit, DebitOutcome};
use entitlements_sqlx::PostgresStore;

use crate::in_transaction;
use crate::ledger::assert_counters_agree;
use crate::proxy::{Proxy, Weather};
use crate::server::{in_schema, new_schema};
use crate::stage::{Beginning, InTransaction, Stage, execute, insert_alone};

const BAD: [Weather; 6] =
    [Weather::Down, Weather::Deaf, Weather::Torn(0), Weather::Torn(5), Weather::Torn(40), Weather::Hung];

/// A store that gives up soon.
async fn through(proxy: &Proxy, schema: &str) -> PostgresStore {
    let config = proxy.config(schema);
    let config = config.with_connections(2).with_wait(Duration::from_millis(800));
    PostgresStore::connect(&config.with_statement_timeout(Duration::from_millis(100))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn every_call_ends_in_time_with_an_error_that_says_try_again() {
    let weathers: Vec<_> = BAD.into_iter().map(|weather| tokio::spawn(every_call_fails(weather))).collect();
    let mut failures = 0;
    for weather in weathers {
        failures += weather.await.unwrap();
    }
    assert_eq!(failures, 5 * 17 + 3);
}

/// How many calls failed as they should.
async fn every_call_fails(weather: Weather) -> usize {
    let proxy = Proxy::start().await;
    let store = through(&proxy, &new_schema()).await;
    let acme = company("acme");
    let mut failures = 0;
    macro_rules! fails {
        ($($call:expr;)+) => {$({
            // The connection works before the weather turns.
            proxy.set(Weather::Fair);
            while store.policies().await.is_err() {}
            proxy.set(weather);
            let begun = Instant::now();
            let error: StoreError = $call.await.err().unwrap_or_else(|| panic!("{weather:?}: {}", stringify!($call)));
            let took = begun.elapsed();
            assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{weather:?}: {} {error:?}", stringify!($call));
            assert!(error.is_retryable(), "{error}");
            assert!(took < Duration::from_secs(4), "{weather:?}: {} took {took:?}", stringify!($call));
            failures += 1;
        })+};
    }
    fails! {
        store.load(&acme, now());
        store.debit(&debit("acme", "k", 1, [monthly(10)]));
        store.insert_grant(&grant("g", "acme"));
    }
    // All others wait for an answer in the same way.
    if weather == Weather::Hung {
        return failures;
    }
    let soon = now() + chrono::TimeDelta::seconds(1);
    fails! {
        store.policies();
        store.record(&acme, &[debit("acme", "e", 1, [monthly(10)])]);
        store.refund(&acme, &receipt_id("r"), now());
        store.receipt(&acme, &key("k"));
        store.reserve(&debit("acme", "r", 1, [monthly(10)]), soon);
        store.release_reservation(&acme, &receipt_id("receipt of r"), now());
        store.acquire(&acme, &feature("seats"), &holder("ada"), Some(units(5)), now());
        store.set_level(&acme, &feature("storage"), units(1), None);
        store.void_grant(&grant_id("g"), now());
        store.list_grants(&acme, &PageRequest::first(5));
        store.insert_policy(&policy("p"));
        store.put_addon(&acme, &addon("pack", 1));
        store.put_subscription(&subscription("s", "acme"), now());
        store.append(&[audited("a", "acme")]);
    }
    failures
}

/// 64 tasks debit, each key by two of them, under a receipt of its own at each attempt and until it is known what has become
/// of it, while the weather turns all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn what_is_tried_again_with_its_key_is_done_exactly_once() {
    const TASKS: u64 = 64;
    const EACH: u64 = 4;
    const LIMIT: u64 = 100;
    let schema = new_schema();
    let proxy = Proxy::start().await;
    let store = through(&proxy, &schema).await;
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let (mut taken, mut failed) = (BTreeSet::new(), 0);
                for step in 0..EACH {
                    let name = format!("{}-{step}", task / 2);
                    for attempt in 0.. {
                        let debit = Debit {
                            receipt: receipt_id(&format!("{task}-{step}-{attempt}")),
                            ..debit("acme", &name, 1, [granted("g", 20), monthly(LIMIT - 20)])
                        };
                        match store.debit(&debit).await {
                            Ok(DebitOutcome::Recorded(_) | DebitOutcome::Duplicate(_)) => {
                                taken.insert(name);
                            }
                            Ok(DebitOutcome::Refused) => {}
                            Ok(other) => panic!("{name}: {other:?}"),
                            Err(error) => {
                                assert!(error.is_retryable(), "{error:?}");
                                failed += 1;
                                continue;
                            }
                        }
                        break;
                    }
                }
                (taken, failed)
            })
        })
        .collect();
    let mut turns = 0;
    while tasks.iter().any(|task| !task.is_finished()) {
        let bad = [
            Weather::Torn(7),
            Weather::Deaf,
            Weather::Slow(Duration::from_millis(3)),
            Weather::Down,
            Weather::Torn(0),
        ];
        proxy.set(if turns % 40 == 39 { Weather::Hung } else { bad[turns % bad.len()] });
        tokio::time::sleep(Duration::from_millis(3)).await;
        proxy.set(Weather::Fair);
        tokio::time::sleep(Duration::from_millis(12)).await;
        turns += 1;
    }
    let (mut taken, mut failed) = (BTreeSet::new(), 0);
    for task in tasks {
        let (its, failures) = task.await.unwrap();
        taken.extend(its);
        failed += failures;
    }
    println!("{} debits granted, {failed} calls failed and were tried again", taken.len());
    assert_eq!(taken.len() as u64, LIMIT);
    assert!(failed > 0, "the weather was bad");
    let other = in_schema(&schema).await;
    let names = (0..TASKS / 2).flat_map(|pair| (0..EACH).map(move |step| format!("{pair}-{step}")));
    let counters = [granted("g", 20), monthly(LIMIT - 20)];
    assert_eq!(assert_counters_agree(&other, "acme", names, &counters).await, LIMIT);
    let facts = facts(&other, "acme").await;
    assert_eq!(counters.each_ref().map(|counter| used_in(&facts, counter)), [20, LIMIT - 20]);
}

/// Calls that are given up while the server hangs do not use up the pool.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_pool_whose_calls_were_given_up_works_again_when_the_server_does() {
    let proxy = Proxy::start().await;
    let store = through(&proxy, &new_schema()).await;
    store.policies().await.unwrap();
    proxy.set(Weather::Hung);
    for _ in 0..10 {
        let late = tokio::time::timeout(Duration::from_millis(20), store.load(&company("acme"), now())).await;
        assert!(late.is_err());
    }
    proxy.set(Weather::Fair);
    let begun = Instant::now();
    while store.load(&company("acme"), now()).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

/// On one thread: the proxy does not run between the end of a call and the count.
#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_warm_load_and_a_warm_debit_are_one_answer_each() {
    let proxy = Proxy::start().await;
    let store = through(&proxy, &new_schema()).await;
    for step in 0..6 {
        let before = proxy.answers();
        if step % 2 == 0 {
            store.load(&company("acme"), now()).await.unwrap();
        } else {
            store.debit(&debit("acme", &format!("k{step}"), 1, [monthly(10)])).await.unwrap();
        }
        let answers = proxy.answers() - before;
        // The first of each opens a connection, or prepares its statement.
        assert!(step < 2 || answers == 1, "step {step}: {answers} answers");
        // A connection whose call went well is not asked whether it still works.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(proxy.answers() - before, answers, "step {step}");
    }
}

/// The caller's own transaction ends with its connection: nothing of it remains, and the next one has a good connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_transaction_whose_connection_breaks_leaves_nothing() {
    let proxy = Proxy::start().await;
    let stage = Stage::behind(&proxy).await;
    let handle = in_transaction::handle(&stage);
    let acme = in_transaction::acme();
    let breaking = [Weather::Down, Weather::Deaf, Weather::Torn(0), Weather::Torn(5), Weather::Torn(40)];
    for (kept, weather) in (1..).zip(breaking) {
        let mut transaction = stage.pool.beginning().await;
        execute(&mut transaction, "INSERT INTO orders VALUES ('broken')").await;
        let mut inside = InTransaction::new(&mut transaction);
        drop(handle.consume_in(&mut inside, &in_transaction::units(&acme, 1)).await.unwrap());
        proxy.set(weather);
        let error = handle.consume_in(&mut inside, &in_transaction::units(&acme, 1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{weather:?}");
        proxy.set(Weather::Fair);
        drop(transaction);
        insert_alone(&stage.pool, &format!("kept {kept}")).await;
        assert_eq!(stage.orders_seen_by_others().await, kept, "{weather:?}");
        assert_eq!(in_transaction::used(&handle).await, 0, "{weather:?}");
    }
}
