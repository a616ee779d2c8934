//! Cases about what was only kept for a time: it goes when it is old, and nothing goes that is still needed.

use chrono::TimeDelta;

use super::super::fixtures::{
    company, debit, facts, grant, granted, key, monthly, now, receipt_id, recorded, units, used, used_in,
};
use super::{erased, populate};
use crate::facts::Revision;
use crate::period::Period;
use crate::reservation::ReserveOutcome;
use crate::store::Store;
use crate::usage::{Counter, UsageAlert};

/// Receipts that were kept long enough go, with their keys and refunds; what was counted stays.
pub async fn old_receipts_expire(store: &impl Store) {
    let mut old = debit("acme", "old", 2, [monthly(5)]);
    old.at = now() - TimeDelta::days(40);
    recorded(store, &old).await;
    let mut given_back = debit("acme", "given back", 1, [monthly(5)]);
    given_back.at = old.at;
    recorded(store, &given_back).await;
    store.refund(&company("acme"), &given_back.receipt, now()).await.unwrap();
    recorded(store, &debit("acme", "new", 1, [monthly(5)])).await;
    assert_eq!(store.expire(old.at).await.unwrap(), 0);
    assert_eq!(store.expire(now()).await.unwrap(), 2);
    for (name, known) in [("old", false), ("given back", false), ("new", true)] {
        assert_eq!(store.receipt(&company("acme"), &key(name)).await.unwrap().is_some(), known, "{name}");
    }
    assert_eq!(used(store, "acme", &monthly(5)).await, 3);
    assert_eq!(store.refund(&company("acme"), &receipt_id("receipt of old"), now()).await.unwrap(), None);
    assert_eq!(store.expire(now()).await.unwrap(), 0);
}

/// A counter of a period of ten days, which began so many days before [`now`].
fn past(days_ago: i64, limit: u64) -> Counter {
    let start = now() - TimeDelta::days(days_ago);
    Counter { period: Period { start, end: Some(start + TimeDelta::days(10)) }, ..monthly(limit) }
}

/// Takes units of such a counter on its first day.
async fn recorded_then(store: &impl Store, name: &str, amount: u64, counter: &Counter) {
    let mut debit = debit("acme", name, amount, [counter.clone()]);
    debit.at = counter.period.start;
    recorded(store, &debit).await;
}

/// What a counter held, as one who asks while its period lasts sees it.
async fn used_then(store: &impl Store, counter: &Counter) -> u64 {
    let facts = store.load(&company("acme"), counter.period.start).await.unwrap();
    used_in(&facts, counter)
}

/// Alerts that wait.
async fn alerts(store: &impl Store) -> Vec<UsageAlert> {
    store.pending_alerts(100).await.unwrap()
}

/// Nobody loads them, so they go, and with them the memory of the alerts that they have raised.
pub async fn counters_of_periods_that_are_long_over_expire(store: &impl Store) {
    let [old, recent] =
        [past(60, 10), past(12, 10)].map(|counter| Counter { alerts: vec![(50, units(5))], ..counter });
    let lifetime = Counter {
        period: Period { end: None, ..old.period },
        bucket: granted("g", 10).bucket,
        ..old.clone()
    };
    for (name, counter) in [("old", &old), ("recent", &recent), ("lifetime", &lifetime)] {
        recorded_then(store, name, 6, counter).await;
    }
    let raised = alerts(store).await;
    assert_eq!(raised.len(), 3);
    for alert in &raised {
        store.acknowledge_alert(alert).await.unwrap();
    }
    // The period ended fifty days ago, and not before.
    store.expire(old.period.end.unwrap()).await.unwrap();
    assert_eq!(used_then(store, &old).await, 6);
    store.expire(old.period.end.unwrap() + TimeDelta::seconds(1)).await.unwrap();
    let left =
        [used_then(store, &old).await, used_then(store, &recent).await, used_then(store, &lifetime).await];
    assert_eq!(left, [0, 6, 6]);
    // What is raised is remembered as long as its counter is.
    store.refund(&company("acme"), &receipt_id("receipt of recent"), now()).await.unwrap().unwrap();
    recorded_then(store, "recent again", 6, &recent).await;
    assert_eq!(alerts(store).await, []);
    recorded_then(store, "old again", 6, &old).await;
    assert_eq!(alerts(store).await.len(), 1);
}

