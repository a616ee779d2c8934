//! Rules that are narrower than routes, and routes that are narrower than rules.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::routing::{any, get};
use entitlements_core::catalog::Unmatched;
use entitlements_tower::{FailMode, Rule};
use tower::Layer;

use super::mounted::{App, send};
use crate::world::World;

#[tokio::test]
async fn a_pattern_that_ends_in_a_catch_all_is_refined_by_the_raw_path() {
    let world = World::new().await;
    // So are the routes of a gRPC server.
    let rules = [
        Rule::new("/acme.Reports/{*rest}").require("boardroom"),
        Rule::new("POST /acme.Reports/Export").require("unsold"),
    ];
    let gate = world.builder(FailMode::Closed).rules(rules).build().unwrap();
    let app = Router::new().route("/acme.Reports/{*rest}", any(async || "called")).route_layer(gate);
    let app = App::new(app);
    assert_eq!(send(&app, "POST", "/acme.Reports/Export", "pro-co").await, 403);
    assert_eq!(send(&app, "POST", "/acme.Reports/List", "pro-co").await, 200);
    assert_eq!(send(&app, "POST", "/acme.Reports/List", "starter-co").await, 402);
}

#[tokio::test]
async fn a_router_below_a_catch_all_route_is_gated_by_its_narrower_rules() {
    let world = World::new().await;
    let rules = [Rule::new("/v1/{*rest}").require("boardroom"), Rule::new("/v1/boardroom").require("unsold")];
    let gate = world.builder(FailMode::Closed).rules(rules).build().unwrap();
    let seen = Arc::new(Mutex::new(String::new()));
    let notes = Arc::clone(&seen);
    let inner = Router::new().route("/v1/boardroom", get(async || "b")).route("/v1/{id}", get(async || "r"));
    let inner = inner.layer(gate).layer(axum::middleware::from_fn(
        move |request: Request, next: axum::middleware::Next| {
            let matched = request.extensions().get::<axum::extract::MatchedPath>().unwrap();
            matched.as_str().clone_into(&mut notes.lock().unwrap());
            next.run(request)
        },
    ));
    // A router as such may not be the service of a route, and one behind another service may.
    let inner = tower::util::MapRequest::new(inner, |request: Request| request);
    let app = App::new(Router::new().route_service("/v1/{*rest}", inner));
    assert_eq!(send(&app, "GET", "/v1/boardroom", "pro-co").await, 403);
    // axum joins the patterns of both routers.
    assert_eq!(*seen.lock().unwrap(), "/v1/{*rest}/v1/boardroom");
    assert_eq!(send(&app, "GET", "/v1/7", "pro-co").await, 200);
    assert_eq!(send(&app, "GET", "/v1/7", "starter-co").await, 402);
}

#[tokio::test]
async fn a_broad_rule_covers_narrow_routes_and_the_other_way_round() {
    let world = World::new().await;
    let routes = || {
        Router::new().route("/v1/boardroom", get(async || "b")).route("/v1/reports/{id}", get(async || "r"))
    };
    let broad = world.builder(FailMode::Closed).rules([Rule::new("/v1/{*rest}").require("boardroom")]);
    let app = App::new(routes().route_layer(broad.build().unwrap()));
    assert_eq!(send(&app, "GET", "/v1/boardroom", "starter-co").await, 402);
    assert_eq!(send(&app, "GET", "/v1/reports/7", "starter-co").await, 402);
    let narrow = world.builder(FailMode::Closed).rules([Rule::new("/v1/reports/7").require("boardroom")]);
    let app = App::new(routes().route_layer(narrow.build().unwrap()));
    assert_eq!(send(&app, "GET", "/v1/reports/7", "starter-co").await, 402);
    assert_eq!(send(&app, "GET", "/v1/reports/8", "starter-co").await, 200);
}

