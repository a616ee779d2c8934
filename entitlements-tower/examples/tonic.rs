//! A tonic service behind the layer.
//!
//! ```sh
//! cargo run -p entitlements-tower --example tonic
//! ```
//!
//! It serves `acme.v1.Reports` at `BIND_ADDR`; without it a free port is taken and printed. The metadata `x-company` stands
//! for what would authenticate in earnest. Denied calls end with `RESOURCE_EXHAUSTED` or `PERMISSION_DENIED`.

mod shutdown;

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use entitlements_core::{Catalog, Entitlements};
use entitlements_tower::{EntitlementLayer, FailMode, GrpcStatus, header_trusted};
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

const CATALOG: &str = r#"
    schema = 1
    default_plan = "free"
    past_due_grace = "7d"
    [features]
    export = { type = "flag" }
    reports = { type = "meter" }
    [plans.free.grants]
    reports = { limit = 2, every = "month", anchor = "calendar" }
    [plans.pro.grants]
    export = true
    [routing]
    unmatched = "deny"
    [[routes]]
    match = "/acme.v1.Reports/Generate"
    consume = "reports"
    [[routes]]
    match = "/acme.v1.Reports/Export"
    require = { feature = "export", action = "export" }
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let entitlements = Entitlements::builder(CATALOG.parse::<Catalog>()?).build();
    let gate = EntitlementLayer::builder(entitlements, header_trusted("x-company"), FailMode::Closed)
        .deny(GrpcStatus)
        .build()?;
    let end = shutdown::End::listen()?;
    let address = std::env::var("BIND_ADDR").unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let incoming = TcpIncoming::bind(address.parse()?)?;
    println!("http://{}", incoming.local_addr()?);
    let server = Server::builder().layer(gate.clone()).add_service(ReportsServer);
    tokio::select! {
        ended = server.serve_with_incoming_shutdown(incoming, end.clone().asked()) => ended?,
        () = end.overdue() => {}
    }
    shutdown::settle(&gate).await;
    Ok(())
}

async fn generate(request: Request<Name>) -> Result<Response<Text>, Status> {
    match request.into_inner().name.as_str() {
        // The unit that was taken for it goes back.
        "broken" => Err(Status::new(Code::Internal, "the report cannot be made")),
        name => Ok(Response::new(Text { text: format!("the report {name}") })),
    }
}

async fn export(request: Request<Name>) -> Result<Response<Text>, Status> {
    Ok(Response::new(Text { text: format!("all of {}", request.into_inner().name) }))
}

// From here on it is what `tonic-prost-build` makes of a `.proto`. Written by hand, so that nothing needs `protoc`.

#[derive(Clone, PartialEq, prost::Message)]
struct Name {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

#[derive(Clone)]
struct ReportsServer;

impl NamedService for ReportsServer {
    const NAME: &'static str = "acme.v1.Reports";
}

impl Service<http::Request<Body>> for ReportsServer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::default());
            Ok(match request.uri().path() {
                "/acme.v1.Reports/Generate" => grpc.unary(service_fn(generate), request).await,
                "/acme.v1.Reports/Export" => grpc.unary(service_fn(export), request).await,
                _ => Status::unimplemented("there is no such method").into_http(),
            })
        })
    }
}
