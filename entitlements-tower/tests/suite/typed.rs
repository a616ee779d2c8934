use axum::Router;
use axum::body::Body;
use axum::routing::any;
use entitlements_core::store::StoreErrorKind;
use entitlements_core::{Action, Request};
use entitlements_tower::{
    Denial, Entitled, EntitlementLayer, FailMode, Metered, NotAdmitted, Rule, subject_extension,
};
use http::StatusCode;
use http::request::Parts;
use http_body_util::BodyExt;
use serde_json::json;
use tower::ServiceExt;

use crate::store::Weather;
use crate::world::{World, of};

entitlements_core::features! {
    /// Meet.
    Boardroom: Flag = "boardroom";
    /// What no plan has.
    Unsold: Flag = "unsold";
    /// What the catalog does not have.
    Nowhere: Flag = "nowhere";
    /// Reports made.
    Reports: Meter = "reports";
}

fn layer(world: &World) -> EntitlementLayer {
    world.builder(FailMode::Closed).extractors(true).build().unwrap()
}

async fn ask(app: &Router, company: &str, method: &str, uri: &str) -> (u16, String) {
    let mut request = http::Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
    request.extensions_mut().insert(of(company));
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_handler_without_a_rule_is_gated_by_its_signature() {
    let world = World::new().await;
    let handler = async |proof: Entitled<Boardroom>| proof.decision.reason.code();
    let app = Router::new().route("/free", any(handler)).route_layer(layer(&world));
    assert_eq!(ask(&app, "pro-co", "GET", "/free").await, (200, "allowed_by_plan".into()));
    let (status, body) = ask(&app, "starter-co", "GET", "/free?secret=1").await;
    assert_eq!(status, 402);
    assert!(
        body.contains("\"code\":\"feature_not_in_plan\"") && body.contains("\"instance\":\"/free\""),
        "{body}"
    );
}

#[tokio::test]
async fn the_action_is_that_of_the_method() {
    entitlements_core::features! { Export: Flag = "export"; }
    let world = World::new().await;
    let handler = async |_: Entitled<Export>| "exported";
    let app = Router::new().route("/free", any(handler)).route_layer(layer(&world));
    assert_eq!(ask(&app, "starter-co", "GET", "/free").await.0, 200);
    assert_eq!(ask(&app, "starter-co", "DELETE", "/free").await.0, 402);
}

#[tokio::test]
async fn nobody_who_is_unknown_is_told_about_plans() {
    let world = World::new().await;
    let handler = async |_: Entitled<Boardroom>| "reached";
    let ask = async |layer: EntitlementLayer| {
        let app = Router::new().route("/free", any(handler)).route_layer(layer);
        let request = http::Request::builder().uri("/free").body(Body::empty()).unwrap();
        let response = app.oneshot(request).await.unwrap();
        let (status, challenge) = (response.status(), response.headers().contains_key("www-authenticate"));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, challenge, serde_json::from_slice::<serde_json::Value>(&body).unwrap())
    };
    let optional = subject_extension().optional();
    let layer = EntitlementLayer::builder(world.entitlements.clone(), optional, FailMode::Closed);
    let (status, challenge, body) = ask(layer.extractors(true).build().unwrap()).await;
    assert_eq!((status, challenge), (StatusCode::UNAUTHORIZED, true));
    let expected = json!({
        "type": "about:blank",
        "title": "Authentication required",
        "status": 401,
        "detail": "the request names nobody who is known",
        "instance": "/free",
        "code": "unauthenticated",
    });
    assert_eq!(body, expected);
    // Where somebody must have authenticated it, and nobody has, the program has a mistake.
    let (status, challenge, body) = ask(self::layer(&world)).await;
    assert_eq!((status, challenge), (StatusCode::INTERNAL_SERVER_ERROR, false));
    assert_eq!(body["code"], "internal");
}

#[tokio::test]
async fn a_denial_is_no_proof() {
    let world = World::new().await;
    let denied = world.entitlements.check(&Request::new(&of("starter-co"), "boardroom", Action::View)).await;
    let denied = denied.unwrap();
    let app = Router::new()
        .route("/free", any(async |_: Entitled<Boardroom>| "reached"))
        .layer(axum::Extension(denied))
        .route_layer(layer(&world));
    assert_eq!(ask(&app, "starter-co", "GET", "/free").await.0, 402);
}

