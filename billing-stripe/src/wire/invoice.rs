//! Invoices, as they were before `2025-03-31.basil` and as they have been since.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::expandable::identified;
use super::open::open_enum;
use super::{Customer, Expandable, List, Metadata, Subscription};

/// A bill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Invoice {
    /// `in_…`; a preview has none.
    #[serde(default, deserialize_with = "super::or_default")]
    pub id: String,
    /// Who pays.
    #[serde(default)]
    pub customer: Option<Expandable<Customer>>,
    /// The state; absent in old previews.
    #[serde(default)]
    pub status: Option<InvoiceStatus>,
    /// Why it was made.
    #[serde(default)]
    pub billing_reason: Option<BillingReason>,
    /// In lower case, for example `eur`.
    #[serde(default)]
    pub currency: Option<String>,
    /// What is due, in the smallest unit of the currency.
    #[serde(default)]
    pub amount_due: i64,
    /// What was paid.
    #[serde(default)]
    pub amount_paid: i64,
    /// What is still to be paid.
    #[serde(default)]
    pub amount_remaining: i64,
    /// The sum of the lines.
    #[serde(default)]
    pub total: i64,
    /// How often payment was tried.
    #[serde(default)]
    pub attempt_count: u32,
    /// When payment is tried next.
    #[serde(default, with = "super::time::option")]
    pub next_payment_attempt: Option<DateTime<Utc>>,
    /// When it was made.
    #[serde(with = "super::time")]
    pub created: DateTime<Utc>,
    /// The first instant that it looks back on.
    #[serde(default, with = "super::time::option")]
    pub period_start: Option<DateTime<Utc>>,
    /// The last one.
    #[serde(default, with = "super::time::option")]
    pub period_end: Option<DateTime<Utc>>,
    /// The number that people see.
    #[serde(default)]
    pub number: Option<String>,
    /// Where it can be looked at and paid.
    #[serde(default)]
    pub hosted_invoice_url: Option<String>,
    /// When it passed through its states.
    #[serde(default, deserialize_with = "super::or_default")]
    pub status_transitions: StatusTransitions,
    /// The lines.
    #[serde(default, deserialize_with = "super::or_default")]
    pub lines: List<InvoiceLine>,
    /// What the caller keeps with it.
    #[serde(default, deserialize_with = "super::or_default")]
    pub metadata: Metadata,
    /// Whether it is of the live mode.
    #[serde(default)]
    pub livemode: bool,
    #[serde(default)]
    parent: Option<Parent>,
    #[serde(default)]
    subscription: Option<Expandable<Subscription>>,
}

impl Invoice {
    /// The subscription that the invoice is of, in the old place or the new one.
    #[must_use]
    pub fn subscription(&self) -> Option<&str> {
        let parent = self.parent.as_ref().and_then(|parent| parent.subscription_details.as_ref());
        parent
            .and_then(|details| details.subscription.as_ref())
            .or(self.subscription.as_ref())
            .map(Expandable::id)
    }

    /// What was kept with the subscription when the invoice was finalized.
    #[must_use]
    pub fn subscription_metadata(&self) -> Option<&Metadata> {
        self.parent.as_ref()?.subscription_details.as_ref()?.metadata.as_ref()
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Parent {
    #[serde(default)]
    subscription_details: Option<SubscriptionDetails>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SubscriptionDetails {
    #[serde(default)]
    subscription: Option<Expandable<Subscription>>,
    #[serde(default)]
    metadata: Option<Metadata>,
}

/// When an invoice passed through its states.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusTransitions {
    /// When it could no longer be changed.
    #[serde(default, with = "super::time::option")]
    pub finalized_at: Option<DateTime<Utc>>,
    /// When it was paid.
    #[serde(default, with = "super::time::option")]
    pub paid_at: Option<DateTime<Utc>>,
    /// When it was voided.
    #[serde(default, with = "super::time::option")]
    pub voided_at: Option<DateTime<Utc>>,
}

/// A line of an invoice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InvoiceLine {
    /// `il_…`
    pub id: String,
    /// In the smallest unit of the currency; negative for what is given back.
    #[serde(default)]
    pub amount: i64,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// How many.
    #[serde(default)]
    pub quantity: Option<u64>,
}

open_enum! {
    /// The state of an invoice.
    InvoiceStatus {
        /// It may still change.
        Draft = "draft",
        /// It is to be paid.
        Open = "open",
        /// It is paid.
        Paid = "paid",
        /// It will never be paid.
        Uncollectible = "uncollectible",
        /// It does not count.
        Void = "void",
    }
}

open_enum! {
    /// Why an invoice was made. Only the first two begin a period.
    BillingReason {
        /// A subscription began.
        SubscriptionCreate = "subscription_create",
        /// A subscription was renewed.
        SubscriptionCycle = "subscription_cycle",
        /// A subscription was changed.
        SubscriptionUpdate = "subscription_update",
        /// A subscription reached an amount.
        SubscriptionThreshold = "subscription_threshold",
        /// By hand.
        Manual = "manual",
        /// A preview.
        Upcoming = "upcoming",
    }
}

identified!(Invoice, InvoiceLine);
