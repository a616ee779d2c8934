//! Billing: what an adapter for a billing provider keeps, and what it offers.
//!
//! | item | what |
//! |---|---|
//! | [`BillingProvider`] | what an application asks a billing provider for: subscribe, change, cancel, portal |
//! | [`BillingStore`] | customers, locks, operations, the ledger of events, invoices, plan features |
//! | [`UsageOutbox`] | what the provider is to be told of usage |
//!
//! An adapter depends on these traits and never on a database. Subscriptions themselves are kept by
//! [`SubscriptionStore`](crate::store::SubscriptionStore); here is what leads to them.

mod customer;
mod error;
mod event;
mod invoice;
mod operation;
mod plan_feature;
mod provider;
mod store;
mod usage;

pub use customer::Customer;
pub use error::{BillingError, BillingErrorKind};
pub use event::{BillingEvent, Claim, EventOutcome, EventState, NewEvent, Received};
pub use invoice::Invoice;
pub use operation::{Begun, Operation, OperationResult};
pub use plan_feature::PlanFeature;
pub use provider::{BillingProvider, NewSubscription, Portal, SubscriptionChange};
pub use store::{BillingLock, BillingStore};
pub use usage::{UnsettledUsage, UsageOutbox, UsageOutcome, UsageRecord, UsageRecordState};
