//! Cases about many debits at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;
use tokio::sync::Barrier;

use super::fixtures::{
    company, debit, facts, granted, key, monthly, now, receipt_id, recorded, units, used, used_in,
};
use crate::store::Store;
use crate::usage::{Counter, Debit, DebitOutcome, Receipt};

const RACERS: u64 = 50;

/// Makes all debits at once; the outcomes are in the order of the debits.
async fn race<S: Store + Clone>(store: &S, debits: Vec<Debit>) -> Vec<DebitOutcome> {
    let barrier = Arc::new(Barrier::new(debits.len()));
    let racers: Vec<_> = debits
        .into_iter()
        .map(|debit| {
            let (store, barrier) = (store.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                store.debit(&debit).await.unwrap()
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for racer in racers {
        outcomes.push(racer.await.unwrap());
    }
    outcomes
}

fn receipts(outcomes: &[DebitOutcome]) -> Vec<&Receipt> {
    let mut receipts = Vec::new();
    for outcome in outcomes {
        if let DebitOutcome::Recorded(receipt) = outcome {
            receipts.push(receipt);
        }
    }
    receipts
}

/// What the receipts say a counter received.
fn ledger(receipts: &[&Receipt], counter: &Counter) -> u64 {
    (receipts.iter().flat_map(|receipt| &receipt.split))
        .filter(|split| {
            split.meter == counter.meter
                && split.bucket == counter.bucket
                && split.period_start == counter.period.start
        })
        .map(|split| split.amount.get())
        .sum()
}

/// Fifty debits of one unit at once against a limit of ten: exactly ten succeed, and the counter agrees with the receipts.
pub async fn racing_debits_never_pass_the_limit<S: Store + Clone>(store: &S) {
    let debits = (0..RACERS).map(|n| debit("acme", &format!("k{n}"), 1, [monthly(10)])).collect();
    let outcomes = race(store, debits).await;
    let receipts = receipts(&outcomes);
    assert_eq!(receipts.len(), 10);
    assert_eq!(outcomes.iter().filter(|o| **o == DebitOutcome::Refused).count(), 40);
    assert_eq!(used(store, "acme", &monthly(10)).await, 10);
    let mut shown: Vec<_> = receipts.iter().map(|receipt| receipt.used.get()).collect();
    shown.sort_unstable();
    assert_eq!(shown, (1..=10).collect::<Vec<_>>());
}

/// Debits of several units at once over several buckets: no bucket passes its limit, and each agrees with the receipts.
pub async fn racing_splits_never_pass_a_limit<S: Store + Clone>(store: &S) {
    let buckets = || [granted("g", 7), granted("h", 5), monthly(20)];
    let debits = (0..RACERS).map(|n| debit("acme", &format!("k{n}"), 1 + n % 3, buckets())).collect();
    let outcomes = race(store, debits).await;
    let receipts = receipts(&outcomes);
    let facts = facts(store, "acme").await;
    let mut total = 0;
    for (counter, limit) in buckets().iter().zip([7, 5, 20]) {
        let used = used_in(&facts, counter);
        assert_eq!(used, ledger(&receipts, counter), "{counter:?}");
        assert!(used <= limit, "{counter:?} holds {used}");
        total += used;
    }
    for (n, outcome) in (0..RACERS).zip(&outcomes) {
        let fits = total + 1 + n % 3 <= 32;
        assert!(!(fits && *outcome == DebitOutcome::Refused), "{} units were refused at {total}", 1 + n % 3);
    }
}

/// One key at once by many: one records it, all others are duplicates of that receipt.
pub async fn racing_duplicates_count_once<S: Store + Clone>(store: &S) {
    let again =
        |n: u64| Debit { receipt: receipt_id(&format!("r{n}")), ..debit("acme", "k", 2, [monthly(100)]) };
    let outcomes = race(store, (0..RACERS).map(again).collect()).await;
    let receipts = receipts(&outcomes);
    assert_eq!(receipts.len(), 1);
    let duplicates = outcomes.iter().filter(|o| **o == DebitOutcome::Duplicate(receipts[0].clone()));
    assert_eq!(duplicates.count(), 49);
    assert_eq!(used(store, "acme", &monthly(100)).await, 2);
}

/// One key at once with different amounts: one amount wins, its twins are duplicates, all others conflict.
pub async fn racing_conflicts_count_once<S: Store + Clone>(store: &S) {
    let debits = (0..RACERS).map(|n| Debit {
        receipt: receipt_id(&format!("r{n}")),
        ..debit("acme", "k", 1 + n % 2, [monthly(100)])
    });
    let outcomes = race(store, debits.collect()).await;
    let receipts = receipts(&outcomes);
    assert_eq!(receipts.len(), 1);
    let winner = receipts[0];
    for (n, outcome) in outcomes.iter().enumerate() {
        match outcome {
            DebitOutcome::Recorded(receipt) | DebitOutcome::Duplicate(receipt) => assert_eq!(receipt, winner),
            DebitOutcome::Conflict => assert_ne!(units(1 + n as u64 % 2), winner.amount),
            DebitOutcome::Refused => panic!("refused though there is room"),
        }
    }
    assert_eq!(used(store, "acme", &monthly(100)).await, winner.amount.get());
}

/// Many refunds of one receipt at once give it back once.
pub async fn racing_refunds_give_back_once<S: Store + Clone>(store: &S) {
    recorded(store, &debit("acme", "a", 3, [monthly(10)])).await;
    let receipt = recorded(store, &debit("acme", "b", 2, [monthly(10)])).await;
    let racers: Vec<_> = (0..16)
        .map(|_| {
            let (store, id) = (store.clone(), receipt.id.clone());
            tokio::spawn(async move { store.refund(&company("acme"), &id, now()).await.unwrap() })
        })
        .collect();
    for racer in racers {
        assert_eq!(racer.await.unwrap().unwrap().refunded_at, Some(now()));
    }
    assert_eq!(used(store, "acme", &monthly(10)).await, 3);
}

/// Debits and refunds of them at once: at the end the counter holds what was not given back.
pub async fn racing_debits_and_refunds_balance<S: Store + Clone>(store: &S) {
    let racers: Vec<_> = (0..RACERS)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let outcome = store.debit(&debit("acme", &format!("k{n}"), 1, [monthly(10)])).await.unwrap();
                if let DebitOutcome::Recorded(receipt) = outcome
                    && n % 2 == 0
                {
                    store.refund(&company("acme"), &receipt.id, now()).await.unwrap().unwrap();
                }
            })
        })
        .collect();
    for racer in racers {
        racer.await.unwrap();
    }
    let mut kept = 0;
    for n in 0..RACERS {
        let receipt = store.receipt(&company("acme"), &key(&format!("k{n}"))).await.unwrap();
        kept += u64::from(receipt.is_some_and(|receipt| receipt.refunded_at.is_none()));
    }
    assert!(kept <= 10);
    assert_eq!(used(store, "acme", &monthly(10)).await, kept);
}

