use entitlements_core::testkit::fixtures::company;
use entitlements_core::{Decision, Subject};
use entitlements_tower::{
    EntitlementLayer, FailMode, Identify, Identity, IdentityError, from_extension, header_trusted,
    subject_extension,
};
use http::request::Parts;
use http::{HeaderValue, Request, Response};
use serde_json::Value;
use tower::{Layer, ServiceExt};

use crate::probe::Probe;
use crate::world::{World, anonymous, of, request};

async fn answer(world: &World, identify: impl Identify, request: Request<String>) -> Response<String> {
    let layer = EntitlementLayer::builder(world.entitlements.clone(), identify, FailMode::Closed);
    layer.build().unwrap().layer(Probe::answering(200)).oneshot(request).await.unwrap()
}

fn body(response: &Response<String>) -> Value {
    serde_json::from_str(response.body()).unwrap()
}

#[tokio::test]
async fn nobody_is_answered_with_401_and_the_challenge() {
    let world = World::new().await;
    let response = answer(&world, subject_extension().optional(), anonymous("GET", "/boardroom?a=b")).await;
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    let expected = serde_json::json!({
        "type": "about:blank", "title": "Authentication required", "status": 401,
        "detail": "the request names nobody who is known", "instance": "/boardroom", "code": "unauthenticated",
    });
    assert_eq!(body(&response), expected);
}

#[tokio::test]
async fn the_challenge_is_a_setting() {
    let world = World::new().await;
    let layer = EntitlementLayer::builder(
        world.entitlements.clone(),
        subject_extension().optional(),
        FailMode::Closed,
    );
    let layer = layer.challenge(HeaderValue::from_static("Basic realm=\"reports\"")).build().unwrap();
    let response = layer.layer(Probe::answering(200)).oneshot(anonymous("GET", "/boardroom")).await.unwrap();
    assert_eq!(response.headers()["www-authenticate"], "Basic realm=\"reports\"");
}

#[tokio::test]
async fn a_missing_authentication_layer_is_a_mistake_of_the_server() {
    let world = World::new().await;
    let response = answer(&world, subject_extension(), anonymous("GET", "/boardroom")).await;
    assert_eq!(response.status(), 500);
    assert_eq!(body(&response)["code"], "internal");
    assert!(!response.headers().contains_key("www-authenticate"));
    for secret in ["feature", "plan", "upgrade"] {
        assert_eq!(body(&response).get(secret), None, "{secret}");
    }
}

#[tokio::test]
async fn a_route_without_a_rule_needs_no_identity() {
    let world = World::new().await;
    assert_eq!(answer(&world, subject_extension(), anonymous("GET", "/free")).await.status(), 200);
}

