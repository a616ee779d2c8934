//! Subscriptions.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::{OperationId, PAGE, Page, StripeClient, StripeError};
use crate::wire::{Metadata, Subscription};

/// What is expanded in every answer about a subscription.
const EXPAND: [&str; 1] = ["latest_invoice"];

/// A subscription to be made.
#[derive(Clone, Debug, Serialize)]
pub struct NewSubscription {
    /// Who pays.
    pub customer: String,
    /// What is paid for.
    pub items: Vec<NewItem>,
    /// How many days it is tried before it is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial_period_days: Option<u32>,
    /// What happens when the first payment does not succeed at once.
    pub payment_behavior: PaymentBehavior,
    /// What happens when the trial ends without a payment method.
    #[serde(
        rename = "trial_settings",
        serialize_with = "end_behavior",
        skip_serializing_if = "Option::is_none"
    )]
    pub missing_payment_method: Option<MissingPaymentMethod>,
    /// What is kept with it.
    pub metadata: Metadata,
}

/// A price that is added to a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewItem {
    /// The price.
    pub price: String,
    /// How many; absent for metered prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<u64>,
}

/// What happens when the first payment does not succeed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentBehavior {
    /// The subscription is made and waits for payment, without access.
    AllowIncomplete,
    /// Payment is left to the customer; the subscription waits for it, without access.
    DefaultIncomplete,
    /// The subscription is not made.
    ErrorIfIncomplete,
}

/// What happens when a trial ends without a payment method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingPaymentMethod {
    /// The subscription ends.
    Cancel,
    /// An invoice is sent, and the subscription goes on.
    CreateInvoice,
    /// The subscription pauses until it is resumed.
    Pause,
}

/// How the rest of a period is settled when a subscription is changed in the middle of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proration {
    /// On the next invoice.
    #[default]
    CreateProrations,
    /// On an invoice of its own, now.
    AlwaysInvoice,
    /// Not at all.
    None,
}

/// A change of one item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ItemChange {
    /// Which item; without it the change adds one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The new price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<String>,
    /// The new quantity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<u64>,
    /// Whether the item is taken away.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// When a subscription is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelAt {
    /// Not at any instant: undoes [`At`](Self::At), and what the portal decided.
    Never,
    /// Not with the paid period: undoes [`PeriodEnd`](Self::PeriodEnd).
    NotPeriodEnd,
    /// At the instant.
    At(DateTime<Utc>),
    /// With the paid period.
    PeriodEnd,
}

/// When a trial is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialEnd {
    /// At once.
    Now,
    /// At the instant.
    At(DateTime<Utc>),
}

/// A change of a subscription; what is not named stays.
#[derive(Clone, Debug, Default)]
pub struct SubscriptionChange {
    /// Changes of items.
    pub items: Vec<ItemChange>,
    /// How the rest of the period is settled.
    pub proration: Option<Proration>,
    /// When it ends.
    pub cancel: Option<CancelAt>,
    /// When its trial ends.
    pub trial_end: Option<TrialEnd>,
    /// What is kept with it; an empty text takes a key away.
    pub metadata: Metadata,
}

impl SubscriptionChange {
    fn params(&self) -> Value {
        let (cancel_at, at_period_end) = match self.cancel {
            Some(CancelAt::Never) => (json!(""), json!(null)),
            Some(CancelAt::At(instant)) => (json!(instant.timestamp()), json!(null)),
            Some(CancelAt::PeriodEnd) => (json!(null), json!(true)),
            Some(CancelAt::NotPeriodEnd) => (json!(null), json!(false)),
            None => (json!(null), json!(null)),
        };
        let trial_end = self.trial_end.map(|end| match end {
            TrialEnd::Now => json!("now"),
            TrialEnd::At(instant) => json!(instant.timestamp()),
        });
        json!({
            "items": self.items,
            "proration_behavior": self.proration,
            "cancel_at": cancel_at,
            "cancel_at_period_end": at_period_end,
            "trial_end": trial_end,
            "metadata": self.metadata,
            "expand": EXPAND,
        })
    }
}

