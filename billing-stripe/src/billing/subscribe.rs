//! A new subscription: the customer if there is none, what to pay with, then the subscription.

use entitlements_core::billing::{BillingError, BillingErrorKind, BillingLock, NewSubscription};
use entitlements_core::{Amount, Subscription, SubscriptionStatus};

use super::change::is_mismatch;
use super::operation::Open;
use super::{Shared, StripeBilling};
use crate::client::{self, MissingPaymentMethod, NewItem, PaymentBehavior, StripeError};
use crate::translate::{COMPANY_KEY, OPERATION_KEY, SEATS_KEY, SEATS_SOLD};
use crate::wire::{self, Metadata};

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
        let (new, price) = (&new, price.as_str());
        shared
            .locked(&new.company, |lock| async move { shared.subscribe(&lock, new, price, trial_days).await })
            .await
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
        let mut after_crash = false;
        loop {
            let mut open = self.begin(lock, "subscribe", &arguments).await?;
            open.after_crash |= after_crash;
            after_crash = open.after_crash;
            if open.resumed {
                if let Some(made) = self.made_by(lock, &open).await? {
                    let made = self.end(&open, Ok(made), |made| made.id.to_string()).await?;
                    if is_live(&made) {
                        return Ok(made);
                    }
                    // It was made, and ended since: this call means another.
                    continue;
                }
                if self.is_given_up(open.begun_at()) {
                    self.give_up(&open).await?;
                    continue;
                }
            }
            match self.subscribe_once(lock, &open, new, price, trial_days).await {
                // The customer can pay otherwise than when it was asked first; and nothing was made then.
                Err(error) if open.resumed && is_mismatch(&error) => self.give_up(&open).await?,
                outcome => return self.end(&open, outcome, |made| made.id.to_string()).await,
            }
        }
    }

    /// The subscription that an operation made before, as it is now.
    async fn made_by(&self, lock: &BillingLock, open: &Open) -> Result<Option<Subscription>, BillingError> {
        let Some(customer) = self.store.customer_of(&lock.company).await? else { return Ok(None) };
        let listed = self.sync_subscriptions(lock, &customer.id).await?;
        let of_it = |shown: &&wire::Subscription| {
            shown.metadata.get(OPERATION_KEY).is_some_and(|id| id == open.id.as_str())
        };
        match listed.iter().find(of_it) {
            Some(made) => {
                self.close_customer(lock, &customer.id).await?;
                self.put(lock, made).await.map(Some)
            }
            None => Ok(None),
        }
    }

    async fn subscribe_once(
        &self,
        lock: &BillingLock,
        open: &Open,
        new: &NewSubscription,
        price: &str,
        trial_days: u32,
    ) -> Result<Subscription, BillingError> {
        let known = self.known_customer(lock, open).await?;
        let facts = self.store.load(&lock.company, self.entitlements.now()).await?;
        if let Some(live) = facts.subscriptions.iter().find(|known| is_live(known)) {
            let message = format!("the company has the subscription `{}`, which is not over", live.id);
            return Err(BillingError::new(BillingErrorKind::Conflict, message));
        }
        let customer = match known {
            Some(customer) => customer,
            None => self.make_customer(&lock.company).await?,
        };
        let mut can_pay = new.payment_method.is_some();
        if let Some(method) = &new.payment_method {
            let step = open.id.step("attach");
            let attached = self.client.attach_payment_method(method, customer.as_str(), &step).await;
            let attached = attached.map_err(of_payment_method)?;
            let step = open.id.step("default");
            self.client.set_default_payment_method(customer.as_str(), &attached.id, &step).await?;
        } else {
            let shown = self.client.customer(customer.as_str()).await?;
            can_pay = shown.invoice_settings.default_payment_method.is_some();
        }
        let mut metadata = Metadata::from([
            (COMPANY_KEY.to_owned(), new.company.to_string()),
            (OPERATION_KEY.to_owned(), open.id.as_str().to_owned()),
        ]);
        if new.seats.is_some() {
            metadata.insert(SEATS_KEY.to_owned(), SEATS_SOLD.to_owned());
        }
        let params = client::NewSubscription {
            customer: customer.as_str().to_owned(),
            items: vec![NewItem { price: price.to_owned(), quantity: new.seats.map(Amount::get) }],
            trial_period_days: (trial_days > 0).then_some(trial_days),
            payment_behavior: if can_pay {
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
