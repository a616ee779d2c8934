//! What is asked of the provider, stored before it is asked.

use std::sync::Arc;

use tokio::sync::Barrier;

use super::operation;
use crate::billing::{Begun, BillingStore, Operation, OperationResult};
use crate::store::{Store, StoreErrorKind};
use crate::testkit::fixtures::now;

/// Who asks for the same thing goes on with the open operation; who asks for something else is told of it.
pub async fn an_operation_is_begun_once(store: &(impl Store + BillingStore)) {
    let first = operation("op_1", "acme", "pro × 5");
    assert_eq!(store.begin_operation(&first).await.unwrap(), Begun::Now);
    let again = operation("op_2", "acme", "pro × 5");
    assert_eq!(store.begin_operation(&again).await.unwrap(), Begun::Before(first.clone()));
    let different = operation("op_3", "acme", "pro × 6");
    assert_eq!(store.begin_operation(&different).await.unwrap(), Begun::Busy(first));
    let elsewhere = operation("op_4", "other", "pro × 5");
    assert_eq!(store.begin_operation(&elsewhere).await.unwrap(), Begun::Now);
    let other_kind = Operation { kind: "create_customer".to_owned(), ..operation("op_5", "acme", "") };
    assert_eq!(store.begin_operation(&other_kind).await.unwrap(), Begun::Now);
}

/// An operation that ended makes room for the next, and never opens again.
pub async fn an_operation_ends_once(store: &(impl Store + BillingStore)) {
    let first = operation("op_1", "acme", "pro");
    let done = OperationResult::Done("sub_1".to_owned());
    assert!(!store.finish_operation(&first.id, &done, now()).await.unwrap());
    store.begin_operation(&first).await.unwrap();
    assert!(store.finish_operation(&first.id, &done, now()).await.unwrap());
    let failed = OperationResult::Failed("declined".to_owned());
    assert!(!store.finish_operation(&first.id, &failed, now()).await.unwrap());
    let error = store.begin_operation(&first).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
    let second = operation("op_2", "acme", "pro");
    assert_eq!(store.begin_operation(&second).await.unwrap(), Begun::Now);
    assert!(store.finish_operation(&second.id, &failed, now()).await.unwrap());
}

/// Of fifty double clicks, one begins the operation, and all go on with its id.
pub async fn racing_operations_become_one<S: Store + BillingStore + Clone>(store: &S) {
    let barrier = Arc::new(Barrier::new(50));
    let racers: Vec<_> = (0..50)
        .map(|n| {
            let (store, barrier) = (store.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                let own = operation(&format!("op_{n}"), "acme", "pro");
                match store.begin_operation(&own).await.unwrap() {
                    Begun::Now => (true, own.id),
                    Begun::Before(open) => (false, open.id),
                    Begun::Busy(open) => panic!("{open:?} asks for the same thing"),
                }
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for racer in racers {
        outcomes.push(racer.await.unwrap());
    }
    let begun: Vec<_> = outcomes.iter().filter(|(begun, _)| *begun).collect();
    assert_eq!(begun.len(), 1);
    assert!(outcomes.iter().all(|(_, id)| *id == begun[0].1));
}
