//! The trait of billing providers.

use async_trait::async_trait;
use entitlements_core::Subscription;
use entitlements_core::billing::{
    BillingError, BillingErrorKind, BillingProvider, NewSubscription, Portal, SubscriptionChange,
};
use entitlements_core::id::{CompanyId, SubscriptionId};

use super::StripeBilling;
use crate::client::{StripeError, StripeErrorKind};

#[async_trait]
impl BillingProvider for StripeBilling {
    async fn subscribe(&self, new: &NewSubscription) -> Result<Subscription, BillingError> {
        let new = new.clone();
        self.to_the_end(|this| async move { this.make_subscription(new).await }).await
    }

    async fn change(
        &self,
        subscription: &SubscriptionId,
        change: &SubscriptionChange,
    ) -> Result<Subscription, BillingError> {
        let (id, change) = (subscription.clone(), change.clone());
        self.to_the_end(|this| async move { this.change_subscription(&id, change).await }).await
    }

    async fn cancel(
        &self,
        subscription: &SubscriptionId,
        at_period_end: bool,
    ) -> Result<Subscription, BillingError> {
        let id = subscription.clone();
        self.to_the_end(move |this| async move { this.cancel_subscription(&id, at_period_end).await }).await
    }

    async fn pause(&self, subscription: &SubscriptionId) -> Result<Subscription, BillingError> {
        let id = subscription.clone();
        self.to_the_end(|this| async move { this.pause_subscription(&id).await }).await
    }

    async fn resume(&self, subscription: &SubscriptionId) -> Result<Subscription, BillingError> {
        let id = subscription.clone();
        self.to_the_end(|this| async move { this.resume_subscription(&id).await }).await
    }

    async fn portal(&self, company: &CompanyId, return_url: &str) -> Result<Portal, BillingError> {
        self.open_portal(company, return_url).await
    }

    async fn reconcile(&self, company: &CompanyId) -> Result<Vec<Subscription>, BillingError> {
        let company = company.clone();
        self.to_the_end(|this| async move {
            let shared = this.shared();
            let Some(customer) = shared.store.customer_of(&company).await? else { return Ok(Vec::new()) };
            let customer = &customer.id;
            shared.locked(&company, |lock| async move { shared.sync_company(&lock, customer).await }).await
        })
        .await
    }
}

impl From<StripeError> for BillingError {
    fn from(error: StripeError) -> Self {
        use StripeErrorKind as Kind;

        let (kind, message) = match error.kind() {
            Kind::CardDeclined => {
                let why = error.message().unwrap_or("the payment method was declined").to_owned();
                (BillingErrorKind::Declined, why)
            }
            Kind::InvalidRequest | Kind::NotFound => {
                let why = error.message().unwrap_or("the billing provider refused the request").to_owned();
                (BillingErrorKind::Invalid, why)
            }
            Kind::RateLimited => {
                (BillingErrorKind::Unavailable, "the billing provider asks to wait".to_owned())
            }
            Kind::Authentication => {
                (BillingErrorKind::Unauthorized, "the billing provider does not accept our key".to_owned())
            }
            Kind::Idempotency => {
                let why = "the same operation was asked for with other arguments".to_owned();
                (BillingErrorKind::Conflict, why)
            }
            Kind::Unavailable => {
                (BillingErrorKind::Unavailable, "the billing provider is unavailable".to_owned())
            }
            _ => (BillingErrorKind::Internal, "the billing provider's answer cannot be used".to_owned()),
        };
        let field = match error.param() {
            Some("payment_method" | "default_payment_method") => Some("paymentMethodId"),
            Some(param) if param.ends_with("[price]") => Some("plan"),
            Some(param) if param.ends_with("[quantity]") => Some("seats"),
            Some("trial_period_days") => Some("trialDays"),
            Some("return_url") => Some("returnUrl"),
            _ => None,
        };
        let billing = Self::new(kind, message).with_source(error);
        match field {
            Some(field) => billing.with_field(field),
            None => billing,
        }
    }
}
