//! A reverse proxy that gates what it forwards: the layer in a gateway in front of services that know nothing of plans.
//!
//! ```sh
//! UPSTREAM=127.0.0.1:3000 cargo run -p entitlements-tower --example gateway
//! ```
//!
//! `UPSTREAM` is where requests go, `CATALOG_PATH` which catalog rules them (a small one without it), `BIND_ADDR` where it
//! listens. The header `x-company` stands for what would authenticate in earnest; it is not forwarded.

mod shutdown;

use std::error::Error;
use std::pin::pin;

use bytes::Bytes;
use entitlements_core::{Catalog, Entitlements};
use entitlements_tower::{EntitlementLayer, FailMode, Problem, header_trusted};
use http::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};

const CATALOG: &str = r#"
    schema = 1
    default_plan = "free"
    past_due_grace = "7d"
    [features]
    reading = { type = "flag" }
    requests = { type = "meter" }
    [plans.free.grants]
    reading = { actions = ["view"] }
    requests = { limit = 3, every = "day", anchor = "calendar" }
    [routing]
    unmatched = "deny"
    [[routes]]
    match = "/{*path}"
    require = "reading"
    consume = "requests"
"#;

/// What concerns one connection, and not the next.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// A body that is passed on as it comes, or text of the gateway's own.
struct Body(BoxBody<Bytes, hyper::Error>);

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self(http_body_util::Full::from(text).map_err(|never| match never {}).boxed())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let upstream: Authority =
        std::env::var("UPSTREAM").map_err(|_| "UPSTREAM is not set: host:port")?.parse()?;
    let catalog = match std::env::var("CATALOG_PATH") {
        Ok(path) => Catalog::parse(&path, &std::fs::read_to_string(&path)?)?,
        Err(_) => CATALOG.parse()?,
    };
    let gate = EntitlementLayer::builder(
        Entitlements::builder(catalog).build(),
        header_trusted("x-company"),
        FailMode::last_known(),
    )
    .build()?;
    let client: Client<HttpConnector, Incoming> = Client::builder(TokioExecutor::new()).build_http();
    let service = ServiceBuilder::new().layer(gate.clone()).service(service_fn(move |request| {
        let (client, upstream) = (client.clone(), upstream.clone());
        async move { Ok::<_, std::convert::Infallible>(forward(&client, upstream, request).await) }
    }));
    // The body of hyper's connection is the bare one.
    let service = ServiceBuilder::new()
        .map_response(|response: Response<Body>| response.map(|body| body.0))
        .service(service);

    let end = shutdown::End::listen()?;
    let mut asked_to_end = pin!(end.clone().asked());
    let address = std::env::var("BIND_ADDR").unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    let connections = GracefulShutdown::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let service = TowerToHyperService::new(service.clone());
                let server = auto::Builder::new(TokioExecutor::new());
                let connection = server.serve_connection(TokioIo::new(stream), service).into_owned();
                let connection = connections.watch(connection);
                tokio::spawn(async move { drop(connection.await) });
            }
            () = &mut asked_to_end => break,
        }
    }
    drop(listener);
    tokio::select! {
        () = connections.shutdown() => {}
        () = end.overdue() => {}
    }
    shutdown::settle(&gate).await;
    Ok(())
}

/// Passes a request on. What the upstream cannot answer is a 502, which the gate does not charge.
async fn forward(
    client: &Client<HttpConnector, Incoming>,
    upstream: Authority,
    mut request: Request<Incoming>,
) -> Response<Body> {
    let mut uri = request.uri().clone().into_parts();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(upstream);
    let Ok(uri) = Uri::from_parts(uri) else {
        return Problem::new(StatusCode::BAD_REQUEST, "invalid", "The request is invalid").into_response();
    };
    *request.uri_mut() = uri;
    *request.version_mut() = http::Version::HTTP_11;
    leave_behind(request.headers_mut());
    for name in [HOST, HeaderName::from_static("x-company")] {
        request.headers_mut().remove(name);
    }
    match client.request(request).await {
        Ok(mut response) => {
            leave_behind(response.headers_mut());
            response.map(|body| Body(body.boxed()))
        }
        Err(_) => Problem::new(StatusCode::BAD_GATEWAY, "bad_gateway", "The service does not answer")
            .into_response(),
    }
}

/// Removes what concerns one connection: these fields, and those that `Connection` names (RFC 9110, section 7.6.1).
fn leave_behind(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}
