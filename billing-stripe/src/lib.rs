// The objects that the fake writes are large.
#![recursion_limit = "512"]
#![doc = include_str!("../README.md")]

mod billing;
pub mod client;
#[cfg(feature = "fake")]
pub mod fake;
pub mod form;
mod notice;
mod prices;
pub mod signature;
mod translate;
mod usage;
pub mod webhook;
pub mod wire;

pub use billing::{BillingLedger, Drift, StripeBilling, StripeBillingBuilder};
pub use client::{OperationId, StripeClient, StripeConfig, StripeError, StripeErrorKind};
pub use notice::{NoNotices, Notice, Notices};
pub use prices::{DuplicatePrice, PriceBook};
pub use translate::{COMPANY_KEY, SEATS_KEY};
pub use usage::{InvalidEventName, MeterBook, UsageProgress};
pub use webhook::{Handled, WebhookError, WebhookService, Webhooks};
