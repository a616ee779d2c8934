#![cfg_attr(all(feature = "postgres", feature = "sqlite"), doc = include_str!("../README.md"))]
#![cfg_attr(
    not(all(feature = "postgres", feature = "sqlite")),
    doc = "SQL stores for entitlements. This build has only some of them: see the features of the crate."
)]

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
#[cfg_attr(
    feature = "postgres",
    expect(clippy::duplicate_mod, reason = "what is written alike in every dialect is compiled in each")
)]
mod sqlite;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod alerts;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod billing;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod chain;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod connections;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod decisions;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod error;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod facts;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod gauges;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod migrations;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod paging;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod percent;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod receipts;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod reservations;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod rows;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod sql;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod usage_outbox;

#[cfg(feature = "postgres")]
pub use postgres::{
    InvalidPostgresUrl, PostgresBus, PostgresConfig, PostgresDecisionCache, PostgresStore,
    PostgresTransaction,
};
#[cfg(feature = "sqlite")]
pub use sqlite::{
    Durability, InvalidSqliteUrl, SqliteConfig, SqliteDecisionCache, SqliteStore, SqliteTransaction,
};
