//! The examples run: a gateway in front of a plain hyper server.
#![cfg(feature = "rt")]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

/// An example that runs, until it is dropped.
struct Running {
    child: Child,
    address: String,
    says: BufReader<ChildStdout>,
}

impl Running {
    fn start(name: &str, environment: &[(&str, &str)]) -> Self {
        // Beside the folder of this test's binary.
        let mut path: PathBuf = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().into();
        path.extend(["examples", name]);
        assert!(path.exists(), "the example is not built; `cargo test -p entitlements-tower` does it");
        let mut child = Command::new(path)
            .env("BIND_ADDR", "127.0.0.1:0")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut line, mut says) = (String::new(), BufReader::new(child.stdout.take().unwrap()));
        says.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").expect("the example prints its address").to_owned();
        Self { child, address, says }
    }

    /// Asks it to end, as whoever runs servers does.
    #[cfg(unix)]
    fn ask_to_end(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// What it says last, when it has ended well.
    #[cfg(unix)]
    fn last_words(mut self) -> String {
        let mut words = String::new();
        self.says.read_to_string(&mut words).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
        words
    }

    /// The whole answer to a request of a company.
    fn ask(&self, path: &str, company: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head =
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nx-company: {company}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both messages of the example's service: one text.
#[derive(Clone, PartialEq, prost::Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

/// Calls a method of the example's service as a company, or as nobody.
async fn call(
    channel: &Channel,
    method: &'static str,
    company: Option<&str>,
    name: &str,
) -> Result<String, Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let mut request = Request::new(Text { text: name.to_owned() });
    if let Some(company) = company {
        request.metadata_mut().insert("x-company", company.parse().unwrap());
    }
    let codec = ProstCodec::<Text, Text>::default();
    let answer = client.unary(request, http::uri::PathAndQuery::from_static(method), codec).await?;
    Ok(answer.into_inner().text)
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap()
}

#[test]
fn a_plain_hyper_server_is_gated() {
    let server = Running::start("hyper", &[]);
    let answer = server.ask("/export", "acme");
    assert_eq!(status(&answer), "200", "{answer}");
    assert!(answer.ends_with("all of it\n"), "{answer}");
    let answer = server.ask("/export", "other");
    assert_eq!(status(&answer), "402", "{answer}");
    assert!(answer.contains("\"code\":\"feature_not_in_plan\""), "{answer}");
    assert_eq!(status(&server.ask("/elsewhere", "acme")), "403");
}

#[test]
fn a_gateway_charges_what_it_forwards_and_nothing_else() {
    let catalog = Running::start("hyper", &[]);
    let gateway = Running::start("gateway", &[("UPSTREAM", &catalog.address)]);
    // The upstream knows nobody: the gateway keeps the header to itself.
    for _ in 0..3 {
        assert_eq!(status(&gateway.ask("/export", "acme")), "401");
    }
    let answer = gateway.ask("/export", "acme");
    assert_eq!(status(&answer), "402", "{answer}");
    assert!(answer.contains("\"code\":\"quota_exceeded\""), "{answer}");
    assert_eq!(status(&gateway.ask("/export", "other")), "401");
    let gone = Running::start("gateway", &[("UPSTREAM", "127.0.0.1:1")]);
    let answer = gone.ask("/export", "acme");
    assert_eq!(status(&answer), "502", "{answer}");
}

/// Serves one request and hangs up: answers it with `head` and an empty body, and tells the request's head and body.
fn answer_once(head: &'static str) -> (String, JoinHandle<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut request = String::new();
        while reader.read_line(&mut request).unwrap() > 2 {}
        let length = request.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        (request, body)
    });
    (address, served)
}

