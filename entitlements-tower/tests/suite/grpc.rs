//! A tonic server behind the layer, called by tonic's client over a socket.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use entitlements_core::Catalog;
use entitlements_core::catalog::Charge;
use entitlements_core::testkit::fixtures::{at, units};
use entitlements_tower::{EntitlementLayer, FailMode, GrpcStatus, Rule, UsageReport, header_trusted};
use futures_util::stream;
use http::uri::PathAndQuery;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::service::interceptor::InterceptedService;
use tonic::service::{InterceptorLayer, Routes};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use crate::store::Weather;
use crate::world::{CATALOG, World, of};

#[derive(Clone, PartialEq, prost::Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

/// Every method answers what it is asked for: the text, or the failure of that code. `Stream` sends a message first.
#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "acme.Echo";
}

fn outcome(text: String) -> Result<Text, Status> {
    text.parse::<i32>().map_or(Ok(Text { text }), |code| Err(Status::new(Code::from(code), "as you wish")))
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<Text, Text>::default());
            if request.uri().path().ends_with("/Stream") {
                let answer = service_fn(async |request: Request<Text>| {
                    let first = Ok(Text { text: "first".to_owned() });
                    Ok::<_, Status>(Response::new(stream::iter([first, outcome(request.into_inner().text)])))
                });
                return Ok(grpc.server_streaming(answer, request).await);
            }
            if request.uri().path().ends_with("/Upload") {
                let answer = service_fn(async |request: Request<Streaming<Text>>| {
                    let usage = request.extensions().get::<UsageReport>().cloned();
                    let (mut messages, mut count) = (request.into_inner(), 0);
                    while let Some(message) = messages.message().await? {
                        count += 1;
                        drop(message);
                        if let Some(usage) = &usage {
                            usage.report("tokens", count);
                        }
                    }
                    Ok::<_, Status>(Response::new(Text { text: count.to_string() }))
                });
                return Ok(grpc.client_streaming(answer, request).await);
            }
            let answer = async |request: Request<Text>| outcome(request.into_inner().text).map(Response::new);
            Ok(grpc.unary(service_fn(answer), request).await)
        })
    }
}

const ROUTES: &str = r#"
[[routes]]
match = "/acme.Echo/Boardroom"
require = "boardroom"
[[routes]]
match = "/acme.Echo/Unsold"
require = "unsold"
[[routes]]
match = "/acme.Echo/Report"
consume = "reports"
[[routes]]
match = "/acme.Echo/Success"
consume = { feature = "reports", charge = "success" }
[[routes]]
match = "/acme.Echo/Stream"
consume = "reports"
[[routes]]
match = "/acme.Echo/Töken"
require = "böard"
"#;

/// A world whose routes are served over a socket.
struct Served {
    world: World,
    layer: EntitlementLayer<GrpcStatus>,
    channel: Channel,
}

impl Served {
    async fn new() -> Self {
        let catalog = CATALOG
            .replace("[plans.starter.grants]", "\"böard\" = { type = \"flag\" }\n[plans.starter.grants]");
        let world = World::with_catalog(Catalog::parse("catalog.toml", &(catalog + ROUTES)).unwrap()).await;
        Self::of(world).await
    }

    async fn of(world: World) -> Self {
        let layer = EntitlementLayer::builder(
            world.entitlements.clone(),
            header_trusted("x-company"),
            FailMode::Closed,
        )
        .deny(GrpcStatus)
        .build()
        .unwrap();
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        let server = Server::builder().layer(layer.clone()).add_service(Echo);
        tokio::spawn(server.serve_with_incoming(incoming));
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self { world, layer, channel }
    }

    fn request(company: &str, text: &str) -> Request<Text> {
        let mut request = Request::new(Text { text: text.to_owned() });
        if !company.is_empty() {
            request.metadata_mut().insert("x-company", company.parse().unwrap());
        }
        request
    }

    async fn client(&self) -> tonic::client::Grpc<Channel> {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.unwrap();
        client
    }

    async fn call(&self, method: &str, company: &str, text: &str) -> Result<String, Status> {
        let path = PathAndQuery::try_from(format!("/acme.Echo/{method}")).unwrap();
        let codec = ProstCodec::<Text, Text>::default();
        let answer = self.client().await.unary(Self::request(company, text), path, codec).await?;
        Ok(answer.into_inner().text)
    }

    /// Units that are used when everything is settled.
    async fn used(&self) -> u64 {
        self.layer.flush().await;
        self.world.used("starter-co", "reports").await
    }
}

