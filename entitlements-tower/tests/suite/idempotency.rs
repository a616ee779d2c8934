use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use entitlements_core::policy::{Effect, Policy, Target};
use entitlements_core::store::{StoreErrorKind, SubscriptionStore};
use entitlements_core::subscription::Subscription;
use entitlements_core::testkit::fixtures::{company, feature, now, plan, policy, subscription, user};
use entitlements_core::{Subject, SubscriptionStatus};
use entitlements_tower::{FailMode, Rule, UsageReport};
use http::{HeaderValue, Request, Response};
use tower::{Layer, ServiceExt};

use crate::probe::Probe;
use crate::store::Weather;
use crate::world::{World, request};

fn keyed(uri: &str, key: &'static str) -> Request<String> {
    let mut request = request("POST", uri, "starter-co");
    request.headers_mut().insert("idempotency-key", HeaderValue::from_static(key));
    request
}

#[tokio::test]
async fn a_callers_key_is_ignored_unless_asked_for() {
    let world = World::new().await;
    let service = world.layer().layer(Probe::answering(200));
    for _ in 0..2 {
        service.clone().oneshot(keyed("/reports/1", "k")).await.unwrap();
    }
    assert_eq!(world.used("starter-co", "reports").await, 2);
}

#[tokio::test]
async fn one_key_on_one_path_is_charged_once() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).idempotency_from_header(true).build().unwrap();
    let service = layer.layer(Probe::answering(200));
    let table =
        [("/reports/1", "k", 1), ("/reports/1", "k", 1), ("/reports/2", "k", 2), ("/reports/1", "l", 3)];
    for (uri, key, used) in table {
        assert_eq!(service.clone().oneshot(keyed(uri, key)).await.unwrap().status(), 200);
        assert_eq!(world.used("starter-co", "reports").await, used, "{uri} {key}");
    }
    // The quota is used up, and still a retry is answered like the first time.
    assert_eq!(service.clone().oneshot(keyed("/reports/1", "k")).await.unwrap().status(), 200);
    assert_eq!(service.oneshot(keyed("/reports/1", "m")).await.unwrap().status(), 402);
}

#[tokio::test]
async fn one_key_pays_for_every_meter_of_its_request() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).idempotency_from_header(true).build().unwrap();
    let inner = layer.with_rule(Rule::every_request().consume("tokens")).unwrap();
    let service = layer.layer(inner.layer(Probe::answering(200)));
    for _ in 0..2 {
        assert_eq!(service.clone().oneshot(keyed("/reports/1", "k")).await.unwrap().status(), 200);
        assert_eq!(world.used("starter-co", "reports").await, 1);
        assert_eq!(world.used("starter-co", "tokens").await, 1);
    }
}

#[tokio::test]
async fn an_old_key_admits_nobody_who_is_no_longer_entitled() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).idempotency_from_header(true).build().unwrap();
    let probe = Probe::answering(200);
    let calls = probe.calls();
    let service = layer.layer(probe);
    assert_eq!(service.clone().oneshot(keyed("/reports/1", "k")).await.unwrap().status(), 200);
    let ended = Subscription {
        plan: plan("starter"),
        status: SubscriptionStatus::Canceled,
        ..subscription("sub-starter-co", "starter-co")
    };
    world.store.memory.put_subscription(&ended, now()).await.unwrap();
    let response = service.clone().oneshot(keyed("/reports/1", "k")).await.unwrap();
    assert_eq!(response.status(), 402);
    assert!(response.body().contains("\"code\":\"subscription_inactive\""), "{}", response.body());
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_old_key_does_not_lead_around_a_guardrail() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).idempotency_from_header(true).build().unwrap();
    let service = layer.layer(Probe::answering(200));
    assert_eq!(service.clone().oneshot(keyed("/reports/1", "k")).await.unwrap().status(), 200);
    let guardrail = Policy {
        effect: Effect::Deny,
        guardrail: true,
        target: Target { features: Some(vec![feature("reports")]), ..Target::default() },
        ..policy("closed")
    };
    world.entitlements.insert_policy(&guardrail).await.unwrap();
    assert_eq!(service.oneshot(keyed("/reports/1", "k")).await.unwrap().status(), 403);
}

