//! Usage that the billing provider is told of.

use std::cell::{Cell, RefCell};

use chrono::TimeDelta;
use entitlements_core::billing::{UsageOutbox, UsageOutcome, UsageRecord, UsageRecordState};
use entitlements_core::store::{Store, UsageStore as _};
use entitlements_core::testkit::fixtures::{debit, feature, monthly, receipt_id, recorded};
use entitlements_core::usage::Debit;

use super::billing::in_minutes;
use super::{any, whole_or_not_at_all};
use crate::ground::Ground;

/// A debit of a meter that is billed.
fn billed(name: &str, key: &str) -> Debit {
    Debit { receipt: receipt_id(key), ..debit(name, key, 3, [monthly(None)]) }
}

/// What is claimed from a minute on, of which an earlier claim is over.
async fn claimed(store: &impl UsageOutbox, minute: u32) -> Vec<UsageRecord> {
    let at = in_minutes(minute);
    store.claim_usage(at + TimeDelta::minutes(1), at, 100).await.unwrap()
}

/// Takes what is open out of the way.
async fn none_open(store: &impl UsageOutbox) {
    for record in claimed(store, 60).await {
        store.finish_usage(&record.id, record.attempts, &UsageOutcome::Sent).await.unwrap();
    }
}

/// Takes what is open out of the way, and leaves one record.
async fn one_open(store: &(impl Store + UsageOutbox), name: &str) {
    none_open(store).await;
    store.bill_meters(&[feature("reports")]).await.unwrap();
    recorded(store, &billed(name, "k")).await;
}

/// Usage that is billed has its record with its receipt; who claims it and gives up has it until the claim ends.
pub(crate) async fn billed_usage_is_written_claimed_and_finished_once<G: Ground>(ground: &G) {
    let open = async |store: &G::Store, _: &str| -> u64 {
        store.unsettled_usage().await.unwrap().iter().map(|unsettled| unsettled.records).sum()
    };
    whole_or_not_at_all(
        ground,
        [0, 1],
        async |store, _| {
            store.bill_meters(&[feature("reports")]).await.unwrap();
            none_open(store).await;
        },
        async |store, name, _| store.debit(&billed(name, "k")).await,
        &open,
        any,
    )
    .await;
    whole_or_not_at_all(
        ground,
        [1, 1],
        async |store, name| one_open(store, name).await,
        async |store, _, attempt| {
            let at = in_minutes(attempt);
            store.claim_usage(at + TimeDelta::minutes(1), at, 9).await
        },
        &open,
        |records, _| assert_eq!(records.len(), 1),
    )
    .await;
    whole_or_not_at_all(
        ground,
        [1, 0],
        async |store, name| one_open(store, name).await,
        async |store, _, attempt| {
            let at = in_minutes(attempt);
            let records = store.claim_usage(at + TimeDelta::minutes(1), at, 9).await?;
            for record in &records {
                assert!(store.finish_usage(&record.id, record.attempts, &UsageOutcome::Sent).await?);
            }
            Ok(records.len())
        },
        &open,
        |records, was_made| assert_eq!(records, usize::from(!was_made)),
    )
    .await;
    let last = RefCell::new(None);
    whole_or_not_at_all(
        ground,
        [UsageRecordState::Sent, UsageRecordState::Refused],
        async |store, name| {
            one_open(store, name).await;
            let [record] = &claimed(store, 0).await[..] else { panic!("there is one") };
            store.finish_usage(&record.id, record.attempts, &UsageOutcome::Sent).await.unwrap();
            last.replace(Some(record.id.clone()));
        },
        async |store, _, _| {
            let id = last.borrow().clone().unwrap();
            store.refuse_usage(&id, "too old").await
        },
        async |store, _| {
            let id = last.borrow().clone().unwrap();
            store.usage_record(&id).await.unwrap().unwrap().state
        },
        |refused, was_made| assert_eq!(refused, !was_made),
    )
    .await;
}

/// Which meters are billed changes as a whole.
pub(crate) async fn which_meters_are_billed_changes_as_a_whole_or_not_at_all<G: Ground>(ground: &G) {
    let meters = |names: &[&str]| names.iter().map(|name| feature(name)).collect::<Vec<_>>();
    let number = Cell::new(0);
    whole_or_not_at_all(
        ground,
        [[true, true, false], [false, true, true]],
        async |store, _| store.bill_meters(&meters(&["a", "b"])).await.unwrap(),
        async |store, _, _| store.bill_meters(&meters(&["b", "c"])).await,
        async |store: &G::Store, name| {
            number.set(number.get() + 1);
            let mut billed_now = [false; 3];
            for (is_billed, meter) in billed_now.iter_mut().zip(["a", "b", "c"]) {
                let made =
                    Debit { meter: feature(meter), ..billed(name, &format!("{meter} {}", number.get())) };
                recorded(store, &made).await;
                *is_billed = !claimed(store, 0).await.is_empty();
            }
            billed_now
        },
        any,
    )
    .await;
}
