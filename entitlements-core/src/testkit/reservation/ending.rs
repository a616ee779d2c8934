//! How a reservation ends: committed, of which a receipt remains, or released; once.

use super::{
    amounts, assert_everything, before_expiry, commit, everything, expiry, release, reserve, used_at,
};
use crate::Amount;
use crate::reservation::{CommitOutcome, Reservation, ReservationEnd, ReserveOutcome, Settlement};
use crate::store::Store;
use crate::testkit::fixtures::{
    at, bucket, company, debit, december, granted, key, monthly, now, receipt_id, recorded, units, used,
};
use crate::usage::{Debit, Receipt};

/// A commit of what was set aside makes a receipt of it.
pub async fn a_commit_makes_a_receipt(store: &impl Store) {
    let reservation = reserve(store, &everything("k", 5)).await;
    let settlement = commit(store, reservation.id(), 5, before_expiry()).await;
    let receipt = Receipt { at: before_expiry(), ..reservation.held.clone() };
    assert_eq!(
        settlement,
        Settlement { actual: units(5), at: before_expiry(), receipt: Some(receipt.clone()) }
    );
    assert_eq!(settlement.uncollected(), Amount::ZERO);
    assert_eq!(store.receipt(&company("acme"), &key("k")).await.unwrap(), Some(receipt));
    let known = store.reservation(&company("acme"), &key("k")).await.unwrap();
    assert_eq!(known, Some(Reservation { end: Some(ReservationEnd::Committed(settlement)), ..reservation }));
    // It is used now, and does not expire.
    assert_everything(store, expiry(), 2, 3).await;
}

/// What was not used goes back to the buckets that would have been emptied last.
pub async fn a_commit_of_less_gives_the_rest_back(store: &impl Store) {
    let reservation = reserve(store, &everything("k", 6)).await;
    let settlement = commit(store, reservation.id(), 3, now()).await;
    let receipt = settlement.receipt.unwrap();
    let expected = [("grant/g", 2), ("plan/month/calendar", 1), ("plan/year/calendar", 1), ("part", 3)];
    assert_eq!(amounts(&receipt.split), expected.map(|(bucket, amount)| (bucket.to_owned(), amount)));
    assert_eq!((receipt.amount, receipt.used), (units(3), units(3)));
    assert_everything(store, expiry(), 2, 1).await;
    let reservation = reserve(store, &everything("l", 6)).await;
    commit(store, reservation.id(), 0, now()).await;
    assert_everything(store, expiry(), 2, 1).await;
}

/// A commit of nothing leaves no receipt.
pub async fn a_commit_of_nothing_has_no_receipt(store: &impl Store) {
    let reservation = reserve(store, &everything("k", 6)).await;
    let settlement = commit(store, reservation.id(), 0, now()).await;
    assert_eq!(settlement, Settlement { actual: Amount::ZERO, at: now(), receipt: None });
    assert_everything(store, now(), 0, 0).await;
    assert_eq!(store.receipt(&company("acme"), &key("k")).await.unwrap(), None);
    assert_eq!(store.refund(&company("acme"), reservation.id(), now()).await.unwrap(), None);
}

/// What was used beyond the reservation is taken as far as it fits; the rest is told.
pub async fn a_commit_of_more_takes_what_fits(store: &impl Store) {
    let reservation = reserve(store, &everything("k", 1)).await;
    let settlement = commit(store, reservation.id(), 6, now()).await;
    let receipt = settlement.receipt.as_ref().unwrap();
    let expected = [("grant/g", 2), ("plan/month/calendar", 4), ("plan/year/calendar", 4), ("part", 6)];
    assert_eq!(amounts(&receipt.split), expected.map(|(bucket, amount)| (bucket.to_owned(), amount)));
    assert_eq!(settlement.uncollected(), Amount::ZERO);
    let reservation = reserve(store, &everything("l", 2)).await;
    let settlement = commit(store, reservation.id(), 100, now()).await;
    assert_eq!(settlement.receipt.as_ref().map(|receipt| receipt.amount), Some(units(6)));
    assert_eq!(settlement.uncollected(), units(94));
    assert_everything(store, now(), 2, 10).await;
}

