//! Several handles on one store, as several processes are: with a shared cache of decisions, with a bus, and with either
//! of them broken.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod change;
mod differential;
mod outage;
mod questions;
mod random;
mod sharing;
mod tokens;
mod world;