#[tokio::test]
async fn a_rule_that_is_narrower_than_its_route_counts_beside_a_wide_one() {
    let world = World::new().await;
    let rules = || {
        [
            Rule::new("/v1/reports/{id}").require("boardroom"),
            Rule::new("/v1/reports/7").require("unsold"),
            // What opens a path opens that path alone, and only where nothing else is for it.
            Rule::new("/v1/reports/open"),
        ]
    };
    let gate = || world.builder(FailMode::Closed).rules(rules()).build().unwrap();
    let routes = Router::new().route("/reports/{id}", get(async || "r"));
    let wide = Router::new().route("/v1/{*rest}", get(async || "r"));
    let apps = [
        ("route_layer", Router::new().nest("/v1", routes.clone()).route_layer(gate())),
        ("over nest_service", Router::new().nest_service("/v1", routes.clone()).layer(gate())),
        ("over a catch-all", wide.route_layer(gate())),
    ];
    for (mount, app) in apps {
        let app = App::new(app);
        for (uri, status) in [
            ("/v1/reports/7", 403),
            // Report 7 to the handler, and both rules ask for something.
            ("/v1/reports/%37", 400),
            ("/v1/reports/8", 200),
            ("/v1/reports/%38", 200),
            ("/v1/reports/%2537", 200),
            ("/v1/reports/%6fpen", 200),
        ] {
            assert_eq!(send(&app, "GET", uri, "pro-co").await, status, "{mount}: {uri}");
        }
        for uri in ["/v1/reports/8", "/v1/reports/%6fpen"] {
            assert_eq!(send(&app, "GET", uri, "starter-co").await, 402, "{mount}: {uri}");
        }
    }
    // Two slashes are one to the nested service, and one value may be two segments to a catch-all handler.
    let app = App::new(Router::new().nest_service("/v1", routes).layer(gate()));
    assert_eq!(send(&app, "GET", "/v1//reports/%37", "pro-co").await, 400);
    let app = App::new(Router::new().route("/v1/{*rest}", get(async || "r")).route_layer(gate()));
    assert_eq!(send(&app, "GET", "/v1/reports%2F7", "pro-co").await, 403);
}

#[tokio::test]
async fn a_second_slash_does_not_lead_to_a_wider_rule() {
    let world = World::new().await;
    let rules = [Rule::new("/v1/{*rest}").require("boardroom"), Rule::new("/v1/report").require("unsold")];
    let gate = world.builder(FailMode::Closed).rules(rules).build().unwrap();
    let routes = Router::new().route("/report", get(async || "r")).route("/other", get(async || "o"));
    let app = App::new(Router::new().nest_service("/v1", routes).layer(gate));
    for (uri, status) in [("/v1/report", 403), ("/v1//report", 400), ("/v1//other", 200)] {
        assert_eq!(send(&app, "GET", uri, "pro-co").await, status, "{uri}");
    }
}

#[tokio::test]
async fn no_spelling_leads_to_a_cheaper_rule() {
    let world = World::new().await;
    // Everybody may see how things are; all else is for those who have the boardroom, or for nobody.
    let health = || Rule::new("/health/{part}").require("export");
    let closed = world.builder(FailMode::Closed).rules([health()]).unmatched(Unmatched::Deny);
    let wide = world.builder(FailMode::Closed).rules([health(), Rule::new("/{*rest}").require("boardroom")]);
    let every = world.builder(FailMode::Closed).rules([health(), Rule::every_request().require("boardroom")]);
    let routes = || {
        Router::new()
            .route("/health/{part}", get(async || "well"))
            .route("/{kind}/{id}", get(async || "dear"))
    };
    let one =
        || Router::new().route("/{id}", get(async || "dear")).route("/health/{part}", get(async || "well"));
    for (name, gate) in [("closed", closed), ("wide", wide), ("every", every)] {
        let gate = gate.build().unwrap();
        for (mount, app) in [
            ("around", App::new(gate.layer(routes()))),
            ("around one", App::new(gate.layer(one()))),
            ("route_layer", App::new(routes().route_layer(gate.clone()))),
            ("route_layer one", App::new(one().route_layer(gate.clone()))),
        ] {
            assert_eq!(send(&app, "GET", "/health/db", "starter-co").await, 200, "{name} {mount}");
            for uri in ["/%68ealth/db", "/health%2Fdb"] {
                let status = send(&app, "GET", uri, "starter-co").await;
                assert!(status >= 400, "{name} {mount}: {uri}: {status}");
            }
        }
    }
}
