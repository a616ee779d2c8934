//! Cases about usage that is billed and old: it goes with its receipt, and neither goes while something is left to do.

use super::{bill, billed, claim, claim_one, finish, in_minutes, meter, state};
use crate::billing::{UsageOutbox, UsageOutcome, UsageRecordState as State};
use crate::reservation::CommitOutcome;
use crate::store::Store;
use crate::testkit::fixtures::{
    at, company, facts, feature, key, monthly, now, receipt_id, recorded, units, used,
};
use crate::usage::{Debit, DebitOutcome};

/// Long after the period of the counters.
const LONG_AFTER: &str = "2027-06-01T00:00:00Z";

/// Records with which nothing is left to do go with their receipts.
pub async fn settled_usage_expires(store: &(impl Store + UsageOutbox)) {
    bill(store).await;
    for name in ["sent", "open"] {
        recorded(store, &billed("acme", name, 1)).await;
    }
    let claimed = claim(store, now()).await;
    let sent = claimed.iter().find(|it| it.receipt == receipt_id("sent")).expect("a record");
    assert!(finish(store, sent, &UsageOutcome::Sent).await);
    store.expire(now()).await.unwrap();
    assert_eq!(state(store, &sent.id).await, State::Sent);
    store.expire(in_minutes(1)).await.unwrap();
    assert_eq!(store.usage_record(&sent.id).await.unwrap(), None);
    assert_eq!(claim_one(store, in_minutes(2)).await.receipt, receipt_id("open"));
}

/// A record that was still open when its receipt was old goes with it, once nothing is left to do.
pub async fn usage_that_is_settled_late_expires(store: &(impl Store + UsageOutbox)) {
    bill(store).await;
    recorded(store, &billed("acme", "k", 1)).await;
    let record = claim_one(store, now()).await;
    let later = in_minutes(1);
    assert_eq!(store.expire(later).await.unwrap(), 0);
    assert!(finish(store, &record, &UsageOutcome::Sent).await);
    assert_eq!(state(store, &record.id).await, State::Sent);
    assert_eq!(store.expire(later).await.unwrap(), 1);
    assert_eq!(store.usage_record(&record.id).await.unwrap(), None);
    assert_eq!(store.receipt(&company("acme"), &key("k")).await.unwrap(), None);
}

/// A receipt stays while its usage is open, however old it is: its key and its id are taken, and nobody else comes to its record.
pub async fn a_receipt_stays_while_its_usage_is_open(store: &(impl Store + UsageOutbox)) {
    bill(store).await;
    let first = billed("acme", "k", 5);
    let receipt = recorded(store, &first).await;
    let record = claim_one(store, now()).await;
    assert_eq!(store.expire(at(LONG_AFTER)).await.unwrap(), 0);
    assert_eq!(store.debit(&first).await.unwrap(), DebitOutcome::Duplicate(receipt));
    for of in [meter(), feature("other")] {
        let other = Debit { meter: of, receipt: first.receipt.clone(), ..billed("acme", "other", 1) };
        store.debit(&other).await.unwrap_err();
        store.record(&company("acme"), std::slice::from_ref(&other)).await.unwrap_err();
        store.reserve(&other, in_minutes(1)).await.unwrap_err();
    }
    assert_eq!(store.usage_record(&record.id).await.unwrap(), Some(record));
    assert_eq!(used(store, "acme", &monthly(None)).await, 5);
}

/// What is old and was not reported can still be given back, and then it is not reported.
pub async fn old_usage_that_is_open_can_be_given_back(store: &(impl Store + UsageOutbox)) {
    bill(store).await;
    for name in ["k", "sending"] {
        recorded(store, &billed("acme", name, 5)).await;
    }
    let records = claim(store, now()).await;
    let [other, sending] = ["k", "sending"]
        .map(|name| records.iter().find(|record| record.receipt == receipt_id(name)).expect("a record"));
    assert!(finish(store, other, &UsageOutcome::Refused { why: "too old".to_owned(), tried_at: None }).await);
    // What was refused is not open.
    assert_eq!(store.expire(at(LONG_AFTER)).await.unwrap(), 1);
    assert_eq!(used(store, "acme", &monthly(None)).await, 10);
    store.refund(&company("acme"), &sending.receipt, now()).await.unwrap().expect("a receipt");
    assert_eq!(used(store, "acme", &monthly(None)).await, 5);
    // It had been sent, so that has to be taken back.
    assert!(finish(store, sending, &UsageOutcome::Sent).await);
    assert_eq!(store.expire(at(LONG_AFTER)).await.unwrap(), 0);
    let correcting = claim_one(store, in_minutes(1)).await;
    assert_eq!((&correcting.id, correcting.state), (&sending.id, State::Correcting));
    assert!(finish(store, &correcting, &UsageOutcome::Corrected).await);
    assert_eq!(store.expire(at(LONG_AFTER)).await.unwrap(), 1);
    assert_eq!(store.usage_record(&sending.id).await.unwrap(), None);
    assert_eq!(facts(store, "acme").await.usage, []);
}

/// What was committed stays as well, and a commit that comes again finds it.
pub async fn a_reservation_stays_while_its_usage_is_open(store: &(impl Store + UsageOutbox)) {
    bill(store).await;
    let (acme, held) = (company("acme"), billed("acme", "k", 5));
    store.reserve(&held, in_minutes(5)).await.unwrap();
    store.commit(&acme, &held.receipt, units(3), in_minutes(1)).await.unwrap();
    assert_eq!(store.expire(at(LONG_AFTER)).await.unwrap(), 0);
    let again = store.commit(&acme, &held.receipt, units(3), in_minutes(2)).await.unwrap();
    assert!(matches!(again, Some(CommitOutcome::Duplicate(_))), "{again:?}");
    let record = claim_one(store, in_minutes(2)).await;
    assert!(finish(store, &record, &UsageOutcome::Sent).await);
    assert_eq!(store.expire(at(LONG_AFTER)).await.unwrap(), 1);
    assert_eq!(store.reservation(&acme, &held.key).await.unwrap(), None);
    assert_eq!(store.usage_record(&record.id).await.unwrap(), None);
}
