//! What the figures were taken on.

use std::process::Command;
use std::time::Duration;

use entitlements_core::{Clock as _, SystemClock};

use crate::frame::Table;

const LOCK: &str = include_str!("../../../Cargo.lock");

/// What others have written, and is measured beside ours.
const PEERS: [&str; 8] = [
    "cedar-policy",
    "regorus",
    "casbin",
    "tower_governor",
    "axum-governor",
    "axum-casbin",
    "axum-login",
    "async-stripe-webhook",
];

/// The machine, the tools and the versions.
pub(super) fn table(took: Duration) -> Table {
    let mut table = Table::new(&["", ""]);
    let mut row = |what: &str, value: String| table.row([what.to_owned(), value]);
    row("taken", SystemClock.now().format("%Y-%m-%d %H:%M UTC").to_string());
    row("processor", line("/proc/cpuinfo", "model name"));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    row("cores", cores.to_string());
    row("memory", line("/proc/meminfo", "MemTotal"));
    let os = line("/etc/os-release", "PRETTY_NAME");
    row("system", format!("{} {}", os.trim_matches('"'), read("/proc/sys/kernel/osrelease")));
    row("compiler", program("rustc", "--version"));
    row("load at the end", read("/proc/loadavg"));
    let versions = PEERS.map(|name| format!("{name} {}", version(name)));
    row("peers", if cfg!(feature = "peers") { versions.join(", ") } else { "left out".to_owned() });
    row("servers", format!("{}; {}", program("redis-server", "--version"), program("postgres", "--version")));
    row("took", format!("{} s", took.as_secs()));
    table
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// What a file says after a name and a colon or an equals sign.
fn line(path: &str, name: &str) -> String {
    let text = read(path);
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix([':', '=']));
    value.map_or_else(|| "unknown".to_owned(), |value| value.trim().to_owned())
}

/// The first line of what a program says of itself. PostgreSQL's is seldom in the path.
fn program(name: &str, argument: &str) -> String {
    let newest = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = newest.map(|entry| entry.path().join("bin").join(name)).find(|path| path.exists());
    let output = Command::new(newest.unwrap_or_else(|| name.into())).arg(argument).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    let first = text.lines().next().unwrap_or_default();
    first.split(" sha=").next().filter(|text| !text.is_empty()).unwrap_or("unknown").to_owned()
}

/// The version that was built in.
fn version(name: &str) -> &'static str {
    let begins = format!("name = \"{name}\"");
    let mut lines = LOCK.lines().skip_while(|line| **line != begins).skip(1);
    let version = lines.next().and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    version.unwrap_or("of unknown version")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_of_peers_are_those_that_were_built_in() {
        for name in PEERS {
            assert!(
                version(name).starts_with(|first: char| first.is_ascii_digit()),
                "{name}: {}",
                version(name)
            );
        }
    }
}
