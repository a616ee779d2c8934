//! What is charged, when, and to whom.

mod settling;

use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll, Waker};

use entitlements_core::Decision;
use entitlements_core::catalog::Charge;
use entitlements_core::policy::{Effect, Policy, Target};
use entitlements_core::testkit::fixtures::{condition as condition_of, feature, policy, units};
use entitlements_tower::{Charges, EntitlementLayer, FailMode, Rule, UsageReport};
use http::{Request, Response};
use serde_json::json;
use tower::{Layer, ServiceExt};

use crate::probe::{Answer, Broken, Probe};
use crate::store::Weather;
use crate::world::{World, request};

/// How a handler ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Status(u16),
    Grpc(&'static str),
    Error,
    Panic,
    /// The client leaves before the response begins.
    Dropped,
}

async fn handler(request: Request<String>, end: End, report: Option<u64>) -> Answer {
    if let Some(units) = report {
        request.extensions().get::<UsageReport>().unwrap().report("tokens", units);
    }
    match end {
        End::Status(status) => Ok(Response::builder().status(status).body(String::new()).unwrap()),
        End::Grpc(code) => {
            let response = Response::builder().header("content-type", "application/grpc");
            Ok(response.header("grpc-status", code).body(String::new()).unwrap())
        }
        End::Error => Err(Broken),
        End::Panic => panic!("the handler panics"),
        End::Dropped => std::future::pending().await,
    }
}

/// Sends one request to `path`, and says how many units are used after everything is settled.
async fn charged(path: &str, meter: &str, end: End, report: Option<u64>) -> u64 {
    let world = World::new().await;
    let layer = world.layer();
    let service = layer.layer(Probe::new(move |request| handler(request, end, report)));
    send(&layer, service, path, end).await;
    world.used("starter-co", meter).await
}

async fn send<S>(layer: &EntitlementLayer, service: S, path: &str, end: End)
where
    S: tower::Service<Request<String>, Response = Response<String>, Error = Broken>,
{
    let mut response = Box::pin(service.oneshot(request("POST", path, "starter-co")));
    let mut context = Context::from_waker(Waker::noop());
    match end {
        // Nothing here waits for anything but the client.
        End::Dropped => assert!(response.as_mut().poll(&mut context).is_pending()),
        End::Panic => {
            let polled = std::panic::catch_unwind(AssertUnwindSafe(|| response.as_mut().poll(&mut context)));
            assert!(polled.is_err());
        }
        _ => assert!(response.as_mut().poll(&mut context).is_ready()),
    }
    // After a panic that somebody has caught, the future is dropped by a thread that does not panic.
    drop(response);
    let stats = layer.flush().await;
    assert_eq!((stats.pending, stats.failed, stats.dropped), (0, 0, 0));
}

#[tokio::test]
async fn each_end_is_charged_as_the_rule_says() {
    let table = [
        (End::Status(200), 1, 1),
        (End::Status(303), 1, 1),
        (End::Status(404), 1, 0),
        (End::Status(429), 1, 1),
        (End::Status(500), 0, 0),
        (End::Status(503), 0, 0),
        (End::Error, 0, 0),
        (End::Panic, 0, 0),
        (End::Dropped, 1, 0),
        (End::Grpc("0"), 1, 1),
        (End::Grpc("5"), 1, 0),
        (End::Grpc("8"), 1, 1),
        (End::Grpc("13"), 0, 0),
        (End::Grpc("14"), 0, 0),
    ];
    for (end, admit, success) in table {
        assert_eq!(charged("/reports/1", "reports", end, None).await, admit, "admit, {end:?}");
        assert_eq!(charged("/success", "reports", end, None).await, success, "success, {end:?}");
    }
}

