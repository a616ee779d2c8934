//! Cases about reservations: set aside, used or not, and free at their expiry.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::Barrier;

use super::fixtures::{
    at, bucket, company, debit, facts, feature, granted, key, monthly, now, part, receipt_id, recorded,
    refused, units, used, used_in, user, yearly,
};
use super::hostile::hostile_ids;
use crate::Amount;
use crate::facts::Revision;
use crate::id::ReceiptId;
use crate::reservation::{CommitOutcome, Reservation, ReservationEnd, ReserveOutcome, Settlement};
use crate::store::{Store, StoreErrorKind};
use crate::usage::{Counter, Debit, DebitOutcome, Receipt, Split};

const RACERS: u64 = 64;

/// When reservations of the cases expire, and the instant before it.
fn expiry() -> DateTime<Utc> {
    at("2026-11-07T09:10:00Z")
}

fn before_expiry() -> DateTime<Utc> {
    at("2026-11-07T09:09:59.999999Z")
}

async fn reserve(store: &impl Store, debit: &Debit) -> Reservation {
    match store.reserve(debit, expiry()).await.unwrap() {
        ReserveOutcome::Reserved(reservation) => reservation,
        other => panic!("expected a reservation, got {other:?}"),
    }
}

async fn commit(store: &impl Store, id: &ReceiptId, actual: u64, at: DateTime<Utc>) -> Settlement {
    match store.commit(&company("acme"), id, units(actual), at).await.unwrap() {
        Some(CommitOutcome::Committed(settlement)) => settlement,
        other => panic!("expected a commit, got {other:?}"),
    }
}

async fn release(store: &impl Store, id: &ReceiptId) -> Reservation {
    store.release_reservation(&company("acme"), id, now()).await.unwrap().expect("a reservation")
}

/// The units of a counter at an instant.
async fn used_at(store: &impl Store, counter: &Counter, at: DateTime<Utc>) -> u64 {
    used_in(&store.load(&company("acme"), at).await.unwrap(), counter)
}

fn amounts(split: &[Split]) -> Vec<(String, u64)> {
    split.iter().map(|part| (part.bucket.to_string(), part.amount.get())).collect()
}

/// Out of a grant first, and then out of two quotas that hold at the same time.
fn everything(name: &str, amount: u64) -> Debit {
    Debit {
        user: Some(user("ann")),
        limit: Some(units(22)),
        buckets: vec![bucket([granted("g", 2)]), bucket([monthly(10), yearly(20)])],
        tallies: vec![part("tokens_in")],
        ..debit("acme", name, amount, [])
    }
}

async fn assert_everything(store: &impl Store, at: DateTime<Utc>, of_grant: u64, of_plan: u64) {
    let facts = store.load(&company("acme"), at).await.unwrap();
    for (counter, expected) in [
        (granted("g", None), of_grant),
        (monthly(None), of_plan),
        (yearly(None), of_plan),
        (part("tokens_in"), of_grant + of_plan),
    ] {
        assert_eq!(used_in(&facts, &counter), expected, "{counter:?}");
    }
}

/// A reservation takes units as a debit does, and is found by its key.
pub async fn a_reservation_takes_units(store: &impl Store) {
    let asked = everything("k", 5);
    let reservation = reserve(store, &asked).await;
    let held = Receipt {
        id: asked.receipt.clone(),
        company: asked.company.clone(),
        user: asked.user.clone(),
        key: asked.key.clone(),
        meter: asked.meter.clone(),
        amount: asked.amount,
        at: asked.at,
        limit: asked.limit,
        resets_at: asked.resets_at,
        refunded_at: None,
        split: reservation.held.split.clone(),
        used: units(5),
    };
    assert_eq!(reservation, Reservation { held, expires_at: expiry(), end: None });
    let split = amounts(&reservation.held.split);
    let expected = [("grant/g", 2), ("plan/month/calendar", 3), ("plan/year/calendar", 3), ("part", 5)];
    assert_eq!(split, expected.map(|(bucket, amount)| (bucket.to_owned(), amount)));
    assert_everything(store, now(), 2, 3).await;
    assert_eq!(store.reservation(&company("acme"), &key("k")).await.unwrap(), Some(reservation));
}

