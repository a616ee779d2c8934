//! Several debits in one step come to what they come to one after the other.

use chrono::TimeDelta;

use super::fixtures::{company, debit, facts, granted, monthly, november, now, receipt_id, units, user};
use crate::reservation::ReserveOutcome;
use crate::store::{GroupStore, Store, StoreErrorKind};
use crate::usage::{Counter, Debit, DebitOutcome};

fn asked(key: &str, amount: u64) -> Debit {
    let counter = Counter { alerts: vec![(50, units(5)), (100, units(10))], ..monthly(10) };
    debit("acme", key, amount, [counter])
}

/// Each debit has the outcome that it has by itself, in the order of the group.
pub async fn each_debit_of_a_group_gets_its_own_outcome(store: &(impl Store + GroupStore)) {
    let first = store.debit(&asked("known", 2)).await.unwrap();
    let DebitOutcome::Recorded(first) = first else { panic!("{first:?}") };
    assert!(matches!(store.debit(&asked("other", 1)).await.unwrap(), DebitOutcome::Recorded(_)));
    let group =
        [asked("a", 4), asked("known", 2), asked("b", 4), asked("c", 3), asked("other", 2), asked("d", 1)];
    let outcomes = store.debit_group(&group).await.unwrap();
    let [a, known, b, c, other, d] = outcomes.try_into().unwrap();
    let DebitOutcome::Recorded(a) = a else { panic!("{a:?}") };
    assert_eq!((a.used, a.split.len()), (units(7), 1));
    assert_eq!(known, DebitOutcome::Duplicate(first));
    // It does not fit, and the smaller one after it does.
    assert_eq!(b, DebitOutcome::Refused);
    let DebitOutcome::Recorded(c) = c else { panic!("{c:?}") };
    assert_eq!(c.used, units(10));
    assert_eq!(other, DebitOutcome::Conflict);
    assert_eq!(d, DebitOutcome::Refused);
    assert_eq!(facts(store, "acme").await.usage[0].used, units(10));
    assert_eq!(store.pending_alerts(10).await.unwrap().len(), 2);
    for made in [a, c] {
        assert_eq!(store.receipt(&company("acme"), &made.key).await.unwrap(), Some(made));
    }
    assert_eq!(store.receipt(&company("acme"), &asked("b", 4).key).await.unwrap(), None);
}

/// Debits that fit, alone and together: each has its own receipt, with the numbers of then.
pub async fn debits_with_nothing_special_about_them_have_their_receipts(store: &(impl Store + GroupStore)) {
    let plain =
        |key: &str, amount| Debit { user: Some(user("u")), ..debit("acme", key, amount, [monthly(1_000)]) };
    let mut made = Vec::new();
    for key in ["first", "second"] {
        let DebitOutcome::Recorded(receipt) = store.debit(&plain(key, 2)).await.unwrap() else { panic!() };
        made.push(receipt);
    }
    let group = [plain("a", 3), plain("b", 1), plain("c", 5)];
    for outcome in store.debit_group(&group).await.unwrap() {
        let DebitOutcome::Recorded(receipt) = outcome else { panic!("{outcome:?}") };
        made.push(receipt);
    }
    let used: Vec<_> = made.iter().map(|receipt| receipt.used.get()).collect();
    assert_eq!(used, [2, 4, 7, 8, 13]);
    for receipt in &made {
        assert_eq!(store.receipt(&company("acme"), &receipt.key).await.unwrap().as_ref(), Some(receipt));
    }
    assert_eq!(facts(store, "acme").await.usage[0].used, units(13));
    // A key that is known takes nothing, and keeps nobody from it.
    let [again, new] = store.debit_group(&[plain("b", 1), plain("d", 2)]).await.unwrap().try_into().unwrap();
    assert_eq!(again, DebitOutcome::Duplicate(made[3].clone()));
    let DebitOutcome::Recorded(new) = new else { panic!("{new:?}") };
    assert_eq!(new.used, units(15));
    // Each is given back by itself.
    store.refund(&company("acme"), &made[2].id, now()).await.unwrap().unwrap();
    assert_eq!(facts(store, "acme").await.usage[0].used, units(12));
    assert_eq!(store.pending_alerts(10).await.unwrap(), []);
}

/// What has expired at the latest instant of a group is free for all of it, be its counters one or several.
pub async fn the_latest_instant_of_a_group_decides_what_has_expired(store: &(impl Store + GroupStore)) {
    let (soon, later) = (now() + TimeDelta::minutes(1), now() + TimeDelta::minutes(2));
    for (name, counters) in [("one", vec![monthly(5)]), ("several", vec![granted("g", 2), monthly(3)])] {
        let held = debit(name, "held", 4, counters.clone());
        assert!(matches!(store.reserve(&held, soon).await.unwrap(), ReserveOutcome::Reserved(_)));
        let early = debit(name, "early", 3, counters.clone());
        let late = Debit { at: later, ..debit(name, "late", 2, counters.clone()) };
        let outcomes = store.debit_group(&[early, late]).await.unwrap();
        assert!(outcomes.iter().all(|outcome| matches!(outcome, DebitOutcome::Recorded(_))), "{outcomes:?}");
        let facts = store.load(&company(name), later).await.unwrap();
        let used: u64 = facts.usage.iter().map(|counter| counter.used.get()).sum();
        assert_eq!(used, 5);
    }
}

/// A receipt that somebody else has fails the whole group; debits that are no group are refused.
pub async fn a_group_that_fails_changes_nothing(store: &(impl Store + GroupStore)) {
    let DebitOutcome::Recorded(first) = store.debit(&asked("known", 2)).await.unwrap() else { panic!() };
    let taken = Debit { receipt: receipt_id(first.id.as_str()), ..asked("b", 1) };
    store.debit_group(&[asked("a", 1), taken]).await.unwrap_err();
    assert_eq!(facts(store, "acme").await.usage[0].used, units(2));
    let error = store.debit_group(&[asked("a", 1), asked("a", 1)]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
    let late = Debit { at: november().end.unwrap(), ..asked("b", 1) };
    let error = store.debit_group(&[asked("a", 1), late]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
    assert_eq!(facts(store, "acme").await.usage[0].used, units(2));
    assert_eq!(store.debit_group(&[]).await.unwrap(), []);
}
