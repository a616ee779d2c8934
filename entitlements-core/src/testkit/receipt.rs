//! Cases about receipts: exactly once, and given back exactly.

use super::fixtures::{
    at, bucket, company, debit, facts, feature, granted, key, monthly, now, part, receipt_id, recorded,
    refused, units, used, user, yearly,
};
use crate::store::Store;
use crate::usage::{Debit, DebitOutcome, Receipt};

fn with_everything() -> Debit {
    Debit {
        user: Some(user("ann")),
        limit: Some(units(12)),
        tallies: vec![part("tokens_in")],
        ..debit("acme", "k", 5, [granted("g", 2), monthly(10)])
    }
}

/// A receipt says what was asked for and what was done, and is found by its key as it was given.
pub async fn a_receipt_is_kept_as_it_was_given(store: &impl Store) {
    let bare =
        Debit { resets_at: None, receipt: receipt_id("bare"), ..debit("acme", "bare", 1, [monthly(None)]) };
    for debit in [with_everything(), bare] {
        let receipt = recorded(store, &debit).await;
        let expected = Receipt {
            id: debit.receipt.clone(),
            company: debit.company.clone(),
            user: debit.user.clone(),
            key: debit.key.clone(),
            meter: debit.meter.clone(),
            amount: debit.amount,
            at: debit.at,
            limit: debit.limit,
            resets_at: debit.resets_at,
            refunded_at: None,
            split: receipt.split.clone(),
            used: receipt.used,
        };
        assert_eq!(receipt, expected);
        assert_eq!(store.receipt(&debit.company, &debit.key).await.unwrap(), Some(receipt));
    }
}

/// An operation that was never made has no receipt; it is no error.
pub async fn an_unknown_key_has_no_receipt(store: &impl Store) {
    recorded(store, &debit("acme", "k", 1, [monthly(10)])).await;
    assert_eq!(store.receipt(&company("acme"), &key("l")).await.unwrap(), None);
    assert_eq!(store.receipt(&company("other"), &key("k")).await.unwrap(), None);
}

/// The same key with the same arguments counts once and answers the first receipt.
pub async fn a_duplicate_answers_the_first_receipt(store: &impl Store) {
    let first = recorded(store, &with_everything()).await;
    let before = facts(store, "acme").await;
    let again = Debit {
        receipt: receipt_id("another"),
        at: at("2026-11-08T00:00:00Z"),
        limit: Some(units(99)),
        resets_at: None,
        tallies: Vec::new(),
        ..with_everything()
    };
    assert_eq!(store.debit(&again).await.unwrap(), DebitOutcome::Duplicate(first.clone()));
    assert_eq!(facts(store, "acme").await, before);
    assert_eq!(store.receipt(&company("acme"), &key("k")).await.unwrap(), Some(first));
}

/// A duplicate shows the numbers of then, whatever has been used since.
pub async fn a_duplicate_shows_the_numbers_of_then(store: &impl Store) {
    let first = recorded(store, &debit("acme", "a", 2, [monthly(10)])).await;
    recorded(store, &debit("acme", "b", 5, [monthly(10)])).await;
    let again = store.debit(&debit("acme", "a", 2, [monthly(10)])).await.unwrap();
    assert_eq!(again, DebitOutcome::Duplicate(first.clone()));
    assert_eq!(first.used, units(2));
}

/// A duplicate is one also when there is no room any more, or nowhere to take from.
pub async fn a_duplicate_needs_no_room(store: &impl Store) {
    let first = recorded(store, &debit("acme", "a", 10, [monthly(10)])).await;
    let again = store.debit(&debit("acme", "a", 10, [monthly(10)])).await.unwrap();
    assert_eq!(again, DebitOutcome::Duplicate(first.clone()));
    let again = store.debit(&debit("acme", "a", 10, [])).await.unwrap();
    assert_eq!(again, DebitOutcome::Duplicate(first));
}

/// The same key with another meter, amount or user is a conflict, and changes nothing.
pub async fn other_arguments_are_a_conflict(store: &impl Store) {
    let first = recorded(store, &with_everything()).await;
    let before = facts(store, "acme").await;
    for other in [
        Debit { meter: feature("queries"), ..with_everything() },
        Debit { amount: units(4), ..with_everything() },
        Debit { amount: units(4_000), ..with_everything() },
        Debit { user: Some(user("bob")), ..with_everything() },
        Debit { user: None, ..with_everything() },
    ] {
        assert_eq!(store.debit(&other).await.unwrap(), DebitOutcome::Conflict, "{other:?}");
    }
    assert_eq!(facts(store, "acme").await, before);
    assert_eq!(store.receipt(&company("acme"), &key("k")).await.unwrap(), Some(first));
}