#[tokio::test]
async fn the_fail_mode_counts_for_an_old_key() {
    for (fail_mode, status) in [(FailMode::Closed, 503), (FailMode::Open, 200)] {
        let world = World::new().await;
        let layer = world.builder(fail_mode).idempotency_from_header(true).build().unwrap();
        let service = layer.layer(Probe::answering(200));
        assert_eq!(service.clone().oneshot(keyed("/reports/1", "k")).await.unwrap().status(), 200);
        world.store.set(Weather::DownAfterDebit);
        assert_eq!(service.oneshot(keyed("/reports/1", "k")).await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn a_key_that_another_user_has_used_is_a_conflict() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).idempotency_from_header(true).build().unwrap();
    let service = layer.layer(Probe::answering(200));
    service.clone().oneshot(keyed("/reports/1", "k")).await.unwrap();
    let mut other = keyed("/reports/1", "k");
    other.extensions_mut().insert(Subject::user(company("starter-co"), user("ann")));
    let response = service.oneshot(other).await.unwrap();
    assert_eq!(response.status(), 409);
    assert!(response.body().contains("\"code\":\"idempotency_conflict\""), "{}", response.body());
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_refused() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).idempotency_from_header(true).build().unwrap();
    let response = layer.layer(Probe::answering(200)).oneshot(keyed("/reports/1", "")).await.unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(world.used("starter-co", "reports").await, 0);
}

#[tokio::test]
async fn after_a_refund_the_same_key_is_charged_again() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).idempotency_from_header(true).build().unwrap();
    let status = Arc::new(AtomicU16::new(500));
    let answer = Arc::clone(&status);
    let service = layer.layer(Probe::new(move |_| {
        let status = answer.load(Ordering::SeqCst);
        async move { Ok(Response::builder().status(status).body(String::new()).unwrap()) }
    }));
    for _ in 0..2 {
        service.clone().oneshot(keyed("/reports/1", "k")).await.unwrap();
        layer.flush().await;
        assert_eq!(world.used("starter-co", "reports").await, 0);
    }
    status.store(200, Ordering::SeqCst);
    for _ in 0..2 {
        service.clone().oneshot(keyed("/reports/1", "k")).await.unwrap();
        layer.flush().await;
        assert_eq!(world.used("starter-co", "reports").await, 1);
    }
}

#[tokio::test]
async fn a_key_under_which_requests_fail_all_the_time_is_worn_out() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).idempotency_from_header(true).build().unwrap();
    for _ in 0..16 {
        let response = layer.layer(Probe::answering(500)).oneshot(keyed("/reports/1", "k")).await.unwrap();
        assert_eq!(response.status(), 500);
        layer.flush().await;
    }
    let response = layer.layer(Probe::answering(200)).oneshot(keyed("/reports/1", "k")).await.unwrap();
    assert_eq!(response.status(), 409);
    let detail = "requests with this idempotency key have failed too often; use another one";
    assert!(response.body().contains(detail), "{}", response.body());
    let other = layer.layer(Probe::answering(200)).oneshot(keyed("/reports/1", "l")).await.unwrap();
    assert_eq!(other.status(), 200);
    assert_eq!(world.used("starter-co", "reports").await, 1);
}

#[tokio::test]
async fn a_retry_that_fails_does_not_give_the_first_charge_back() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).idempotency_from_header(true).build().unwrap();
    layer.layer(Probe::answering(200)).oneshot(keyed("/reports/1", "k")).await.unwrap();
    layer.layer(Probe::answering(500)).oneshot(keyed("/reports/1", "k")).await.unwrap();
    assert_eq!(layer.flush().await.queued, 0);
    assert_eq!(world.used("starter-co", "reports").await, 1);
}