#[tokio::test]
async fn any_extension_can_carry_the_identity() {
    #[derive(Clone)]
    struct Account(Option<&'static str>);
    let world = World::new().await;
    for (account, status) in [(Account(Some("pro-co")), 200), (Account(None), 401)] {
        let identify =
            from_extension(|Account(name): &Account| name.map(|name| Subject::company(company(name))));
        let mut request = anonymous("GET", "/boardroom");
        request.extensions_mut().insert(account);
        assert_eq!(answer(&world, identify, request).await.status(), status);
    }
}

#[tokio::test]
async fn a_closure_can_say_who_asks() {
    let world = World::new().await;
    let identify =
        |_: &Parts| -> Result<Identity, IdentityError> { Ok(Subject::company(company("pro-co")).into()) };
    assert_eq!(answer(&world, identify, anonymous("GET", "/boardroom")).await.status(), 200);
}

#[tokio::test]
async fn a_header_is_trusted_only_when_asked_for() {
    let world = World::new().await;
    let with_header = || {
        let mut request = anonymous("GET", "/boardroom");
        request.headers_mut().insert("x-company", HeaderValue::from_static("pro-co"));
        request
    };
    assert_eq!(answer(&world, subject_extension().optional(), with_header()).await.status(), 401);
    assert_eq!(answer(&world, header_trusted("x-company"), with_header()).await.status(), 200);
    let mut twice = with_header();
    twice.headers_mut().append("x-company", HeaderValue::from_static("starter-co"));
    assert_eq!(answer(&world, header_trusted("x-company"), twice).await.status(), 401);
}

#[tokio::test]
async fn a_subject_in_the_extensions_wins_over_every_header() {
    let world = World::new().await;
    let mut request = request("GET", "/boardroom", "starter-co");
    request.headers_mut().insert("x-company", HeaderValue::from_static("pro-co"));
    assert_eq!(answer(&world, subject_extension(), request).await.status(), 402);
}

/// A layer that gives callers who are not known what `starter-co` has.
fn with_anonymous(world: &World) -> EntitlementLayer {
    let builder = EntitlementLayer::builder(
        world.entitlements.clone(),
        subject_extension().optional(),
        FailMode::Closed,
    );
    builder.anonymous(of("starter-co")).rate_limit_headers(true).build().unwrap()
}

#[tokio::test]
async fn who_is_not_known_is_allowed_what_the_anonymous_subject_is() {
    for world in [World::new().await, World::warm().await] {
        let tells = Probe::new(|request| async move {
            let reason = request.extensions().get::<Decision>().map(|decision| decision.reason.code());
            Ok(Response::new(reason.unwrap_or("no decision").to_owned()))
        });
        let response =
            with_anonymous(&world).layer(tells).oneshot(anonymous("GET", "/export")).await.unwrap();
        assert_eq!((response.status().as_u16(), response.body().as_str()), (200, "allowed_by_plan"));
    }
}

#[tokio::test]
async fn what_the_anonymous_subject_is_denied_is_a_401_that_says_nothing_of_plans() {
    for world in [World::new().await, World::warm().await] {
        let service = with_anonymous(&world).layer(Probe::answering(200));
        for (method, uri) in
            [("GET", "/boardroom"), ("POST", "/export"), ("POST", "/both"), ("GET", "/unsold")]
        {
            let response = service.clone().oneshot(anonymous(method, uri)).await.unwrap();
            assert_eq!(response.status(), 401, "{method} {uri}");
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
            let expected = serde_json::json!({
                "type": "about:blank", "title": "Authentication required", "status": 401,
                "detail": "the request names nobody who is known", "instance": uri, "code": "unauthenticated",
            });
            assert_eq!(body(&response), expected);
        }
    }
}

#[tokio::test]
async fn the_anonymous_subject_pays_like_any_other_and_nobody_is_told_what_is_left() {
    let world = World::new().await;
    let layer = with_anonymous(&world);
    let ask = |status: u16| layer.layer(Probe::answering(status)).oneshot(anonymous("POST", "/reports/1"));
    assert_eq!(ask(503).await.unwrap().status(), 503);
    layer.flush().await;
    assert_eq!(world.used("starter-co", "reports").await, 0);
    for used in 1..=3 {
        let response = ask(200).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("ratelimit"));
        assert_eq!(world.used("starter-co", "reports").await, used);
    }
    let exhausted = ask(200).await.unwrap();
    assert_eq!(exhausted.status(), 401);
    assert!(!exhausted.headers().contains_key("ratelimit"));
}

#[tokio::test]
async fn who_is_known_is_not_taken_for_the_anonymous_subject() {
    for world in [World::new().await, World::warm().await] {
        let service = with_anonymous(&world).layer(Probe::answering(200));
        for (company, status) in [("pro-co", 200), ("starter-co", 402), ("unknown-co", 402)] {
            let response = service.clone().oneshot(request("GET", "/boardroom", company)).await.unwrap();
            assert_eq!(response.status(), status, "{company}");
        }
        let answer = service.oneshot(request("GET", "/export", "unknown-co")).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), body(&answer)["code"].as_str()),
            (402, Some("no_subscription"))
        );
    }
}

#[tokio::test]
async fn what_cannot_be_read_or_was_not_authenticated_is_not_anonymous() {
    let world = World::new().await;
    let builder =
        |identify| EntitlementLayer::builder(world.entitlements.clone(), identify, FailMode::Closed);
    let layer = builder(subject_extension()).anonymous(of("pro-co")).build().unwrap();
    let response = layer.layer(Probe::answering(200)).oneshot(anonymous("GET", "/boardroom")).await.unwrap();
    assert_eq!(response.status(), 500);
    let identify = header_trusted("x-company");
    let layer = EntitlementLayer::builder(world.entitlements.clone(), identify, FailMode::Closed);
    let layer = layer.anonymous(of("pro-co")).build().unwrap();
    let mut unreadable = anonymous("GET", "/boardroom");
    unreadable.headers_mut().insert("x-company", HeaderValue::from_static(""));
    let service = layer.layer(Probe::answering(200));
    assert_eq!(service.clone().oneshot(unreadable).await.unwrap().status(), 401);
    assert_eq!(service.oneshot(anonymous("GET", "/boardroom")).await.unwrap().status(), 200);
}
