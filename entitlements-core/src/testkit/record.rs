//! Cases about usage that has happened: counted in full, exactly once.

use super::fixtures::{
    company, debit, facts, feature, granted, key, monthly, now, receipt_id, recorded, refused, units, used,
    used_in, user,
};
use super::hostile::hostile_ids;
use crate::Amount;
use crate::store::{Store, StoreErrorKind};
use crate::usage::{Counter, Debit, RecordOutcome};

use RecordOutcome::{Conflict, Duplicate, Recorded};

async fn record(store: &impl Store, events: &[Debit]) -> Vec<RecordOutcome> {
    store.record(&company("acme"), events).await.unwrap()
}

/// Events are counted one after the other, and each has its receipt.
pub async fn events_are_counted_in_order(store: &impl Store) {
    let event = |name: &str, amount| debit("acme", name, amount, [granted("g", 4), monthly(10)]);
    let events = [event("a", 3), event("b", 2), event("c", 1)];
    assert_eq!(record(store, &events).await, [Recorded; 3]);
    let facts = facts(store, "acme").await;
    assert_eq!((used_in(&facts, &granted("g", 4)), used_in(&facts, &monthly(10))), (4, 2));
    for (name, shown) in [("a", 3), ("b", 5), ("c", 6)] {
        let receipt = store.receipt(&company("acme"), &key(name)).await.unwrap().unwrap();
        assert_eq!(receipt.used, units(shown), "{name}");
    }
}

/// No events are no error.
pub async fn an_empty_batch_records_nothing(store: &impl Store) {
    assert_eq!(record(store, &[]).await, []);
    assert_eq!(facts(store, "acme").await.usage, []);
}

/// What has happened is counted, also beyond the limit; the last bucket takes what does not fit.
pub async fn what_has_happened_is_counted_beyond_the_limit(store: &impl Store) {
    let event = |name: &str, amount| debit("acme", name, amount, [granted("g", 4), monthly(10)]);
    assert_eq!(record(store, &[event("a", 20), event("b", 5)]).await, [Recorded; 2]);
    let facts = facts(store, "acme").await;
    assert_eq!((used_in(&facts, &granted("g", 4)), used_in(&facts, &monthly(10))), (4, 21));
    refused(store, &event("c", 1)).await;
}

/// A key counts once: the same event again is a duplicate, another one a conflict, also within a batch.
pub async fn an_event_counts_once(store: &impl Store) {
    let event = |name: &str, amount| debit("acme", name, amount, [monthly(10)]);
    let again = |name: &str, amount| Debit { receipt: receipt_id("again"), ..event(name, amount) };
    recorded(store, &event("debited", 1)).await;
    let events = [event("a", 2), again("a", 2), again("a", 3), again("debited", 1), again("debited", 2)];
    assert_eq!(record(store, &events).await, [Recorded, Duplicate, Conflict, Duplicate, Conflict]);
    assert_eq!(record(store, &[event("a", 2), event("b", 1)]).await, [Duplicate, Recorded]);
    let of_ann = Debit { user: Some(user("ann")), ..event("a", 2) };
    let of_queries = Debit { meter: feature("queries"), ..event("a", 2) };
    assert_eq!(record(store, &[of_ann, of_queries]).await, [Conflict, Conflict]);
    assert_eq!(used(store, "acme", &monthly(10)).await, 4);
}

/// The keys of reservations are known as well.
pub async fn the_key_of_a_reservation_conflicts(store: &impl Store) {
    let event = debit("acme", "k", 2, [monthly(10)]);
    store.reserve(&event, super::fixtures::at("2026-11-08T00:00:00Z")).await.unwrap();
    assert_eq!(record(store, std::slice::from_ref(&event)).await, [Conflict]);
    store.commit(&company("acme"), &event.receipt, units(2), now()).await.unwrap();
    assert_eq!(record(store, &[event]).await, [Duplicate]);
    assert_eq!(used(store, "acme", &monthly(10)).await, 2);
}

