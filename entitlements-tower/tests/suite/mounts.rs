//! Where a gate is mounted in an axum application, and what it then gates.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::routing::{any, get, post};
use entitlements_core::Decision;
use entitlements_core::catalog::Unmatched;
use entitlements_core::policy::{Effect, Policy, Target};
use entitlements_core::testkit::fixtures::policy;
use entitlements_tower::{EntitlementLayer, FailMode, Rule};
use http::StatusCode;
use tower::util::{BoxCloneSyncService, MapRequestLayer};
use tower::{Layer, ServiceBuilder, ServiceExt};

use crate::world::{World, of};

/// Which handlers were reached, and how often without a gate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reached(Arc<Mutex<BTreeMap<&'static str, (u64, u64)>>>);

impl Reached {
    pub(crate) fn note<B>(&self, handler: &'static str, request: &http::Request<B>) {
        let gated = request.extensions().get::<Decision>().is_some();
        let mut reached = self.0.lock().unwrap();
        let (times, ungated) = reached.entry(handler).or_default();
        *times += 1;
        *ungated += u64::from(!gated);
    }

    pub(crate) fn take(&self) -> BTreeMap<&'static str, (u64, u64)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

pub(crate) type App = BoxCloneSyncService<Request, axum::response::Response, std::convert::Infallible>;

/// One application, mounted in every way. The paths of the handlers are the same in all of them.
pub(crate) fn mounts(world: &World, reached: &Reached) -> Vec<(&'static str, App)> {
    let rules = [
        "/v1/boardroom",
        "GET /v1/reports/{id}",
        "POST /v1/reports/{id}",
        "GET /v1/live/{id}",
        "/v1/files/{*path}",
        "/v1/shared/7",
    ];
    let rules = rules.map(|pattern| Rule::new(pattern).require("boardroom"));
    let gate = world.builder(FailMode::Closed).rules(rules).build().unwrap();
    let handler = |name: &'static str| {
        let reached = reached.clone();
        move |request: Request| async move {
            reached.note(name, &request);
            name
        }
    };
    // One value of the route's parameter has a rule, and there is no other value.
    let found = reached.clone();
    let seven = async move |id: Result<Path<String>, PathRejection>, request: Request| match id {
        Ok(Path(id)) if id == "7" => {
            found.note("seven", &request);
            StatusCode::OK
        }
        _ => StatusCode::NOT_FOUND,
    };
    let inner = || {
        Router::new()
            .route("/boardroom", any(handler("boardroom")))
            .route("/reports/{report}", get(handler("report")).merge(post(handler("new report"))))
            .route("/live/{report}", get(handler("live")).connect(handler("live")))
            .route("/files/{*rest}", get(handler("file")))
            .route("/shared/{id}", get(seven.clone()))
    };
    let flat = || {
        Router::new()
            .route("/v1/boardroom", any(handler("boardroom")))
            .route("/v1/reports/{report}", get(handler("report")).merge(post(handler("new report"))))
            .route("/v1/live/{report}", get(handler("live")).connect(handler("live")))
            .route("/v1/files/{*rest}", get(handler("file")))
            .route("/v1/shared/{id}", get(seven.clone()))
    };
    let app = |router: Router| App::new(router);
    let method_layer = |gate: &EntitlementLayer| {
        Router::new()
            .route("/v1/boardroom", any(handler("boardroom")).layer(gate.clone()))
            .route(
                "/v1/reports/{report}",
                get(handler("report")).merge(post(handler("new report"))).route_layer(gate.clone()),
            )
            .route("/v1/live/{report}", get(handler("live")).connect(handler("live")).layer(gate.clone()))
            .route("/v1/files/{*rest}", get(handler("file")).layer(gate.clone()))
            .route("/v1/shared/{id}", get(seven.clone()).layer(gate.clone()))
    };
    vec![
        ("around the router", App::new(gate.layer(flat()))),
        ("around a router that nests", App::new(gate.layer(Router::new().nest("/v1", inner())))),
        ("Router::layer", app(flat().layer(gate.clone()))),
        ("Router::route_layer", app(flat().route_layer(gate.clone()))),
        ("MethodRouter::layer", app(method_layer(&gate))),
        ("outer layer over nest", app(Router::new().nest("/v1", inner()).layer(gate.clone()))),
        ("outer route_layer over nest", app(Router::new().nest("/v1", inner()).route_layer(gate.clone()))),
        ("inner layer under nest", app(Router::new().nest("/v1", inner().layer(gate.clone())))),
        ("inner route_layer under nest", app(Router::new().nest("/v1", inner().route_layer(gate.clone())))),
        (
            "outer layer over nest_service",
            app(Router::new().nest_service("/v1", inner()).layer(gate.clone())),
        ),
        (
            "inner layer under nest_service",
            app(Router::new().nest_service("/v1", inner().layer(gate.clone()))),
        ),
        ("around nest_service", App::new(gate.layer(Router::new().nest_service("/v1", inner())))),
        ("merged after the layer", app(Router::new().merge(flat().route_layer(gate.clone())))),
        ("merged under the layer", app(Router::new().merge(flat()).layer(gate))),
    ]
}

pub(crate) async fn send(app: &App, method: &str, uri: &str, company: &str) -> u16 {
    let mut request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
    request.extensions_mut().insert(of(company));
    app.clone().oneshot(request).await.unwrap().status().as_u16()
}

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
        for uri in ["/public", "/", "/v1/boardroom", "/v1/boardroom/"] {
            assert_eq!(send(&app, "GET", uri, "starter-co").await, 402, "{uri}");
            assert_eq!(send(&app, "GET", uri, "pro-co").await, 200, "{uri}");
        }
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