/// Units that a commit takes where nothing was held are over with the period that they are counted in.
pub async fn what_a_commit_adds_is_over_with_its_period(store: &impl Store) {
    let mut wanted = debit("acme", "k", 1, [granted("g", 1)]);
    wanted.buckets.push(bucket([monthly(5)]));
    let reservation = reserve(store, &wanted).await;
    commit(store, reservation.id(), 3, now()).await;
    assert_eq!(used(store, "acme", &monthly(5)).await, 2);
    let later = store.load(&company("acme"), december().start).await.unwrap();
    assert!(!later.usage.iter().any(|counter| counter.bucket == monthly(5).bucket));
}

/// What is set aside is committed whatever was taken since, and whatever its limits were.
pub async fn what_is_set_aside_always_fits(store: &impl Store) {
    let reservation = reserve(store, &debit("acme", "k", 4, [monthly(5)])).await;
    recorded(store, &debit("acme", "a", 16, [monthly(20)])).await;
    let settlement = commit(store, reservation.id(), 6, now()).await;
    assert_eq!((settlement.receipt.unwrap().amount, units(4)), (units(4), units(4)));
    assert_eq!(used(store, "acme", &monthly(5)).await, 20);
}

/// A commit after the expiry takes again what fits then, and says what does not.
pub async fn a_late_commit_takes_what_fits(store: &impl Store) {
    let free = reserve(store, &everything("free", 5)).await;
    let settlement = commit(store, free.id(), 5, expiry()).await;
    assert_eq!(
        (settlement.receipt.as_ref().map(|r| r.amount), settlement.uncollected()),
        (Some(units(5)), units(0))
    );
    assert_everything(store, expiry(), 2, 3).await;
    let short = reserve(store, &everything("short", 5)).await;
    recorded(store, &Debit { at: expiry(), ..everything("between", 4) }).await;
    let settlement = commit(store, short.id(), 5, expiry()).await;
    assert_eq!(
        (settlement.receipt.as_ref().map(|r| r.amount), settlement.uncollected()),
        (Some(units(3)), units(2))
    );
    let none = reserve(store, &Debit { at: now(), ..debit("acme", "none", 1, [granted("h", 1)]) }).await;
    recorded(store, &Debit { at: expiry(), ..debit("acme", "other", 1, [granted("h", 1)]) }).await;
    let settlement = commit(store, none.id(), 1, expiry()).await;
    assert_eq!((settlement.receipt, settlement.actual), (None, units(1)));
    assert_eq!(store.receipt(&company("acme"), &key("none")).await.unwrap(), None);
    assert_everything(store, expiry(), 2, 10).await;
}

/// A commit finds what other reservations held free, when they have expired.
pub async fn a_commit_sees_what_has_expired(store: &impl Store) {
    reserve(store, &debit("acme", "other", 8, [monthly(10)])).await;
    let long = debit("acme", "k", 1, [monthly(10)]);
    let outcome = store.reserve(&long, at("2026-11-07T10:00:00Z")).await.unwrap();
    assert!(matches!(outcome, ReserveOutcome::Reserved(_)), "{outcome:?}");
    let settlement = commit(store, &long.receipt, 10, expiry()).await;
    assert_eq!(
        settlement.receipt.map(|receipt| (receipt.amount, receipt.used)),
        Some((units(10), units(10)))
    );
    assert_eq!(used_at(store, &monthly(10), expiry()).await, 10);
}

