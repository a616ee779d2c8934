//! Invoices.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::id::{CompanyId, InvoiceId, SubscriptionId};

/// An invoice, as the billing provider last showed it. Money is whole minor units of the currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invoice {
    /// The provider's id.
    pub id: InvoiceId,
    /// Who pays.
    pub company: CompanyId,
    /// What for, if it is for a subscription.
    pub subscription: Option<SubscriptionId>,
    /// The number that is printed on it, once it is final.
    pub number: Option<String>,
    /// The provider's word, for example `draft`, `open`, `paid`, `void`, `uncollectible`.
    pub status: String,
    /// Why it was made, in the provider's word, for example `subscription_cycle`.
    pub billing_reason: Option<String>,
    /// The currency, three lower-case letters.
    pub currency: String,
    /// The sum; negative for a credit.
    pub total: i64,
    /// What is due.
    pub amount_due: i64,
    /// What was paid.
    pub amount_paid: i64,
    /// How often payment was tried.
    pub attempt_count: u32,
    /// When payment is tried next.
    pub next_payment_attempt: Option<DateTime<Utc>>,
    /// The first instant of the time it is for.
    pub period_start: DateTime<Utc>,
    /// The first instant after the time it is for.
    pub period_end: DateTime<Utc>,
    /// Where its page is.
    pub hosted_url: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}
