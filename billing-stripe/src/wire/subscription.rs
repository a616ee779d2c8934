//! Subscriptions and their items.

use chrono::{DateTime, Utc};
use entitlements_core::SubscriptionStatus;
use serde::{Deserialize, Serialize};

use super::expandable::identified;
use super::{Customer, Expandable, Invoice, List, Metadata, PaymentMethod, Price};

/// What a customer pays for, again and again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    /// `sub_…`
    pub id: String,
    /// Who pays.
    pub customer: Expandable<Customer>,
    /// The state.
    pub status: SubscriptionStatus,
    /// What is paid for.
    #[serde(default, deserialize_with = "super::or_default")]
    pub items: List<SubscriptionItem>,
    /// When it was made.
    #[serde(with = "super::time")]
    pub created: DateTime<Utc>,
    /// When it began, which may be before it was made.
    #[serde(default, with = "super::time::option")]
    pub start_date: Option<DateTime<Utc>>,
    /// What the periods are counted from.
    #[serde(default, with = "super::time::option")]
    pub billing_cycle_anchor: Option<DateTime<Utc>>,
    /// The paid period, as versions before `2025-03-31.basil` say it; later ones say it on each item.
    #[serde(default, with = "super::time::option")]
    pub current_period_start: Option<DateTime<Utc>>,
    /// The end of it.
    #[serde(default, with = "super::time::option")]
    pub current_period_end: Option<DateTime<Utc>>,
    /// When the trial began.
    #[serde(default, with = "super::time::option")]
    pub trial_start: Option<DateTime<Utc>>,
    /// When the trial ends or ended.
    #[serde(default, with = "super::time::option")]
    pub trial_end: Option<DateTime<Utc>>,
    /// When it will end, if that is decided.
    #[serde(default, with = "super::time::option")]
    pub cancel_at: Option<DateTime<Utc>>,
    /// Whether it ends with the paid period. The portal sets only [`cancel_at`](Self::cancel_at).
    #[serde(default)]
    pub cancel_at_period_end: bool,
    /// When the cancellation was asked for.
    #[serde(default, with = "super::time::option")]
    pub canceled_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[serde(default, with = "super::time::option")]
    pub ended_at: Option<DateTime<Utc>>,
    /// Charged before that of the customer.
    #[serde(default)]
    pub default_payment_method: Option<Expandable<PaymentMethod>>,
    /// The newest invoice.
    #[serde(default)]
    pub latest_invoice: Option<Expandable<Invoice>>,
    /// Set while invoices are not collected; the status stays what it is.
    #[serde(default)]
    pub pause_collection: Option<PauseCollection>,
    /// What the caller keeps with it.
    #[serde(default, deserialize_with = "super::or_default")]
    pub metadata: Metadata,
    /// Whether it is of the live mode.
    #[serde(default)]
    pub livemode: bool,
}

impl Subscription {
    /// Whether an end is decided: at the end of the period, or at an instant. Stripe says it in both ways.
    #[must_use]
    pub fn is_canceling(&self) -> bool {
        self.ended_at.is_none() && (self.cancel_at_period_end || self.cancel_at.is_some())
    }
}

/// What one price contributes to a subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubscriptionItem {
    /// `si_…`
    pub id: String,
    /// The price.
    pub price: Price,
    /// How many; absent for metered prices.
    #[serde(default)]
    pub quantity: Option<u64>,
    /// The first instant of the paid period.
    #[serde(default, with = "super::time::option")]
    pub current_period_start: Option<DateTime<Utc>>,
    /// The first instant after it.
    #[serde(default, with = "super::time::option")]
    pub current_period_end: Option<DateTime<Utc>>,
}

/// How invoices are treated while they are not collected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseCollection {
    /// `keep_as_draft`, `mark_uncollectible` or `void`.
    pub behavior: String,
    /// When collection begins again by itself.
    #[serde(default, with = "super::time::option")]
    pub resumes_at: Option<DateTime<Utc>>,
}

identified!(Subscription, SubscriptionItem);
