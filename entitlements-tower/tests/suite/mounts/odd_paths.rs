//! Odd spellings of paths, and paths that were rewritten.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use axum::routing::get;
use entitlements_core::policy::{Effect, Policy, Target};
use entitlements_core::testkit::fixtures::policy;
use entitlements_tower::{FailMode, Rule};
use tower::ServiceBuilder;
use tower::util::MapRequestLayer;

use super::mounted::{App, Reached, mounts, send};
use crate::world::World;

#[tokio::test]
async fn no_spelling_leads_around_a_gate() {
    let world = World::new().await;
    let reached = Reached::default();
    let mut twice = Vec::new();
    for (mount, app) in mounts(&world, &reached) {
        for uri in [
            "//v1/boardroom",
            "/v1//boardroom",
            "/v1/./boardroom",
            "/v1/x/../boardroom",
            "/v1/%62oardroom",
            "/v1/boardroom%2F",
            "/v1%2Fboardroom",
            "/V1/boardroom",
            "/v1/BOARDROOM",
            "/v1/boardroom/",
            "/v1/boardroom;a=b",
            "/v1/reports/7/",
            "/v1/reports//7",
            "/v1//reports/7",
            "/v1//shared/7",
            "/%761/reports/7",
        ] {
            // What is no path of the application may be refused before it is known that there is nothing.
            let refused = send(&app, "GET", uri, "starter-co").await;
            assert!(refused == 404 || refused == 402, "{mount}: {uri}: {refused}");
            assert!(reached.take().is_empty(), "{mount}: {uri}");
            let allowed = send(&app, "GET", uri, "pro-co").await;
            if allowed != 404 {
                twice.push((mount, uri));
                assert!(reached.take().values().all(|(_, ungated)| *ungated == 0), "{mount}: {uri}");
            }
            if mount.contains("route_layer") {
                assert_eq!((refused, allowed), (404, 404), "{mount}: {uri}");
            }
        }
    }
    // The router itself takes one slash too many behind the prefix of a nested service, and nothing else.
    assert!(
        twice.iter().all(|(mount, uri)| mount.contains("nest_service") && uri.starts_with("/v1//")),
        "{twice:?}"
    );
}

#[tokio::test]
async fn no_spelling_hides_the_resource_from_a_policy() {
    let world = World::new().await;
    let no_secrets = Policy {
        effect: Effect::Deny,
        guardrail: true,
        target: Target { resources: Some(vec!["report:secret".parse().unwrap()]), ..Target::default() },
        ..policy("no-secrets")
    };
    world.entitlements.insert_policy(&no_secrets).await.unwrap();
    let reached = Reached::default();
    let report = reached.clone();
    let reports = Router::new().route(
        "/reports/{id}",
        get(async move |request: Request| {
            report.note("report", &request);
        }),
    );
    let rule = || Rule::new("/v1/reports/{id}").require("boardroom");
    let by_layer = world.builder(FailMode::Closed).rules([rule()]);
    let by_layer = by_layer.resource(|_, params| Some(format!("report:{}", params.decoded("id")?)));
    let by_rule = rule().resource_by(|_, params| Some(format!("report:{}", params.decoded("id")?)));
    let by_rule = world.builder(FailMode::Closed).rules([by_rule]);
    for gate in [by_layer, by_rule] {
        let app = Router::new().nest_service("/v1", reports.clone()).layer(gate.build().unwrap());
        let app = App::new(app);
        assert_eq!(send(&app, "GET", "/v1//reports/open", "pro-co").await, 200);
        assert_eq!(reached.take(), [("report", (1, 0))].into());
        for uri in
            ["/v1/reports/secret", "/v1/reports/%73ecret", "/v1//reports/secret", "/v1//reports/%73ecret"]
        {
            assert_eq!(send(&app, "GET", uri, "pro-co").await, 403, "{uri}");
            assert!(reached.take().is_empty(), "{uri}");
        }
    }
}

/// Puts `to` in the place of every path.
fn rewritten(to: &'static str) -> impl Fn(Request) -> Request + Clone {
    move |mut request| {
        *request.uri_mut() = to.parse().unwrap();
        request
    }
}

#[tokio::test]
async fn a_rewritten_path_is_gated_as_the_one_that_chooses_the_handler() {
    let world = World::new().await;
    let gate = world.builder(FailMode::Closed).rules([Rule::new("/v1/boardroom").require("boardroom")]);
    let gate = gate.build().unwrap();
    let inner = || Router::new().route("/v1/boardroom", get(async || "b"));
    let nested = || Router::new().nest_service("/v1", Router::new().route("/boardroom", get(async || "b")));
    // What rewrites is outside the gate, and inside a router that remembers the original path.
    let gated = |service: Router| {
        let gated = ServiceBuilder::new().layer(gate.clone()).service(service);
        let rewrites = ServiceBuilder::new().map_request(rewritten("/v1/boardroom?a=b")).service(gated);
        App::new(Router::new().fallback_service(rewrites))
    };
    let inside =
        ServiceBuilder::new().map_request(rewritten("/v1/boardroom")).service(inner().layer(gate.clone()));
    for app in [gated(inner()), gated(nested()), App::new(Router::new().fallback_service(inside))] {
        // The last ones end like the rewritten path, and still are not it.
        for uri in ["/public", "/", "/v1/boardroom", "/v1/boardroom/", "/x/v1/boardroom", "//v1/boardroom"] {
            assert_eq!(send(&app, "GET", uri, "starter-co").await, 402, "{uri}");
            assert_eq!(send(&app, "GET", uri, "pro-co").await, 200, "{uri}");
        }
    }
}

