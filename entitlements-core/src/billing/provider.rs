//! What an application asks a billing provider for.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use super::BillingError;
use crate::Amount;
use crate::id::{CompanyId, PlanKey, SubscriptionId};
use crate::subscription::Subscription;

/// A subscription to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSubscription {
    /// Who pays.
    pub company: CompanyId,
    /// The plan.
    pub plan: PlanKey,
    /// How many seats; `None` is what the provider takes for a plan without seats.
    pub seats: Option<Amount>,
    /// Days of trial, 0 to 30; `None` is the plan's own trial, 0 is none.
    pub trial_days: Option<u32>,
    /// The provider's id of what to pay with; it becomes the customer's default.
    pub payment_method: Option<String>,
}

/// What to change of a subscription; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionChange {
    /// How many seats.
    pub seats: Option<Amount>,
    /// The plan.
    pub plan: Option<PlanKey>,
    /// Whether it ends with the paid period; `false` undoes a scheduled cancellation.
    pub cancel_at_period_end: Option<bool>,
}

/// Where a customer manages its own billing, for a short time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portal {
    /// The page's address. It admits whoever has it: hand it to the customer and do not keep it.
    pub url: String,
}

/// A billing provider.
///
/// # Contract
///
/// * What a call returns is stored before it returns: the next check is right.
/// * A call that is repeated, by a double click or after a crash, has no second effect.
/// * A company has at most one subscription that is not over; a second is refused as
///   [`Conflict`](super::BillingErrorKind::Conflict) that names the first.
/// * Changes are charged for the rest of the period (proration).
#[async_trait]
pub trait BillingProvider: Debug + Send + Sync + 'static {
    /// Makes a subscription, and the customer if there is none.
    async fn subscribe(&self, new: &NewSubscription) -> Result<Subscription, BillingError>;

    /// Changes seats or plan, or schedules the end or undoes that.
    async fn change(
        &self,
        subscription: &SubscriptionId,
        change: &SubscriptionChange,
    ) -> Result<Subscription, BillingError>;

    /// Ends a subscription, now or with the paid period.
    async fn cancel(
        &self,
        subscription: &SubscriptionId,
        at_period_end: bool,
    ) -> Result<Subscription, BillingError>;

    /// Pauses a subscription: it gives no access and is not charged.
    async fn pause(&self, subscription: &SubscriptionId) -> Result<Subscription, BillingError>;

    /// Takes a paused subscription up again.
    async fn resume(&self, subscription: &SubscriptionId) -> Result<Subscription, BillingError>;

    /// Opens a page on which the company manages its billing, and from which it comes back to `return_url`.
    async fn portal(&self, company: &CompanyId, return_url: &str) -> Result<Portal, BillingError>;

    /// Asks the provider for everything about a company, and stores it; repairs what was missed.
    async fn reconcile(&self, company: &CompanyId) -> Result<Vec<Subscription>, BillingError>;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<B: BillingProvider + ?Sized> BillingProvider for Arc<B> {
    async fn subscribe(&self, new: &NewSubscription) -> Result<Subscription, BillingError> {
        (**self).subscribe(new).await
    }

    async fn change(
        &self,
        subscription: &SubscriptionId,
        change: &SubscriptionChange,
    ) -> Result<Subscription, BillingError> {
        (**self).change(subscription, change).await
    }

    async fn cancel(
        &self,
        subscription: &SubscriptionId,
        at_period_end: bool,
    ) -> Result<Subscription, BillingError> {
        (**self).cancel(subscription, at_period_end).await
    }

    async fn pause(&self, subscription: &SubscriptionId) -> Result<Subscription, BillingError> {
        (**self).pause(subscription).await
    }

    async fn resume(&self, subscription: &SubscriptionId) -> Result<Subscription, BillingError> {
        (**self).resume(subscription).await
    }

    async fn portal(&self, company: &CompanyId, return_url: &str) -> Result<Portal, BillingError> {
        (**self).portal(company, return_url).await
    }

    async fn reconcile(&self, company: &CompanyId) -> Result<Vec<Subscription>, BillingError> {
        (**self).reconcile(company).await
    }
}