#[test]
fn a_gateway_passes_bodies_on_and_keeps_what_concerns_one_connection() {
    let catalog = concat!(env!("CARGO_TARGET_TMPDIR"), "/writing.toml");
    let writing = "schema = 1\ndefault_plan = \"free\"\npast_due_grace = \"7d\"\n[features]\nwriting = { type = \"flag\" }\n\
        [plans.free.grants]\nwriting = true\n[routing]\nunmatched = \"deny\"\n[[routes]]\nmatch = \"POST /{*path}\"\nrequire = \"writing\"\n";
    std::fs::write(catalog, writing).unwrap();
    let (upstream, served) = answer_once(
        "HTTP/1.1 201 Created\r\ncontent-length: 0\r\nconnection: close, X-Inner\r\nx-inner: 1\r\n\
         keep-alive: timeout=5\r\nproxy-authenticate: Basic\r\nx-outer: 1\r\n\r\n",
    );
    let gateway = Running::start("gateway", &[("UPSTREAM", &upstream), ("CATALOG_PATH", catalog)]);
    let mut stream = TcpStream::connect(&gateway.address).unwrap();
    let body = b"what is written\n".repeat(10_000);
    let head = format!(
        "POST /reports?a=b HTTP/1.1\r\nhost: x\r\nx-company: acme\r\nconnection: close, X-Hop\r\nconnection: x-second\r\n\
         x-hop: 1\r\nx-second: 1\r\nkeep-alive: timeout=5\r\nproxy-authorization: Basic x\r\nproxy-connection: close\r\n\
         te: trailers\r\ntrailer: x-sum\r\nx-end: 1\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (request, passed_on) = served.join().unwrap();
    assert!(request.starts_with("POST /reports?a=b HTTP/1.1\r\n"), "{request}");
    assert_eq!(passed_on.len(), body.len());
    assert_eq!(passed_on, body);
    assert!(request.contains("x-end: 1\r\n"), "{request}");
    for hop in ["connection", "x-hop", "x-second", "keep-alive", "proxy-", "te:", "trailer", "x-company"] {
        assert!(!request.contains(&format!("\n{hop}")), "{hop}: {request}");
    }
    assert_eq!(status(&answer), "201", "{answer}");
    assert!(answer.contains("x-outer: 1\r\n"), "{answer}");
    for hop in ["x-inner", "keep-alive", "proxy-"] {
        assert!(!answer.contains(&format!("\n{hop}")), "{hop}: {answer}");
    }
}

#[tokio::test]
async fn a_tonic_service_is_gated_and_charged() {
    const GENERATE: &str = "/acme.v1.Reports/Generate";
    let server = Running::start("tonic", &[]);
    let address = format!("http://{}", server.address);
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    // Two a month; the one that the server could not make was given back.
    let broken = call(&channel, GENERATE, Some("acme"), "broken").await.unwrap_err();
    assert_eq!(broken.code(), Code::Internal);
    assert_eq!(broken.message(), "the report cannot be made");
    let mut made = Vec::new();
    for _ in 0..1000 {
        // The unit comes back off the request path, so the second report may have to be asked for again.
        made.extend(call(&channel, GENERATE, Some("acme"), "sales").await);
        if made.len() == 2 {
            break;
        }
    }
    assert_eq!(made, ["the report sales"; 2]);
    let exhausted = call(&channel, GENERATE, Some("acme"), "sales").await.unwrap_err();
    assert_eq!(exhausted.code(), Code::ResourceExhausted);
    assert_eq!(exhausted.message(), "quota_exceeded: the quota of `reports` is used up");
    let unpaid = call(&channel, "/acme.v1.Reports/Export", Some("acme"), "all").await.unwrap_err();
    assert_eq!(unpaid.code(), Code::PermissionDenied);
    let nobody = call(&channel, GENERATE, None, "sales").await.unwrap_err();
    assert_eq!(nobody.code(), Code::Unauthenticated);
    // Another tenant has its own quota; what has no rule is closed.
    assert!(call(&channel, GENERATE, Some("other"), "sales").await.is_ok());
    let unknown = call(&channel, "/acme.v1.Reports/Delete", Some("acme"), "all").await.unwrap_err();
    assert_eq!(unknown.code(), Code::PermissionDenied);
}

#[cfg(unix)]
#[test]
fn a_server_that_is_asked_to_end_closes_idle_connections_and_ends() {
    let server = Running::start("hyper", &[]);
    let mut idle = TcpStream::connect(&server.address).unwrap();
    idle.write_all(b"GET /export HTTP/1.1\r\nhost: x\r\nx-company: acme\r\n\r\n").unwrap();
    let mut answer = BufReader::new(idle.try_clone().unwrap());
    let mut line = String::new();
    answer.read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 200 OK\r\n");
    server.ask_to_end();
    let mut rest = String::new();
    answer.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("all of it\n"), "{rest}");
    assert_eq!(server.last_words(), "settled: 0, left: 0\n");
}

#[cfg(unix)]
#[test]
fn a_gateway_that_is_asked_to_end_finishes_what_is_under_way_and_settles_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = listener.local_addr().unwrap().to_string();
    let gateway = Running::start("gateway", &[("UPSTREAM", &upstream)]);
    let mut client = TcpStream::connect(&gateway.address).unwrap();
    client.write_all(b"GET /a HTTP/1.1\r\nhost: x\r\nx-company: acme\r\n\r\n").unwrap();
    let (mut forwarded, _) = listener.accept().unwrap();
    gateway.ask_to_end();
    // Nobody is let in any more, and who is in is still served.
    while TcpStream::connect(&gateway.address).is_ok() {}
    forwarded.write_all(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\noops").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), "500", "{answer}");
    assert!(answer.ends_with("oops"), "{answer}");
    // The unit that was taken for it went back.
    assert_eq!(gateway.last_words(), "settled: 1, left: 0\n");
}

#[cfg(unix)]
#[tokio::test]
async fn a_tonic_server_that_is_asked_to_end_settles_and_ends() {
    let server = Running::start("tonic", &[]);
    let address = format!("http://{}", server.address);
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    call(&channel, "/acme.v1.Reports/Generate", Some("acme"), "broken").await.unwrap_err();
    server.ask_to_end();
    // The client is still connected.
    assert_eq!(tokio::task::spawn_blocking(|| server.last_words()).await.unwrap(), "settled: 1, left: 0\n");
    drop(channel);
}