#[tokio::test]
async fn a_retry_before_the_refund_has_run_is_not_free() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).idempotency_from_header(true).build().unwrap();
    // Nothing yields to the task that gives back.
    layer.layer(Probe::answering(500)).oneshot(keyed("/reports/1", "k")).await.unwrap();
    for _ in 0..2 {
        let response = layer.layer(Probe::answering(200)).oneshot(keyed("/reports/1", "k")).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    layer.flush().await;
    assert_eq!(world.used("starter-co", "reports").await, 1);
    // Nor is what comes later charged again.
    layer.layer(Probe::answering(200)).oneshot(keyed("/reports/1", "k")).await.unwrap();
    layer.flush().await;
    assert_eq!(world.used("starter-co", "reports").await, 1);
}

#[tokio::test]
async fn of_two_requests_with_one_key_the_one_that_is_served_pays() {
    for (drop_first, settle_between, fails) in [
        (true, true, false),
        (true, false, false),
        (false, true, false),
        (false, false, false),
        (true, true, true),
    ] {
        let world = World::new().await;
        let layer = world.builder(FailMode::Closed).idempotency_from_header(true).build().unwrap();
        let first = layer.layer(Probe::new(|_| std::future::pending()));
        let mut first = Box::pin(first.oneshot(keyed("/success", "k")));
        assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let (answer, answered) = tokio::sync::oneshot::channel();
        let answered = Arc::new(Mutex::new(Some(answered)));
        let second = layer.layer(Probe::new(move |_| {
            let answered = answered.lock().unwrap().take().unwrap();
            async move { Ok(Response::builder().status(answered.await.unwrap()).body(String::new()).unwrap()) }
        }));
        let mut second = Box::pin(second.oneshot(keyed("/success", "k")));
        assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let mut first = Some(first);
        if drop_first {
            drop(first.take());
        }
        if settle_between {
            layer.flush().await;
        }
        answer.send(if fails { 500 } else { 200 }).unwrap();
        second.await.unwrap();
        if settle_between {
            layer.flush().await;
        }
        drop(first);
        layer.flush().await;
        let about = (drop_first, settle_between, fails);
        assert_eq!(world.used("starter-co", "reports").await, u64::from(!fails), "{about:?}");
    }
}

/// How a request ends whose estimate is 10: its status, and what it reports.
type End = (u16, Option<u64>);

/// Sends requests with one key, all admitted before one ends, and says what is charged.
async fn charged_for_estimates(ends: &[End], last_ends_first: bool, settle_between: bool) -> u64 {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).idempotency_from_header(true).build().unwrap();
    let mut running = Vec::new();
    for &(status, report) in ends {
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let gone = Arc::new(Mutex::new(Some(gone)));
        let service = layer.layer(Probe::new(move |request| {
            let gone = gone.lock().unwrap().take().unwrap();
            async move {
                gone.await.unwrap();
                if let Some(units) = report {
                    request.extensions().get::<UsageReport>().unwrap().report("tokens", units);
                }
                Ok(Response::builder().status(status).body(String::new()).unwrap())
            }
        }));
        let mut response = Box::pin(service.oneshot(keyed("/actual", "k")));
        assert!(response.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        running.push((go, response));
    }
    if last_ends_first {
        running.reverse();
    }
    for (go, response) in running {
        go.send(()).unwrap();
        response.await.unwrap();
        if settle_between {
            layer.flush().await;
        }
    }
    layer.flush().await;
    world.used("starter-co", "tokens").await
}

#[tokio::test]
async fn of_estimates_under_one_key_one_is_settled() {
    let table: [(&[End], u64); 7] = [
        (&[(200, Some(4)), (200, Some(7))], 4),
        (&[(200, Some(4)), (200, None)], 4),
        (&[(200, None), (200, Some(4))], 10),
        (&[(500, None), (200, Some(7))], 7),
        (&[(500, None), (500, None)], 0),
        (&[(500, None), (200, Some(7)), (200, Some(7))], 7),
        (&[(500, Some(3)), (200, Some(7))], 3),
    ];
    for (ends, used) in table {
        for settle_between in [false, true] {
            let charged = charged_for_estimates(ends, false, settle_between).await;
            assert_eq!(charged, used, "{ends:?} {settle_between}");
        }
    }
}

