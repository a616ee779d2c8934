//! Cases about alerts: one per threshold and counter, in the step that crosses it.

use chrono::{DateTime, TimeDelta, Utc};

use super::fixtures::{
    at, bucket, company, debit, december, granted, monthly, now, part, recorded, refused, units, yearly,
};
use crate::Amount;
use crate::store::Store;
use crate::usage::{Counter, Debit, UsageAlert};

fn alerting() -> Counter {
    Counter { alerts: vec![(80, units(8)), (100, units(10))], ..monthly(10) }
}

/// An alert is raised by the debit that reaches a threshold, not before.
pub async fn an_alert_is_raised_when_a_threshold_is_reached(store: &impl Store) {
    recorded(store, &debit("acme", "a", 7, [alerting()])).await;
    assert_eq!(alerts(store).await, []);
    recorded(store, &debit("acme", "b", 1, [alerting()])).await;
    let expected = UsageAlert {
        company: company("acme"),
        meter: alerting().meter,
        bucket: alerting().bucket,
        period_start: alerting().period.start,
        percent: 80,
        threshold: units(8),
        used: units(8),
        at: now(),
    };
    assert_eq!(alerts(store).await, [expected]);
}

/// A threshold that was reached raises no alert again while usage grows beyond it.
pub async fn a_threshold_raises_one_alert(store: &impl Store) {
    recorded(store, &debit("acme", "a", 8, [alerting()])).await;
    recorded(store, &debit("acme", "b", 1, [alerting()])).await;
    assert_eq!(percents(store).await, [80]);
}

/// One debit that crosses several thresholds raises each of them, with the units after it.
pub async fn one_debit_may_cross_several_thresholds(store: &impl Store) {
    recorded(store, &debit("acme", "a", 10, [alerting()])).await;
    let mut alerts = alerts(store).await;
    alerts.sort_by_key(|alert| alert.percent);
    let seen: Vec<_> = alerts.iter().map(|a| (a.percent, a.threshold.get(), a.used.get())).collect();
    assert_eq!(seen, [(80, 8, 10), (100, 10, 10)]);
}

/// A refused debit raises nothing, though it would have crossed.
pub async fn a_refused_debit_raises_no_alert(store: &impl Store) {
    refused(store, &debit("acme", "a", 11, [alerting()])).await;
    assert_eq!(alerts(store).await, []);
}

/// A refund and a new debit over the same threshold raise no second alert, acknowledged or not.
pub async fn a_refund_does_not_arm_an_alert_again(store: &impl Store) {
    for round in 0..3 {
        let receipt = recorded(store, &debit("acme", &format!("k{round}"), 8, [alerting()])).await;
        store.refund(&company("acme"), &receipt.id, now()).await.unwrap();
        let alerts = alerts(store).await;
        assert_eq!(alerts.len(), usize::from(round < 2));
        if round == 1 {
            store.acknowledge_alert(&alerts[0]).await.unwrap();
        }
    }
}

/// A duplicate raises no second alert.
pub async fn a_duplicate_raises_no_alert(store: &impl Store) {
    for _ in 0..2 {
        store.debit(&debit("acme", "a", 8, [alerting()])).await.unwrap();
    }
    assert_eq!(percents(store).await, [80]);
}

/// Each counter has its thresholds: another period or company raises its own alerts.
pub async fn each_counter_raises_its_own_alerts(store: &impl Store) {
    let next_month = Counter { period: december(), ..alerting() };
    recorded(store, &debit("acme", "a", 8, [alerting()])).await;
    recorded(store, &debit("acme", "b", 8, [next_month])).await;
    recorded(store, &debit("other", "a", 8, [alerting()])).await;
    let alerts = alerts(store).await;
    let seen: Vec<_> = alerts.iter().map(|a| (a.company.as_str(), a.period_start)).collect();
    let (november, december) = (alerting().period.start, december().start);
    assert_eq!(seen, [("acme", november), ("acme", december), ("other", november)]);
}

/// Every counter that a debit adds to may raise alerts: each bucket's, each parallel quota's, and tallies.
pub async fn every_counter_of_a_debit_may_raise_alerts(store: &impl Store) {
    let at_five = |counter: Counter| Counter { alerts: vec![(50, units(5))], ..counter };
    let everywhere = Debit {
        buckets: vec![
            bucket([at_five(granted("g", 5))]),
            bucket([at_five(monthly(10)), at_five(yearly(20))]),
        ],
        tallies: vec![at_five(part("tokens_in"))],
        ..debit("acme", "a", 10, [])
    };
    recorded(store, &everywhere).await;
    let mut buckets: Vec<_> = alerts(store).await.iter().map(|alert| alert.bucket.to_string()).collect();
    buckets.sort();
    assert_eq!(buckets, ["grant/g", "part", "plan/month/calendar", "plan/year/calendar"]);
}

/// A raised limit moves the thresholds: the same percentage of more units is another threshold.
pub async fn a_moved_threshold_is_another_one(store: &impl Store) {
    recorded(store, &debit("acme", "a", 8, [alerting()])).await;
    let raised = Counter { alerts: vec![(80, units(80))], ..monthly(100) };
    recorded(store, &debit("acme", "b", 60, [raised.clone()])).await;
    recorded(store, &debit("acme", "c", 12, [raised])).await;
    let seen: Vec<_> = alerts(store).await.iter().map(|alert| alert.threshold.get()).collect();
    assert_eq!(seen, [8, 80]);
}

