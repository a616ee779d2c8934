use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use entitlements_core::audit::Audit;
use entitlements_core::observer::Tier;
use entitlements_core::policy::{Effect, Policy, Target};
use entitlements_core::store::{PageRequest, StoreErrorKind, SubscriptionStore};
use entitlements_core::subscription::Subscription;
use entitlements_core::testkit::fixtures::{at, company, feature, now, plan, policy, subscription};
use entitlements_core::{CacheConfig, Context, Decision, Entitlements};
use entitlements_tower::{EntitlementLayer, FailMode, Rule};
use http::{Request, Response};
use tower::{Layer, ServiceExt};

use crate::probe::Probe;
use crate::store::Weather;
use crate::world::{World, catalog, request};

const DOWN: Weather = Weather::Down(StoreErrorKind::Unavailable);
const FIVE_MINUTES: FailMode = FailMode::LastKnown { max_age: Duration::from_mins(5) };

async fn status(layer: &EntitlementLayer, request: Request<String>) -> u16 {
    layer.layer(Probe::answering(200)).oneshot(request).await.unwrap().status().as_u16()
}

/// Answers with the age of the decision that admitted the request.
fn telling_the_age() -> Probe {
    Probe::new(|request| async move {
        let age = request.extensions().get::<Decision>().unwrap().degraded;
        Ok(Response::new(format!("{:?}", age.map(|age| age.as_secs()))))
    })
}

#[tokio::test]
async fn closed_refuses_even_what_was_just_allowed() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).build().unwrap();
    assert_eq!(status(&layer, request("GET", "/boardroom", "pro-co")).await, 200);
    world.store.set(DOWN);
    assert_eq!(status(&layer, request("GET", "/boardroom", "pro-co")).await, 503);
}

#[tokio::test]
async fn what_is_decided_without_live_facts_is_noted_as_such() {
    let mut world = World::new().await;
    let audit = Audit::new(world.store.clone());
    world.entitlements = Entitlements::builder(catalog())
        .store(world.store.clone())
        .clock(Arc::clone(&world.clock))
        .cache(CacheConfig::default().with_max_age(Duration::ZERO))
        .observer(audit.clone())
        .build();
    let layer = world.builder(FIVE_MINUTES).build().unwrap();
    assert_eq!(status(&layer, request("GET", "/boardroom", "pro-co")).await, 200);
    world.store.set(DOWN);
    assert_eq!(status(&layer, request("GET", "/boardroom", "pro-co")).await, 200);
    // Nothing was decided here: it is an error, and no entry.
    assert_eq!(status(&layer, request("GET", "/boardroom", "starter-co")).await, 503);
    assert!(audit.flush().await.is_err());
    world.store.set(Weather::Fair);
    audit.flush().await.unwrap();
    let page = world.entitlements.audit(&company("pro-co"), &PageRequest::first(10)).await.unwrap();
    let noted: Vec<_> = page.items.iter().map(|entry| (entry.allowed, entry.tier)).collect();
    assert_eq!(noted, [(true, Tier::Degraded), (true, Tier::Store)]);
    assert_eq!(audit.stats().stored, 2);
}

#[tokio::test]
async fn last_known_serves_allows_and_denials_until_they_are_too_old() {
    let world = World::new().await;
    let layer = world.builder(FIVE_MINUTES).build().unwrap();
    for (company, known) in [("pro-co", 200), ("starter-co", 402)] {
        assert_eq!(status(&layer, request("GET", "/boardroom", company)).await, known);
    }
    world.store.set(DOWN);
    world.clock.advance(TimeDelta::seconds(300));
    for (company, known) in [("pro-co", 200), ("starter-co", 402)] {
        assert_eq!(status(&layer, request("GET", "/boardroom", company)).await, known);
    }
    // What was served from memory has not become younger by it.
    world.clock.advance(TimeDelta::seconds(1));
    for company in ["pro-co", "starter-co"] {
        assert_eq!(status(&layer, request("GET", "/boardroom", company)).await, 503);
    }
}

