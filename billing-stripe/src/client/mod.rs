//! The client: one method for each request that the life of a subscription needs.

mod config;
mod customers;
mod error;
mod events;
mod invoices;
mod meters;
mod operation;
mod prices;
mod retry;
mod send;
mod subscriptions;

pub use self::config::{ConfigError, StripeConfig};
pub use self::customers::NewCustomer;
pub use self::error::{StripeError, StripeErrorKind};
pub use self::events::EventFilter;
pub use self::meters::NewMeterEvent;
pub use self::operation::{InvalidOperationId, OperationId};
pub use self::retry::RetryPolicy;
pub use self::send::StripeClient;
#[cfg(feature = "fake")]
pub(crate) use self::send::plain_http;
pub use self::subscriptions::{
    CancelAt, ItemChange, MissingPaymentMethod, NewItem, NewSubscription, PaymentBehavior, Proration,
    SubscriptionChange, TrialEnd,
};

use serde::Deserialize;

use crate::wire::List;

/// The most objects that one page has.
const PAGE: u32 = 100;

/// A page on the wire, with objects that say their id.
type Page<T> = List<T>;

/// An object that is gone.
#[derive(Deserialize)]
struct Gone {}
