//! The lock of a company, and what is stored under it.

use std::sync::Arc;

use tokio::sync::Barrier;

use super::{in_seconds, locked};
use crate::billing::BillingStore;
use crate::store::{Store, StoreErrorKind};
use crate::subscription::{Subscription, SubscriptionStatus};
use crate::testkit::fixtures::{company, facts, now, plan, subscription};

/// A lock that is held is refused until its lease has ended, at that very instant, or until it is given back.
pub async fn a_lock_is_held_until_it_ends(store: &(impl Store + BillingStore)) {
    let acme = company("acme");
    let first = locked(store, "acme", now()).await;
    assert_eq!(store.lock(&acme, in_seconds(90), in_seconds(29)).await.unwrap(), None);
    assert!(store.lock(&company("other"), in_seconds(30), now()).await.unwrap().is_some());
    let second = locked(store, "acme", in_seconds(30)).await;
    assert!(first.fence < second.fence);
    store.unlock(&first).await.unwrap();
    assert_eq!(store.lock(&acme, in_seconds(90), in_seconds(31)).await.unwrap(), None);
    store.unlock(&second).await.unwrap();
    let third = locked(store, "acme", in_seconds(31)).await;
    assert!(second.fence < third.fence);
}

/// Of fifty who want a lock at once, one gets it.
pub async fn racing_locks_are_held_by_one<S: Store + BillingStore + Clone>(store: &S) {
    let barrier = Arc::new(Barrier::new(50));
    let racers: Vec<_> = (0..50)
        .map(|_| {
            let (store, barrier) = (store.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                store.lock(&company("acme"), in_seconds(30), now()).await.unwrap()
            })
        })
        .collect();
    let mut holders = 0;
    for racer in racers {
        holders += usize::from(racer.await.unwrap().is_some());
    }
    assert_eq!(holders, 1);
}

/// Under a lock that is in force, the state is stored with a revision that shows it; the same state again changes nothing.
pub async fn a_synced_subscription_is_stored(store: &(impl Store + BillingStore)) {
    let lock = locked(store, "acme", now()).await;
    let state = subscription("sub_1", "acme");
    let revision = store.put_synced_subscription(&lock, &state, now()).await.unwrap();
    let facts = facts(store, "acme").await;
    assert_eq!(facts.subscriptions, std::slice::from_ref(&state));
    assert_eq!(revision, Some(facts.revision));
    assert_eq!(store.put_synced_subscription(&lock, &state, in_seconds(1)).await.unwrap(), revision);
    let changed = Subscription { status: SubscriptionStatus::Canceled, ..state };
    let later = store.put_synced_subscription(&lock, &changed, in_seconds(1)).await.unwrap();
    assert!(revision < later);
    assert_eq!(store.subscription(&changed.id).await.unwrap(), Some(changed.clone()));
    assert_eq!(store.subscription_history(&changed.id).await.unwrap().len(), 2);
}

/// Whoever lost the lock changes nothing, whatever its state; one whose lease merely ended still may.
pub async fn a_lost_lock_stores_nothing(store: &(impl Store + BillingStore)) {
    let first = locked(store, "acme", now()).await;
    let state = subscription("sub_1", "acme");
    assert!(store.put_synced_subscription(&first, &state, in_seconds(40)).await.unwrap().is_some());
    let second = locked(store, "acme", in_seconds(50)).await;
    let before = facts(store, "acme").await;
    let earlier = Subscription { plan: plan("stale"), ..state.clone() };
    for put in [&earlier, &state, &subscription("sub_2", "acme")] {
        assert_eq!(store.put_synced_subscription(&first, put, in_seconds(51)).await.unwrap(), None);
    }
    assert_eq!(facts(store, "acme").await, before);
    store.unlock(&second).await.unwrap();
    assert_eq!(store.put_synced_subscription(&first, &earlier, in_seconds(52)).await.unwrap(), None);
    assert_eq!(facts(store, "acme").await, before);
}

/// A lock is for its company alone, and a subscription stays where it is.
pub async fn a_lock_covers_its_company_alone(store: &(impl Store + BillingStore)) {
    let acme = locked(store, "acme", now()).await;
    let other = locked(store, "other", now()).await;
    store.put_synced_subscription(&acme, &subscription("sub_1", "acme"), now()).await.unwrap();
    for (lock, put) in [(&acme, subscription("sub_2", "other")), (&other, subscription("sub_1", "other"))] {
        let error = store.put_synced_subscription(lock, &put, now()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unsupported);
    }
    assert!(facts(store, "other").await.subscriptions.is_empty());
}