#[tokio::test]
async fn a_meter_in_the_signature_is_charged_once() {
    let world = World::new().await;
    let twice = async |first: Metered<Reports>, second: Metered<Reports>| {
        assert_eq!(first, second);
        first.receipt().unwrap().used.get().to_string()
    };
    let app = Router::new().route("/free", any(twice)).route_layer(layer(&world));
    for used in ["1", "2", "3"] {
        assert_eq!(ask(&app, "starter-co", "POST", "/free").await, (200, used.into()));
    }
    let (status, body) = ask(&app, "starter-co", "POST", "/free").await;
    assert_eq!(status, 402, "{body}");
    assert_eq!(world.used("starter-co", "reports").await, 3);
}

#[tokio::test]
async fn what_a_rule_has_charged_is_not_charged_again() {
    let world = World::new().await;
    let handler = async |_: Entitled<Boardroom>, paid: Metered<Reports>| paid.charged.amount.to_string();
    let app = Router::new().route("/both", any(handler)).route_layer(layer(&world));
    assert_eq!(ask(&app, "pro-co", "POST", "/both").await, (200, "1".into()));
    assert_eq!(world.used("pro-co", "reports").await, 1);
}

#[tokio::test]
async fn a_failed_response_is_not_charged() {
    let world = World::new().await;
    let gate = layer(&world);
    let failing = async |_: Metered<Reports>| StatusCode::BAD_GATEWAY;
    let app = Router::new().route("/free", any(failing)).route_layer(gate.clone());
    assert_eq!(ask(&app, "starter-co", "POST", "/free").await.0, 502);
    gate.flush().await;
    assert_eq!(world.used("starter-co", "reports").await, 0);
}

#[tokio::test]
async fn a_panic_is_not_charged() {
    async fn panicking(_: Metered<Reports>) -> &'static str {
        panic!("the handler panics")
    }
    let world = World::new().await;
    let gate = layer(&world);
    let app = Router::new().route("/free", any(panicking)).route_layer(gate.clone());
    let task = tokio::spawn(async move { ask(&app, "starter-co", "POST", "/free").await });
    assert!(task.await.unwrap_err().is_panic());
    gate.flush().await;
    assert_eq!(world.used("starter-co", "reports").await, 0);
}

#[tokio::test]
async fn an_extractor_that_refuses_first_leaves_the_rest_uncharged() {
    let world = World::new().await;
    let gate = layer(&world);
    let both = async |_: Entitled<Unsold>, _: Metered<Reports>| "reached";
    let app = Router::new().route("/free", any(both)).route_layer(gate.clone());
    assert_eq!(ask(&app, "starter-co", "POST", "/free").await.0, 403);
    gate.flush().await;
    assert_eq!(world.used("starter-co", "reports").await, 0);
}

#[tokio::test]
async fn without_a_layer_that_lets_them_ask_nothing_is_reached() {
    let world = World::new().await;
    let router = || {
        Router::new()
            .route("/free", any(async |_: Entitled<Boardroom>| "reached"))
            .route("/metered", any(async |_: Metered<Reports>| "reached"))
    };
    for app in [router(), router().route_layer(world.layer())] {
        for uri in ["/free", "/metered"] {
            let (status, body) = ask(&app, "pro-co", "POST", uri).await;
            assert_eq!(status, 500, "{uri}: {body}");
        }
    }
}

#[tokio::test]
async fn a_feature_that_the_catalog_does_not_have_is_not_reached() {
    let world = World::new().await;
    let app =
        Router::new().route("/free", any(async |_: Entitled<Nowhere>| "reached")).route_layer(layer(&world));
    assert_eq!(ask(&app, "pro-co", "GET", "/free").await.0, 500);
}

#[tokio::test]
async fn a_denial_of_an_extractor_is_answered_in_the_way_of_the_layer() {
    let world = World::new().await;
    let deny = |denial: &Denial, parts: &Parts| {
        let text = format!("{} {} {}", parts.method, parts.uri.path(), denial.code());
        axum::response::Response::builder().status(418).body(Body::from(text)).unwrap()
    };
    let layer =
        world.builder(FailMode::Closed).extractors(true).rate_limit_headers(true).deny(deny).build().unwrap();
    let app = Router::new()
        .route("/free", any(async |_: Entitled<Boardroom>| "reached"))
        // The rule of the route has admitted the request, and the extractor denies it.
        .route("/reports/{id}", any(async |_: Entitled<Boardroom>| "reached"))
        .route(
            "/own",
            any(async |proof: Result<Entitled<Boardroom>, NotAdmitted>| proof.is_err().to_string()),
        )
        .route_layer(layer.clone());
    assert_eq!(
        ask(&app, "starter-co", "PUT", "/free?a=b").await,
        (418, "PUT /free feature_not_in_plan".into())
    );
    let denied = ask(&app, "starter-co", "POST", "/reports/1").await;
    assert_eq!(denied, (418, "POST /reports/1 feature_not_in_plan".into()));
    layer.flush().await;
    assert_eq!(world.used("starter-co", "reports").await, 1);
    assert_eq!(ask(&app, "starter-co", "GET", "/own").await, (200, "true".into()));
}

