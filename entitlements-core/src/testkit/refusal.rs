//! Cases about what a store does not do: it says so, whenever it is asked, and changes nothing.
//!
//! They take the place of the cases that need a part of which the [`Capabilities`](super::Capabilities) say that the store does
//! not do it.

use std::fmt::Debug;

use chrono::TimeDelta;

use super::Part;
use super::fixtures::{
    addon, audited, company, debit, facts, feature, grant, holder, key, monthly, now, receipt_id, recorded,
    subscription, units, used,
};
use crate::Amount;
use crate::facts::Facts;
use crate::store::{Page, PageRequest, Store, StoreError, StoreErrorKind};
use crate::usage::{Counter, Receipt, UsageAlert};

/// A part that the store does not do is refused.
pub async fn is_refused(store: &impl Store, part: Part) {
    match part {
        Part::Gauges => gauges_are_refused(store).await,
        Part::Reservations => reservations_are_refused(store).await,
        Part::Audit => the_log_is_refused(store).await,
        Part::Erasure => erasures_are_refused(store).await,
    }
}

/// Nobody holds anything, and no gauge has a level.
pub async fn gauges_are_refused(store: &impl Store) {
    let before = populated(store).await;
    let (acme, seats, ada) = (company("acme"), feature("seats"), holder("ada"));
    for limit in [Some(units(5)), Some(Amount::ZERO), None] {
        unsupported(store.acquire(&acme, &seats, &ada, limit, now()).await);
        assert_eq!(known(store).await, before);
        unsupported(store.set_level(&acme, &seats, units(3), limit).await);
        assert_eq!(known(store).await, before);
        unsupported(store.set_level(&acme, &seats, Amount::ZERO, limit).await);
        unsupported(store.release(&acme, &seats, &ada).await);
    }
    unsupported(store.list_holders(&acme, &seats, &PageRequest::first(10)).await);
    assert_eq!(known(store).await, before);
}

/// Nothing is set aside, and no key is taken for it.
pub async fn reservations_are_refused(store: &impl Store) {
    let before = populated(store).await;
    let (acme, asked) = (company("acme"), debit("acme", "set aside", 2, [monthly(10)]));
    let impossible = debit("acme", "too much", 11, [monthly(10)]);
    for debit in [&asked, &impossible] {
        unsupported(store.reserve(debit, now() + TimeDelta::minutes(5)).await);
        assert_eq!(known(store).await, before);
        unsupported(store.reservation(&acme, &debit.key).await);
        unsupported(store.commit(&acme, &debit.receipt, units(1), now()).await);
        unsupported(store.release_reservation(&acme, &debit.receipt, now()).await);
        assert_eq!(known(store).await, before);
    }
    // The receipt of a debit is no reservation, either.
    unsupported(store.commit(&acme, &receipt_id("receipt of taken"), units(1), now()).await);
    unsupported(store.release_reservation(&acme, &receipt_id("receipt of taken"), now()).await);
    assert_eq!(known(store).await, before);
    recorded(store, &asked).await;
    assert_eq!(used(store, "acme", &monthly(10)).await, 6);
}

/// Nothing is noted, nothing is read.
pub async fn the_log_is_refused(store: &impl Store) {
    let before = populated(store).await;
    for _ in 0..2 {
        unsupported(store.append(&[audited("a", "acme"), audited("b", "other")]).await);
        unsupported(store.audit_page(&company("acme"), &PageRequest::first(10)).await);
        unsupported(store.audit_rows(0, 10).await);
        unsupported(store.expire_audit(now()).await);
        unsupported(store.expire_audit_at(now(), now()).await);
    }
    assert_eq!(known(store).await, before);
}

/// Nobody is forgotten, and no receipt.
pub async fn erasures_are_refused(store: &impl Store) {
    let before = populated(store).await;
    for name in ["nobody", "acme"] {
        unsupported(store.erase(&company(name), now()).await);
        assert_eq!(known(store).await, before);
    }
    unsupported(store.expire(now() + TimeDelta::days(1000)).await);
    assert_eq!(known(store).await, before);
}

/// Everything that a store without parts can tell about a company.
type Known = (Facts, Page<crate::Grant>, Option<Receipt>, Option<Receipt>, Vec<UsageAlert>);

/// Writes something about a company that a refused call could change.
async fn populated(store: &impl Store) -> Known {
    store.put_subscription(&subscription("sub", "acme"), now()).await.unwrap();
    store.put_addon(&company("acme"), &addon("pack", 2)).await.unwrap();
    store.insert_grant(&grant("g", "acme")).await.unwrap();
    let alerting = Counter { alerts: vec![(40, units(4))], ..monthly(10) };
    recorded(store, &debit("acme", "taken", 4, [alerting])).await;
    let before = known(store).await;
    let (facts, _, taken, reserved, alerts) = &before;
    assert_eq!((facts.addons.len(), taken.is_some(), reserved, alerts.len()), (1, true, &None, 1));
    before
}

async fn known(store: &impl Store) -> Known {
    let acme = company("acme");
    (
        facts(store, "acme").await,
        store.list_grants(&acme, &PageRequest::first(10)).await.unwrap(),
        store.receipt(&acme, &key("taken")).await.unwrap(),
        store.receipt(&acme, &key("set aside")).await.unwrap(),
        store.pending_alerts(10).await.unwrap(),
    )
}

/// The answer to what a store does not do.
fn unsupported<T: Debug>(answer: Result<T, StoreError>) {
    let error = answer.expect_err("a part that the store says it does not do is refused");
    assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{error}");
    assert!(!error.is_retryable(), "{error}");
}
