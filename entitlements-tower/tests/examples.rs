//! The examples run: a gateway in front of a plain hyper server.
#![cfg(feature = "rt")]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// An example that runs, until it is dropped.
struct Running {
    child: Child,
    address: String,
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
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").expect("the example prints its address").to_owned();
        Self { child, address }
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
