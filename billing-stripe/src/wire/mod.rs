//! Stripe's objects, as far as they are read.
//!
//! Decoding is lenient, because what Stripe sends may grow at any time: unknown fields are skipped, absent ones and `null`
//! mean the same, an enumeration keeps a word it does not know, and a field that may be expanded is an id or an object.

mod customer;
mod error;
mod event;
mod expandable;
mod invoice;
mod list;
mod meter;
mod open;
mod payment_method;
mod portal;
mod price;
mod subscription;
pub(crate) mod time;

pub use self::customer::{Customer, CustomerInvoiceSettings};
pub(crate) use self::error::ErrorEnvelope;
pub use self::error::{ErrorBody, ErrorType};
pub use self::event::{Event, EventObject, EventRequest, RelatedObject, ThinEvent, V1Event};
#[cfg(feature = "fake")]
pub(crate) use self::expandable::identified;
pub use self::expandable::{Expandable, Identified};
pub use self::invoice::{BillingReason, Invoice, InvoiceLine, InvoiceStatus, StatusTransitions};
pub use self::list::List;
pub use self::meter::{
    Meter, MeterErrorKind, MeterErrorReport, MeterErrorRequest, MeterErrorSample, MeterErrors, MeterEvent,
    MeterEventAdjustment,
};
pub use self::payment_method::{Card, PaymentMethod};
pub use self::portal::PortalSession;
pub use self::price::{Price, Product, Recurring, UsageType};
pub use self::subscription::{PauseCollection, Subscription, SubscriptionItem};

/// The version of Stripe's interface that this crate is written for; it is sent with every request.
pub const API_VERSION: &str = "2026-10-28.endive";

use std::collections::BTreeMap;

/// What the caller keeps with an object: keys and texts.
pub type Metadata = BTreeMap<String, String>;

/// Reads `null` as the default of the type.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de> + Default,
{
    <Option<T> as serde::Deserialize>::deserialize(deserializer).map(Option::unwrap_or_default)
}