/// What is set aside cannot be taken by others: neither by a debit nor by a reservation.
pub async fn reserved_units_are_taken(store: &impl Store) {
    reserve(store, &debit("acme", "a", 8, [monthly(10)])).await;
    refused(store, &debit("acme", "b", 3, [monthly(10)])).await;
    let outcome = store.reserve(&debit("acme", "c", 3, [monthly(10)]), expiry()).await.unwrap();
    assert_eq!(outcome, ReserveOutcome::Refused);
    assert_eq!(store.reservation(&company("acme"), &key("c")).await.unwrap(), None);
    assert_eq!(used(store, "acme", &monthly(10)).await, 8);
    reserve(store, &debit("acme", "c", 2, [monthly(10)])).await;
}

/// Before it is committed, a reservation is no receipt, and cannot be given back as one.
pub async fn a_reservation_is_no_receipt(store: &impl Store) {
    let reservation = reserve(store, &debit("acme", "k", 5, [monthly(10)])).await;
    assert_eq!(store.receipt(&company("acme"), &key("k")).await.unwrap(), None);
    assert_eq!(store.refund(&company("acme"), reservation.id(), now()).await.unwrap(), None);
    release(store, reservation.id()).await;
    assert_eq!(store.receipt(&company("acme"), &key("k")).await.unwrap(), None);
    assert_eq!(store.refund(&company("acme"), reservation.id(), now()).await.unwrap(), None);
    assert_eq!(used(store, "acme", &monthly(10)).await, 0);
}

/// The units are free at the expiry exactly, without anybody doing anything.
pub async fn an_expired_reservation_is_free(store: &impl Store) {
    reserve(store, &everything("k", 5)).await;
    assert_everything(store, before_expiry(), 2, 3).await;
    assert_everything(store, expiry(), 0, 0).await;
    assert_everything(store, at("2026-11-08T00:00:00Z"), 0, 0).await;
}

/// Who takes units at the expiry finds them free, and who takes them before it does not.
pub async fn expired_units_can_be_taken(store: &impl Store) {
    reserve(store, &everything("k", 12)).await;
    refused(store, &Debit { at: before_expiry(), ..everything("early", 1) }).await;
    let receipt = recorded(store, &Debit { at: expiry(), ..everything("late", 11) }).await;
    assert_eq!(receipt.used, units(11));
    assert_everything(store, expiry(), 2, 9).await;
    let again = Debit { at: expiry(), ..everything("reserved", 1) };
    let outcome = store.reserve(&again, at("2026-11-07T10:00:00Z")).await.unwrap();
    assert!(matches!(outcome, ReserveOutcome::Reserved(_)), "{outcome:?}");
    refused(store, &Debit { at: expiry(), ..everything("too much", 1) }).await;
}

/// Units that were seen as free stay so, also for a clock that is behind.
pub async fn freed_units_are_not_held_again(store: &impl Store) {
    let reservation = reserve(store, &debit("acme", "k", 10, [monthly(10)])).await;
    recorded(store, &Debit { at: expiry(), ..debit("acme", "late", 10, [monthly(10)]) }).await;
    assert_eq!(used_at(store, &monthly(10), now()).await, 10);
    let settlement = commit(store, reservation.id(), 10, before_expiry()).await;
    assert_eq!((settlement.receipt.as_ref(), settlement.uncollected()), (None, units(10)));
    assert_eq!(used_at(store, &monthly(10), expiry()).await, 10);
}

