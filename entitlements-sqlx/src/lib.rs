#![doc = include_str!("../README.md")]

mod config;
mod error;
mod grants;
mod migrate;
mod policies;
mod rows;
mod snapshot;
mod sql;
mod sqlite;
mod subscriptions;
mod usage;

pub use config::{Durability, InvalidUrl, SqliteConfig};
pub use sqlite::SqliteStore;
