//! Stripe out of order: clear kinds of errors, and nothing half done.

use std::time::Duration;

use billing_stripe::StripeClient;
use billing_stripe::client::RetryPolicy;
use billing_stripe::fake::{FaultKind, RequestFault};
use entitlements_core::billing::{BillingErrorKind, BillingProvider};
use entitlements_core::{Reason, SubscriptionStatus as Status};

use crate::world::{World, acme, buy};

const VISA: Option<&str> = Some("pm_card_visa");

fn refuse(status: u16, code: Option<&'static str>) -> FaultKind {
    FaultKind::Refuse { status, code, should_retry: None, retry_after: None }
}

#[tokio::test]
async fn every_fault_has_its_kind_and_leaves_nothing_half_done() {
    let faults = [
        (refuse(429, None), BillingErrorKind::Unavailable),
        (refuse(429, Some("lock_timeout")), BillingErrorKind::Unavailable),
        (refuse(409, None), BillingErrorKind::Unavailable),
        (refuse(500, None), BillingErrorKind::Unavailable),
        (refuse(503, None), BillingErrorKind::Unavailable),
        (refuse(401, None), BillingErrorKind::Unauthorized),
        (refuse(400, None), BillingErrorKind::Invalid),
    ];
    for (fault, kind) in faults {
        let world = World::new().await;
        let process = world.process();
        world.fake.fail(RequestFault::next(fault).times(100));
        let error = process.subscribe(&buy("starter", VISA)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{fault:?}");
        assert_eq!(error.is_retryable(), kind == BillingErrorKind::Unavailable);
        assert!(!error.to_string().contains("sk_test"), "{error}");
        assert_eq!(process.check("reports").await, Reason::NoSubscription);
        assert!(world.fake.event_kinds().is_empty(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_fault_that_passes_is_not_noticed() {
    let world = World::new().await;
    world.fake.fail(RequestFault::status(500));
    world.process().subscribe(&buy("starter", VISA)).await.unwrap();
    assert_eq!(world.count("customer.subscription.created"), 1);
}

#[tokio::test]
async fn a_stripe_that_is_down_changes_nothing_here() {
    let world = World::new().await;
    let process = world.process();
    let made = process.subscribe(&buy("pro", VISA)).await.unwrap();
    world.fake.fail(RequestFault::status(503).times(100));
    for error in [
        process.billing.cancel(&made.id, false).await.unwrap_err(),
        process.billing.pause(&made.id).await.unwrap_err(),
        process.billing.portal(&acme(), "https://app.example").await.unwrap_err(),
        process.billing.reconcile(&acme()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), BillingErrorKind::Unavailable);
    }
    assert!(process.may("forecast").await);
    assert_eq!(world.stored().await, [made]);
}

#[tokio::test]
async fn a_stripe_that_is_gone_is_unavailable() {
    let mut world = World::new().await;
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = world.fake.config().base_url(format!("http://{nowhere}")).retry(RetryPolicy::NEVER);
    let away = std::mem::replace(&mut world.client, StripeClient::new(&config).unwrap());
    let error = world.process().subscribe(&buy("pro", VISA)).await.unwrap_err();
    assert_eq!(error.kind(), BillingErrorKind::Unavailable);
    world.client = away;
    let made = world.process().subscribe(&buy("starter", VISA)).await;
    assert!(made.is_err() || world.count("customer.created") == 1);
}

#[tokio::test]
async fn a_stripe_that_is_slow_is_unavailable_and_found_out_later() {
    let world = World::new().await;
    let config = world.fake.config().timeout(Duration::from_millis(100)).retry(RetryPolicy::NEVER);
    let impatient = world.process_on(world.memory.clone(), StripeClient::new(&config).unwrap());
    world.fake.fail(
        RequestFault::next(FaultKind::Delay(Duration::from_millis(400)))
            .on(http::Method::POST, "/v1/subscriptions"),
    );
    let new = buy("pro", VISA);
    let error = impatient.subscribe(&new).await.unwrap_err();
    assert_eq!(error.kind(), BillingErrorKind::Unavailable);
    let made = world.process().subscribe(&new).await.unwrap();
    assert_eq!(made.status, Status::Active);
    assert_eq!((world.count("customer.created"), world.count("customer.subscription.created")), (1, 1));
}
