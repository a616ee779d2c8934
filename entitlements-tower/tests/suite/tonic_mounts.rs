//! Where a gate is mounted in a tonic server, and what it then gates.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use axum::response::Response;
use entitlements_tower::{FailMode, GrpcStatus, Rule};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::{Layer, Service, ServiceBuilder};

use crate::mounts::mounted::{App, Reached, send};
use crate::world::World;

/// Its methods are found by the whole raw path, as in the code that tonic generates.
#[derive(Clone)]
struct Reports(Reached);

impl NamedService for Reports {
    const NAME: &'static str = "v1";
}

impl Service<http::Request<Body>> for Reports {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = match request.uri().path() {
            "/v1/boardroom" => "boardroom",
            "/v1/reports/7" => "report",
            "/v1/files/a" => "file",
            _ => return ready(Ok(tonic::Status::unimplemented("").into_http())),
        };
        self.0.note(method, &request);
        ready(Ok(http::Response::new(Body::default())))
    }
}

/// The statuses of gRPC as those of the other applications: an unknown method is a 404, a denial a 402.
fn unified<B>(response: http::Response<B>) -> Response
where
    B: hyper::body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<tower::BoxError>,
{
    let mut response = response.map(axum::body::Body::new);
    let status = match response.headers().get("grpc-status").map(http::HeaderValue::as_bytes) {
        Some(b"12") => 404,
        Some(b"7") => 402,
        _ => return response,
    };
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    response
}

/// One service, mounted in every way.
pub(crate) fn tonic_mounts(world: &World, reached: &Reached) -> Vec<(&'static str, App)> {
    let gate = || {
        let rules = ["/v1/boardroom", "/v1/reports/{id}", "/v1/files/{*path}"];
        let rules = rules.map(|pattern| Rule::new(pattern).require("boardroom"));
        world.builder(FailMode::Closed).rules(rules)
    };
    let grpc = gate().deny(GrpcStatus).build().unwrap();
    let gate = gate().build().unwrap();
    let routes = || Routes::new(Reports(reached.clone()));
    let in_axum = || routes().into_axum_router();
    let app = |router: axum::Router| App::new(ServiceBuilder::new().map_response(unified).service(router));
    vec![
        (
            "tonic, around the routes",
            App::new(ServiceBuilder::new().map_response(unified).layer(grpc).service(routes())),
        ),
        ("tonic in axum, Router::layer", app(in_axum().layer(gate.clone()))),
        ("tonic in axum, merged", app(axum::Router::new().merge(in_axum()).layer(gate.clone()))),
        (
            "tonic in axum, around the router",
            app(axum::Router::new().fallback_service(gate.layer(in_axum()))),
        ),
    ]
}

#[tokio::test]
async fn every_mount_of_tonic_gates_every_method() {
    let world = World::new().await;
    let reached = Reached::default();
    for (mount, app) in tonic_mounts(&world, &reached) {
        for (uri, handler) in
            [("/v1/boardroom", "boardroom"), ("/v1/reports/7", "report"), ("/v1/files/a", "file")]
        {
            assert_eq!(send(&app, "POST", uri, "starter-co").await, 402, "{mount}: {uri}");
            assert!(reached.take().is_empty(), "{mount}: {uri} reached a method");
            assert_eq!(send(&app, "POST", uri, "pro-co").await, 200, "{mount}: {uri}");
            assert_eq!(reached.take(), [(handler, (1, 0))].into(), "{mount}: {uri}");
        }
        assert_eq!(send(&app, "POST", "/v1/unknown", "starter-co").await, 404, "{mount}");
    }
}
