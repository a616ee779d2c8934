//! What is set aside: taken from others, found again by its key, and free at its expiry.

use super::{
    amounts, assert_everything, before_expiry, commit, everything, expiry, release, reserve, used_at,
};
use crate::Amount;
use crate::facts::Revision;
use crate::reservation::{Reservation, ReserveOutcome};
use crate::store::{Store, StoreErrorKind};
use crate::testkit::fixtures::{
    at, bucket, company, debit, facts, feature, granted, key, monthly, now, part, receipt_id, recorded,
    refused, units, used, user,
};
use crate::testkit::hostile::hostile_ids;
use crate::usage::{Counter, Debit, DebitOutcome, Receipt};

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