#[tokio::test]
async fn the_actual_amount_is_what_the_handler_reports() {
    // The estimate is 10, the limit 100.
    let table = [
        (End::Status(200), None, 10),
        (End::Status(200), Some(10), 10),
        (End::Status(200), Some(25), 25),
        (End::Status(200), Some(4), 4),
        (End::Status(200), Some(0), 0),
        (End::Status(400), None, 10),
        (End::Status(400), Some(0), 0),
        // What was reported was used; without a report a fault of the server costs nothing.
        (End::Status(500), None, 0),
        (End::Status(500), Some(7), 7),
        (End::Error, None, 0),
        (End::Panic, None, 0),
        (End::Panic, Some(7), 7),
        (End::Dropped, None, 10),
        (End::Dropped, Some(30), 30),
    ];
    for (end, report, expected) in table {
        assert_eq!(charged("/actual", "tokens", end, report).await, expected, "{end:?}, reports {report:?}");
    }
}

#[tokio::test]
async fn the_members_of_a_pool_can_be_reported() {
    let world = World::new().await;
    let layer = world.layer();
    let service = layer.layer(Probe::new(|request| async move {
        let report = request.extensions().get::<UsageReport>().unwrap();
        report.report("tokens_in", 1);
        report.report("tokens_in", 5);
        report.report("tokens_out", 12);
        Ok(Response::new(String::new()))
    }));
    service.oneshot(request("POST", "/actual", "starter-co")).await.unwrap();
    layer.flush().await;
    assert_eq!(world.used("starter-co", "tokens").await, 17);
    assert_eq!(world.part("starter-co", "tokens", "tokens_in").await, 5);
    assert_eq!(world.part("starter-co", "tokens", "tokens_out").await, 12);
}

#[tokio::test]
async fn a_report_that_outlives_the_response_settles_at_its_end() {
    let world = World::new().await;
    let layer = world.layer();
    let (kept, mut body) = tokio::sync::mpsc::unbounded_channel();
    let service = layer.layer(Probe::new(move |request| {
        kept.send(request.extensions().get::<UsageReport>().unwrap().clone()).unwrap();
        async { Ok(Response::new(String::new())) }
    }));
    service.oneshot(request("POST", "/actual", "starter-co")).await.unwrap();
    layer.flush().await;
    assert_eq!(world.used("starter-co", "tokens").await, 10);
    let streaming = body.recv().await.unwrap();
    streaming.report("tokens", 42);
    drop(streaming);
    layer.flush().await;
    assert_eq!(world.used("starter-co", "tokens").await, 42);
}

#[tokio::test]
async fn nobody_takes_the_units_of_an_estimate_before_it_is_settled() {
    let world = World::new().await;
    let layer = world.layer();
    let subject = crate::world::of("starter-co");
    let most = entitlements_core::Consume::new(&subject, "tokens", units(90));
    assert!(world.entitlements.consume(&most).await.unwrap().receipt().is_some());
    let service = layer.layer(Probe::new(|request| handler(request, End::Status(200), Some(4))));
    service.oneshot(request("POST", "/actual", "starter-co")).await.unwrap();
    world.store.let_others_wait(&world.entitlements);
    let stats = layer.flush().await;
    assert_eq!((stats.done, stats.uncollected), (1, 0));
    // The six that were left are taken by the others.
    assert_eq!(world.used("starter-co", "tokens").await, 100);
}

