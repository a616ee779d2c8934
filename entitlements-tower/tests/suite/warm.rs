//! Requests about companies whose facts are in memory: they are decided at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use entitlements_core::observer::{Event, Observer};
use entitlements_core::policy::Policy;
use entitlements_core::store::StoreErrorKind;
use entitlements_core::{Decision, Entitlements};
use entitlements_tower::{EntitlementLayer, FailMode, Rule, Verdict};
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt};

use crate::probe::Probe;
use crate::store::Weather;
use crate::world::{World, catalog, request};

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

#[tokio::test]
async fn what_is_also_consumed_is_charged_though_the_facts_are_in_memory() {
    let world = World::warm().await;
    let service = world.layer().layer(Probe::answering(200));
    let ask = || service.clone().oneshot(request("POST", "/both", "pro-co"));
    for used in 1..=3 {
        assert_eq!(ask().await.unwrap().status(), 200);
        assert_eq!(world.used("pro-co", "reports").await, used);
    }
    assert_eq!(ask().await.unwrap().status(), 402);
    assert_eq!(world.used("pro-co", "reports").await, 3);
}

/// Answers with the decision that it finds, as text.
fn telling() -> Probe {
    Probe::new(|request| async move {
        Ok(http::Response::new(format!("{:?}", request.extensions().get::<Decision>())))
    })
}

/// What a service answers to every company, route, method and region, and what its layer has counted.
async fn answers(layer: &EntitlementLayer) -> Vec<(StatusCode, HeaderMap, String)> {
    let service = layer.layer(telling());
    let mut answers = Vec::new();
    for company in ["starter-co", "pro-co", "lapsed-co", "never-seen-co"] {
        for uri in ["/boardroom", "/export", "/unsold", "/files/7", "/both", "/free", "//boardroom/"] {
            for (method, region) in [("GET", None), ("POST", Some("eu")), ("HEAD", Some("us")), ("PUT", None)]
            {
                let mut request = request(method, uri, company);
                if let Some(region) = region {
                    let circumstances = entitlements_core::Context::default().with("region", region);
                    request.extensions_mut().insert(circumstances);
                }
                let (head, body) = service.clone().oneshot(request).await.unwrap().into_parts();
                answers.push((head.status, head.headers, body));
            }
        }
    }
    answers
}

#[tokio::test]
async fn the_short_way_answers_as_the_long_one_does() {
    let mut seen = Vec::new();
    for long in [false, true] {
        let world = World::warm().await;
        let policy = json!({"id": "eu", "effect": "allow", "target": {"features": ["unsold"]},
            "condition": {"eq": ["context.region", "eu"]}});
        world.entitlements.insert_policy(&Policy::from_json(&policy).unwrap()).await.unwrap();
        let files = Rule::new("/files/{id}").require("export").resource_from_param("id");
        let builder = world.builder(FailMode::Closed).route(files);
        // Whoever decides about actions sees each request, and here leaves all as it is.
        let layer = if long { builder.action(|_| None).build() } else { builder.build() }.unwrap();
        seen.push((answers(&layer).await, answers(&layer).await, layer.coverage()));
    }
    let (first, second) = (&seen[0], &seen[1]);
    assert_eq!(first.0, second.0);
    assert_eq!(first.1, second.1);
    assert_eq!(first.2.rules, second.2.rules);
    assert!(first.1.iter().any(|(status, ..)| status.is_success()));
    assert!(first.1.iter().any(|(_, _, body)| body.contains("AllowedByPolicy")));
    assert!(first.1.iter().any(|(status, ..)| *status == 402));
}

#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Observer for Counting {
    fn observe(&self, event: &Event<'_>) {
        if matches!(event, Event::Decided { .. }) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[tokio::test]
async fn each_request_is_observed_once() {
    let mut world = World::warm().await;
    let counting = Arc::new(Counting::default());
    world.entitlements = Entitlements::builder(catalog())
        .store(world.store.clone())
        .clock(Arc::clone(&world.clock))
        .observer(Arc::clone(&counting))
        .build();
    let service = world.layer().layer(Probe::answering(200));
    let ask = |company: &'static str| service.clone().oneshot(request("GET", "/boardroom", company));
    for company in ["pro-co", "starter-co"] {
        let before = counting.0.load(Ordering::SeqCst);
        ask(company).await.unwrap();
        ask(company).await.unwrap();
        assert_eq!(counting.0.load(Ordering::SeqCst), before + 2, "{company}");
    }
}
