//! Where a gate is mounted in an axum application, and what it then gates.

pub(crate) mod mounted;
mod narrower;
mod odd_paths;

use axum::Router;
use axum::extract::Request;
use axum::routing::get;
use entitlements_core::catalog::Unmatched;
use entitlements_tower::{FailMode, Rule};

use self::mounted::{App, Reached, mounts, send};
use crate::world::World;

#[tokio::test]
async fn every_mount_gates_every_handler() {
    let world = World::new().await;
    let reached = Reached::default();
    let table = [
        ("GET", "/v1/boardroom", "boardroom"),
        ("DELETE", "/v1/boardroom", "boardroom"),
        ("OPTIONS", "/v1/boardroom", "boardroom"),
        ("PURGE", "/v1/boardroom", "boardroom"),
        ("GET", "/v1/reports/7", "report"),
        // A HEAD request runs the handler of GET.
        ("HEAD", "/v1/reports/7", "report"),
        ("GET", "/v1/reports/a%2Fb", "report"),
        ("GET", "/v1/reports/..", "report"),
        ("POST", "/v1/reports/7", "new report"),
        // A WebSocket, over HTTP/1 and over HTTP/2.
        ("GET", "/v1/live/7", "live"),
        ("CONNECT", "/v1/live/7", "live"),
        ("CONNECT", "/v1/boardroom", "boardroom"),
        ("GET", "/v1/shared/7", "seven"),
        ("GET", "/v1/shared/%37", "seven"),
        ("GET", "/v1/files/a", "file"),
        ("HEAD", "/v1/files/a/b", "file"),
        ("GET", "/v1/files/a//b/../c", "file"),
        ("GET", "/v1/files//", "file"),
        ("GET", "/v1/files/%2e%2e/boardroom", "file"),
    ];
    for (mount, app) in mounts(&world, &reached) {
        for (method, uri, handler) in table {
            assert_eq!(send(&app, method, uri, "starter-co").await, 402, "{mount}: {method} {uri}");
            assert!(reached.take().is_empty(), "{mount}: {method} {uri} reached a handler");
            assert_eq!(send(&app, method, uri, "pro-co").await, 200, "{mount}: {method} {uri}");
            assert_eq!(reached.take(), [(handler, (1, 0))].into(), "{mount}: {method} {uri}");
        }
    }
}

#[tokio::test]
async fn a_method_without_a_handler_stays_405_with_a_gate_of_its_own_method() {
    let world = World::new().await;
    for (mount, app) in mounts(&world, &Reached::default()) {
        // Only GET and POST have rules here.
        assert_eq!(send(&app, "DELETE", "/v1/reports/7", "starter-co").await, 405, "{mount}");
    }
}

#[tokio::test]
async fn the_gate_comes_before_405() {
    let world = World::new().await;
    let gate = world.builder(FailMode::Closed).rules([Rule::new("/a").require("boardroom")]).build().unwrap();
    let app = App::new(Router::new().route("/a", get(async || "a")).route_layer(gate));
    assert_eq!(send(&app, "DELETE", "/a", "starter-co").await, 402);
    assert_eq!(send(&app, "DELETE", "/a", "pro-co").await, 405);
    assert_eq!(send(&app, "GET", "/b", "starter-co").await, 404);
}

#[tokio::test]
async fn around_nest_service_the_raw_path_decides() {
    let world = World::new().await;
    // A handler for everything, as a proxy has one: it may read paths in any way.
    let proxy = || Router::new().fallback(async |request: Request| request.uri().path().to_owned());
    let narrow = world.builder(FailMode::Closed).rules([Rule::new("/v1/boardroom").require("boardroom")]);
    let narrow = App::new(Router::new().nest_service("/v1", proxy()).layer(narrow.build().unwrap()));
    assert_eq!(send(&narrow, "GET", "/v1/boardroom", "starter-co").await, 402);
    assert_eq!(send(&narrow, "GET", "/v1//boardroom", "starter-co").await, 402);
    assert_eq!(send(&narrow, "GET", "/v1/./boardroom", "starter-co").await, 200);
    // So what a catch-all serves needs rules for all of it: the prefix, the prefix with a slash, and the rest.
    let rules = ["/v1", "/v1/", "/v1/{*rest}"].map(|pattern| Rule::new(pattern).require("boardroom"));
    let wide = world.builder(FailMode::Closed).rules(rules).build().unwrap();
    let wide = App::new(Router::new().nest_service("/v1", proxy()).layer(wide));
    for uri in ["/v1", "/v1/", "/v1/boardroom", "/v1//boardroom", "/v1/./boardroom", "/v1/%62oardroom"] {
        assert_eq!(send(&wide, "GET", uri, "starter-co").await, 402, "{uri}");
        assert_eq!(send(&wide, "GET", uri, "pro-co").await, 200, "{uri}");
    }
}

