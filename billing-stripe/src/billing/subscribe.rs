//! A new subscription: the customer if there is none, what to pay with, then the subscription.

use entitlements_core::billing::{BillingError, BillingErrorKind, BillingLock, Customer, NewSubscription};
use entitlements_core::id::{CompanyId, CustomerId};
use entitlements_core::{Amount, Subscription, SubscriptionStatus};

use super::operation::Open;
use super::sync::unusable;
use super::{Shared, StripeBilling};
use crate::client::{self, MissingPaymentMethod, NewCustomer, NewItem, PaymentBehavior, StripeError};
use crate::translate::{COMPANY_KEY, SEATS_KEY, SEATS_SOLD};
use crate::wire::Metadata;

/// The longest trial.
const MAX_TRIAL_DAYS: u32 = 30;

impl StripeBilling {
    pub(super) async fn make_subscription(&self, new: NewSubscription) -> Result<Subscription, BillingError> {
        let shared = self.shared();
        let catalog = shared.entitlements.catalog();
        let Some(plan) = catalog.plan(new.plan.as_str()) else {
            return Err(invalid("plan", format!("unknown plan `{}`", new.plan)));
        };
        let trial_days = new.trial_days.or(plan.trial_days().map(u32::from)).unwrap_or(0);
        if trial_days > MAX_TRIAL_DAYS {
            return Err(invalid("trialDays", format!("must be 0 to {MAX_TRIAL_DAYS}")));
        }
        if new.seats.is_some_and(Amount::is_zero) {
            return Err(invalid("seats", "must be at least 1"));
        }
        let price = shared.prices.price_of(plan, &shared.client).await?;
        let lock = shared.lock(&new.company).await?;
        let outcome = shared.subscribe(&lock, &new, &price, trial_days).await;
        shared.unlock(&lock, outcome).await
    }
}

impl Shared {
    async fn subscribe(
        &self,
        lock: &BillingLock,
        new: &NewSubscription,
        price: &str,
        trial_days: u32,
    ) -> Result<Subscription, BillingError> {
        let arguments = format!(
            "plan {} at {price}, seats {:?}, trial {trial_days} d, paid by {:?}",
            new.plan,
            new.seats.map(Amount::get),
            new.payment_method,
        );
        let open = self.begin(lock, "subscribe", &arguments).await?;
        let outcome = self.subscribe_once(lock, &open, new, price, trial_days).await;
        self.end(&open, outcome, |made| made.id.to_string()).await
    }

    async fn subscribe_once(
        &self,
        lock: &BillingLock,
        open: &Open,
        new: &NewSubscription,
        price: &str,
        trial_days: u32,
    ) -> Result<Subscription, BillingError> {
        let facts = self.store.load(&lock.company, self.entitlements.now()).await?;
        if let Some(live) = facts.subscriptions.iter().find(|known| is_live(known)) {
            let message = format!("the company has the subscription `{}`, which is not over", live.id);
            return Err(BillingError::new(BillingErrorKind::Conflict, message));
        }
        let customer = self.customer(&lock.company).await?;
        if let Some(method) = &new.payment_method {
            let step = open.id.step("attach");
            let attached = self.client.attach_payment_method(method, customer.as_str(), &step).await;
            let attached = attached.map_err(of_payment_method)?;
            let step = open.id.step("default");
            self.client.set_default_payment_method(customer.as_str(), &attached.id, &step).await?;
        }
        let mut metadata = Metadata::from([(COMPANY_KEY.to_owned(), new.company.to_string())]);
        if new.seats.is_some() {
            metadata.insert(SEATS_KEY.to_owned(), SEATS_SOLD.to_owned());
        }
        let params = client::NewSubscription {
            customer: customer.as_str().to_owned(),
            items: vec![NewItem { price: price.to_owned(), quantity: new.seats.map(Amount::get) }],
            trial_period_days: (trial_days > 0).then_some(trial_days),
            payment_behavior: if new.payment_method.is_some() {
                PaymentBehavior::ErrorIfIncomplete
            } else {
                PaymentBehavior::DefaultIncomplete
            },
            missing_payment_method: (trial_days > 0).then_some(MissingPaymentMethod::Cancel),
            metadata,
        };
        let made = self.client.create_subscription(&params, &open.id.step("subscription")).await?;
        if open.resumed {
            // The answer may be that of an earlier call, and old.
            let now = self.client.subscription(&made.id).await?;
            return self.put(lock, &now).await;
        }
        self.put(lock, &made).await
    }

    /// The customer of a company, made if there is none.
    async fn customer(&self, company: &CompanyId) -> Result<CustomerId, BillingError> {
        if let Some(known) = self.store.customer_of(company).await? {
            return Ok(known.id);
        }
        let (open, forgotten) = self.begin_customer(company).await?;
        let outcome = self.customer_once(company, &open, forgotten).await;
        self.end(&open, outcome, CustomerId::to_string).await
    }

    async fn customer_once(
        &self,
        company: &CompanyId,
        open: &Open,
        forgotten: bool,
    ) -> Result<CustomerId, BillingError> {
        let found = if forgotten {
            self.client.customers_by_metadata(COMPANY_KEY, company.as_str()).await?
        } else {
            Vec::new()
        };
        let made = if let Some(found) = found.into_iter().find(|customer| !customer.deleted) {
            found
        } else {
            let new = NewCustomer {
                name: Some(company.to_string()),
                email: None,
                metadata: Metadata::from([(COMPANY_KEY.to_owned(), company.to_string())]),
            };
            self.client.create_customer(&new, &open.id).await?
        };
        let customer = Customer {
            id: made.id.parse().map_err(unusable)?,
            company: company.clone(),
            livemode: self.client.is_live(),
            created_at: made.created.unwrap_or_else(|| self.entitlements.now()),
            deleted_at: None,
        };
        Ok(self.store.insert_customer(&customer).await?.id)
    }
}

/// Whether a subscription stands in the way of a second one.
pub(super) fn is_live(subscription: &Subscription) -> bool {
    !matches!(subscription.status, SubscriptionStatus::Canceled | SubscriptionStatus::IncompleteExpired)
}

/// Names the field that a method of payment came in, should Stripe not do so.
fn of_payment_method(error: StripeError) -> BillingError {
    let error = BillingError::from(error);
    match (error.kind(), error.field()) {
        (BillingErrorKind::Invalid, None) => error.with_field("paymentMethodId"),
        _ => error,
    }
}

pub(super) fn invalid(field: &'static str, message: impl Into<String>) -> BillingError {
    BillingError::new(BillingErrorKind::Invalid, message).with_field(field)
}
