//! A commercial platform as one server: tokens, a gateway whose routes are gated by plan, grants, policies, usage.
//!
//! Rooms: [`Config`] reads the environment, [`Platform`] opens and serves. Under them: `database`, `app` (the router), `auth` and
//! `token` (who asks), `gateway` (`/v1`), `billing` (Stripe, or the fake), `api` (`/api`), `shape` (JSON forms), `development` and `demo`
//! (development mode), `catalog_file` and `reload`, `metrics`, `health`, `alerts`.

mod access_log;
mod alerts;
mod api;
mod app;
mod auth;
mod billed;
mod billing;
mod body;
mod caller;
mod catalog_file;
mod config;
mod console;
mod database;
mod demo;
mod dev_clock;
mod development;
mod environment;
mod fields;
mod gateway;
mod health;
mod hs256;
mod metrics;
mod own_routes;
mod paging;
mod platform;
mod problem;
mod query;
mod read;
mod reload;
mod retention;
mod shape;
mod signals;
mod start_error;
mod stripe_config;
mod token;
#[cfg(feature = "throughput")]
mod ungated;
mod written;

pub use config::Config;
pub use environment::Environment;
pub use platform::Platform;
pub use signals::EndSignals;
pub use start_error::StartError;
