//! What is charged over HTTP/2 for a stream that the client resets, while its connection goes on.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use entitlements_core::catalog::Charge;
use entitlements_core::testkit::fixtures::units;
use entitlements_tower::{EntitlementLayer, FailMode, Rule};
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::{Request, Response};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower::{Layer, ServiceExt, service_fn};

use crate::sockets::{Body, handle};
use crate::store::Weather;
use crate::world::{World, of};

/// What the server has seen of the request to a path.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// Its handler was called.
    Handled(String),
    /// Nothing is left of it: neither its handler nor its body.
    Gone(String),
}

/// Goes along with a request, and with the body of its response.
struct Watch(String, UnboundedSender<Seen>);

impl Drop for Watch {
    fn drop(&mut self) {
        // Nobody may listen any more.
        let _ = self.1.send(Seen::Gone(self.0.clone()));
    }
}

/// A server with one connection, and its client.
struct Connection {
    world: World,
    layer: EntitlementLayer,
    requests: SendRequest<Bytes>,
    seen: UnboundedReceiver<Seen>,
}

impl Connection {
    async fn new() -> Self {
        let world = World::new().await;
        let rules = [
            Rule::new("/admit/{end}").consume("reports"),
            Rule::new("/success/{end}").consume_units("reports", units(1), Charge::Success),
            Rule::new("/actual/{end}").consume_units("tokens", units(10), Charge::Actual),
        ];
        let layer = world.builder(FailMode::Closed).rules(rules).build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, seen) = unbounded_channel();
        let gate = layer.clone();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(service_fn(move |request: Request<Incoming>| {
                serve(gate.clone(), sender.clone(), request)
            }));
            http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await
        });
        let stream = TcpStream::connect(address).await.unwrap();
        let (requests, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self { world, layer, requests, seen }
    }

    /// Opens a stream; an upload does not end by itself.
    async fn open(&self, path: &str, uploads: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let request = Request::post(format!("http://localhost{path}")).body(()).unwrap();
        let mut ready = self.requests.clone().ready().await.unwrap();
        ready.send_request(request, !uploads).unwrap()
    }

    async fn until(&mut self, expected: Seen) {
        while self.seen.recv().await.unwrap() != expected {}
    }

    /// Resets a stream, and waits until nothing is left of it at the server.
    async fn reset(&mut self, path: &str, mut stream: SendStream<Bytes>) {
        stream.send_reset(Reason::CANCEL);
        self.until(Seen::Gone(path.to_owned())).await;
    }

    /// The whole answer to one more request on the same connection.
    async fn answer(&self, path: &str) -> (u16, usize) {
        read(self.open(path, false).await.0).await
    }

    /// Units of a meter that are used when everything is settled.
    async fn used(&self, meter: &str) -> u64 {
        let stats = self.layer.flush().await;
        assert_eq!((stats.pending, stats.failed, stats.dropped, stats.uncollected), (0, 0, 0, 0));
        self.world.used("starter-co", meter).await
    }
}

async fn serve(
    gate: EntitlementLayer,
    seen: UnboundedSender<Seen>,
    mut request: Request<Incoming>,
) -> Result<Response<UnsyncBoxBody<Bytes, io::Error>>, Infallible> {
    let path = request.uri().path().to_owned();
    let watch = Arc::new(Watch(path.clone(), seen.clone()));
    request.extensions_mut().insert(of("starter-co"));
    request.extensions_mut().insert(Arc::clone(&watch));
    let handler = service_fn(move |request| {
        let _ = seen.send(Seen::Handled(path.clone()));
        handle(request)
    });
    let response: Response<Body> = gate.layer(handler).oneshot(request).await?;
    Ok(response.map(|body| {
        let watched = move |frame| {
            let _ = &watch;
            frame
        };
        body.0.map_frame(watched).boxed_unsync()
    }))
}

/// Reads a response to its end: its status, and how many bytes there were.
async fn read(response: ResponseFuture) -> (u16, usize) {
    let mut response = response.await.unwrap();
    let mut bytes = 0;
    while let Some(chunk) = response.body_mut().data().await {
        bytes += chunk.unwrap().len();
    }
    (response.status().as_u16(), bytes)
}

/// When the client resets its stream.
#[derive(Clone, Copy, Debug)]
enum Reset {
    /// While the handler runs.
    BeforeTheHead,
    /// While the handler runs, and the request was not sent to its end.
    InTheUpload,
    /// When the first chunk is there.
    InTheBody,
    /// While the store is asked for the units, which it has taken or not.
    InTheDebit { made: bool },
}

