//! When what a request leaves behind is settled: refunds that wait, are taken up again, or find no room.

use std::task::{Context, Waker};

use entitlements_tower::FailMode;
use http::Response;
use tower::{Layer, ServiceExt};

use crate::probe::Probe;
use crate::store::Weather;
use crate::world::{World, request};

#[cfg(feature = "rt")]
#[tokio::test]
async fn refunds_run_by_themselves_on_the_runtime() {
    let world = World::new().await;
    let layer = world.layer();
    layer.layer(Probe::answering(500)).oneshot(request("POST", "/reports/1", "starter-co")).await.unwrap();
    // The refund has its own task; on this runtime it runs when this one yields.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.used("starter-co", "reports").await, 0);
    assert_eq!((layer.settlements().done, layer.settlements().pending), (1, 0));
}

#[tokio::test]
async fn a_refund_waits_for_the_store() {
    let world = World::new().await;
    let layer = world.layer();
    let store = world.store.clone();
    let service = layer.layer(Probe::new(move |_| {
        store.set(Weather::Down(entitlements_core::store::StoreErrorKind::Unavailable));
        async { Ok(Response::builder().status(500).body(String::new()).unwrap()) }
    }));
    service.oneshot(request("POST", "/reports/1", "starter-co")).await.unwrap();
    let stats = layer.flush().await;
    assert_eq!((stats.pending, stats.done), (1, 0));
    assert!(stats.postponed > 0, "{stats:?}");
    world.store.set(Weather::Fair);
    assert_eq!(world.used("starter-co", "reports").await, 1);
    let settled = layer.flush().await;
    assert_eq!((settled.pending, settled.done, settled.postponed), (0, 1, stats.postponed));
    assert_eq!(world.used("starter-co", "reports").await, 0);
}

#[cfg(feature = "rt")]
#[tokio::test]
async fn what_waits_for_the_store_is_taken_up_when_it_answers() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Open).build().unwrap();
    let service = layer.layer(Probe::answering(200));
    let settle = async || {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    };
    world.store.set(Weather::Down(entitlements_core::store::StoreErrorKind::Unavailable));
    for _ in 0..2 {
        service.clone().oneshot(request("POST", "/reports/1", "starter-co")).await.unwrap();
        settle().await;
    }
    assert_eq!(layer.settlements().pending, 2);
    world.store.set(Weather::Fair);
    // After several failures the store is left alone for a while.
    world.clock.advance(chrono::TimeDelta::minutes(1));
    service.oneshot(request("POST", "/reports/1", "starter-co")).await.unwrap();
    settle().await;
    assert_eq!((layer.settlements().pending, world.used("starter-co", "reports").await), (0, 3));
}

#[tokio::test]
async fn the_queue_of_refunds_is_bounded() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).settlement_capacity(2).build().unwrap();
    let service = layer.layer(Probe::answering(500));
    for _ in 0..3 {
        // No task runs in between: nothing here yields.
        let mut response = Box::pin(service.clone().oneshot(request("POST", "/reports/1", "starter-co")));
        assert!(response.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }
    let stats = layer.flush().await;
    assert_eq!((stats.queued, stats.done, stats.dropped), (2, 2, 1));
    assert_eq!(world.used("starter-co", "reports").await, 1);
}
