//! What observers see of requests that the layer answers without a decision.

use std::sync::{Arc, Mutex};

use entitlements_core::catalog::{Charge, Unmatched};
use entitlements_core::observer::{Event, Observer, TurnedAway};
use entitlements_core::store::StoreErrorKind;
use entitlements_core::{CacheConfig, Entitlements};
use entitlements_tower::{EntitlementLayer, FailMode, FreshnessLayer, Rule, subject_extension};
use http::Request;
use tower::{Layer, ServiceExt};

use crate::probe::Probe;
use crate::store::Weather;
use crate::world::{World, anonymous, catalog, request};

#[derive(Debug, Default)]
struct Seen(Mutex<Vec<(Option<String>, TurnedAway)>>);

impl Observer for Seen {
    fn observe(&self, event: &Event<'_>) {
        if let Event::TurnedAway { rule, why } = event {
            self.0.lock().unwrap().push((rule.map(Into::into), *why));
        }
    }
}

impl Seen {
    fn take(&self) -> Vec<(Option<String>, TurnedAway)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// The world with somebody who watches.
async fn watched() -> (World, Arc<Seen>) {
    let (mut world, seen) = (World::new().await, Arc::new(Seen::default()));
    world.entitlements = Entitlements::builder(catalog())
        .store(world.store.clone())
        .clock(Arc::clone(&world.clock))
        .cache(CacheConfig::default().with_max_age(std::time::Duration::ZERO))
        .observer(Arc::clone(&seen))
        .build();
    (world, seen)
}

async fn status(layer: &EntitlementLayer, request: Request<String>) -> u16 {
    layer.layer(Probe::answering(200)).oneshot(request).await.unwrap().status().as_u16()
}

fn with_key(mut request: Request<String>, key: &'static str) -> Request<String> {
    request.headers_mut().insert("idempotency-key", key.parse().unwrap());
    request
}

#[tokio::test]
async fn observers_see_why_a_request_was_answered_without_a_decision() {
    let (world, seen) = watched().await;
    let rules = [
        Rule::new("GET /boardroom").require("boardroom"),
        Rule::new("POST /batch/{count}").consume_from_param("reports", Charge::Admit, "count"),
        Rule::new("/a/{*rest}").require("boardroom"),
        Rule::new("/a/b").require("unsold"),
    ];
    let builder = EntitlementLayer::builder(
        world.entitlements.clone(),
        subject_extension().optional(),
        FailMode::Closed,
    );
    let layer =
        builder.rules(rules).unmatched(Unmatched::Deny).idempotency_from_header(true).build().unwrap();
    let batch = Some("POST /batch/{count}".to_owned());
    let boardroom = Some("GET /boardroom".to_owned());
    for (asked, answer, told) in [
        (anonymous("GET", "/boardroom"), 401, (boardroom.clone(), TurnedAway::Unauthenticated)),
        (request("POST", "/batch/-3", "pro-co"), 400, (batch.clone(), TurnedAway::Invalid)),
        (with_key(request("POST", "/batch/1", "pro-co"), ""), 400, (batch, TurnedAway::Invalid)),
        (request("GET", "/a/%62", "pro-co"), 400, (None, TurnedAway::Invalid)),
        (request("GET", "/elsewhere", "pro-co"), 403, (None, TurnedAway::NoRule)),
    ] {
        let uri = asked.uri().clone();
        assert_eq!(status(&layer, asked).await, answer, "{uri}");
        assert_eq!(seen.take(), [told], "{uri}");
    }
    for (kind, answer, why) in [
        (StoreErrorKind::Unavailable, 503, TurnedAway::Unavailable),
        (StoreErrorKind::Corrupt, 500, TurnedAway::Internal),
    ] {
        world.store.set(Weather::Down(kind));
        assert_eq!(status(&layer, request("GET", "/boardroom", "pro-co")).await, answer);
        assert_eq!(seen.take(), [(boardroom.clone(), why)]);
    }
}

#[tokio::test]
async fn what_was_decided_is_not_told_twice() {
    let (world, seen) = watched().await;
    let layer = world.layer();
    for (asked, answer) in [
        (request("GET", "/boardroom", "pro-co"), 200),
        (request("GET", "/boardroom", "starter-co"), 402),
        (request("GET", "/unsold", "pro-co"), 403),
        (request("GET", "/free", "starter-co"), 200),
    ] {
        assert_eq!(status(&layer, asked).await, answer);
    }
    assert_eq!(seen.take(), []);
}

#[tokio::test]
async fn a_missing_layer_is_told_of_each_time_although_it_is_logged_once() {
    let (world, seen) = watched().await;
    let layer = world.layer();
    for _ in 0..2 {
        assert_eq!(status(&layer, anonymous("GET", "/export")).await, 500);
    }
    assert_eq!(seen.take(), vec![(Some("GET /export".to_owned()), TurnedAway::Internal); 2]);
}

#[tokio::test]
async fn what_cannot_be_read_again_after_a_write_is_told_of() {
    let (world, seen) = watched().await;
    let layer = FreshnessLayer::new(world.entitlements.clone(), subject_extension());
    world.store.set(Weather::Down(StoreErrorKind::Unavailable));
    let mut asked = request("GET", "/boardroom", "pro-co");
    asked.headers_mut().insert(entitlements_tower::REVISION_HEADER, 1_000_000.into());
    let response = layer.layer(Probe::answering(200)).oneshot(asked).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(seen.take(), [(None, TurnedAway::Unavailable)]);
}