/// Many debits that together cross a threshold raise one alert.
pub async fn racing_debits_raise_one_alert<S: Store + Clone>(store: &S) {
    let alerting = Counter { alerts: vec![(80, units(8))], ..monthly(10) };
    let debits = (0..RACERS).map(|n| debit("acme", &format!("k{n}"), 1, [alerting.clone()])).collect();
    race(store, debits).await;
    let alerts = store.pending_alerts(10).await.unwrap();
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].used, units(8));
}

/// Many who claim at once share no alert, and leave none that anybody had room for.
pub async fn racing_claims_never_share_an_alert<S: Store + Clone>(store: &S) {
    let alerting = Counter { alerts: vec![(80, units(8))], ..monthly(10) };
    for n in 0..RACERS {
        recorded(store, &debit(&format!("company {n}"), "k", 8, [alerting.clone()])).await;
    }
    let barrier = Arc::new(Barrier::new(10));
    let racers: Vec<_> = (0..10)
        .map(|_| {
            let (store, barrier) = (store.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                store.claim_alerts(now() + TimeDelta::minutes(1), now(), 4).await.unwrap()
            })
        })
        .collect();
    let mut claimed = Vec::new();
    for racer in racers {
        claimed.extend(racer.await.unwrap());
    }
    claimed.extend(store.claim_alerts(now() + TimeDelta::minutes(1), now(), 50).await.unwrap());
    let companies: BTreeSet<_> = claimed.iter().map(|alert| alert.company.clone()).collect();
    assert_eq!((claimed.len(), companies.len()), (50, 50), "{claimed:?}");
}

/// Companies do not disturb each other: each gets its whole limit.
pub async fn racing_companies_get_their_own_limit<S: Store + Clone>(store: &S) {
    let names = ["a", "b", "c", "d"];
    let debits = (0..RACERS)
        .zip(names.into_iter().cycle())
        .map(|(n, name)| debit(name, &format!("k{n}"), 1, [monthly(10)]))
        .collect();
    race(store, debits).await;
    for name in names {
        assert_eq!(used(store, name, &monthly(10)).await, 10);
    }
}

/// One key at once by two calls that have no counter in common: one records it, the other is a duplicate, and only the
/// counter of the one holds something.
pub async fn racing_duplicates_over_other_counters_count_once<S: Store + Clone>(store: &S) {
    for round in 0..RACERS {
        let name = format!("k{round}");
        let one =
            Debit { receipt: receipt_id(&format!("a{round}")), ..debit("acme", &name, 2, [monthly(1000)]) };
        let other = Debit {
            receipt: receipt_id(&format!("b{round}")),
            ..debit("acme", &name, 2, [granted("g", 1000)])
        };
        let outcomes = race(store, vec![one, other]).await;
        let recorded = receipts(&outcomes);
        assert_eq!(recorded.len(), 1, "round {round}: {outcomes:?}");
        assert!(
            outcomes.contains(&DebitOutcome::Duplicate(recorded[0].clone())),
            "round {round}: {outcomes:?}"
        );
    }
    let facts = facts(store, "acme").await;
    assert_eq!(used_in(&facts, &monthly(1000)) + used_in(&facts, &granted("g", 1000)), 2 * RACERS);
}

/// Debits that name the same buckets in opposite orders, and refunds of them, do not block each other.
pub async fn racing_debits_in_opposite_orders_all_succeed<S: Store + Clone>(store: &S) {
    let racers: Vec<_> = (0..RACERS)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut buckets = [granted("g", 1), monthly(1000), granted("h", 1)];
                if n % 2 == 0 {
                    buckets.reverse();
                }
                let receipt = recorded(&store, &debit("acme", &format!("k{n}"), 3, buckets)).await;
                if n % 5 == 0 {
                    store.refund(&company("acme"), &receipt.id, now()).await.unwrap().unwrap();
                }
            })
        })
        .collect();
    for racer in racers {
        racer.await.unwrap();
    }
    let facts = facts(store, "acme").await;
    let total: u64 =
        [granted("g", 1), monthly(1000), granted("h", 1)].iter().map(|c| used_in(&facts, c)).sum();
    assert_eq!(total, 3 * (RACERS - RACERS / 5));
}