/// Each reservation expires at its own time.
pub async fn reservations_expire_one_by_one(store: &impl Store) {
    for (name, minute) in [("a", 1), ("b", 2), ("c", 3)] {
        let expiry = at(&format!("2026-11-07T09:0{minute}:00Z"));
        store.reserve(&debit("acme", name, minute, [monthly(10)]), expiry).await.unwrap();
    }
    for (minute, held) in [(0, 6), (1, 5), (2, 3), (3, 0)] {
        let then = at(&format!("2026-11-07T09:0{minute}:00Z"));
        assert_eq!(used_at(store, &monthly(10), then).await, held, "minute {minute}");
        let next = (minute < 3).then(|| at(&format!("2026-11-07T09:0{}:00Z", minute + 1)));
        let facts = store.load(&company("acme"), then).await.unwrap();
        assert_eq!(facts.reserved_until, next, "minute {minute}");
    }
    let second = at("2026-11-07T09:02:00Z");
    recorded(store, &Debit { at: second, ..debit("acme", "d", 7, [monthly(10)]) }).await;
    refused(store, &Debit { at: second, ..debit("acme", "e", 1, [monthly(10)]) }).await;
    recorded(store, &Debit { at: at("2026-11-07T09:03:00Z"), ..debit("acme", "e", 3, [monthly(10)]) }).await;
}

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

/// The same key with the same arguments is the reservation as it is now, and sets nothing aside.
pub async fn a_repeated_reservation_counts_once(store: &impl Store) {
    let asked = everything("k", 5);
    let first = reserve(store, &asked).await;
    let again =
        Debit { receipt: receipt_id("another"), at: before_expiry(), buckets: Vec::new(), ..asked.clone() };
    let later = at("2026-11-07T10:00:00Z");
    assert_eq!(store.reserve(&again, later).await.unwrap(), ReserveOutcome::Duplicate(first.clone()));
    assert_everything(store, now(), 2, 3).await;
    let released = release(store, first.id()).await;
    assert_eq!(store.reserve(&again, later).await.unwrap(), ReserveOutcome::Duplicate(released));
    for other in [
        Debit { amount: units(4), ..asked.clone() },
        Debit { meter: feature("queries"), ..asked.clone() },
        Debit { user: None, ..asked.clone() },
    ] {
        assert_eq!(store.reserve(&other, expiry()).await.unwrap(), ReserveOutcome::Conflict, "{other:?}");
    }
    assert_everything(store, now(), 0, 0).await;
}

