//! The caller's own transaction: what is consumed in it and what the caller stores beside it happen together, or not at all.

use entitlements_core::id::{CompanyId, FeatureKey, IdempotencyKey};
use entitlements_core::store::{GrantStore, PageRequest, UsageStore};
use entitlements_core::{
    Action, Amount, Catalog, Consume, Consumption, Entitlements, ErrorKind, ManualClock, NewGrant, Request,
    Subject,
};

use crate::stage::{Beginning, InTransaction, Stage, execute, orders};

const CATALOG: &str = r#"
    schema = 1
    default_plan = "free"
    past_due_grace = "7d"
    [features]
    reports = { type = "meter" }
    forecast = { type = "flag" }
    [plans.free.grants]
    reports = { limit = 10, every = "month", alerts = [50] }
"#;

pub(crate) fn handle(stage: &Stage) -> Entitlements {
    let clock = ManualClock::at("2026-11-24T12:00:00Z".parse().unwrap());
    let catalog = Catalog::parse("catalog.toml", CATALOG).unwrap();
    Entitlements::builder(catalog).store(stage.store.clone()).clock(clock).build()
}

pub(crate) fn acme() -> Subject {
    Subject::company(CompanyId::new("acme").unwrap())
}

pub(crate) fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::new(text).unwrap()
}

pub(crate) fn units(subject: &Subject, amount: u64) -> Consume<'_> {
    Consume::new(subject, "reports", Amount::new(amount).unwrap())
}

pub(crate) async fn used(handle: &Entitlements) -> u64 {
    handle.usage(&acme()).await.unwrap()[0].quota.used.get()
}

pub(crate) async fn a_commit_keeps_the_units_and_the_callers_rows(stage: Stage) {
    let (handle, acme) = (handle(&stage), acme());
    let mut transaction = stage.pool.beginning().await;
    execute(&mut transaction, "INSERT INTO orders VALUES ('order 1')").await;
    let consumed = handle
        .consume_in(&mut InTransaction::new(&mut transaction), &units(&acme, 5).with_key(key("order 1")))
        .await
        .unwrap();
    let receipt = consumed.receipt().unwrap().clone();
    transaction.commit().await.unwrap();
    assert_eq!(orders(&stage.pool).await, 1);
    assert_eq!(used(&handle).await, 5);
    assert_eq!(stage.store.receipt(&acme.company, &key("order 1")).await.unwrap(), Some(receipt));
    assert_eq!(stage.store.pending_alerts(10).await.unwrap().len(), 1);
}

pub(crate) async fn a_rollback_leaves_nothing(stage: Stage) {
    let (handle, acme) = (handle(&stage), acme());
    let mut transaction = stage.pool.beginning().await;
    execute(&mut transaction, "INSERT INTO orders VALUES ('order 1')").await;
    let consume = units(&acme, 5).with_key(key("order 1"));
    let consumed = handle.consume_in(&mut InTransaction::new(&mut transaction), &consume).await.unwrap();
    assert!(matches!(consumed, Consumption::Recorded { .. }));
    transaction.rollback().await.unwrap();
    assert_eq!(orders(&stage.pool).await, 0);
    assert_eq!(used(&handle).await, 0);
    assert_eq!(stage.store.receipt(&acme.company, &key("order 1")).await.unwrap(), None);
    assert!(stage.store.pending_alerts(10).await.unwrap().is_empty());
    // The key is free, and so are all the units.
    let again = handle.consume(&units(&acme, 10).with_key(key("order 1"))).await.unwrap();
    assert!(matches!(again, Consumption::Recorded { .. }));
}

pub(crate) async fn a_dropped_transaction_leaves_nothing(stage: Stage) {
    let (handle, acme) = (handle(&stage), acme());
    let mut transaction = stage.pool.beginning().await;
    let consumed =
        handle.consume_in(&mut InTransaction::new(&mut transaction), &units(&acme, 5)).await.unwrap();
    assert!(matches!(consumed, Consumption::Recorded { .. }));
    drop(transaction);
    // The connection goes back when it has rolled back; the next who gets it finds no transaction open.
    let mut next = stage.pool.beginning().await;
    execute(&mut next, "INSERT INTO orders VALUES ('order 2')").await;
    next.commit().await.unwrap();
    assert_eq!(orders(&stage.pool).await, 1);
    assert_eq!(used(&handle).await, 0);
}

