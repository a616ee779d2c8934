//! What holds of limits, receipts and counters whatever the dialect is.

use entitlements_core::store::Store;
use entitlements_core::testkit::fixtures::{
    company, debit, facts, granted, key, monthly, now, receipt_id, used_in,
};
use entitlements_core::usage::{Counter, Debit, DebitOutcome};

const TASKS: u64 = 64;

/// For some companies, one after the other: 64 tasks over several stores make the same debits of one unit, each more than
/// once, against one limit. Exactly the limit is granted, every repetition has the receipt of the first, and the counter
/// agrees with the receipts.
pub(crate) async fn exactly_the_limit_is_granted<S: Store + Clone>(stores: &[S]) {
    const LIMIT: u64 = 50;
    const EACH: u64 = 3;
    for company in ["a", "b", "c", "d", "e", "f"] {
        let tasks: Vec<_> = (0..TASKS)
            .zip(stores.iter().cycle().cloned())
            .map(|(task, store)| {
                // Every key is tried by two tasks, and twice by each.
                let names = (0..EACH).map(move |step| (format!("k{}", (task / 2) * EACH + step), task));
                tokio::spawn(async move {
                    let mut granted = 0;
                    for (name, task) in names {
                        granted += granted_twice(&store, company, &name, task, LIMIT).await;
                    }
                    granted
                })
            })
            .collect();
        let mut granted = 0;
        for task in tasks {
            granted += task.await.unwrap();
        }
        assert_eq!(granted, LIMIT);
        let names = (0..TASKS / 2 * EACH).map(|number| format!("k{number}"));
        assert_eq!(assert_counters_agree(&stores[0], company, names, &[monthly(LIMIT)]).await, LIMIT);
    }
}

/// Makes one debit of one unit twice; how often it was granted.
async fn granted_twice(store: &impl Store, company: &str, name: &str, task: u64, limit: u64) -> u64 {
    let taken = |again: u64| Debit {
        receipt: receipt_id(&format!("{name} {task} {again}")),
        ..debit(company, name, 1, [monthly(limit)])
    };
    let first = store.debit(&taken(0)).await.unwrap();
    let second = store.debit(&taken(1)).await.unwrap();
    match (&first, &second) {
        (DebitOutcome::Recorded(first) | DebitOutcome::Duplicate(first), DebitOutcome::Duplicate(second)) => {
            assert_eq!(first, second);
        }
        (DebitOutcome::Refused, DebitOutcome::Refused) => {}
        other => panic!("{name}: {other:?}"),
    }
    u64::from(matches!(first, DebitOutcome::Recorded(_)))
}

const KEYS: u64 = 400;

fn mixed_debit(task: u64, step: u64) -> Debit {
    let number = (task * 31 + step * 17) % KEYS;
    Debit {
        receipt: receipt_id(&format!("r{task}-{step}")),
        ..debit("acme", &format!("k{number}"), 1 + number % 3, mixed_buckets())
    }
}

fn mixed_buckets() -> [Counter; 2] {
    [granted("g", 60), monthly(200)]
}

/// 64 tasks over several stores with keys in common, debits of several units out of two buckets, and refunds in between:
/// no limit is passed at any time, and the counters agree with the receipts in the end.
pub(crate) async fn nothing_is_oversold_under_load<S: Store + Clone>(stores: &[S]) {
    let tasks: Vec<_> = (0..TASKS)
        .zip(stores.iter().cycle().cloned())
        .map(|(task, store)| {
            tokio::spawn(async move {
                for step in 0..12 {
                    let outcome = store.debit(&mixed_debit(task, step)).await.unwrap();
                    if let DebitOutcome::Recorded(receipt) = outcome
                        && (task + step) % 5 == 0
                    {
                        store.refund(&company("acme"), &receipt.id, now()).await.unwrap().unwrap();
                    }
                    let facts = facts(&store, "acme").await;
                    for (counter, limit) in mixed_buckets().iter().zip([60, 200]) {
                        assert!(used_in(&facts, counter) <= limit);
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let names = (0..KEYS).map(|number| format!("k{number}"));
    let taken = assert_counters_agree(&stores[0], "acme", names, &mixed_buckets()).await;
    assert!(taken > 200, "the limits were reached: {taken}");
}

/// Checks every counter of a company against the receipts that were not given back; returns the units taken.
pub(crate) async fn assert_counters_agree(
    store: &impl Store,
    name: &str,
    keys: impl Iterator<Item = String>,
    counters: &[Counter],
) -> u64 {
    let mut splits = Vec::new();
    for key_name in keys {
        if let Some(receipt) = store.receipt(&company(name), &key(&key_name)).await.unwrap()
            && receipt.refunded_at.is_none()
        {
            assert_eq!(receipt.split.iter().map(|s| s.amount.get()).sum::<u64>(), receipt.amount.get());
            splits.extend(receipt.split);
        }
    }
    let facts = facts(store, name).await;
    for counter in counters {
        let of_receipts: u64 =
            splits.iter().filter(|s| s.bucket == counter.bucket).map(|s| s.amount.get()).sum();
        assert_eq!(used_in(&facts, counter), of_receipts, "{counter:?}");
    }
    splits.iter().map(|split| split.amount.get()).sum()
}
