//! One application, mounted in an axum server in every way, and what of it was reached.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::routing::{any, get, post};
use entitlements_core::Decision;
use entitlements_tower::{EntitlementLayer, FailMode, Rule};
use http::StatusCode;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt};

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
        "/v1",
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
            .route("/", get(handler("root")))
            .route("/boardroom", any(handler("boardroom")))
            .route("/reports/{report}", get(handler("report")).merge(post(handler("new report"))))
            .route("/live/{report}", get(handler("live")).connect(handler("live")))
            .route("/files/{*rest}", get(handler("file")))
            .route("/shared/{id}", get(seven.clone()))
    };
    let flat = || {
        Router::new()
            .route("/v1", get(handler("root")))
            .route("/v1/boardroom", any(handler("boardroom")))
            .route("/v1/reports/{report}", get(handler("report")).merge(post(handler("new report"))))
            .route("/v1/live/{report}", get(handler("live")).connect(handler("live")))
            .route("/v1/files/{*rest}", get(handler("file")))
            .route("/v1/shared/{id}", get(seven.clone()))
    };
    let app = |router: Router| App::new(router);
    let method_layer = |gate: &EntitlementLayer| {
        Router::new()
            .route("/v1", get(handler("root")).layer(gate.clone()))
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
