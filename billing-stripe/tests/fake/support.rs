//! A fake with prices and a customer.

use std::sync::Arc;
use std::time::Duration;

use billing_stripe::client::{
    NewCustomer, NewItem, NewSubscription, PaymentBehavior, RetryPolicy, StripeClient, SubscriptionChange,
};
use billing_stripe::fake::{FakeStripe, FakeStripeBuilder};
use billing_stripe::wire::{Metadata, Subscription};
use billing_stripe::{OperationId, StripeError};
use chrono::TimeDelta;
use entitlements_core::{Catalog, ManualClock};

pub(crate) const CATALOG: &str = r#"
schema = 1
past_due_grace = "7d"
[features]
reports = { type = "flag" }
[plans.starter]
stripe = { lookup_keys = ["starter_monthly"], prices = ["price_starter"] }
grants = { reports = true }
[plans.pro]
stripe = { prices = ["price_pro", "price_pro_yearly"] }
grants = { reports = true }
[addons.pack]
stripe = { prices = ["price_pack"] }
grants = { reports = true }
"#;

pub(crate) const MONTH: TimeDelta = TimeDelta::days(31);

pub(crate) fn catalog() -> Arc<Catalog> {
    Arc::new(Catalog::parse("catalog.toml", CATALOG).unwrap())
}

pub(crate) struct Stage {
    pub(crate) fake: FakeStripe,
    pub(crate) client: StripeClient,
}

pub(crate) fn builder() -> FakeStripeBuilder {
    let clock = ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap());
    FakeStripe::builder().clock(Arc::new(clock)).catalog(catalog())
}

pub(crate) async fn stage() -> Stage {
    stage_of(builder()).await
}

pub(crate) async fn stage_of(builder: FakeStripeBuilder) -> Stage {
    let fake = builder.start().await.unwrap();
    let quick = RetryPolicy {
        retries: 2,
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(2),
    };
    let client = StripeClient::new(&fake.config().retry(quick)).unwrap();
    Stage { fake, client }
}

/// The id of an operation, a new one each time.
pub(crate) fn op() -> OperationId {
    use std::sync::atomic::{AtomicU32, Ordering};
    static MADE: AtomicU32 = AtomicU32::new(0);
    OperationId::new(format!("op_{}", MADE.fetch_add(1, Ordering::Relaxed))).unwrap()
}

pub(crate) fn of(customer: &str, price: &str) -> NewSubscription {
    NewSubscription {
        customer: customer.into(),
        items: vec![NewItem { price: price.into(), quantity: Some(1) }],
        trial_period_days: None,
        payment_behavior: PaymentBehavior::AllowIncomplete,
        missing_payment_method: None,
        metadata: Metadata::new(),
    }
}

impl Stage {
    /// A customer whose invoices are paid by the test card, if one is given.
    pub(crate) async fn customer(&self, card: Option<&str>) -> String {
        let new = NewCustomer {
            email: Some("a@example.com".into()),
            metadata: Metadata::from([("company".into(), "acme".into())]),
            ..NewCustomer::default()
        };
        let customer = self.client.create_customer(&new, &op()).await.unwrap();
        if let Some(card) = card {
            self.pay_with(&customer.id, card).await;
        }
        customer.id
    }

    pub(crate) async fn pay_with(&self, customer: &str, card: &str) {
        let method = self.client.attach_payment_method(card, customer, &op()).await.unwrap();
        self.client.set_default_payment_method(customer, &method.id, &op()).await.unwrap();
    }

    pub(crate) async fn subscribe(&self, card: &str, price: &str) -> Subscription {
        let customer = self.customer(Some(card)).await;
        self.client.create_subscription(&of(&customer, price), &op()).await.unwrap()
    }

    pub(crate) async fn again(&self, subscription: &Subscription) -> Subscription {
        self.client.subscription(&subscription.id).await.unwrap()
    }

    pub(crate) async fn change(
        &self,
        subscription: &Subscription,
        change: SubscriptionChange,
    ) -> Result<Subscription, StripeError> {
        self.client.update_subscription(&subscription.id, &change, &op()).await
    }

    /// What happened since the `count` first events.
    pub(crate) fn kinds_after(&self, count: usize) -> Vec<String> {
        self.fake.event_kinds().split_off(count)
    }
}
