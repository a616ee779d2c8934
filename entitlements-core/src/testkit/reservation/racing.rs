//! Reservations, their ends and debits at once.

use std::sync::Arc;

use tokio::sync::Barrier;

use super::{commit, expiry, reserve, used_at};
use crate::reservation::{CommitOutcome, ReservationEnd, ReserveOutcome};
use crate::store::Store;
use crate::testkit::fixtures::{company, debit, granted, key, monthly, now, recorded, units, used, used_in};
use crate::usage::{Debit, DebitOutcome};

const RACERS: u64 = 64;

/// Debits and reservations at once against one limit: together exactly the limit is taken.
pub async fn racing_reservations_never_pass_the_limit<S: Store + Clone>(store: &S) {
    let taken = race(store, |store, number| async move {
        let asked = debit("acme", &format!("k{number}"), 1, [monthly(10)]);
        if number % 2 == 0 {
            matches!(store.debit(&asked).await.unwrap(), DebitOutcome::Recorded(_))
        } else {
            matches!(store.reserve(&asked, expiry()).await.unwrap(), ReserveOutcome::Reserved(_))
        }
    })
    .await;
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 10);
    assert_eq!(used(store, "acme", &monthly(10)).await, 10);
}

/// At the expiry of what holds everything, exactly the limit is taken again, and the late commit gets what is left.
pub async fn racing_for_expired_units_never_passes_the_limit<S: Store + Clone>(store: &S) {
    let reservation = reserve(store, &debit("acme", "held", 10, [granted("g", 3), monthly(7)])).await;
    let id = reservation.id().clone();
    let taken: u64 = race(store, move |store, number| {
        let id = id.clone();
        async move {
            if number == 7 {
                let settlement = commit(&store, &id, 10, expiry()).await;
                return settlement.receipt.map_or(0, |receipt| receipt.amount.get());
            }
            let asked = debit("acme", &format!("k{number}"), 1, [granted("g", 3), monthly(7)]);
            let outcome = store.debit(&Debit { at: expiry(), ..asked }).await.unwrap();
            u64::from(matches!(outcome, DebitOutcome::Recorded(_)))
        }
    })
    .await
    .into_iter()
    .sum();
    assert_eq!(taken, 10);
    assert_eq!(used_at(store, &granted("g", 3), expiry()).await, 3);
    assert_eq!(used_at(store, &monthly(7), expiry()).await, 7);
}

/// Commits and releases of one reservation at once: one of them ends it.
pub async fn racing_ends_end_once<S: Store + Clone>(store: &S) {
    recorded(store, &debit("acme", "a", 1, [monthly(100)])).await;
    for round in 0..4 {
        let reservation = reserve(store, &debit("acme", &format!("k{round}"), 8, [monthly(100)])).await;
        let id = reservation.id().clone();
        let before = used(store, "acme", &monthly(100)).await - 8;
        let first: u64 = race(store, move |store, number| {
            let id = id.clone();
            async move {
                if number % 4 == 0 {
                    store.release_reservation(&company("acme"), &id, now()).await.unwrap().unwrap();
                    return 0;
                }
                let outcome = store.commit(&company("acme"), &id, units(4 + number % 4 * 4), now()).await;
                u64::from(matches!(outcome.unwrap(), Some(CommitOutcome::Committed(_))))
            }
        })
        .await
        .into_iter()
        .sum();
        let known = store.reservation(&company("acme"), &key(&format!("k{round}"))).await.unwrap().unwrap();
        let taken = match known.end {
            Some(ReservationEnd::Committed(settlement)) => settlement.receipt.unwrap().amount.get(),
            Some(ReservationEnd::Released { .. }) => 0,
            None => panic!("not ended"),
        };
        assert_eq!(first, u64::from(taken > 0));
        assert_eq!(used(store, "acme", &monthly(100)).await, before + taken);
    }
}

/// Reservations over the same buckets in opposite orders, their ends, and debits do not block each other.
pub async fn racing_reservations_in_opposite_orders_all_succeed<S: Store + Clone>(store: &S) {
    race(store, |store, number| async move {
        let mut buckets = [granted("g", 5), monthly(1000), granted("h", 5)];
        if number % 2 == 0 {
            buckets.reverse();
        }
        let asked = debit("acme", &format!("k{number}"), 3, buckets);
        if number % 4 < 2 {
            recorded(&store, &Debit { at: expiry(), ..asked }).await;
            return;
        }
        let reservation = reserve(&store, &asked).await;
        if number % 4 == 2 {
            commit(&store, reservation.id(), number % 7, expiry()).await;
        }
    })
    .await;
    let facts = store.load(&company("acme"), expiry()).await.unwrap();
    let counters = [granted("g", 5), monthly(1000), granted("h", 5)];
    let total: u64 = counters.iter().map(|counter| used_in(&facts, counter)).sum();
    let committed: u64 = (0..RACERS).filter(|number| number % 4 == 2).map(|number| number % 7).sum();
    assert_eq!(total, 3 * RACERS / 2 + committed);
}

/// Runs something for each number at once.
async fn race<S, T, F>(store: &S, run: impl Fn(S, u64) -> F) -> Vec<T>
where
    S: Store + Clone,
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(usize::try_from(RACERS).unwrap()));
    let racers: Vec<_> = (0..RACERS)
        .map(|number| {
            let (running, barrier) = (run(store.clone(), number), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                running.await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for racer in racers {
        answers.push(racer.await.unwrap());
    }
    answers
}
