//! What the layer does, seen from outside.

mod answers;
mod charging;
#[cfg(feature = "axum")]
mod extractors;
mod failing;
mod identity;
mod idempotency;
#[cfg(feature = "axum")]
mod mounts;
mod probe;
mod readiness;
mod reload;
mod rules;
#[cfg(feature = "axum")]
mod spellings;
mod store;
mod world;