/// A second commit of the same number changes nothing; another number is a conflict.
pub async fn a_commit_counts_once(store: &impl Store) {
    let reservation = reserve(store, &everything("k", 5)).await;
    let first = commit(store, reservation.id(), 4, now()).await;
    let again = store.commit(&company("acme"), reservation.id(), units(4), expiry()).await.unwrap();
    assert_eq!(again, Some(CommitOutcome::Duplicate(first.clone())));
    let other = store.commit(&company("acme"), reservation.id(), units(5), now()).await.unwrap();
    assert_eq!(other, Some(CommitOutcome::Conflict));
    let released = release(store, reservation.id()).await;
    assert_eq!(released.end, Some(ReservationEnd::Committed(first)));
    assert_everything(store, expiry(), 2, 2).await;
}

/// A release gives everything back, once, and then nothing is committed.
pub async fn a_release_gives_everything_back(store: &impl Store) {
    recorded(store, &everything("a", 1)).await;
    let reservation = reserve(store, &everything("k", 5)).await;
    let released = release(store, reservation.id()).await;
    let end = Some(ReservationEnd::Released { at: now() });
    assert_eq!(released, Reservation { end, ..reservation.clone() });
    assert_everything(store, now(), 1, 0).await;
    let again = store.release_reservation(&company("acme"), reservation.id(), expiry()).await.unwrap();
    assert_eq!(again, Some(released));
    let late = store.commit(&company("acme"), reservation.id(), units(5), now()).await.unwrap();
    assert_eq!(late, Some(CommitOutcome::Released));
    assert_everything(store, expiry(), 1, 0).await;
}

/// A release after the expiry gives nothing back a second time.
pub async fn a_late_release_changes_nothing(store: &impl Store) {
    let reservation = reserve(store, &debit("acme", "k", 6, [monthly(10)])).await;
    recorded(store, &Debit { at: expiry(), ..debit("acme", "a", 7, [monthly(10)]) }).await;
    release(store, reservation.id()).await;
    assert_eq!(used_at(store, &monthly(10), expiry()).await, 7);
}

/// What does not exist, or is another company's, is neither committed nor released.
pub async fn an_unknown_reservation_is_none(store: &impl Store) {
    let reservation = reserve(store, &debit("acme", "k", 5, [monthly(10)])).await;
    let debited = recorded(store, &debit("acme", "d", 1, [monthly(10)])).await;
    for (name, id) in
        [("acme", receipt_id("no such")), ("other", reservation.id().clone()), ("acme", debited.id)]
    {
        let company = company(name);
        assert_eq!(store.commit(&company, &id, units(1), now()).await.unwrap(), None, "{name} {id}");
        assert_eq!(store.release_reservation(&company, &id, now()).await.unwrap(), None, "{name} {id}");
    }
    assert_eq!(store.reservation(&company("acme"), &key("d")).await.unwrap(), None);
    assert_eq!(store.reservation(&company("other"), &key("k")).await.unwrap(), None);
    assert_eq!(used(store, "acme", &monthly(10)).await, 6);
}

/// A committed receipt is given back like any other: exactly what the commit took.
pub async fn a_committed_receipt_is_refunded_exactly(store: &impl Store) {
    recorded(store, &everything("a", 1)).await;
    let reservation = reserve(store, &everything("k", 6)).await;
    let receipt = commit(store, reservation.id(), 3, now()).await.receipt.unwrap();
    let refunded = store.refund(&company("acme"), reservation.id(), expiry()).await.unwrap();
    let expected = Receipt { refunded_at: Some(expiry()), ..receipt };
    assert_eq!(refunded.as_ref(), Some(&expected));
    assert_everything(store, now(), 1, 0).await;
    assert_eq!(store.refund(&company("acme"), reservation.id(), now()).await.unwrap(), refunded);
    assert_eq!(store.receipt(&company("acme"), &key("k")).await.unwrap(), refunded);
    let known = store.reservation(&company("acme"), &key("k")).await.unwrap().unwrap();
    let Some(ReservationEnd::Committed(settlement)) = known.end else { panic!("{known:?}") };
    assert_eq!(settlement.receipt, Some(expected));
    assert_everything(store, now(), 1, 0).await;
}