#[tokio::test]
async fn last_known_knows_only_the_same_company() {
    let world = World::new().await;
    let layer = world.builder(FIVE_MINUTES).build().unwrap();
    let with_region = |region: &str| {
        let mut request = request("GET", "/boardroom", "pro-co");
        request.extensions_mut().insert(Context::default().with("region", region));
        request
    };
    assert_eq!(status(&layer, with_region("eu")).await, 200);
    world.store.set(DOWN);
    assert_eq!(status(&layer, with_region("eu")).await, 200);
    assert_eq!(status(&layer, with_region("us")).await, 200);
    assert_eq!(status(&layer, request("GET", "/boardroom", "pro-co")).await, 200);
    assert_eq!(status(&layer, request("GET", "/boardroom", "starter-co")).await, 503);
}

#[tokio::test]
async fn what_is_served_from_memory_says_how_old_it_is() {
    let world = World::new().await;
    let layer = world.builder(FIVE_MINUTES).build().unwrap();
    let service = layer.layer(telling_the_age());
    let ask = || service.clone().oneshot(request("GET", "/boardroom", "pro-co"));
    assert_eq!(ask().await.unwrap().body(), "None");
    world.store.set(DOWN);
    world.clock.advance(TimeDelta::seconds(42));
    assert_eq!(ask().await.unwrap().body(), "Some(42)");
}

#[tokio::test]
async fn last_known_gives_nothing_that_has_ended() {
    let world = World::new().await;
    let ending = Subscription {
        plan: plan("pro"),
        cancel_at: Some(at("2026-11-07T09:01:00Z")),
        ..subscription("sub-ending", "ending-co")
    };
    world.store.memory.put_subscription(&ending, now()).await.unwrap();
    let layer = world.builder(FIVE_MINUTES).build().unwrap();
    assert_eq!(status(&layer, request("GET", "/boardroom", "ending-co")).await, 200);
    world.store.set(DOWN);
    world.clock.advance(TimeDelta::seconds(59));
    assert_eq!(status(&layer, request("GET", "/boardroom", "ending-co")).await, 200);
    world.clock.advance(TimeDelta::seconds(1));
    assert_eq!(status(&layer, request("GET", "/boardroom", "ending-co")).await, 402);
}

#[tokio::test]
async fn last_known_never_serves_a_meter() {
    let world = World::new().await;
    let layer = world.builder(FIVE_MINUTES).build().unwrap();
    assert_eq!(status(&layer, request("POST", "/reports/1", "pro-co")).await, 200);
    world.store.set(DOWN);
    assert_eq!(status(&layer, request("POST", "/reports/1", "pro-co")).await, 503);
    // Nor where a meter is only required.
    world.store.set(Weather::Fair);
    let layer = world.builder(FIVE_MINUTES).rules([Rule::new("/left").require("reports")]).build().unwrap();
    assert_eq!(status(&layer, request("POST", "/left", "pro-co")).await, 200);
    world.store.set(DOWN);
    assert_eq!(status(&layer, request("POST", "/left", "pro-co")).await, 503);
}

#[tokio::test]
async fn open_lets_pass_what_was_not_denied() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Open).build().unwrap();
    assert_eq!(status(&layer, request("GET", "/boardroom", "starter-co")).await, 402);
    world.store.set(DOWN);
    assert_eq!(status(&layer, request("GET", "/boardroom", "starter-co")).await, 402);
    assert_eq!(status(&layer, request("GET", "/boardroom", "pro-co")).await, 200);
    world.clock.advance(TimeDelta::seconds(7));
    let response =
        layer.layer(telling_the_age()).oneshot(request("GET", "/boardroom", "pro-co")).await.unwrap();
    assert_eq!(response.body(), "Some(7)");
}

