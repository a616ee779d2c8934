//! Tests that need a Redis server: `scripts/redis.sh cargo test -p entitlements-redis -- --ignored`.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

mod broken;
mod bus;
mod conformance;
mod refusing;
mod server;
mod stored;
mod topology;