pub(crate) async fn a_refusal_changes_nothing_and_leaves_the_transaction_usable(stage: Stage) {
    let (handle, acme) = (handle(&stage), acme());
    let mut transaction = stage.pool.beginning().await;
    let mut inside = InTransaction::new(&mut transaction);
    let refused = handle.consume_in(&mut inside, &units(&acme, 11).with_key(key("order 1"))).await.unwrap();
    assert!(matches!(&refused, Consumption::Refused(denial) if denial.reason.code() == "quota_exceeded"));
    let fits = handle.consume_in(&mut inside, &units(&acme, 10).with_key(key("order 1"))).await.unwrap();
    assert!(matches!(fits, Consumption::Recorded { .. }));
    execute(&mut transaction, "INSERT INTO orders VALUES ('order 1')").await;
    transaction.commit().await.unwrap();
    assert_eq!((orders(&stage.pool).await, used(&handle).await), (1, 10));
}

pub(crate) async fn a_key_counts_once_across_transactions(stage: Stage) {
    let (handle, acme) = (handle(&stage), acme());
    let consume = units(&acme, 10).with_key(key("order 1"));
    for round in 0..2 {
        let mut transaction = stage.pool.beginning().await;
        let mut inside = InTransaction::new(&mut transaction);
        let consumed = handle.consume_in(&mut inside, &consume).await.unwrap();
        assert_eq!(matches!(consumed, Consumption::Recorded { .. }), round == 0, "{consumed:?}");
        // Once more in the same one: there is no room, and the key answers.
        let again = handle.consume_in(&mut inside, &consume).await.unwrap();
        assert!(matches!(again, Consumption::Duplicate(_)), "{again:?}");
        let other = handle.consume_in(&mut inside, &units(&acme, 9).with_key(key("order 1"))).await;
        assert_eq!(other.unwrap_err().kind(), ErrorKind::IdempotencyConflict);
        transaction.commit().await.unwrap();
    }
    assert_eq!(used(&handle).await, 10);
}

pub(crate) async fn a_refund_takes_part(stage: Stage) {
    let (handle, acme) = (handle(&stage), acme());
    let consumed = handle.consume(&units(&acme, 7)).await.unwrap();
    let receipt = consumed.receipt().unwrap().id.clone();
    for commits in [false, true] {
        let mut transaction = stage.pool.beginning().await;
        let mut inside = InTransaction::new(&mut transaction);
        let refunded = handle.refund_in(&mut inside, &acme.company, &receipt).await.unwrap().unwrap();
        assert!(refunded.refunded_at.is_some());
        if commits {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
        assert_eq!(used(&handle).await, if commits { 0 } else { 7 });
        handle.invalidate(&acme.company);
    }
}

pub(crate) async fn a_grant_takes_part_and_nothing_seen_is_kept(stage: Stage) {
    let (handle, acme) = (handle(&stage), acme());
    let request = Request::new(&acme, "forecast", Action::View);
    assert!(!handle.check(&request).await.unwrap().is_allowed());
    let new = NewGrant::new(acme.company.clone(), FeatureKey::new("forecast").unwrap());

    let mut transaction = stage.pool.beginning().await;
    let mut inside = InTransaction::new(&mut transaction);
    handle.grant_in(&mut inside, new.clone()).await.unwrap();
    assert!(handle.check_in(&mut inside, &request).await.unwrap().is_allowed());
    // Outside of the transaction nothing has happened.
    assert!(!handle.check(&request).await.unwrap().is_allowed());
    transaction.rollback().await.unwrap();
    assert!(!handle.check(&request).await.unwrap().is_allowed());

    let mut transaction = stage.pool.beginning().await;
    let grant = handle.grant_in(&mut InTransaction::new(&mut transaction), new).await.unwrap();
    transaction.commit().await.unwrap();
    handle.invalidate(&acme.company);
    assert!(handle.check(&request).await.unwrap().is_allowed());

    let mut transaction = stage.pool.beginning().await;
    let voided = handle.void_in(&mut InTransaction::new(&mut transaction), &grant.id).await.unwrap();
    assert!(voided.is_some());
    transaction.commit().await.unwrap();
    handle.invalidate(&acme.company);
    assert!(!handle.check(&request).await.unwrap().is_allowed());
    let page = PageRequest { limit: 10, cursor: None };
    assert!(stage.store.list_grants(&acme.company, &page).await.unwrap().items[0].voided_at.is_some());
}
