//! What is charged, over real sockets: how a request ends, times when its rule charges.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use entitlements_core::catalog::Charge;
use entitlements_core::testkit::fixtures::units;
use entitlements_tower::{FailMode, Rule, UsageReport};
use futures_util::stream::{self, Stream, StreamExt};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

use crate::world::{World, of};

pub(crate) struct Body(pub(crate) UnsyncBoxBody<Bytes, io::Error>);

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self(Full::from(text).map_err(|never| match never {}).boxed_unsync())
    }
}

fn streaming(chunks: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Body {
    Body(StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))).boxed_unsync())
}

fn answer(status: u16, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// How a request ends, seen from the handler.
pub(crate) async fn handle(mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let usage = request.extensions().get::<UsageReport>().cloned();
    let report = |units: u64| usage.iter().for_each(|usage| usage.report("tokens", units));
    let end = request.uri().path().rsplit('/').next().unwrap().to_owned();
    let text = || Body::from("all of it".to_owned());
    Ok(match end.as_str() {
        "whole" => answer(200, text()),
        "reported" => {
            report(25);
            answer(200, text())
        }
        "empty" => answer(204, Body::from(String::new())),
        "status-404" => answer(404, text()),
        "status-500" => answer(500, text()),
        "stream" => {
            let chunks = stream::iter(["a", "b", "c"]).enumerate().map(move |(index, chunk)| {
                let sent = 7 * (u64::try_from(index).unwrap() + 1);
                if let Some(usage) = &usage {
                    usage.report("tokens", sent);
                }
                Ok(Bytes::from(chunk))
            });
            answer(200, streaming(chunks))
        }
        "endless" => {
            report(7);
            let chunks = stream::once(async { Ok(Bytes::from("a")) }).chain(stream::pending());
            answer(200, streaming(chunks.inspect(move |_| drop(usage.clone()))))
        }
        "broken-body" => {
            report(7);
            let chunks = stream::iter([Ok(Bytes::from("a")), Err(io::Error::other("the body breaks"))]);
            answer(200, streaming(chunks))
        }
        "panicking-body" => {
            report(7);
            let chunks = stream::once(async { Ok(Bytes::from("a")) });
            let rest = stream::once(async { panic!("the body panics") });
            answer(200, streaming(chunks.chain(rest).inspect(move |_| drop(usage.clone()))))
        }
        "panic" => panic!("the handler panics"),
        "upload" => match request.body_mut().collect().await {
            Ok(whole) => answer(200, Body(whole.map_err(|never| match never {}).boxed_unsync())),
            Err(_) => answer(400, text()),
        },
        "never" => pending().await,
        "reported-never" => {
            report(7);
            pending().await
        }
        "timeout" => match tokio::time::timeout(Duration::ZERO, pending::<()>()).await {
            Ok(()) => answer(200, text()),
            Err(_) => answer(504, text()),
        },
        "upgrade" => {
            let upgraded = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                // The report goes along with the connection.
                let mut stream = TokioIo::new(upgraded.await.unwrap());
                let mut byte = [0];
                stream.read_exact(&mut byte).await.unwrap();
                if let Some(usage) = usage {
                    usage.report("tokens", byte[0].into());
                }
                stream.write_all(&byte).await.unwrap();
            });
            let mut response = answer(101, Body::from(String::new()));
            response.headers_mut().insert("connection", "upgrade".parse().unwrap());
            response.headers_mut().insert("upgrade", "bytes".parse().unwrap());
            response
        }
        other => panic!("no such end: {other}"),
    })
}

/// What the client does after it has sent its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    /// Reads to the end.
    Reads,
    /// Leaves as soon as the handler waits.
    LeavesBeforeTheHead,
    /// Leaves when the first chunk is there.
    LeavesInTheBody,
    /// Sends a byte over the upgraded connection, and reads its echo.
    Upgrades,
}

