#![doc = include_str!("../README.md")]

mod backoff;
mod bus;
mod cache;
mod config;
mod error;
mod health;
mod key;
mod link;

pub use bus::RedisBus;
pub use cache::RedisDecisionCache;
pub use config::RedisConfig;
pub use error::{FailureKind, InvalidRedisConfig};
pub use health::{Failures, RedisHealth};