/// A receipt of what was recorded is given back like any other.
pub async fn a_recorded_event_can_be_refunded(store: &impl Store) {
    let event = debit("acme", "k", 20, [granted("g", 4), monthly(10)]);
    record(store, std::slice::from_ref(&event)).await;
    store.refund(&company("acme"), &event.receipt, now()).await.unwrap().unwrap();
    let facts = facts(store, "acme").await;
    assert_eq!((used_in(&facts, &granted("g", 4)), used_in(&facts, &monthly(10))), (0, 0));
}

/// Alerts are raised as debits raise them: once for each threshold.
pub async fn recorded_events_raise_alerts(store: &impl Store) {
    let alerting = || Counter { alerts: vec![(80, units(8)), (100, units(10))], ..monthly(10) };
    let event = |name: &str, amount| debit("acme", name, amount, [alerting()]);
    record(store, &[event("a", 7), event("b", 2), event("c", 5), event("d", 5)]).await;
    let raised = store.pending_alerts(10).await.unwrap();
    let raised: Vec<_> = raised.iter().map(|alert| (alert.percent, alert.used.get())).collect();
    assert_eq!(raised, [(80, 9), (100, 14)]);
}

/// A batch is counted as a whole, or it is an error and nothing of it is.
pub async fn a_batch_is_all_or_nothing(store: &impl Store) {
    let event = |name: &str, amount| debit("acme", name, amount, [monthly(10)]);
    record(store, &[event("before", 3)]).await;
    let before = facts(store, "acme").await;
    let (fine, overflow) = (event("a", 1), event("b", Amount::MAX.get()));
    assert!(store.record(&company("acme"), &[fine.clone(), overflow]).await.is_err());
    let taken = Debit { receipt: receipt_id("receipt of before"), ..event("b", 1) };
    assert!(store.record(&company("acme"), &[fine.clone(), taken]).await.is_err());
    for malformed in
        [event("b", 0), Debit { buckets: Vec::new(), ..event("b", 1) }, debit("other", "b", 1, [monthly(1)])]
    {
        let error = store.record(&company("acme"), &[fine.clone(), malformed]).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unsupported);
    }
    assert_eq!(facts(store, "acme").await, before);
    assert_eq!(store.receipt(&company("acme"), &key("a")).await.unwrap(), None);
    assert_eq!(record(store, &[fine]).await, [Recorded]);
}

/// Batches with events in common, in opposite orders and over the same counters, at once: each event counts once.
pub async fn racing_batches_count_each_event_once<S: Store + Clone>(store: &S) {
    let racers: Vec<_> = (0..16)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut events: Vec<_> = (0..10)
                    .map(|event| {
                        let mut counters = [granted("g", 20), monthly(10)];
                        if event % 2 == 0 {
                            counters.reverse();
                        }
                        Debit {
                            receipt: receipt_id(&format!("{number} {event}")),
                            ..debit("acme", &format!("k{event}"), 3, counters)
                        }
                    })
                    .collect();
                if number % 2 == 0 {
                    events.reverse();
                }
                let outcomes = record(&store, &events).await;
                outcomes.iter().filter(|outcome| **outcome == Recorded).count()
            })
        })
        .collect();
    let mut counted = 0;
    for racer in racers {
        counted += racer.await.unwrap();
    }
    assert_eq!(counted, 10);
    let facts = facts(store, "acme").await;
    assert_eq!(used_in(&facts, &granted("g", 20)) + used_in(&facts, &monthly(10)), 30);
}

/// Events with hostile keys and users come back as what they are.
pub async fn hostile_events_never_mix(store: &impl Store) {
    let ids = hostile_ids();
    let events: Vec<_> = ids
        .iter()
        .map(|id| Debit {
            receipt: receipt_id(id),
            user: Some(user(id)),
            ..debit("acme", id, 1, [Counter { meter: feature(id), ..monthly(None) }])
        })
        .collect();
    assert_eq!(record(store, &events).await, vec![Recorded; ids.len()]);
    assert_eq!(record(store, &events).await, vec![Duplicate; ids.len()]);
    assert_eq!(facts(store, "acme").await.usage.len(), ids.len());
}