/// Serves one connection, and says how many units were used when everything is settled.
async fn used(mode: &str, method: &Method, end: &str, client: Client) -> u64 {
    let world = World::new().await;
    let rules = [
        Rule::new("/admit/{end}").consume("reports"),
        Rule::new("/success/{end}").consume_units("reports", units(1), Charge::Success),
        Rule::new("/actual/{end}").consume_units("tokens", units(10), Charge::Actual),
    ];
    let layer = world.builder(FailMode::Closed).rules(rules).build().unwrap();
    let gated = layer.layer(service_fn(handle));
    let service = ServiceBuilder::new()
        .map_request(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(of("starter-co"));
            request
        })
        .map_response(|response: Response<Body>| response.map(|body| body.0))
        .service(service_fn(move |request: Request<Incoming>| {
            let outside = request.uri().query() == Some("timeout-outside");
            let response = gated.clone().oneshot(request);
            async move {
                if !outside {
                    return response.await;
                }
                // Polls once: the handler waits by then.
                let timed = tokio::time::timeout(Duration::ZERO, response).await;
                timed.unwrap_or_else(|_| Ok(answer(504, Body::from(String::new()))))
            }
        }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(service);
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        // A connection that breaks is part of the table.
        let _ = connection.with_upgrades().await;
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    let close = if client == Client::Upgrades { "upgrade\r\nupgrade: bytes" } else { "close" };
    let head = format!("{method} /{mode}/{end} HTTP/1.1\r\nhost: x\r\nconnection: {close}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    match client {
        // An answer that breaks off is an end, too.
        Client::Reads => drop(stream.read_to_end(&mut read).await),
        Client::LeavesBeforeTheHead => {
            // Everything runs on one thread: the handler waits when nothing else is left to do.
            while world.used("starter-co", if mode == "actual" { "tokens" } else { "reports" }).await == 0 {
                tokio::task::yield_now().await;
            }
        }
        Client::LeavesInTheBody => {
            while !read.ends_with(b"a\r\n") {
                assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "the body ended");
            }
        }
        Client::Upgrades => {
            while !read.ends_with(b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "the head ended");
            }
            assert!(read.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&read));
            stream.write_all(&[33]).await.unwrap();
            let mut echo = [0];
            stream.read_exact(&mut echo).await.unwrap();
            assert_eq!(echo, [33]);
        }
    }
    drop(stream);
    // A panic of the handler ends the task; either way nothing of the request is left then.
    let _ = server.await;
    if client == Client::Upgrades {
        // The upgraded connection has a task of its own, which ends with the echo.
        tokio::task::yield_now().await;
    }
    let stats = layer.flush().await;
    assert_eq!((stats.pending, stats.failed, stats.dropped, stats.uncollected), (0, 0, 0, 0));
    world.used("starter-co", if mode == "actual" { "tokens" } else { "reports" }).await
}

#[tokio::test]
async fn each_end_of_a_request_is_charged_as_its_rule_says() {
    use Client::{LeavesBeforeTheHead, LeavesInTheBody, Reads, Upgrades};
    let (get, head, post) = (Method::GET, Method::HEAD, Method::POST);
    // Units that are used with `admit`, `success` and `actual`, of which the estimate is 10.
    let table = [
        (&post, "whole", Reads, 1, 1, 10),
        (&post, "reported", Reads, 1, 1, 25),
        (&get, "whole", Reads, 1, 1, 10),
        // No body is ever asked for.
        (&head, "whole", Reads, 1, 1, 10),
        (&head, "reported", Reads, 1, 1, 25),
        (&post, "empty", Reads, 1, 1, 10),
        (&post, "status-404", Reads, 1, 0, 10),
        (&post, "status-500", Reads, 0, 0, 0),
        (&post, "stream", Reads, 1, 1, 21),
        // What was reported until then was used.
        (&post, "endless", LeavesInTheBody, 1, 1, 7),
        (&post, "broken-body", Reads, 1, 1, 7),
        (&post, "panicking-body", Reads, 1, 1, 7),
        // The head was not there yet: only `success` gives back, because the client controls when it leaves.
        (&post, "never", LeavesBeforeTheHead, 1, 0, 10),
        (&post, "panic", Reads, 0, 0, 0),
        // Inside of the layer a timeout is a response; outside it looks like a client that has left.
        (&post, "timeout", Reads, 0, 0, 0),
        (&post, "never?timeout-outside", Reads, 1, 0, 10),
        (&get, "upgrade", Upgrades, 1, 1, 33),
    ];
    for (method, end, client, admit, success, actual) in table {
        for (mode, expected) in [("admit", admit), ("success", success), ("actual", actual)] {
            assert_eq!(used(mode, method, end, client).await, expected, "{mode}: {method} {end}, {client:?}");
        }
    }
}
