//! The server ends when it is asked to.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

#[test]
fn a_server_that_is_asked_to_end_settles_and_ends() {
    let mut server = Command::new(env!("CARGO_BIN_EXE_quickstart"))
        .env("BIND_ADDR", "127.0.0.1:0")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut says = BufReader::new(server.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("curl") {
        assert_ne!(says.read_line(&mut line).unwrap(), 0, "it ended: {line}");
    }
    let id = server.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let mut words = String::new();
    says.read_to_string(&mut words).unwrap();
    assert!(server.wait().unwrap().success());
    assert!(words.ends_with("settled       0 refunds and late charges; 0 are left\n"), "{words}");
}
