//! Requests about companies whose facts are in memory: they are decided at once.

use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use entitlements_core::Decision;
use entitlements_core::store::StoreErrorKind;
use entitlements_tower::{FailMode, Rule, Verdict};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt};

use crate::probe::Probe;
use crate::store::Weather;
use crate::world::{World, request};

#[tokio::test]
async fn what_is_only_required_is_decided_at_once() {
    let world = World::warm().await;
    let gate = world.layer().gate().clone();
    let begin = |uri: &str, company: &str| gate.begin(&request("GET", uri, company).into_parts().0);
    assert!(matches!(begin("/boardroom", "pro-co"), Verdict::Admit(_)));
    assert!(matches!(begin("/boardroom", "starter-co"), Verdict::Deny(_)));
    assert!(matches!(begin("/boardroom", "never-seen-co"), Verdict::Ask(_)));
    let (parts, _) = request("POST", "/reports/1", "pro-co").into_parts();
    assert!(matches!(gate.begin(&parts), Verdict::Ask(_)));
}

#[tokio::test]
async fn facts_in_memory_answer_while_the_store_is_away_and_no_longer_than_their_age() {
    let world = World::warm().await;
    world.store.set(Weather::Down(StoreErrorKind::Unavailable));
    let service = world.layer().layer(Probe::answering(200));
    let ask = |company: &str| service.clone().oneshot(request("GET", "/boardroom", company));
    assert_eq!(ask("pro-co").await.unwrap().status(), 200);
    assert_eq!(ask("starter-co").await.unwrap().status(), 402);
    world.clock.advance(chrono::TimeDelta::seconds(5));
    assert_eq!(ask("pro-co").await.unwrap().status(), 503);
    assert_eq!(ask("starter-co").await.unwrap().status(), 503);
}

#[tokio::test]
async fn the_handler_finds_the_decision() {
    let world = World::warm().await;
    let probe = Probe::new(|request| async move {
        let plan = request.extensions().get::<Decision>().and_then(|decision| decision.plan);
        Ok(http::Response::new(plan.unwrap_or("none").to_owned()))
    });
    let response = world.layer().layer(probe).oneshot(request("GET", "/boardroom", "pro-co")).await.unwrap();
    assert_eq!(response.into_body(), "pro");
}

#[tokio::test]
async fn the_ready_service_is_called_and_a_denial_gives_its_permit_back() {
    let world = World::warm().await;
    let probe = Probe::answering(200);
    let calls = probe.calls();
    let mut service = world.layer().layer(ConcurrencyLimit::new(probe, 1));
    let mut other = service.clone();
    let mut context = Context::from_waker(Waker::noop());
    let response = service.ready().await.unwrap().call(request("GET", "/boardroom", "pro-co")).await.unwrap();
    assert_eq!(response.status(), 200);
    let denied =
        service.ready().await.unwrap().call(request("GET", "/boardroom", "starter-co")).await.unwrap();
    assert_eq!(denied.status(), 402);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert!(matches!(other.poll_ready(&mut context), Poll::Ready(Ok(()))));
}

#[tokio::test]
async fn what_is_decided_at_once_is_still_tracked_and_says_what_is_left() {
    let world = World::warm().await;
    let tracked = Rule::new("GET /tracked").require("boardroom").track_usage("tokens", |_| 7);
    let shown = Rule::new("GET /shown").require("tokens");
    let layer =
        world.builder(FailMode::Closed).route(tracked).route(shown).rate_limit_headers(true).build().unwrap();
    let service = layer.layer(Probe::answering(200));
    let ask = |uri: &'static str| service.clone().oneshot(request("GET", uri, "pro-co"));
    assert_eq!(ask("/shown").await.unwrap().headers()["ratelimit"], "\"tokens\";r=100;t=2041200");
    assert_eq!(ask("/tracked").await.unwrap().status(), 200);
    layer.flush().await;
    assert_eq!(world.used("pro-co", "tokens").await, 7);
    // Without the headers, too.
    let tracked = Rule::new("GET /tracked").require("boardroom").track_usage("tokens", |_| 7);
    let layer = world.builder(FailMode::Closed).route(tracked).build().unwrap();
    layer.layer(Probe::answering(200)).oneshot(request("GET", "/tracked", "pro-co")).await.unwrap();
    layer.flush().await;
    assert_eq!(world.used("pro-co", "tokens").await, 14);
}