/// A receipt gives back what it took, and an alert is sent, however old the counter is.
pub async fn counters_stay_as_long_as_something_refers_to_them(store: &impl Store) {
    let [waits, held] = [past(60, 10), past(90, 10)];
    let waits = Counter { alerts: vec![(50, units(5))], ..waits };
    recorded_then(store, "waits", 6, &waits).await;
    store.expire(now() - TimeDelta::days(40)).await.unwrap();
    assert_eq!((used_then(store, &waits).await, alerts(store).await.len()), (6, 1));
    store.acknowledge_alert(&alerts(store).await[0]).await.unwrap();
    let mut reservation = debit("acme", "held", 2, [held.clone()]);
    reservation.at = held.period.start;
    let reserved = store.reserve(&reservation, now() + TimeDelta::days(1)).await;
    if reserved.is_ok() {
        store.expire(now() - TimeDelta::days(40)).await.unwrap();
        assert_eq!((used_then(store, &waits).await, used_then(store, &held).await), (6, 2));
        let released = now() - TimeDelta::days(45);
        store.release_reservation(&company("acme"), &reservation.receipt, released).await.unwrap();
    }
    store.expire(now() - TimeDelta::days(40)).await.unwrap();
    assert_eq!((used_then(store, &waits).await, used_then(store, &held).await), (0, 0));
}

/// A reservation that has expired frees its units, however old it is: retention takes nothing away that is needed for that.
pub async fn retention_leaves_no_units_set_aside(store: &impl Store) {
    let day = TimeDelta::days(1);
    let hold = |name: &str, days_ago: i32| {
        let mut debit = debit("acme", name, 2, [monthly(20)]);
        debit.at = now() - day * days_ago;
        (debit.clone(), debit.at + TimeDelta::hours(1))
    };
    // One that nobody has ended, one that was released, and one that was committed not long ago.
    for (name, days_ago) in [("forgotten", 40), ("released", 40), ("committed", 40)] {
        let (debit, expires_at) = hold(name, days_ago);
        let reserved = store.reserve(&debit, expires_at).await.unwrap();
        assert!(matches!(reserved, ReserveOutcome::Reserved(_)), "{reserved:?}");
    }
    let acme = company("acme");
    let released = now() - day * 40;
    store.release_reservation(&acme, &receipt_id("receipt of released"), released).await.unwrap();
    let committed = now() - day;
    store.commit(&acme, &receipt_id("receipt of committed"), units(2), committed).await.unwrap();
    let (mut waits, expires_at) = hold("waits", 0);
    waits.at = now() - day * 40;
    store.reserve(&waits, expires_at + day).await.unwrap();

    assert_eq!(used(store, "acme", &monthly(20)).await, 4);
    let expired = store.expire(now() - day * 30).await.unwrap();
    // What was forgotten had been freed by the commit.
    assert_eq!(expired, 2);
    assert_eq!(used(store, "acme", &monthly(20)).await, 4);
    for (name, known) in [("forgotten", false), ("released", false), ("committed", true), ("waits", true)] {
        assert_eq!(store.reservation(&acme, &key(name)).await.unwrap().is_some(), known, "{name}");
    }
    // Its key is as old as its commit.
    assert!(store.receipt(&acme, &key("committed")).await.unwrap().is_some());
    // Nobody writes, and it expires: its units are free, before and after retention.
    let later = now() + day * 3;
    assert_eq!(used_in(&store.load(&acme, later).await.unwrap(), &monthly(20)), 2);
    assert_eq!(store.expire(later).await.unwrap(), 1);
    assert_eq!(used_in(&store.load(&acme, later).await.unwrap(), &monthly(20)), 2);
}

/// A reservation that is held while receipts expire can be committed afterwards, and given back.
pub async fn what_is_held_during_retention_can_be_given_back(store: &impl Store) {
    let held = debit("acme", "k", 2, [monthly(5)]);
    let (acme, later) = (company("acme"), now() + TimeDelta::days(2));
    store.reserve(&held, now() + TimeDelta::days(3)).await.unwrap();
    store.expire(now() + TimeDelta::days(1)).await.unwrap();
    store.commit(&acme, &held.receipt, units(1), later).await.unwrap();
    assert_eq!(used(store, "acme", &monthly(5)).await, 1);
    let given_back = store.refund(&acme, &held.receipt, later).await.unwrap().expect("a receipt");
    assert_eq!(given_back.refunded_at, Some(later));
    assert_eq!(used(store, "acme", &monthly(5)).await, 0);
}

/// The revision of an erased company is kept until it expires, and longer if the company came back.
pub async fn what_is_left_of_an_erasure_expires(store: &impl Store) {
    for name in ["gone", "back", "using"] {
        populate(store, name).await;
        erased(store, name).await;
    }
    store.insert_grant(&grant("g", "back")).await.unwrap();
    recorded(store, &debit("using", "k", 1, [monthly(5)])).await;
    let (back, using) = (facts(store, "back").await, facts(store, "using").await);
    store.expire(now()).await.unwrap();
    assert!(facts(store, "gone").await.revision > Revision(0));
    store.expire(now() + TimeDelta::microseconds(1)).await.unwrap();
    assert_eq!(facts(store, "gone").await.revision, Revision(0));
    assert_eq!(facts(store, "back").await, back);
    assert_eq!(facts(store, "using").await.usage, using.usage);
    // The company can come back from nothing, too.
    populate(store, "gone").await;
    assert_eq!(facts(store, "gone").await.grants.len(), 1);
}
