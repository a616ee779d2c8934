//! Customers.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::expandable::identified;
use super::{Expandable, Metadata, PaymentMethod};

/// Who pays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Customer {
    /// `cus_…`
    pub id: String,
    /// When it was made; absent once it is deleted.
    #[serde(default, with = "super::time::option")]
    pub created: Option<DateTime<Utc>>,
    /// The address for receipts.
    #[serde(default)]
    pub email: Option<String>,
    /// The name.
    #[serde(default)]
    pub name: Option<String>,
    /// How invoices are paid.
    #[serde(default, deserialize_with = "super::or_default")]
    pub invoice_settings: CustomerInvoiceSettings,
    /// What the caller keeps with it.
    #[serde(default, deserialize_with = "super::or_default")]
    pub metadata: Metadata,
    /// Whether it is of the live mode.
    #[serde(default)]
    pub livemode: bool,
    /// Whether it was deleted.
    #[serde(default)]
    pub deleted: bool,
}

/// How a customer's invoices are paid.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CustomerInvoiceSettings {
    /// Charged when the subscription names none.
    #[serde(default)]
    pub default_payment_method: Option<Expandable<PaymentMethod>>,
}

identified!(Customer);