/// What a request that is reset has used of its meter, on a connection that serves others before and after it.
async fn used(mode: &str, end: &str, when: Reset) -> u64 {
    let mut connection = Connection::new().await;
    let path = format!("/{mode}/{end}");
    let (neighbour, mut upload) = connection.open("/elsewhere/upload", true).await;
    connection.until(Seen::Handled("/elsewhere/upload".to_owned())).await;
    if let Reset::InTheDebit { made } = when {
        connection.world.store.set(Weather::DebitsHang { made });
    }
    let (response, stream) = connection.open(&path, matches!(when, Reset::InTheUpload)).await;
    match when {
        Reset::BeforeTheHead | Reset::InTheUpload => connection.until(Seen::Handled(path.clone())).await,
        Reset::InTheBody => {
            let mut response = response.await.unwrap();
            assert_eq!(response.body_mut().data().await.unwrap().unwrap(), "a");
        }
        Reset::InTheDebit { .. } => {
            connection.world.store.until_a_debit_hangs().await;
            connection.world.store.set(Weather::Fair);
        }
    }
    connection.reset(&path, stream).await;
    let meter = if mode == "actual" { "tokens" } else { "reports" };
    let used = connection.used(meter).await;
    // The neighbours on the connection do not notice, and are charged as ever.
    upload.send_data(Bytes::from("an upload"), true).unwrap();
    assert_eq!(read(neighbour).await, (200, 9));
    assert_eq!(connection.answer(&format!("/{mode}/whole")).await, (200, 9));
    let next = if mode == "actual" { 10 } else { 1 };
    assert_eq!(connection.used(meter).await, used + next, "{mode}: {end}, {when:?}");
    used
}

#[tokio::test]
async fn each_stream_that_is_reset_is_charged_as_its_rule_says() {
    // Units that are used with `admit`, `success` and `actual`, of which the estimate is 10.
    let table = [
        // The head was not there yet: only `success` gives back, because the client controls when it leaves.
        ("never", Reset::BeforeTheHead, 1, 0, 10),
        ("never", Reset::InTheUpload, 1, 0, 10),
        // A handler that reads the request may learn of it first, and answers what nobody gets.
        ("upload", Reset::InTheUpload, 1, 0, 10),
        // What was reported until then was used.
        ("reported-never", Reset::BeforeTheHead, 1, 0, 7),
        ("endless", Reset::InTheBody, 1, 1, 7),
        // The handler has not run and never will.
        ("whole", Reset::InTheDebit { made: false }, 0, 0, 0),
        ("whole", Reset::InTheDebit { made: true }, 0, 0, 0),
    ];
    for (end, when, admit, success, actual) in table {
        for (mode, expected) in [("admit", admit), ("success", success), ("actual", actual)] {
            assert_eq!(used(mode, end, when).await, expected, "{mode}: {end}, {when:?}");
        }
    }
}

#[tokio::test]
async fn a_handler_is_not_called_for_a_stream_that_was_reset_before() {
    let mut connection = Connection::new().await;
    connection.world.store.set(Weather::DebitsHang { made: true });
    let (_, mut stream) = connection.open("/admit/whole", false).await;
    connection.world.store.until_a_debit_hangs().await;
    connection.world.store.set(Weather::Fair);
    stream.send_reset(Reason::CANCEL);
    assert_eq!(connection.seen.recv().await, Some(Seen::Gone("/admit/whole".to_owned())));
}

#[tokio::test]
async fn resetting_stream_after_stream_makes_nothing_free() {
    let mut connection = Connection::new().await;
    for _ in 0..3 {
        let (_, stream) = connection.open("/admit/never", false).await;
        connection.until(Seen::Handled("/admit/never".to_owned())).await;
        connection.reset("/admit/never", stream).await;
    }
    assert_eq!(connection.answer("/admit/whole").await.0, 402);
    assert_eq!(connection.used("reports").await, 3);
}

#[tokio::test]
async fn a_hundred_streams_that_are_reset_give_back_all_they_took() {
    let mut connection = Connection::new().await;
    for _ in 0..100 {
        let (_, stream) = connection.open("/success/never", false).await;
        connection.until(Seen::Handled("/success/never".to_owned())).await;
        connection.reset("/success/never", stream).await;
        // What was given back is there for the next one.
        assert_eq!(connection.used("reports").await, 0);
    }
    assert_eq!(connection.answer("/success/whole").await, (200, 9));
}
