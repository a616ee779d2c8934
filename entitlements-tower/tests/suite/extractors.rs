use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::{any, post};
use entitlements_tower::{Admitted, Problem, UsageReport};
use http::StatusCode;
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::world::{World, of};

async fn ask(app: Router, method: &str, uri: &str) -> (u16, String) {
    let mut request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
    request.extensions_mut().insert(of("pro-co"));
    let response = app.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn the_decision_is_an_argument_of_a_handler() {
    let world = World::new().await;
    let handler = async |Admitted(decision): Admitted| decision.reason.code();
    let app = Router::new().route("/boardroom", any(handler)).route_layer(world.layer());
    assert_eq!(ask(app, "GET", "/boardroom").await, (200, "allowed_by_plan".into()));
}

#[tokio::test]
async fn a_handler_that_needs_a_gate_is_not_reached_without_one() {
    let world = World::new().await;
    let router = || {
        Router::new()
            .route("/free", any(async |_: Admitted| "reached"))
            .route("/boardroom", any(async |_: UsageReport| "reached"))
            .route(
                "/maybe",
                any(async |decision: Option<Admitted>, report: Option<UsageReport>| {
                    format!("{} {}", decision.is_some(), report.is_some())
                }),
            )
    };
    for app in [router(), router().layer(world.layer())] {
        for uri in ["/free", "/boardroom"] {
            let (status, body) = ask(app.clone(), "GET", uri).await;
            assert_eq!(status, 500, "{uri}");
            assert!(body.contains("\"code\":\"internal\""), "{body}");
        }
        assert_eq!(ask(app, "GET", "/maybe").await, (200, "false false".into()));
    }
}

#[tokio::test]
async fn a_usage_report_is_an_argument_of_a_handler() {
    let world = World::new().await;
    let layer = world.layer();
    let handler = async |report: UsageReport| report.report("tokens_out", 33);
    let app = Router::new().route("/actual", post(handler)).route_layer(layer.clone());
    assert_eq!(ask(app, "POST", "/actual").await.0, 200);
    layer.flush().await;
    assert_eq!(world.used("pro-co", "tokens").await, 33);
}

#[tokio::test]
async fn a_problem_is_a_response() {
    let problem = async || Problem::new(StatusCode::NOT_FOUND, "unknown_report", "No such report");
    let (status, body) = ask(Router::new().route("/", any(problem)), "GET", "/").await;
    assert_eq!(status, 404);
    assert!(body.contains("\"code\":\"unknown_report\""), "{body}");
}