/// The same key and the same receipt id of two companies are two operations.
pub async fn keys_of_two_companies_are_independent(store: &impl Store) {
    recorded(store, &debit("acme", "k", 2, [monthly(10)])).await;
    let of_other = recorded(store, &debit("other", "k", 3, [monthly(10)])).await;
    let refunded = store.refund(&company("acme"), &of_other.id, now()).await.unwrap().unwrap();
    assert_eq!(refunded.amount, units(2));
    assert_eq!(used(store, "acme", &monthly(10)).await, 0);
    assert_eq!(used(store, "other", &monthly(10)).await, 3);
    assert_eq!(store.receipt(&company("other"), &key("k")).await.unwrap(), Some(of_other));
}

/// A refund takes back exactly what each counter received, and marks the receipt.
pub async fn a_refund_is_exact(store: &impl Store) {
    let parallel = |amount, name: &str| Debit {
        buckets: vec![bucket([granted("g", 2)]), bucket([monthly(10), yearly(20)])],
        tallies: vec![part("tokens_in")],
        ..debit("acme", name, amount, [])
    };
    recorded(store, &parallel(1, "a")).await;
    let receipt = recorded(store, &parallel(5, "b")).await;
    recorded(store, &parallel(2, "c")).await;
    let later = at("2026-11-08T00:00:00Z");
    let refunded = store.refund(&company("acme"), &receipt.id, later).await.unwrap();
    let expected = Receipt { refunded_at: Some(later), ..receipt };
    assert_eq!(refunded, Some(expected.clone()));
    assert_eq!(store.receipt(&company("acme"), &key("b")).await.unwrap(), Some(expected));
    for (counter, left) in [(granted("g", 2), 1), (monthly(10), 2), (yearly(20), 2), (part("tokens_in"), 3)] {
        assert_eq!(used(store, "acme", &counter).await, left, "{counter:?}");
    }
}

/// A second refund changes nothing and answers the receipt as the first left it.
pub async fn a_second_refund_changes_nothing(store: &impl Store) {
    recorded(store, &debit("acme", "a", 3, [monthly(10)])).await;
    let receipt = recorded(store, &debit("acme", "b", 2, [monthly(10)])).await;
    let first = store.refund(&company("acme"), &receipt.id, now()).await.unwrap();
    let again = store.refund(&company("acme"), &receipt.id, at("2026-11-08T00:00:00Z")).await.unwrap();
    assert_eq!(again, first);
    assert_eq!(first.unwrap().refunded_at, Some(now()));
    assert_eq!(used(store, "acme", &monthly(10)).await, 3);
}

/// A receipt that does not exist, or is another company's, cannot be given back.
pub async fn an_unknown_receipt_cannot_be_refunded(store: &impl Store) {
    let receipt = recorded(store, &debit("acme", "a", 3, [monthly(10)])).await;
    assert_eq!(store.refund(&company("acme"), &receipt_id("no such"), now()).await.unwrap(), None);
    assert_eq!(store.refund(&company("other"), &receipt.id, now()).await.unwrap(), None);
    assert_eq!(used(store, "acme", &monthly(10)).await, 3);
    assert_eq!(store.receipt(&company("acme"), &key("a")).await.unwrap(), Some(receipt));
}

/// Refunded units can be taken again, by another key.
pub async fn refunded_units_can_be_taken_again(store: &impl Store) {
    let receipt = recorded(store, &debit("acme", "a", 10, [monthly(10)])).await;
    refused(store, &debit("acme", "b", 1, [monthly(10)])).await;
    store.refund(&company("acme"), &receipt.id, now()).await.unwrap();
    recorded(store, &debit("acme", "b", 10, [monthly(10)])).await;
    assert_eq!(used(store, "acme", &monthly(10)).await, 10);
}

/// A refunded key stays used: the same call again is a duplicate, and takes nothing.
pub async fn a_refunded_key_stays_used(store: &impl Store) {
    let receipt = recorded(store, &debit("acme", "a", 4, [monthly(10)])).await;
    let refunded = store.refund(&company("acme"), &receipt.id, now()).await.unwrap().unwrap();
    let again = store.debit(&debit("acme", "a", 4, [monthly(10)])).await.unwrap();
    assert_eq!(again, DebitOutcome::Duplicate(refunded));
    let other = store.debit(&debit("acme", "a", 5, [monthly(10)])).await.unwrap();
    assert_eq!(other, DebitOutcome::Conflict);
    assert_eq!(used(store, "acme", &monthly(10)).await, 0);
}

/// A new key with the receipt id of another operation is an error, and nothing changes.
pub async fn a_taken_receipt_id_is_an_error(store: &impl Store) {
    let first = recorded(store, &debit("acme", "a", 4, [monthly(10)])).await;
    let before = facts(store, "acme").await;
    let second = Debit { receipt: first.id.clone(), ..debit("acme", "b", 1, [monthly(10)]) };
    assert!(!store.debit(&second).await.unwrap_err().is_retryable());
    assert_eq!(facts(store, "acme").await, before);
    assert_eq!(store.receipt(&company("acme"), &key("b")).await.unwrap(), None);
}