impl StripeClient {
    /// Makes a subscription.
    ///
    /// # Errors
    ///
    /// When Stripe refuses: [`CardDeclined`](super::StripeErrorKind::CardDeclined) if the subscription was not to be
    /// made without payment, [`NotFound`](super::StripeErrorKind::NotFound) for an unknown customer or price.
    pub async fn create_subscription(
        &self,
        subscription: &NewSubscription,
        operation: &OperationId,
    ) -> Result<Subscription, StripeError> {
        #[derive(Serialize)]
        struct Params<'a> {
            #[serde(flatten)]
            subscription: &'a NewSubscription,
            expand: [&'static str; 1],
        }
        self.post(&["v1", "subscriptions"], &Params { subscription, expand: EXPAND }, operation).await
    }

    /// The subscription `id`, also after its end.
    ///
    /// # Errors
    ///
    /// [`NotFound`](super::StripeErrorKind::NotFound), or when Stripe cannot be reached.
    pub async fn subscription(&self, id: &str) -> Result<Subscription, StripeError> {
        self.get(&["v1", "subscriptions", id], &json!({"expand": EXPAND})).await
    }

    /// Every subscription of `customer`, newest first, those that ended included.
    ///
    /// # Errors
    ///
    /// When Stripe cannot be reached.
    pub async fn subscriptions(&self, customer: &str) -> Result<Vec<Subscription>, StripeError> {
        let mut subscriptions: Vec<Subscription> = Vec::new();
        loop {
            let after = subscriptions.last().map(|subscription| subscription.id.clone());
            let params = json!({
                "customer": customer, "status": "all", "limit": PAGE, "starting_after": after,
                "expand": ["data.latest_invoice"],
            });
            let page: Page<Subscription> = self.get(&["v1", "subscriptions"], &params).await?;
            let last = page.data.is_empty() || !page.has_more;
            subscriptions.extend(page.data);
            if last {
                return Ok(subscriptions);
            }
        }
    }

    /// Changes the subscription `id`.
    ///
    /// # Errors
    ///
    /// When Stripe refuses, for one because the subscription has ended.
    pub async fn update_subscription(
        &self,
        id: &str,
        change: &SubscriptionChange,
        operation: &OperationId,
    ) -> Result<Subscription, StripeError> {
        self.post(&["v1", "subscriptions", id], &change.params(), operation).await
    }

    /// Ends the subscription `id` now.
    ///
    /// # Errors
    ///
    /// When it has ended already ([`NotFound`](super::StripeErrorKind::NotFound)), or Stripe cannot be reached.
    pub async fn cancel_subscription(
        &self,
        id: &str,
        operation: &OperationId,
    ) -> Result<Subscription, StripeError> {
        self.delete(&["v1", "subscriptions", id], &json!({"expand": EXPAND}), operation).await
    }

    /// Pauses the subscription `id`: no access and no invoices until it is resumed.
    ///
    /// # Errors
    ///
    /// When its state does not allow it, or Stripe cannot be reached.
    pub async fn pause_subscription(
        &self,
        id: &str,
        operation: &OperationId,
    ) -> Result<Subscription, StripeError> {
        let params = json!({"type": "subscription", "expand": EXPAND});
        self.post(&["v1", "subscriptions", id, "pause"], &params, operation).await
    }

    /// Resumes the paused subscription `id`, with a new period from now on.
    ///
    /// # Errors
    ///
    /// When it is not paused, or Stripe cannot be reached.
    pub async fn resume_subscription(
        &self,
        id: &str,
        operation: &OperationId,
    ) -> Result<Subscription, StripeError> {
        let params = json!({"billing_cycle_anchor": "now", "expand": EXPAND});
        self.post(&["v1", "subscriptions", id, "resume"], &params, operation).await
    }
}

#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn end_behavior<S: serde::Serializer>(
    missing: &Option<MissingPaymentMethod>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    json!({"end_behavior": {"missing_payment_method": missing}}).serialize(serializer)
}