#[tokio::test]
async fn an_estimate_is_settled_by_the_request_that_made_it() {
    // The second is served first; if the first fails then, the estimate stays.
    let table: [(&[End], u64); 3] = [
        (&[(200, Some(4)), (200, None)], 4),
        (&[(200, Some(4)), (200, Some(7))], 4),
        (&[(500, None), (200, Some(7))], 10),
    ];
    for (ends, used) in table {
        for settle_between in [false, true] {
            let charged = charged_for_estimates(ends, true, settle_between).await;
            assert_eq!(charged, used, "{ends:?} {settle_between}");
        }
    }
}

#[tokio::test]
async fn an_estimate_stays_when_a_retry_was_served_on_it() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).idempotency_from_header(true).build().unwrap();
    let first = layer.layer(Probe::new(|_| async {
        tokio::task::yield_now().await;
        Ok(Response::builder().status(500).body(String::new()).unwrap())
    }));
    let mut first = Box::pin(first.oneshot(keyed("/actual", "k")));
    assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    layer.layer(Probe::answering(200)).oneshot(keyed("/actual", "k")).await.unwrap();
    assert_eq!(layer.flush().await.done, 1);
    assert_eq!(first.await.unwrap().status(), 500);
    layer.flush().await;
    assert_eq!(world.used("starter-co", "tokens").await, 10);
    // It is settled, so that what comes later is not charged again.
    layer.layer(Probe::answering(200)).oneshot(keyed("/actual", "k")).await.unwrap();
    world.clock.advance(chrono::TimeDelta::hours(2));
    layer.flush().await;
    assert_eq!(world.used("starter-co", "tokens").await, 10);
}

#[tokio::test]
async fn an_estimate_that_nobody_else_settles_is_settled_by_the_retry() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).idempotency_from_header(true).build().unwrap();
    let service = layer.layer(Probe::answering(200));
    world.store.set(Weather::DebitsLost);
    assert_eq!(service.clone().oneshot(keyed("/actual", "k")).await.unwrap().status(), 503);
    world.store.set(Weather::Fair);
    assert_eq!(service.oneshot(keyed("/actual", "k")).await.unwrap().status(), 200);
    layer.flush().await;
    world.clock.advance(chrono::TimeDelta::hours(2));
    assert_eq!(world.used("starter-co", "tokens").await, 10);
}

#[tokio::test]
async fn what_is_owed_for_a_retry_is_taken_after_the_refund_before_it() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Open).idempotency_from_header(true).build().unwrap();
    let down = Weather::Down(StoreErrorKind::Unavailable);
    let store = world.store.clone();
    let failing = layer.layer(Probe::new(move |_| {
        store.set(down);
        async { Ok(Response::builder().status(500).body(String::new()).unwrap()) }
    }));
    failing.oneshot(keyed("/reports/1", "k")).await.unwrap();
    let retried = layer.layer(Probe::answering(200)).oneshot(keyed("/reports/1", "k")).await.unwrap();
    assert_eq!(retried.status(), 200);
    assert_eq!(layer.flush().await.pending, 2);
    world.store.set(Weather::Fair);
    layer.flush().await;
    assert_eq!(world.used("starter-co", "reports").await, 1);
}

#[tokio::test]
async fn a_charge_whose_answer_was_lost_is_not_made_twice() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).idempotency_from_header(true).build().unwrap();
    let service = layer.layer(Probe::answering(200));
    world.store.set(Weather::DebitsLost);
    assert_eq!(service.clone().oneshot(keyed("/reports/1", "k")).await.unwrap().status(), 503);
    world.store.set(Weather::Fair);
    assert_eq!(service.oneshot(keyed("/reports/1", "k")).await.unwrap().status(), 200);
    layer.flush().await;
    assert_eq!(world.used("starter-co", "reports").await, 1);
}
