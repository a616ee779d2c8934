//! Processes of their own on one PostgreSQL and one Redis, whose network is cut, and whose Redis is killed:
//! `scripts/postgres.sh scripts/redis.sh cargo test -p platform --test processes -- --ignored`.
//!
//! `scripts/prove.sh processes` runs the same for longer, and prints the figures.
#![cfg(unix)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

mod figures;
mod fleet;
mod flips;
mod node;
mod orders;
mod outages;
mod proxy;
mod random;
mod redis;
mod world;
