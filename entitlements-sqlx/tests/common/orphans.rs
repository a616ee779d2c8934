//! Records of usage whose receipts are gone: retention of earlier versions did not wait for what was still to be reported.

use chrono::TimeDelta;
use entitlements_core::billing::{UsageOutbox, UsageOutcome};
use entitlements_core::store::Store;
use entitlements_core::testkit::fixtures::{debit, feature, monthly, now, recorded};

/// What removes the receipts, and no record that is open.
pub(crate) const RECEIPTS_REMOVED: &str = "DELETE FROM usage_receipts";

/// A record without a receipt is reported as any other, and goes once it is settled and old.
pub(crate) async fn a_record_without_a_receipt_goes_when_it_is_settled(
    store: &(impl Store + UsageOutbox),
    remove_receipts: impl AsyncFn(),
) {
    store.bill_meters(&[feature("reports")]).await.unwrap();
    recorded(store, &debit("acme", "k", 1, [monthly(5)])).await;
    remove_receipts().await;
    let later = now() + TimeDelta::minutes(1);
    assert_eq!(store.expire(later).await.unwrap(), 0);
    let record = store.claim_usage(later, now(), 10).await.unwrap().pop().expect("a record");
    assert!(store.finish_usage(&record.id, record.attempts, &UsageOutcome::Sent).await.unwrap());
    assert_eq!(store.expire(now()).await.unwrap(), 0);
    assert!(store.usage_record(&record.id).await.unwrap().is_some());
    assert_eq!(store.expire(later).await.unwrap(), 0);
    assert_eq!(store.usage_record(&record.id).await.unwrap(), None);
}
