use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use entitlements_tower::FailMode;
use tower::buffer::Buffer;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt};

use crate::probe::Probe;
use crate::store::Weather;
use crate::world::{World, anonymous, request};

#[tokio::test]
async fn the_inner_service_is_called_on_the_clone_that_is_ready() {
    let world = World::new().await;
    let probe = Probe::answering(200);
    let calls = probe.calls();
    let mut service = world.layer().layer(probe);
    for uri in ["/boardroom", "/free", "/boardroom"] {
        let response = service.ready().await.unwrap().call(request("GET", uri, "pro-co")).await.unwrap();
        assert_eq!(response.status(), 200, "{uri}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_denied_request_never_calls_the_inner_service() {
    let world = World::new().await;
    let probe = Probe::answering(200);
    let calls = probe.calls();
    let service = world.builder(FailMode::Closed).unmatched(entitlements_core::catalog::Unmatched::Deny);
    let service = service.build().unwrap().layer(probe);
    for (uri, status) in [("/boardroom", 402), ("/unsold", 403), ("/elsewhere", 403)] {
        let response = service.clone().oneshot(request("GET", uri, "starter-co")).await.unwrap();
        assert_eq!(response.status(), status, "{uri}");
    }
    let response = service.oneshot(anonymous("GET", "/boardroom")).await.unwrap();
    assert_eq!(response.status(), 500);
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn readiness_is_that_of_the_inner_service() {
    let world = World::new().await;
    let mut service = world.layer().layer(ConcurrencyLimit::new(Probe::answering(200), 1));
    let mut other = service.clone();
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    assert!(other.poll_ready(&mut context).is_pending());
}

#[tokio::test]
async fn a_denied_request_gives_its_permit_back() {
    let world = World::new().await;
    let limited = ConcurrencyLimit::new(Probe::answering(200), 1);
    let mut denied = world.layer().layer(limited);
    let mut other = denied.clone();
    let mut context = Context::from_waker(Waker::noop());
    // One is refused at once, the other after the facts were asked.
    for (refused, status) in
        [(anonymous("GET", "/boardroom"), 500), (request("GET", "/boardroom", "starter-co"), 402)]
    {
        let response = denied.ready().await.unwrap().call(refused).await.unwrap();
        assert_eq!(response.status(), status);
        // `denied` lives on, as a connection that is kept open does, and holds no permit.
        assert!(other.poll_ready(&mut context).is_ready());
        let response = other.call(request("GET", "/boardroom", "pro-co")).await.unwrap();
        assert_eq!(response.status(), 200);
    }
}

#[tokio::test]
async fn a_client_that_leaves_while_the_facts_are_asked_gives_its_permit_back() {
    let world = World::new().await;
    world.store.set(Weather::DebitsHang { made: false });
    let mut service = world.layer().layer(ConcurrencyLimit::new(Probe::answering(200), 1));
    let mut other = service.clone();
    let mut context = Context::from_waker(Waker::noop());
    let mut future = Box::pin(service.ready().await.unwrap().call(request("POST", "/reports/1", "pro-co")));
    assert!(matches!(future.as_mut().poll(&mut context), Poll::Pending));
    assert!(other.poll_ready(&mut context).is_pending());
    drop(future);
    assert!(other.poll_ready(&mut context).is_ready());
}

#[tokio::test]
async fn a_buffer_never_sees_a_denied_request() {
    let world = World::new().await;
    let probe = Probe::answering(200);
    let calls = probe.calls();
    let mut service = world.layer().layer(Buffer::new(probe, 1));
    for (company, status) in [("starter-co", 402), ("pro-co", 200), ("starter-co", 402), ("pro-co", 200)] {
        let response =
            service.ready().await.unwrap().call(request("GET", "/boardroom", company)).await.unwrap();
        assert_eq!(response.status(), status);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_error_of_the_inner_service_comes_through_unchanged() {
    let world = World::new().await;
    let service = world.layer().layer(Probe::new(|_| async { Err(crate::probe::Broken) }));
    for uri in ["/boardroom", "/free"] {
        let error = service.clone().oneshot(request("GET", uri, "pro-co")).await.unwrap_err();
        assert_eq!(error, crate::probe::Broken);
    }
}