/// A threshold of no units, or of the largest number, is crossed only when it is reached from below.
pub async fn extreme_thresholds_are_no_special_case(store: &impl Store) {
    let extreme = Counter { alerts: vec![(1, Amount::ZERO), (100, Amount::MAX)], ..monthly(None) };
    recorded(store, &debit("acme", "a", 1, [extreme.clone()])).await;
    assert_eq!(alerts(store).await, []);
    recorded(store, &debit("acme", "b", Amount::MAX.get() - 1, [extreme])).await;
    assert_eq!(percents(store).await, [100]);
}

/// Alerts are handed out oldest first, as many as asked for, until they are acknowledged.
pub async fn alerts_wait_until_they_are_acknowledged(store: &impl Store) {
    for (name, hour) in [("c", 1), ("a", 2), ("b", 3)] {
        let at = at(&format!("2026-11-07T{hour:02}:00:00Z"));
        recorded(store, &Debit { at, ..debit(name, "k", 8, [alerting()]) }).await;
    }
    assert_eq!(store.pending_alerts(0).await.unwrap(), []);
    let first = store.pending_alerts(2).await.unwrap();
    assert_eq!(companies(&first), ["c", "a"]);
    assert_eq!(store.pending_alerts(2).await.unwrap(), first);
    store.acknowledge_alert(&first[0]).await.unwrap();
    store.acknowledge_alert(&first[0]).await.unwrap();
    assert_eq!(companies(&alerts(store).await), ["a", "b"]);
    store.acknowledge_alert(&first[1]).await.unwrap();
    assert_eq!(companies(&alerts(store).await), ["b"]);
}

/// Acknowledging one threshold leaves the other of the same counter; an alert that never was is no error.
pub async fn one_alert_is_acknowledged_at_a_time(store: &impl Store) {
    recorded(store, &debit("acme", "a", 10, [alerting()])).await;
    let alerts = alerts(store).await;
    let never = UsageAlert { company: company("other"), ..alerts[0].clone() };
    store.acknowledge_alert(&never).await.unwrap();
    assert_eq!(percents(store).await.len(), 2);
    store.acknowledge_alert(&alerts[0]).await.unwrap();
    assert_eq!(percents(store).await, [alerts[1].percent]);
}

/// Who claims alerts gets those that nobody has, oldest first and as many as asked for, and nobody else gets them while the
/// claim lasts.
pub async fn a_claimed_alert_is_nobody_elses(store: &impl Store) {
    for name in ["c", "a", "b"] {
        recorded(store, &debit(name, "k", 8, [alerting()])).await;
    }
    assert_eq!(store.claim_alerts(in_seconds(60), now(), 0).await.unwrap(), []);
    let first = store.claim_alerts(in_seconds(60), now(), 2).await.unwrap();
    assert_eq!(companies(&first), ["c", "a"]);
    let second = store.claim_alerts(in_seconds(90), in_seconds(30), 2).await.unwrap();
    assert_eq!(companies(&second), ["b"]);
    let none = store.claim_alerts(in_seconds(120), in_seconds(59), 2).await.unwrap();
    assert_eq!(none, []);
    // They still wait.
    assert_eq!(companies(&alerts(store).await), ["c", "a", "b"]);
}

/// What was claimed and not acknowledged can be claimed again at the end of the claim, and what was acknowledged never.
pub async fn an_alert_that_was_not_acknowledged_comes_back(store: &impl Store) {
    for name in ["a", "b"] {
        recorded(store, &debit(name, "k", 8, [alerting()])).await;
    }
    let claimed = store.claim_alerts(in_seconds(60), now(), 10).await.unwrap();
    store.acknowledge_alert(&claimed[0]).await.unwrap();
    let again = store.claim_alerts(in_seconds(120), in_seconds(60), 10).await.unwrap();
    assert_eq!(again, claimed[1..]);
    store.acknowledge_alert(&again[0]).await.unwrap();
    assert_eq!(store.claim_alerts(in_seconds(900), in_seconds(600), 10).await.unwrap(), []);
}

/// An alert that comes back does not stand before one that nobody has had yet.
pub async fn what_nobody_had_yet_is_claimed_first(store: &impl Store) {
    recorded(store, &debit("old", "k", 8, [alerting()])).await;
    let old = store.claim_alerts(in_seconds(60), now(), 1).await.unwrap();
    assert_eq!(companies(&old), ["old"]);
    recorded(store, &debit("new", "k", 8, [alerting()])).await;
    let next = store.claim_alerts(in_seconds(120), in_seconds(60), 1).await.unwrap();
    assert_eq!(companies(&next), ["new"]);
    let next = store.claim_alerts(in_seconds(120), in_seconds(60), 1).await.unwrap();
    assert_eq!(companies(&next), ["old"]);
}

async fn alerts(store: &impl Store) -> Vec<UsageAlert> {
    store.pending_alerts(100).await.unwrap()
}

async fn percents(store: &impl Store) -> Vec<u16> {
    alerts(store).await.iter().map(|alert| alert.percent).collect()
}

fn in_seconds(seconds: i64) -> DateTime<Utc> {
    now() + TimeDelta::seconds(seconds)
}

fn companies(alerts: &[UsageAlert]) -> Vec<&str> {
    alerts.iter().map(|alert| alert.company.as_str()).collect()
}
