//! A request that carries the revision of a write sees it, whichever process answers.

use std::sync::Arc;

use entitlements_core::facts::Revision;
use entitlements_core::store::{SharedStore, StoreErrorKind};
use entitlements_core::testkit::FlakyStore;
use entitlements_core::testkit::fixtures::{now, plan, subscription};
use entitlements_core::{Entitlements, ManualClock, MemoryStore, Subscription, SubscriptionStatus};
use entitlements_tower::{
    EntitlementLayer, FailMode, FreshnessLayer, REVISION_HEADER, Wrote, subject_extension,
};
use http::{Request, Response, StatusCode};
use tower::{Layer, ServiceExt};

use crate::probe::Probe;
use crate::world::{anonymous, catalog, request};

/// Two processes on one store, which tell each other nothing.
struct Two {
    store: Arc<FlakyStore<MemoryStore>>,
    clock: Arc<ManualClock>,
    writer: Entitlements,
    reader: Entitlements,
}

impl Two {
    /// `pro-co` and `other-co` may enter the boardroom, and the reader knows it.
    async fn new() -> Self {
        let store = Arc::new(FlakyStore::new(MemoryStore::default()));
        let clock = Arc::new(ManualClock::at(now()));
        let process = || {
            let store: SharedStore = store.clone();
            Entitlements::builder(catalog()).shared_store(store).clock(Arc::clone(&clock)).build()
        };
        let two = Self { writer: process(), reader: process(), store, clock };
        for company in ["pro-co", "other-co"] {
            two.write(company, SubscriptionStatus::Active).await;
            assert_eq!(two.enter(request("GET", "/boardroom", company)).await, StatusCode::OK);
        }
        two
    }

    async fn write(&self, company: &str, status: SubscriptionStatus) -> Revision {
        let stored = subscription(&format!("sub-{company}"), company);
        let stored = Subscription { plan: plan("pro"), status, ..stored };
        self.writer.put_subscription(&stored).await.unwrap()
    }

    /// What the reader answers.
    async fn answer(&self, request: Request<String>) -> Response<String> {
        let gate =
            EntitlementLayer::builder(self.reader.clone(), subject_extension(), FailMode::Closed).build();
        let freshness = FreshnessLayer::new(self.reader.clone(), subject_extension());
        freshness.layer(gate.unwrap().layer(Probe::answering(200))).oneshot(request).await.unwrap()
    }

    async fn enter(&self, request: Request<String>) -> StatusCode {
        self.answer(request).await.status()
    }
}

fn carrying(value: impl std::fmt::Display, company: &str) -> Request<String> {
    let mut request = request("GET", "/boardroom", company);
    request.headers_mut().append(REVISION_HEADER, value.to_string().parse().unwrap());
    request
}

#[tokio::test]
async fn who_carries_the_revision_of_a_write_sees_it() {
    let two = Two::new().await;
    let revision = two.write("pro-co", SubscriptionStatus::Canceled).await;
    assert_eq!(two.enter(request("GET", "/boardroom", "pro-co")).await, StatusCode::OK);
    assert_eq!(two.enter(carrying(revision.0, "pro-co")).await, StatusCode::PAYMENT_REQUIRED);
    let loads = two.store.loads();
    assert_eq!(two.enter(carrying(revision.0, "pro-co")).await, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(two.store.loads(), loads);
}

#[tokio::test]
async fn a_handler_that_wrote_tells_the_client_the_revision() {
    let two = Two::new().await;
    let probe = Probe::new(|_| async move {
        let mut response = Response::new(String::new());
        response.extensions_mut().insert(Wrote(Revision(41)));
        Ok(response)
    });
    let layer = FreshnessLayer::new(two.reader.clone(), subject_extension());
    let response = layer.layer(probe).oneshot(request("POST", "/", "pro-co")).await.unwrap();
    assert_eq!(response.headers()[REVISION_HEADER], "41");
    assert!(!two.answer(request("GET", "/", "pro-co")).await.headers().contains_key(REVISION_HEADER));
}

#[tokio::test]
async fn what_is_no_revision_is_as_good_as_none() {
    let two = Two::new().await;
    two.write("pro-co", SubscriptionStatus::Canceled).await;
    let loads = two.store.loads();
    for value in ["", "-1", "1e3", "18446744073709551616", "999, 1000", "later"] {
        assert_eq!(two.enter(carrying(value, "pro-co")).await, StatusCode::OK, "{value}");
    }
    let mut twice = carrying(7, "pro-co");
    twice.headers_mut().append(REVISION_HEADER, "1000".parse().unwrap());
    assert_eq!(two.enter(twice).await, StatusCode::OK);
    assert_eq!(two.store.loads(), loads);
}

#[tokio::test]
async fn a_revision_from_the_future_costs_the_company_one_load_a_second_and_others_none() {
    let two = Two::new().await;
    let gate = EntitlementLayer::builder(two.reader.clone(), subject_extension(), FailMode::Closed).build();
    let freshness = FreshnessLayer::new(two.reader.clone(), subject_extension());
    let service = freshness.layer(gate.unwrap().layer(Probe::answering(200)));
    let loads = two.store.loads();
    for number in 0..200 {
        let asked = service.clone().oneshot(carrying(u64::MAX - number, "pro-co")).await.unwrap();
        assert_eq!(asked.status(), StatusCode::OK);
        let other = service.clone().oneshot(request("GET", "/boardroom", "other-co")).await.unwrap();
        assert_eq!(other.status(), StatusCode::OK);
    }
    assert_eq!(two.store.loads(), loads + 1);
    two.clock.advance(chrono::TimeDelta::seconds(1));
    service.clone().oneshot(carrying(u64::MAX, "pro-co")).await.unwrap();
    assert_eq!(two.store.loads(), loads + 2);
}

#[tokio::test]
async fn without_the_store_only_who_asks_for_what_is_not_known_is_turned_away() {
    let two = Two::new().await;
    let before = two.reader.revision(&crate::world::of("pro-co").company).await.unwrap();
    let revision = two.write("pro-co", SubscriptionStatus::Canceled).await;
    two.store.fail(Some(StoreErrorKind::Unavailable));
    assert_eq!(two.enter(carrying(before.0, "pro-co")).await, StatusCode::OK);
    let refused = two.answer(carrying(revision.0, "pro-co")).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn who_is_not_known_is_left_to_the_gate() {
    let two = Two::new().await;
    let mut nobody = anonymous("GET", "/boardroom");
    nobody.headers_mut().insert(REVISION_HEADER, "1000".parse().unwrap());
    let loads = two.store.loads();
    // The layer that authenticates is missing.
    assert_eq!(two.enter(nobody).await, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(two.store.loads(), loads);
}
