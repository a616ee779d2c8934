//! The rule that a service usually has is not taken for that of another request.

use axum::Router;
use axum::body::Body;
use entitlements_core::Catalog;
use entitlements_tower::{EntitlementLayer, FailMode, Rule};
use http::StatusCode;
use tower::{Layer, ServiceExt, service_fn};

use crate::world::{CATALOG, World, request};

type Request = http::Request<Body>;

/// Answers with the route that it was reached by.
async fn reached(request: Request) -> Result<axum::response::Response, std::convert::Infallible> {
    let route = request.extensions().get::<axum::extract::MatchedPath>().map(|path| path.as_str().to_owned());
    Ok(axum::response::Response::new(Body::from(route.unwrap_or_default())))
}

const ROUTES: [&str; 4] = ["/boardroom", "/export", "/unsold", "/files/{id}"];

fn layer(world: &World) -> EntitlementLayer {
    let narrower = [("GET /files/7", "boardroom"), ("GET /files/9", "unsold")];
    let builder = world.builder(FailMode::Closed);
    let ruled = narrower
        .into_iter()
        .fold(builder, |builder, (path, feature)| builder.route(Rule::new(path).require(feature)));
    ruled.build().unwrap()
}

/// One service of the layer at every route, also of routers that are nested.
fn at_every_route(layer: &EntitlementLayer) -> Router {
    let service = layer.layer(service_fn(reached));
    let router = || {
        let route = |router: Router, path| router.route_service(path, service.clone());
        ROUTES.into_iter().fold(Router::new(), route)
    };
    router().nest("/nested", router())
}

async fn ask(router: &Router, method: &str, uri: &str, company: &str) -> StatusCode {
    let request = request(method, uri, company).map(Body::from);
    router.clone().oneshot(request).await.unwrap().status()
}

const ASKED: [&str; 8] = [
    "/boardroom",
    "/export",
    "/unsold",
    "/files/7",
    "/files/8",
    "/files/9",
    "/nested/boardroom",
    "/nested/export",
];

#[tokio::test]
async fn a_service_at_several_routes_asks_by_the_rule_of_each_request() {
    let world = World::warm().await;
    let layer = layer(&world);
    // Whatever comes first is the usual.
    for first in ASKED {
        for method in ["GET", "POST", "PURGE"] {
            let router = at_every_route(&layer);
            ask(&router, method, first, "pro-co").await;
            for uri in ASKED {
                for (method, company) in [("GET", "pro-co"), ("POST", "starter-co"), ("PURGE", "pro-co")] {
                    let fresh = ask(&at_every_route(&layer), method, uri, company).await;
                    let asked = ask(&router, method, uri, company).await;
                    assert_eq!(asked, fresh, "{method} {uri} of {company}, after {first}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_usual_ends_with_the_catalog() {
    let world = World::warm().await;
    let router = at_every_route(&layer(&world));
    for (replaced, status) in [("/boardroom", 402), ("/meeting", 200), ("/boardroom", 402)] {
        let catalog = CATALOG.replace("match = \"/boardroom\"", &format!("match = \"{replaced}\""));
        world.entitlements.set_catalog(Catalog::parse("catalog.toml", &catalog).unwrap());
        for _ in 0..3 {
            assert_eq!(ask(&router, "GET", "/boardroom", "starter-co").await, status, "{replaced}");
        }
    }
}

#[tokio::test]
async fn a_catalog_that_is_replaced_after_the_first_request_is_followed() {
    let world = World::warm().await;
    let router = at_every_route(&layer(&world));
    assert_eq!(ask(&router, "GET", "/boardroom", "pro-co").await, 200);
    let catalog = CATALOG.replace("require = \"boardroom\"", "require = \"unsold\"");
    world.entitlements.set_catalog(Catalog::parse("catalog.toml", &catalog).unwrap());
    // The first request loads the facts again, and the next ones find them in memory.
    for _ in 0..3 {
        assert_eq!(ask(&router, "GET", "/boardroom", "pro-co").await, 403);
    }
}

#[tokio::test]
async fn every_request_of_the_usual_rule_is_counted_once() {
    let world = World::warm().await;
    let layer = layer(&world);
    let router = at_every_route(&layer);
    for company in ["pro-co", "pro-co", "starter-co", "never-seen-co", "pro-co"] {
        ask(&router, "GET", "/boardroom", company).await;
    }
    let coverage = layer.coverage();
    let hits = coverage.rules.iter().find(|hits| hits.rule == "/boardroom").map(|hits| hits.hits);
    assert_eq!(hits, Some(5));
}
