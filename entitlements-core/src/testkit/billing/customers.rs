//! Customers: one for each company, and one company for each.

use std::sync::Arc;

use tokio::sync::Barrier;

use super::{customer, in_seconds};
use crate::billing::{BillingStore, Customer};
use crate::id::CustomerId;
use crate::store::{Store, StoreErrorKind};
use crate::testkit::fixtures::{company, now};

/// A customer comes back by its id and by its company; what is unknown is none.
pub async fn a_customer_is_found_by_id_and_by_company(store: &(impl Store + BillingStore)) {
    let stored = Customer { livemode: true, ..customer("cus_1", "acme") };
    assert_eq!(store.insert_customer(&stored).await.unwrap(), stored);
    assert_eq!(store.customer(&stored.id).await.unwrap(), Some(stored.clone()));
    assert_eq!(store.customer_of(&company("acme")).await.unwrap(), Some(stored));
    assert_eq!(store.customer(&CustomerId::new("cus_2").unwrap()).await.unwrap(), None);
    assert_eq!(store.customer_of(&company("other")).await.unwrap(), None);
}

/// A second customer of a company is not stored; the first is what everybody gets.
pub async fn a_company_has_one_customer(store: &(impl Store + BillingStore)) {
    let first = customer("cus_1", "acme");
    store.insert_customer(&first).await.unwrap();
    assert_eq!(store.insert_customer(&customer("cus_2", "acme")).await.unwrap(), first);
    assert_eq!(store.insert_customer(&first).await.unwrap(), first);
    assert_eq!(store.customer(&CustomerId::new("cus_2").unwrap()).await.unwrap(), None);
}

/// Of fifty insertions at once for one company, all get the same customer.
pub async fn racing_customers_become_one<S: Store + BillingStore + Clone>(store: &S) {
    let barrier = Arc::new(Barrier::new(50));
    let racers: Vec<_> = (0..50)
        .map(|n| {
            let (store, barrier) = (store.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                store.insert_customer(&customer(&format!("cus_{n}"), "acme")).await.unwrap()
            })
        })
        .collect();
    let stored = store.insert_customer(&customer("cus_last", "acme")).await.unwrap();
    for racer in racers {
        assert_eq!(racer.await.unwrap(), stored);
    }
}

/// The id of another company's customer is refused, and stays where it is.
pub async fn a_customer_never_moves_to_another_company(store: &(impl Store + BillingStore)) {
    let stored = customer("cus_1", "acme");
    store.insert_customer(&stored).await.unwrap();
    let error = store.insert_customer(&customer("cus_1", "other")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
    assert_eq!(store.customer(&stored.id).await.unwrap(), Some(stored));
    assert_eq!(store.customer_of(&company("other")).await.unwrap(), None);
}

/// A deleted customer is found by its id alone, and makes room for another.
pub async fn a_deleted_customer_makes_room(store: &(impl Store + BillingStore)) {
    let first = customer("cus_1", "acme");
    store.insert_customer(&first).await.unwrap();
    assert!(store.delete_customer(&first.id, in_seconds(1)).await.unwrap());
    assert!(!store.delete_customer(&first.id, in_seconds(2)).await.unwrap());
    assert!(!store.delete_customer(&CustomerId::new("cus_9").unwrap(), now()).await.unwrap());
    let deleted = Customer { deleted_at: Some(in_seconds(1)), ..first };
    assert_eq!(store.customer(&deleted.id).await.unwrap(), Some(deleted));
    assert_eq!(store.customer_of(&company("acme")).await.unwrap(), None);
    let second = customer("cus_2", "acme");
    assert_eq!(store.insert_customer(&second).await.unwrap(), second);
}
