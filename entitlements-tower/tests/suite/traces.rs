//! What is logged and traced, and what never is.

use std::io;
use std::sync::{Arc, Mutex};

use entitlements_core::catalog::Unmatched;
use entitlements_core::store::StoreErrorKind;
use entitlements_tower::{EntitlementLayer, FailMode, Rule, subject_extension};
use tower::{Layer, ServiceExt};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::probe::Probe;
use crate::store::Weather;
use crate::world::{World, anonymous, request};

/// Everything that this thread logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Log {
    fn start() -> (Self, DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(FmtSpan::CLOSE)
            .with_ansi(false)
            .without_time()
            .with_writer(log.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

/// Reaches what logs before anybody listens. A place that a thread without a subscriber reaches for the first time, just as
/// one is made for another thread, would stay silent.
async fn reach_every_place() {
    for world in [World::warm().await, World::new().await] {
        let service = world.layer().layer(Probe::answering(200));
        for company in ["pro-co", "starter-co"] {
            service.clone().oneshot(request("GET", "/boardroom", company)).await.unwrap();
        }
        service.clone().oneshot(anonymous("GET", "/boardroom")).await.unwrap();
    }
    let down = World::new().await;
    down.store.set(Weather::Down(StoreErrorKind::Unavailable));
    down.layer().layer(Probe::answering(200)).oneshot(request("GET", "/boardroom", "pro-co")).await.unwrap();
}

#[tokio::test]
async fn a_missing_authentication_layer_is_logged_once_with_what_mends_it() {
    let world = World::new().await;
    reach_every_place().await;
    let (log, _guard) = Log::start();
    let service = world.layer().layer(Probe::answering(200));
    for _ in 0..3 {
        assert_eq!(service.clone().oneshot(anonymous("GET", "/boardroom")).await.unwrap().status(), 500);
    }
    let log = log.take();
    let fix = "no `entitlements_core::request::Subject` in the request's extensions: the layer that authenticates must run \
               before the entitlement layer; with axum, add it after (below) the entitlement layer";
    assert_eq!(log.matches(fix).count(), 1, "{log}");
    assert_eq!(log.matches("ERROR").count(), 1, "{log}");
}

#[tokio::test]
async fn every_decision_is_in_a_span_with_its_outcome() {
    let warm = World::warm().await;
    let cold = World::new().await;
    reach_every_place().await;
    let (log, _guard) = Log::start();
    for world in [&warm, &cold] {
        for (company, outcome, level) in [("pro-co", "allowed", "DEBUG"), ("starter-co", "denied", "INFO")] {
            let service = world.layer().layer(Probe::answering(200));
            service.oneshot(request("GET", "/boardroom", company)).await.unwrap();
            let log = log.take();
            let event = log.lines().find(|line| !line.contains("close")).unwrap();
            assert!(event.trim_start().starts_with(level), "{event}");
            let closed = log.lines().find(|line| line.contains("close")).unwrap();
            for field in [
                "entitlement.route=\"/boardroom\"",
                "entitlement.feature=\"boardroom\"",
                "entitlement.action=\"view\"",
                &format!("entitlement.outcome=\"{outcome}\""),
                "entitlement.source=\"plan\"",
            ] {
                assert!(closed.contains(field), "{field}: {closed}");
            }
        }
    }
}

#[tokio::test]
async fn what_could_not_be_decided_is_no_denial_in_the_span_either() {
    let world = World::new().await;
    reach_every_place().await;
    let (log, _guard) = Log::start();
    world.store.set(Weather::Down(StoreErrorKind::Unavailable));
    let service = world.layer().layer(Probe::answering(200));
    service.oneshot(request("GET", "/boardroom", "pro-co")).await.unwrap();
    let log = log.take();
    assert!(log.contains("entitlement.outcome=\"undecided\""), "{log}");
    assert!(log.contains("WARN"), "{log}");
}

#[tokio::test]
async fn nobody_and_nothing_that_is_asked_for_is_ever_traced() {
    let world = World::new().await;
    reach_every_place().await;
    let (log, _guard) = Log::start();
    let rules = [
        Rule::new("/boardroom").require("boardroom"),
        Rule::new("/reports/{id}").require("export").consume("reports").resource_from_param("id"),
        Rule::new("/track").track_usage("tokens", |_| 1000),
    ];
    let identify = subject_extension().optional();
    let layer = EntitlementLayer::builder(world.entitlements.clone(), identify, FailMode::Open);
    let layer = layer.rules(rules).idempotency_from_header(true).build().unwrap();
    let service = layer.layer(Probe::answering(500));
    for weather in [Weather::Fair, Weather::Down(StoreErrorKind::Unavailable), Weather::Fair] {
        world.store.set(weather);
        for company in ["pro-co", "starter-co", "secret-unknown-co"] {
            for path in ["/boardroom?secret-query", "/reports/secret-report", "/reports/%00", "/track"] {
                let mut request = request("POST", path, company);
                request.headers_mut().insert("idempotency-key", "secret-key".parse().unwrap());
                service.clone().oneshot(request).await.unwrap();
            }
        }
        service.clone().oneshot(anonymous("POST", "/reports/secret-report")).await.unwrap();
        layer.flush().await;
    }
    let log = log.take();
    assert!(log.contains("allowed") && log.contains("denied"), "{log}");
    for secret in ["secret", "pro-co", "starter-co", "unknown-co"] {
        assert!(!log.contains(secret), "`{secret}` is in the log:\n{log}");
    }
}

#[tokio::test]
async fn a_layer_that_gates_nothing_is_warned_of_when_it_is_built() {
    let world = World::new().await;
    let none = || world.builder(FailMode::Closed).rules([]);
    reach_every_place().await;
    drop(none().build().unwrap());
    let (log, _guard) = Log::start();
    let layer = none().build().unwrap();
    let said = log.take();
    assert!(said.contains("WARN") && said.contains("it gates nothing"), "{said}");
    for some in [
        none().extractors(true).build(),
        none().unmatched(Unmatched::Deny).build(),
        none().route(Rule::new("/a").require("export")).build(),
        layer.require_feature("export", None),
        world.builder(FailMode::Closed).build(),
    ] {
        drop(some.unwrap());
        assert_eq!(log.take(), "");
    }
    // So is one whose catalog loses its routes.
    let layer = world.builder(FailMode::Closed).build().unwrap();
    let without = crate::world::CATALOG.split_once("[[routes]]").unwrap().0;
    world.entitlements.set_catalog(without.parse().unwrap());
    assert_eq!(layer.coverage().rules.len(), 0);
    let said = log.take();
    assert!(said.contains("WARN") && said.contains("it gates nothing"), "{said}");
}