#[tokio::test]
async fn a_client_reads_why_it_is_denied() {
    let served = Served::new().await;
    for _ in 0..3 {
        served.call("Report", "starter-co", "ok").await.unwrap();
    }
    let table = [
        (("Boardroom", "starter-co"), Code::PermissionDenied, "FEATURE_NOT_IN_PLAN"),
        (("Boardroom", "lapsed-co"), Code::ResourceExhausted, "SUBSCRIPTION_INACTIVE"),
        (("Boardroom", "unknown-co"), Code::ResourceExhausted, "NO_SUBSCRIPTION"),
        (("Report", "starter-co"), Code::ResourceExhausted, "QUOTA_EXCEEDED"),
        (("Unsold", "pro-co"), Code::PermissionDenied, "NOT_GRANTED"),
        (("Boardroom", ""), Code::Unauthenticated, "UNAUTHENTICATED"),
    ];
    for ((method, company), code, reason) in table {
        let status = served.call(method, company, "ok").await.unwrap_err();
        assert_eq!(status.code(), code, "{method} {company}");
        let info = status.get_error_details().error_info().cloned().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "entitlements"));
        assert!(status.message().starts_with(&reason.to_ascii_lowercase()), "{}", status.message());
        if company.is_empty() {
            assert!(info.metadata.is_empty(), "nobody is told about plans: {info:?}");
        }
    }
    served.world.store.set(Weather::Down(entitlements_core::store::StoreErrorKind::Unavailable));
    let status = served.call("Boardroom", "pro-co", "ok").await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let retry = status.get_error_details().retry_info().cloned().unwrap();
    assert_eq!(retry.retry_delay.unwrap().as_secs(), 1);
}

#[tokio::test]
async fn the_details_of_a_denial_say_what_the_problem_says() {
    let served = Served::new().await;
    for _ in 0..3 {
        served.call("Report", "starter-co", "ok").await.unwrap();
    }
    let status = served.call("Report", "starter-co", "ok").await.unwrap_err();
    let details = status.get_error_details();
    let metadata = &details.error_info().unwrap().metadata;
    for (name, value) in [
        ("feature", "reports"),
        ("action", "create"),
        ("plan", "starter"),
        ("limit", "3"),
        ("used", "3"),
        ("resetsAt", "2026-12-01T00:00:00Z"),
    ] {
        assert_eq!(metadata.get(name).map(String::as_str), Some(value), "{name}");
    }
    // The month ends in weeks: nobody is told to wait so long.
    assert!(details.retry_info().is_none());
    served.world.clock.set(at("2026-11-30T23:59:30.5Z"));
    let status = served.call("Report", "starter-co", "ok").await.unwrap_err();
    let wait = status.get_error_details().retry_info().unwrap().retry_delay.unwrap();
    assert_eq!(wait.as_secs(), 30);
    let unpaid = served.call("Boardroom", "starter-co", "ok").await.unwrap_err();
    assert_eq!(unpaid.get_error_details().error_info().unwrap().metadata["upgrade"], "pro");
}

#[tokio::test]
async fn a_message_survives_its_encoding() {
    let served = Served::new().await;
    let rule = Rule::every_request().require("böard");
    let served = Served { layer: served.layer.with_rule(rule).unwrap(), ..served };
    let denied =
        http::Request::builder().header("x-company", "pro-co").header("content-type", "application/grpc");
    let mut service = tower::Layer::layer(&served.layer, Echo);
    let response = service.call(denied.body(Body::empty()).unwrap()).await.unwrap();
    let raw = response.headers()["grpc-message"].to_str().unwrap();
    assert_eq!(raw, "not_granted: `b%C3%B6ard` is not granted for `view`");
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.message(), "not_granted: `böard` is not granted for `view`");
}

#[tokio::test]
async fn a_denial_is_a_status_alone_and_its_body_is_at_its_end() {
    let served = Served::new().await;
    for (content_type, expected) in [
        ("application/grpc", "application/grpc"),
        ("application/grpc+proto", "application/grpc"),
        ("application/grpc-web+proto", "application/grpc-web"),
    ] {
        let request = http::Request::post("/acme.Echo/Boardroom")
            .header("x-company", "starter-co")
            .header("content-type", content_type);
        let mut service = tower::Layer::layer(&served.layer, Echo);
        let response = service.call(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], expected);
        assert_eq!(response.headers()["grpc-status"], "7");
        assert!(hyper::body::Body::is_end_stream(response.body()));
    }
}