#[tokio::test]
async fn an_estimate_that_nobody_settles_is_free_after_an_hour() {
    let world = World::new().await;
    let service = world.layer().layer(Probe::new(|_| std::future::pending()));
    let mut killed = Box::pin(service.oneshot(request("POST", "/actual", "starter-co")));
    assert!(killed.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    std::mem::forget(killed);
    for (minutes, used) in [(59, 10), (1, 0)] {
        world.clock.advance(chrono::TimeDelta::minutes(minutes));
        assert_eq!(world.used("starter-co", "tokens").await, used);
    }
}

#[tokio::test]
async fn an_estimate_whose_answer_was_lost_is_settled_or_undone() {
    for (fail_mode, report, used) in
        [(FailMode::Open, Some(4), 4), (FailMode::Open, None, 10), (FailMode::Closed, None, 0)]
    {
        let world = World::new().await;
        let layer = world.builder(fail_mode).build().unwrap();
        world.store.set(Weather::DebitsLost);
        let service = layer.layer(Probe::new(move |request| handler(request, End::Status(200), report)));
        service.oneshot(request("POST", "/actual", "starter-co")).await.unwrap();
        world.store.set(Weather::Fair);
        assert_eq!(world.used("starter-co", "tokens").await, 10);
        layer.flush().await;
        assert_eq!(world.used("starter-co", "tokens").await, used, "{fail_mode} {report:?}");
    }
}

#[tokio::test]
async fn what_exceeds_the_quota_is_taken_as_far_as_it_goes_and_counted() {
    let world = World::new().await;
    let layer = world.layer();
    let service = layer.layer(Probe::new(|request| handler(request, End::Status(200), Some(130))));
    service.oneshot(request("POST", "/actual", "starter-co")).await.unwrap();
    let stats = layer.flush().await;
    assert_eq!(world.used("starter-co", "tokens").await, 100);
    assert_eq!((stats.done, stats.uncollected), (1, 30));
}

#[tokio::test]
async fn a_report_of_what_is_no_meter_leaves_the_estimate() {
    let world = World::new().await;
    let layer = world.layer();
    let service = layer.layer(Probe::new(|request| async move {
        request.extensions().get::<UsageReport>().unwrap().report("boardroom", 3);
        Ok(Response::new(String::new()))
    }));
    service.oneshot(request("POST", "/actual", "starter-co")).await.unwrap();
    assert_eq!(layer.flush().await.failed, 1);
    assert_eq!(world.used("starter-co", "tokens").await, 10);
}

#[tokio::test]
async fn a_requirement_that_is_not_met_charges_nothing() {
    let world = World::new().await;
    let service = world.layer().layer(Probe::answering(200));
    let response = service.clone().oneshot(request("POST", "/both", "starter-co")).await.unwrap();
    assert_eq!(response.status(), 402);
    assert!(response.body().contains("\"feature\":\"boardroom\""), "{}", response.body());
    assert_eq!(world.used("starter-co", "reports").await, 0);
    service.oneshot(request("POST", "/both", "pro-co")).await.unwrap();
    assert_eq!(world.used("pro-co", "reports").await, 1);
}

#[tokio::test]
async fn a_rule_of_another_method_charges_nothing() {
    let world = World::new().await;
    let service = world.layer().layer(Probe::answering(200));
    for method in ["GET", "HEAD", "PUT", "OPTIONS"] {
        let response = service.clone().oneshot(request(method, "/reports/1", "unknown-co")).await.unwrap();
        assert_eq!(response.status(), 200, "{method}");
    }
}

#[tokio::test]
async fn one_request_is_charged_once_by_several_gates() {
    let world = World::new().await;
    let layer = world.layer();
    let inner = layer.with_rule(Rule::every_request().require("boardroom").consume("reports")).unwrap();
    let service = layer.layer(inner.layer(Probe::answering(200)));
    service.clone().oneshot(request("POST", "/reports/1", "pro-co")).await.unwrap();
    assert_eq!(world.used("pro-co", "reports").await, 1);
    // The inner gate charges what the outer one did not, and still requires what it requires.
    service.clone().oneshot(request("POST", "/elsewhere", "pro-co")).await.unwrap();
    assert_eq!(world.used("pro-co", "reports").await, 2);
    let denied = service.oneshot(request("POST", "/reports/1", "starter-co")).await.unwrap();
    assert_eq!(denied.status(), 402);
}

#[tokio::test]
async fn a_handler_sees_its_decision_and_its_receipt() {
    let world = World::new().await;
    let service = world.layer().layer(Probe::new(|request| async move {
        let decision = request.extensions().get::<Decision>().unwrap();
        let charged =
            request.extensions().get::<Charges>().and_then(|charges| charges.of("reports")).unwrap();
        let left = charged.receipt.as_ref().unwrap().remaining().unwrap();
        Ok(Response::new(format!("{} {} {left}", decision.feature, decision.reason)))
    }));
    let response = service.clone().oneshot(request("POST", "/both", "pro-co")).await.unwrap();
    assert_eq!(response.body(), "boardroom allowed_by_plan 2");
    let response = service.oneshot(request("POST", "/reports/1", "pro-co")).await.unwrap();
    assert_eq!(response.body(), "reports allowed_by_plan 1");
}

#[tokio::test]
async fn usage_can_be_read_off_the_response() {
    let world = World::new().await;
    let rule = Rule::new("GET /search").track_usage("tokens", |head| {
        let units = head.headers.get("x-tokens").and_then(|value| value.to_str().ok());
        units.and_then(|units| units.parse().ok()).unwrap_or(0)
    });
    let layer = world.builder(FailMode::Closed).route(rule).build().unwrap();
    let service = layer.layer(Probe::new(|request| async move {
        let tokens = request.uri().query().unwrap_or("0").to_owned();
        Ok(Response::builder().header("x-tokens", tokens).body(String::new()).unwrap())
    }));
    for (uri, used) in [("/search?30", 30), ("/search", 30), ("/search?60", 90)] {
        service.clone().oneshot(request("GET", uri, "starter-co")).await.unwrap();
        layer.flush().await;
        assert_eq!(world.used("starter-co", "tokens").await, used);
    }
}

#[tokio::test]
async fn what_is_tracked_is_about_the_same_as_the_request() {
    for world in [World::new().await, World::warm().await] {
        let condition = json!({"any": [{"eq": ["context.region", "us"]}, {"eq": ["resource", "secret"]}]});
        let guardrail = Policy {
            effect: Effect::Deny,
            guardrail: true,
            when: condition_of(&condition),
            target: Target { features: Some(vec![feature("tokens")]), ..Target::default() },
            ..policy("no-tokens")
        };
        world.entitlements.insert_policy(&guardrail).await.unwrap();
        let tracking = |path: &str| Rule::new(path).resource_from_param("id").track_usage("tokens", |_| 7);
        let rules = [tracking("/tracked/{id}"), tracking("/required/{id}").require("export")];
        let layer = world.builder(FailMode::Closed).rules(rules).build().unwrap();
        let service = layer.layer(Probe::answering(200));
        for (uri, region, tracked) in [
            ("/tracked/open", "eu", 7),
            ("/tracked/open", "us", 0),
            ("/tracked/secret", "eu", 0),
            ("/required/open", "eu", 7),
            ("/required/open", "us", 0),
            ("/required/secret", "eu", 0),
        ] {
            let before = world.used("starter-co", "tokens").await;
            let mut request = request("GET", uri, "starter-co");
            request.extensions_mut().insert(entitlements_core::Context::default().with("region", region));
            assert_eq!(service.clone().oneshot(request).await.unwrap().status(), 200);
            layer.flush().await;
            let after = world.used("starter-co", "tokens").await;
            assert_eq!(after - before, tracked, "{uri} {region}");
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_handler_runs_is_not_charged() {
    for made in [false, true] {
        let world = World::new().await;
        world.store.set(Weather::DebitsHang { made });
        let layer = world.layer();
        let probe = Probe::answering(200);
        let calls = probe.calls();
        let mut response = Box::pin(layer.layer(probe).oneshot(request("POST", "/reports/1", "starter-co")));
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(response.as_mut().poll(&mut context), Poll::Pending));
        world.store.set(Weather::Fair);
        assert_eq!(world.used("starter-co", "reports").await, u64::from(made));
        drop(response);
        layer.flush().await;
        assert_eq!(world.used("starter-co", "reports").await, 0);
        assert_eq!(calls.load(std::sync::atomic::Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn a_rule_from_code_can_charge_several_units() {
    let world = World::new().await;
    let rule = Rule::new("POST /batch").consume_units("reports", units(2), Charge::Admit);
    let service = world.builder(FailMode::Closed).route(rule).build().unwrap().layer(Probe::answering(200));
    let statuses = [200, 402];
    for status in statuses {
        let response = service.clone().oneshot(request("POST", "/batch", "starter-co")).await.unwrap();
        assert_eq!(response.status(), status);
    }
    assert_eq!(world.used("starter-co", "reports").await, 2);
}