#[tokio::test]
async fn open_still_applies_the_guardrails_it_knows() {
    let world = World::new().await;
    let guardrail = Policy {
        effect: Effect::Deny,
        guardrail: true,
        target: Target { features: Some(vec![feature("boardroom")]), ..Target::default() },
        ..policy("closed")
    };
    world.entitlements.insert_policy(&guardrail).await.unwrap();
    let layer = world.builder(FailMode::Open).build().unwrap();
    assert_eq!(status(&layer, request("GET", "/boardroom", "pro-co")).await, 403);
    world.store.set(DOWN);
    world.clock.advance(TimeDelta::days(1));
    assert_eq!(status(&layer, request("GET", "/boardroom", "pro-co")).await, 403);
}

#[tokio::test]
async fn nothing_that_an_outage_decided_is_remembered() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Open).build().unwrap();
    world.store.set(DOWN);
    assert_eq!(status(&layer, request("GET", "/boardroom", "starter-co")).await, 200);
    world.store.set(Weather::Fair);
    assert_eq!(status(&layer, request("GET", "/boardroom", "starter-co")).await, 402);
    world.store.set(DOWN);
    assert_eq!(status(&layer, request("GET", "/boardroom", "starter-co")).await, 402);
}

#[tokio::test]
async fn open_takes_what_is_owed_when_it_can() {
    for (answer, used) in [(200, 1), (500, 0)] {
        let world = World::new().await;
        let layer = world.builder(FailMode::Open).build().unwrap();
        world.store.set(DOWN);
        let service = layer.layer(Probe::answering(answer));
        let response = service.oneshot(request("POST", "/reports/1", "starter-co")).await.unwrap();
        assert_eq!(response.status(), answer);
        assert_eq!(layer.flush().await.pending, 1);
        world.store.set(Weather::Fair);
        assert_eq!(layer.flush().await.pending, 0);
        assert_eq!(world.used("starter-co", "reports").await, used);
    }
}

#[tokio::test]
async fn open_charges_once_when_only_the_answer_was_lost() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Open).build().unwrap();
    world.store.set(Weather::DebitsLost);
    assert_eq!(status(&layer, request("POST", "/reports/1", "starter-co")).await, 200);
    world.store.set(Weather::Fair);
    layer.flush().await;
    assert_eq!(world.used("starter-co", "reports").await, 1);
}

#[tokio::test]
async fn open_denies_a_meter_that_was_used_up() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Open).build().unwrap();
    for expected in [200, 200, 200, 402] {
        assert_eq!(status(&layer, request("POST", "/reports/1", "starter-co")).await, expected);
    }
    world.store.set(DOWN);
    assert_eq!(status(&layer, request("POST", "/reports/1", "starter-co")).await, 402);
    // The quota has reset in the meantime, so the denial has expired.
    world.clock.set(at("2026-12-01T00:00:00Z"));
    assert_eq!(status(&layer, request("POST", "/reports/1", "starter-co")).await, 200);
}

#[tokio::test]
async fn a_charge_that_ended_in_503_is_undone() {
    for fail_mode in [FailMode::Closed, FIVE_MINUTES] {
        let world = World::new().await;
        let layer = world.builder(fail_mode).build().unwrap();
        world.store.set(Weather::DebitsLost);
        assert_eq!(status(&layer, request("POST", "/reports/1", "starter-co")).await, 503);
        world.store.set(Weather::Fair);
        assert_eq!(world.used("starter-co", "reports").await, 1);
        layer.flush().await;
        assert_eq!(world.used("starter-co", "reports").await, 0);
    }
}

#[tokio::test]
async fn damage_is_a_500_in_every_mode() {
    for fail_mode in [FailMode::Closed, FIVE_MINUTES, FailMode::Open] {
        let world = World::new().await;
        let layer = world.builder(fail_mode).build().unwrap();
        assert_eq!(status(&layer, request("GET", "/boardroom", "pro-co")).await, 200);
        world.store.set(Weather::Down(StoreErrorKind::Corrupt));
        assert_eq!(status(&layer, request("GET", "/boardroom", "pro-co")).await, 500);
        assert_eq!(status(&layer, request("POST", "/reports/1", "pro-co")).await, 500);
    }
}