#[tokio::test]
async fn a_call_is_charged_by_the_status_that_ends_it() {
    // By code: used after it with `admit`, and with `success`.
    let table =
        [("ok", 1, 1), ("5", 1, 0), ("8", 1, 1), ("2", 0, 0), ("4", 0, 0), ("13", 0, 0), ("14", 0, 0)];
    for (text, admit, success) in table {
        for (method, expected) in [("Report", admit), ("Success", success)] {
            let served = Served::new().await;
            let answer = served.call(method, "starter-co", text).await;
            assert_eq!(answer.is_ok(), text == "ok", "{method} {text}");
            assert_eq!(served.used().await, expected, "{method} {text}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_has_begun_is_charged_however_it_ends() {
    for (text, is_whole) in [("ok", true), ("13", false)] {
        let served = Served::new().await;
        let path = PathAndQuery::from_static("/acme.Echo/Stream");
        let codec = ProstCodec::<Text, Text>::default();
        let request = Served::request("starter-co", text);
        let mut stream =
            served.client().await.server_streaming(request, path, codec).await.unwrap().into_inner();
        assert_eq!(stream.message().await.unwrap().unwrap().text, "first");
        assert_eq!(stream.message().await.is_ok(), is_whole, "{text}");
        drop(stream);
        assert_eq!(served.used().await, 1, "{text}");
    }
}

#[tokio::test]
async fn a_response_that_is_no_call_is_not_judged_by_a_header_of_calls() {
    // A proxy may pass on whatever its upstream says, or the caller makes it say.
    for (status, grpc_status, content_type, used) in [
        (200, "13", "text/plain", 1),
        (500, "0", "text/plain", 0),
        (500, "0", "application/grpcish", 0),
        (200, "13", "application/grpc", 0),
        (200, "13", "application/grpc-web+proto", 0),
    ] {
        let world = World::new().await;
        let layer = world.layer();
        let service = tower::Layer::layer(
            &layer,
            crate::probe::Probe::new(move |_| async move {
                let response = http::Response::builder().status(status).header("grpc-status", grpc_status);
                Ok(response.header("content-type", content_type).body(String::new()).unwrap())
            }),
        );
        let request = crate::world::request("POST", "/reports/1", "starter-co");
        service.oneshot(request).await.unwrap();
        layer.flush().await;
        assert_eq!(world.used("starter-co", "reports").await, used, "{status} {grpc_status} {content_type}");
    }
}

#[tokio::test]
async fn an_interceptor_says_who_calls_as_a_layer_before_the_gate_and_not_as_one_of_the_service() {
    let world = World::new().await;
    let rule = Rule::new("/acme.Echo/Boardroom").require("boardroom");
    let gate = world.builder(FailMode::Closed).rules([rule]).deny(GrpcStatus).build().unwrap();
    let authenticate = |mut call: Request<()>| {
        call.extensions_mut().insert(of("pro-co"));
        Ok::<_, Status>(call)
    };
    let message = || Body::new(http_body_util::Full::from(&b"\0\0\0\0\x04\n\x02ok"[..]));
    let call = || http::Request::post("/acme.Echo/Boardroom").body(message()).unwrap();
    let layers = ServiceBuilder::new().layer(InterceptorLayer::new(authenticate)).layer(gate.clone());
    let early = layers.service(Echo).oneshot(call()).await.unwrap();
    // The status of a call that succeeds comes after its message.
    assert!(!early.headers().contains_key("grpc-status"), "{:?}", early.headers());
    let routes = Routes::new(InterceptedService::new(Echo, authenticate));
    let late = ServiceBuilder::new().layer(gate).service(routes).oneshot(call()).await.unwrap();
    assert_eq!(late.headers()["grpc-status"], "13");
}

#[tokio::test]
async fn a_caller_who_breaks_its_stream_pays_what_was_reported() {
    // To tonic a message that cannot be decoded is an error of the server: what was charged on admission goes back.
    for (charge, meter, used) in [(Charge::Actual, "tokens", 2), (Charge::Admit, "reports", 0)] {
        let world = World::new().await;
        let rule = Rule::new("/acme.Echo/Upload").consume_units(meter, units(3), charge);
        let gate = world.builder(FailMode::Closed).rules([rule]).deny(GrpcStatus).build().unwrap();
        let messages = b"\0\0\0\0\x04\n\x02ok\0\0\0\0\x04\n\x02ok\0\0\0\0\x01\xff";
        let body = Body::new(http_body_util::Full::from(&messages[..]));
        let mut call = http::Request::post("/acme.Echo/Upload").body(body).unwrap();
        call.extensions_mut().insert(of("starter-co"));
        let answer = ServiceBuilder::new().layer(gate.clone()).service(Echo).oneshot(call).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], "13");
        gate.flush().await;
        assert_eq!(world.used("starter-co", meter).await, used, "{charge:?}");
    }
}