#[tokio::test]
async fn a_fallback_is_gated_only_by_a_layer_around_it() {
    let world = World::new().await;
    let gate = world.builder(FailMode::Closed).rules([Rule::new("/a").require("boardroom")]);
    let gate = gate.unmatched(Unmatched::Deny).build().unwrap();
    let routes = || Router::new().route("/a", get(async || "a")).fallback(async || "whatever");
    for (mount, app, status) in [
        ("Router::route_layer", routes().route_layer(gate.clone()), 200),
        ("Router::layer", routes().layer(gate), 403),
    ] {
        let app = App::new(app);
        assert_eq!(send(&app, "GET", "/b", "pro-co").await, status, "{mount}");
        assert_eq!(send(&app, "GET", "/a", "starter-co").await, 402, "{mount}");
    }
}

#[tokio::test]
async fn routes_without_a_rule_are_listed() {
    let world = World::new().await;
    let layer = world.layer();
    let app = Router::new()
        .route("/boardroom", get(async || "b"))
        .route("/free/{id}", get(async || "f"))
        .route_layer(layer.clone());
    let app = App::new(app);
    for uri in ["/boardroom", "/free/1", "/free/2", "/nowhere"] {
        send(&app, "GET", uri, "pro-co").await;
    }
    assert_eq!(layer.coverage().unruled, ["/free/{id}"]);
}

#[tokio::test]
async fn a_layer_for_one_route_shares_everything_but_the_rules() {
    let world = World::new().await;
    let layer = world.layer();
    let export = layer.require_feature("export", entitlements_core::Action::Export).unwrap();
    let app = Router::new()
        .route("/csv", get(async || "csv").route_layer(export))
        .route("/boardroom", get(async || "b"))
        .layer(layer);
    let app = App::new(app);
    for (uri, company, status) in [
        ("/csv", "starter-co", 402),
        ("/csv", "pro-co", 200),
        ("/boardroom", "starter-co", 402),
        ("/boardroom", "pro-co", 200),
    ] {
        assert_eq!(send(&app, "GET", uri, company).await, status, "{uri} {company}");
    }
}

#[tokio::test]
async fn a_layer_around_a_route_with_a_layer_of_its_own_needs_a_rule_that_passes_it_on() {
    let world = World::new().await;
    let around = |rules: Vec<Rule>| {
        let builder = world.builder(FailMode::Closed).rules(rules).unmatched(Unmatched::Deny);
        builder.declared(["GET /csv"]).build()
    };
    let unknown = around(vec![]).unwrap_err().to_string();
    assert_eq!(unknown, "rule `GET /csv`: the application declares it, and no rule is for it");
    let layer = around(vec![Rule::new("GET /csv")]).unwrap();
    let export = layer.require_feature("export", entitlements_core::Action::Export).unwrap();
    let csv = get(async || "csv").route_layer(export.clone());
    let app = App::new(Router::new().route("/csv", csv).layer(layer.clone()));
    assert_eq!(send(&app, "GET", "/csv", "starter-co").await, 402);
    assert_eq!(send(&app, "GET", "/csv", "pro-co").await, 200);
    for (layer, rule) in [(layer, "GET /csv"), (export, "*")] {
        let coverage = layer.coverage();
        assert_eq!((coverage.rules[0].rule.as_str(), coverage.rules[0].hits), (rule, 2));
        assert!(coverage.unruled.is_empty());
    }
}
