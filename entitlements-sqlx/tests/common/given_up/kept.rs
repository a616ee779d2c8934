//! What is kept about decisions, and what is forgotten.

use chrono::TimeDelta;
use entitlements_core::audit::Verifier;
use entitlements_core::store::{
    AuditStore, ErasureStore as _, GrantStore as _, PageRequest, SubscriptionStore as _, UsageStore as _,
};
use entitlements_core::testkit::fixtures::{
    audited, company, debit, facts, grant, key, monthly, now, recorded, subscription, used,
};
use entitlements_core::usage::Debit;

use super::{any, whole_or_not_at_all};
use crate::ground::Ground;

/// How many rows the log has; they verify.
async fn rows(store: &impl AuditStore) -> usize {
    let export = store.audit_rows(0, 1_000).await.unwrap();
    let mut verifier = Verifier::new(export.base);
    for row in &export.rows {
        verifier.check(row).unwrap();
    }
    verifier.finish(export.head).unwrap();
    export.rows.len()
}

pub(crate) async fn a_batch_is_appended_once_or_not_at_all(ground: &impl Ground) {
    whole_or_not_at_all(
        ground,
        [(true, 0), (true, 3)],
        async |_, _| {},
        async |store, name, _| {
            let batch = [1, 2, 3].map(|number| audited(&format!("{name} {number}"), name));
            store.append(&batch).await
        },
        async |store, name| {
            let entries = store.audit_page(&company(name), &PageRequest::first(9)).await.unwrap();
            (rows(store).await % 3 == 0, entries.items.len())
        },
        any,
    )
    .await;
}

pub(crate) async fn the_log_loses_its_beginning_as_a_whole_or_not_at_all(ground: &impl Ground) {
    whole_or_not_at_all(
        ground,
        [3, 0],
        async |store, name| {
            let batch = [1, 2, 3].map(|number| audited(&format!("{name} {number}"), name));
            store.append(&batch).await.unwrap();
        },
        async |store, _, _| store.expire_audit(now() + TimeDelta::seconds(1)).await,
        async |store, _| rows(store).await,
        any,
    )
    .await;
}

pub(crate) async fn receipts_expire_and_stay_counted(ground: &impl Ground) {
    whole_or_not_at_all(
        ground,
        [(true, 3), (false, 3)],
        async |store, name| {
            let at = now() - TimeDelta::days(40);
            recorded(store, &Debit { at, ..debit(name, "old", 2, [monthly(10)]) }).await;
            recorded(store, &debit(name, "new", 1, [monthly(10)])).await;
        },
        async |store, _, _| store.expire(now() - TimeDelta::days(30)).await,
        async |store, name| {
            assert!(store.receipt(&company(name), &key("new")).await.unwrap().is_some());
            let old = store.receipt(&company(name), &key("old")).await.unwrap();
            (old.is_some(), used(store, name, &monthly(10)).await)
        },
        |removed, was_made| assert_eq!(removed, u64::from(!was_made)),
    )
    .await;
}

pub(crate) async fn a_company_is_erased_whole_or_not_at_all(ground: &impl Ground) {
    whole_or_not_at_all(
        ground,
        [([1; 4], 1), ([0; 4], 1)],
        async |store, name| {
            recorded(store, &debit(name, "k", 1, [monthly(10)])).await;
            store.insert_grant(&grant(&format!("grant {name}"), name)).await.unwrap();
            store.put_subscription(&subscription(&format!("sub {name}"), name), now()).await.unwrap();
            store.append(&[audited(name, name)]).await.unwrap();
        },
        async |store, name, _| store.erase(&company(name), now()).await,
        async |store, name| {
            let left = facts(store, name).await;
            let entries = store.audit_page(&company(name), &PageRequest::first(9)).await.unwrap();
            let parts = [left.usage.len(), left.grants.len(), left.subscriptions.len(), entries.items.len()];
            // The log loses a name, and no entry.
            let log = store.audit_rows(0, 1_000).await.unwrap();
            (parts, log.rows.iter().filter(|row| &*row.id == name).count())
        },
        |revision, was_made| assert_eq!(revision.is_none(), was_made),
    )
    .await;
    let store = ground.open().await;
    rows(&store).await;
    ground.close(store).await;
}