/// Debits and reservations share their keys and ids.
pub async fn debits_and_reservations_share_their_keys(store: &impl Store) {
    let asked = debit("acme", "debit", 2, [monthly(10)]);
    recorded(store, &asked).await;
    assert_eq!(store.reserve(&asked, expiry()).await.unwrap(), ReserveOutcome::Conflict);
    let asked = debit("acme", "reservation", 2, [monthly(10)]);
    let reservation = reserve(store, &asked).await;
    assert_eq!(store.debit(&asked).await.unwrap(), DebitOutcome::Conflict);
    let taken = Debit { receipt: reservation.id().clone(), ..debit("acme", "new", 1, [monthly(10)]) };
    assert!(!store.debit(&taken).await.unwrap_err().is_retryable());
    assert!(!store.reserve(&taken, expiry()).await.unwrap_err().is_retryable());
    assert_eq!(used(store, "acme", &monthly(10)).await, 4);
    // The commit makes a receipt, and what it says is what a debit with the key is compared with.
    let receipt = commit(store, reservation.id(), 1, now()).await.receipt.unwrap();
    assert_eq!(store.debit(&asked).await.unwrap(), DebitOutcome::Conflict);
    let same = Debit { amount: units(1), ..asked };
    assert_eq!(store.debit(&same).await.unwrap(), DebitOutcome::Duplicate(receipt));
    let empty = reserve(store, &debit("acme", "empty", 2, [monthly(10)])).await;
    commit(store, empty.id(), 0, now()).await;
    let outcome = store.debit(&debit("acme", "empty", 2, [monthly(10)])).await.unwrap();
    assert_eq!(outcome, DebitOutcome::Conflict);
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

/// Reservations raise alerts as debits do, and so do commits of more; one for each threshold.
pub async fn reservations_raise_alerts(store: &impl Store) {
    let alerting = Counter { alerts: vec![(50, units(5)), (80, units(8)), (100, units(10))], ..monthly(10) };
    let reservation = reserve(store, &debit("acme", "k", 6, [alerting.clone()])).await;
    let raised = store.pending_alerts(10).await.unwrap();
    assert_eq!(raised.iter().map(|alert| (alert.percent, alert.used.get())).collect::<Vec<_>>(), [(50, 6)]);
    commit(store, reservation.id(), 9, before_expiry()).await;
    let raised = store.pending_alerts(10).await.unwrap();
    let percents = raised.iter().map(|alert| (alert.percent, alert.used.get(), alert.at)).collect::<Vec<_>>();
    assert_eq!(percents, [(50, 6, now()), (80, 9, before_expiry())]);
    let other = reserve(store, &debit("acme", "l", 1, [alerting])).await;
    release(store, other.id()).await;
    assert_eq!(store.pending_alerts(10).await.unwrap().len(), 3);
}

/// What makes no sense is refused as unsupported and changes nothing.
pub async fn a_malformed_reservation_is_unsupported(store: &impl Store) {
    let asked = debit("acme", "k", 1, [monthly(10)]);
    for (malformed, expiry) in [
        (asked.clone(), now()),
        (asked.clone(), at("2026-11-07T08:00:00Z")),
        (Debit { amount: Amount::ZERO, ..asked.clone() }, expiry()),
        (Debit { buckets: vec![bucket([])], ..asked }, expiry()),
    ] {
        let error = store.reserve(&malformed, expiry).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{malformed:?}");
    }
    assert_eq!(facts(store, "acme").await.usage, []);
}

/// The largest amounts are set aside, freed and committed like any others.
pub async fn large_reservations_do_not_overflow(store: &impl Store) {
    let max = Amount::MAX.get();
    let all = reserve(store, &debit("acme", "all", max, [monthly(None)])).await;
    refused(store, &debit("acme", "one", 1, [monthly(None)])).await;
    recorded(store, &Debit { at: expiry(), ..debit("acme", "late", 5, [monthly(None)]) }).await;
    let settlement = commit(store, all.id(), max, expiry()).await;
    assert_eq!(settlement.uncollected(), units(5));
    assert_eq!(used_at(store, &monthly(None), expiry()).await, max);
    let tallied = Debit { tallies: vec![part("t")], ..debit("acme", "b", max - 1, [granted("g", None)]) };
    let tallied = reserve(store, &tallied).await;
    let settlement = commit(store, tallied.id(), max, now()).await;
    assert_eq!(settlement.uncollected(), Amount::ZERO);
    let more = Debit { tallies: vec![part("t")], ..debit("acme", "c", 1, [granted("h", None)]) };
    assert_eq!(store.reserve(&more, expiry()).await.unwrap(), ReserveOutcome::Refused);
}

/// Reservations are usage: they take no revision.
pub async fn a_reservation_takes_no_revision(store: &impl Store) {
    let reservation = reserve(store, &debit("acme", "k", 1, [monthly(10)])).await;
    commit(store, reservation.id(), 2, now()).await;
    assert_eq!(facts(store, "acme").await.revision, Revision(0));
}

/// Reservations with hostile keys, ids and companies never mix.
pub async fn hostile_reservations_never_mix(store: &impl Store) {
    let ids = hostile_ids();
    let asked = |id: &str, name: &str| Debit {
        receipt: receipt_id(id),
        user: Some(user(id)),
        ..debit(name, id, 1, [monthly(None)])
    };
    for id in &ids {
        reserve(store, &asked(id, "acme")).await;
        reserve(store, &asked(id, id)).await;
    }
    for (number, id) in (1_u64..).zip(&ids) {
        let known = store.reservation(&company("acme"), &key(id)).await.unwrap().unwrap();
        assert_eq!(
            (known.held.id, known.held.user, known.end),
            (receipt_id(id), Some(user(id)), None),
            "{id:?}"
        );
        commit(store, &receipt_id(id), number, now()).await;
        store.release_reservation(&company(id), &receipt_id(id), now()).await.unwrap().unwrap();
        assert_eq!(used(store, id, &monthly(None)).await, 0, "{id:?}");
    }
    let total = ids.len() as u64;
    assert_eq!(used(store, "acme", &monthly(None)).await, total * (total + 1) / 2);
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