#[tokio::test]
async fn below_the_prefix_of_a_nested_service_the_whole_path_decides_unless_it_was_rewritten() {
    let world = World::new().await;
    let gate = world.builder(FailMode::Closed).rules([Rule::new("/v1/boardroom").require("boardroom")]);
    let gate = gate.build().unwrap();
    let handler = tower::service_fn(async |_: Request| Ok::<_, Infallible>("b".into_response()));
    // No router below says which pattern it chose.
    let gated = || ServiceBuilder::new().layer(gate.clone()).service(handler);
    let nested = App::new(Router::new().nest_service("/v1", gated()));
    for uri in ["/v1/boardroom", "/v1//boardroom"] {
        assert_eq!(send(&nested, "GET", uri, "starter-co").await, 402, "{uri}");
    }
    let rewrites = ServiceBuilder::new().map_request(rewritten("/v1/boardroom")).service(gated());
    let below = App::new(Router::new().nest_service("/v1", rewrites));
    for uri in ["/v1", "/v1/boardroom", "/v1/x/v1/boardroom", "/v1/x//v1/boardroom"] {
        assert_eq!(send(&below, "GET", uri, "starter-co").await, 402, "{uri}");
        assert_eq!(send(&below, "GET", uri, "pro-co").await, 200, "{uri}");
    }
}

#[tokio::test]
async fn a_path_that_does_not_have_the_parameters_of_its_rule_is_a_400() {
    let world = World::new().await;
    let rule = Rule::new("/v1/reports/{id}").require("boardroom");
    let gate = world.builder(FailMode::Closed).rules([rule]);
    let gate = gate.resource(|_, params| params.decoded("id").map(Into::into)).build().unwrap();
    let routes = Router::new().route("/v1/reports/{id}", get(async || "r")).route_layer(gate);
    // The router has chosen the handler before something rewrites the path.
    let app = App::new(routes.layer(MapRequestLayer::new(rewritten("/elsewhere"))));
    assert_eq!(send(&app, "GET", "/v1/reports/7", "pro-co").await, 400);
}

#[tokio::test]
async fn a_slash_that_a_catch_all_catches_is_gated_below_a_nested_service() {
    let world = World::new().await;
    let gate = world.builder(FailMode::Closed).rules([Rule::new("/v1/files/{*path}").require("boardroom")]);
    let routes = Router::new().route("/files/{*rest}", get(async || "file"));
    let app = App::new(Router::new().nest_service("/v1", routes).layer(gate.build().unwrap()));
    for uri in ["/v1/files//", "/v1//files//", "/v1//files///"] {
        assert_eq!(send(&app, "GET", uri, "starter-co").await, 402, "{uri}");
        assert_eq!(send(&app, "GET", uri, "pro-co").await, 200, "{uri}");
    }
}

#[tokio::test]
async fn the_root_of_a_nested_service_is_gated_with_slashes_and_without() {
    let world = World::new().await;
    for rule in ["/v1/shared", "/v1/shared/"] {
        let gate = world.builder(FailMode::Closed).rules([Rule::new(rule).require("boardroom")]);
        let gate = gate.build().unwrap();
        let root = || Router::new().route("/", get(async || "root"));
        let nested = |service: Router| Router::new().nest_service("/v1/shared", service);
        let apps = [
            nested(root().layer(gate.clone())),
            nested(root().route_layer(gate.clone())),
            nested(root()).layer(gate),
        ];
        for (app, uri) in apps.iter().flat_map(|app| {
            ["/v1/shared", "/v1/shared/", "/v1/shared//"].map(|uri| (App::new(app.clone()), uri))
        }) {
            let refused = send(&app, "GET", uri, "starter-co").await;
            let allowed = send(&app, "GET", uri, "pro-co").await;
            assert!(
                matches!((refused, allowed), (402, 200) | (404, 404)),
                "{rule} {uri}: {refused} {allowed}"
            );
        }
    }
}

#[tokio::test]
async fn parameters_that_the_decoded_path_has_are_not_decoded_again() {
    let world = World::new().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let gate = world.builder(FailMode::Closed).rules([Rule::new("/v1/reports/{id}").require("boardroom")]);
    let gate = gate.resource(move |_, params| {
        let id = params.decoded("id").map(String::from);
        notes.lock().unwrap().extend(id.clone());
        id
    });
    let app =
        Router::new().route("/{kind}/reports/{id}", get(async || "r")).route_layer(gate.build().unwrap());
    let app = App::new(app);
    for (uri, id) in
        [("/v1/reports/a%2541", "a%41"), ("/%76%31/reports/a%2541", "a%41"), ("/%761/reports/7", "7")]
    {
        assert_eq!(send(&app, "GET", uri, "pro-co").await, 200, "{uri}");
        assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), [id], "{uri}");
    }
}
