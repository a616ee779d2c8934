//! Several debits in one statement come to what they come to one after the other.

use entitlements_core::id::ReceiptId;
use entitlements_core::store::{GroupStore, Store, StoreErrorKind};
use entitlements_core::testkit::fixtures::{company, debit, facts, monthly, units};
use entitlements_core::usage::{Counter, Debit, DebitOutcome};

fn asked(key: &str, amount: u64) -> Debit {
    let counter = Counter { alerts: vec![(50, units(5)), (100, units(10))], ..monthly(10) };
    debit("acme", key, amount, [counter])
}

pub(crate) async fn each_debit_of_a_group_gets_its_own_outcome(store: impl Store + GroupStore) {
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
    assert_eq!(facts(&store, "acme").await.usage[0].used, units(10));
    assert_eq!(store.pending_alerts(10).await.unwrap().len(), 2);
    for made in [a, c] {
        assert_eq!(store.receipt(&company("acme"), &made.key).await.unwrap(), Some(made));
    }
    assert_eq!(store.receipt(&company("acme"), &asked("b", 4).key).await.unwrap(), None);
}

pub(crate) async fn a_group_that_fails_changes_nothing(store: impl Store + GroupStore) {
    let DebitOutcome::Recorded(first) = store.debit(&asked("known", 2)).await.unwrap() else { panic!() };
    let taken = Debit { receipt: ReceiptId::new(first.id.as_str()).unwrap(), ..asked("b", 1) };
    store.debit_group(&[asked("a", 1), taken]).await.unwrap_err();
    assert_eq!(facts(&store, "acme").await.usage[0].used, units(2));
    let error = store.debit_group(&[asked("a", 1), asked("a", 1)]).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
    assert_eq!(store.debit_group(&[]).await.unwrap(), []);
}
