//! What the layer does, seen from outside.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do"
)]

mod answers;
mod charging;
#[cfg(feature = "axum")]
mod extractors;
mod failing;
mod freshness;
mod gate;
mod grpc;
mod idempotency;
mod identity;
mod limits;
#[cfg(feature = "axum")]
mod mounts;
mod probe;
mod read;
mod readiness;
mod reload;
mod rules;
mod sockets;
#[cfg(feature = "axum")]
mod spellings;
mod store;
mod streams;
#[cfg(feature = "axum")]
mod tonic_mounts;
mod traces;
mod turned_away;
#[cfg(feature = "axum")]
mod typed;
#[cfg(feature = "axum")]
mod usual;
mod warm;
mod world;