#[tokio::test]
async fn a_meter_in_the_signature_says_more_than_the_rule() {
    let world = World::new().await;
    let builder = world.builder(FailMode::Closed).extractors(true).rate_limit_headers(true);
    let layer = builder.route(Rule::new("/left").require("reports")).build().unwrap();
    let app = Router::new().route("/left", any(async |_: Metered<Reports>| "reached")).route_layer(layer);
    let mut request = http::Request::builder().uri("/left").body(Body::empty()).unwrap();
    request.extensions_mut().insert(of("starter-co"));
    let response = app.oneshot(request).await.unwrap();
    let said: Vec<_> = response.headers().get_all("ratelimit").iter().collect();
    assert_eq!(said, ["\"reports\";r=2;t=2041200"]);
}

/// With facts in memory the layer admits at once, and the extractors ask all the same.
#[tokio::test]
async fn a_meter_in_the_signature_is_charged_though_the_rule_is_decided_at_once() {
    let world = World::warm().await;
    let handler =
        async |_: Entitled<Boardroom>, paid: Metered<Reports>| paid.receipt().unwrap().used.get().to_string();
    let app = Router::new().route("/boardroom", any(handler)).route_layer(layer(&world));
    for used in ["1", "2", "3"] {
        assert_eq!(ask(&app, "pro-co", "GET", "/boardroom").await, (200, used.into()));
    }
    assert_eq!(ask(&app, "pro-co", "GET", "/boardroom").await.0, 402);
    assert_eq!(ask(&app, "starter-co", "GET", "/boardroom").await.0, 402);
    assert_eq!(world.used("pro-co", "reports").await, 3);
    assert_eq!(world.used("starter-co", "reports").await, 0);
}

#[tokio::test]
async fn a_meter_in_the_signature_says_what_is_left() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).extractors(true).rate_limit_headers(true).build().unwrap();
    let app = Router::new().route("/free", any(async |_: Metered<Reports>| "reached")).route_layer(layer);
    for (status, left) in [(200, 2), (200, 1), (200, 0), (402, 0)] {
        let mut request = http::Request::builder().uri("/free").body(Body::empty()).unwrap();
        request.extensions_mut().insert(of("starter-co"));
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["ratelimit"], format!("\"reports\";r={left};t=2041200"));
    }
}

#[tokio::test]
async fn a_handler_can_serve_those_who_are_not_entitled_in_another_way() {
    let world = World::new().await;
    let layer = EntitlementLayer::builder(
        world.entitlements.clone(),
        subject_extension().optional(),
        FailMode::Closed,
    );
    let layer = layer.extractors(true).build().unwrap();
    let handler = async |seats: Option<Entitled<Boardroom>>, paid: Option<Metered<Reports>>| {
        format!("{} {}", seats.is_some(), paid.is_some())
    };
    let app = Router::new().route("/free", any(handler)).route_layer(layer.clone());
    assert_eq!(ask(&app, "pro-co", "POST", "/free").await, (200, "true true".into()));
    for _ in 0..3 {
        assert_eq!(ask(&app, "starter-co", "POST", "/free").await, (200, "false true".into()));
    }
    assert_eq!(ask(&app, "starter-co", "POST", "/free").await, (200, "false false".into()));
    layer.flush().await;
    assert_eq!(world.used("starter-co", "reports").await, 3);
    let nobody = axum::extract::Request::builder().uri("/free").body(Body::empty()).unwrap();
    let response = app.clone().oneshot(nobody).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "false false");
    // What cannot be decided is not taken for a no.
    world.store.set(Weather::Down(StoreErrorKind::Unavailable));
    assert_eq!(ask(&app, "pro-co", "POST", "/free").await.0, 503);
}

#[tokio::test]
async fn an_optional_extractor_needs_its_gate_and_its_feature() {
    let world = World::new().await;
    let router = || {
        Router::new()
            .route("/free", any(async |_: Option<Entitled<Boardroom>>| "reached"))
            .route("/metered", any(async |_: Option<Metered<Reports>>| "reached"))
            .route("/nowhere", any(async |_: Option<Entitled<Nowhere>>| "reached"))
    };
    for (app, uri) in
        [(router(), "/free"), (router(), "/metered"), (router().route_layer(layer(&world)), "/nowhere")]
    {
        assert_eq!(ask(&app, "pro-co", "POST", uri).await.0, 500, "{uri}");
    }
}
