//! Changes of a subscription: seats, plan, end, pause.

use std::future::Future;

use entitlements_core::billing::{BillingError, BillingErrorKind, BillingLock, SubscriptionChange};
use entitlements_core::id::SubscriptionId;
use entitlements_core::{Amount, Subscription};

use super::subscribe::{invalid, is_live};
use super::{Shared, StripeBilling};
use crate::client::{self, CancelAt, ItemChange, OperationId, Proration, StripeError, StripeErrorKind};
use crate::translate::{SEATS_KEY, SEATS_SOLD};
use crate::wire;

impl StripeBilling {
    /// Has `ask` change a subscription at Stripe, under the company's lock and as one operation, and stores the reply.
    pub(super) async fn changed<'a, F>(
        &'a self,
        id: &'a SubscriptionId,
        kind: &'static str,
        arguments: String,
        ask: impl FnOnce(&'a Shared, BillingLock, OperationId) -> F,
    ) -> Result<Subscription, BillingError>
    where
        F: Future<Output = Result<wire::Subscription, BillingError>>,
    {
        let shared = self.shared();
        let known = shared.store.subscription(id).await?.ok_or_else(|| unknown(id))?;
        let lock = shared.lock(&known.company).await?;
        let outcome = async {
            let known = shared.store.subscription(id).await?.ok_or_else(|| unknown(id))?;
            if !is_live(&known) {
                let message = format!("the subscription `{id}` is over");
                return Err(BillingError::new(BillingErrorKind::Conflict, message));
            }
            let open = shared.begin(&lock, &format!("{kind} {id}"), &arguments).await?;
            let outcome = match ask(shared, lock.clone(), open.id.clone()).await {
                // The answer may be that of an earlier call, and old.
                Ok(_) if open.resumed => {
                    shared.put(&lock, &shared.client.subscription(id.as_str()).await?).await
                }
                Ok(shown) => shared.put(&lock, &shown).await,
                Err(error) => Err(error),
            };
            shared.end(&open, outcome, |changed| changed.id.to_string()).await
        };
        let outcome = outcome.await;
        shared.unlock(&lock, outcome).await
    }

    pub(super) async fn change_subscription(
        &self,
        id: &SubscriptionId,
        change: SubscriptionChange,
    ) -> Result<Subscription, BillingError> {
        if change == SubscriptionChange::default() {
            let message = "nothing to change: give `seats`, `plan` or `cancelAtPeriodEnd`";
            return Err(BillingError::new(BillingErrorKind::Invalid, message));
        }
        if change.seats.is_some_and(Amount::is_zero) {
            return Err(invalid("seats", "must be at least 1"));
        }
        let shared = self.shared();
        let price = match &change.plan {
            Some(key) => {
                let catalog = shared.entitlements.catalog();
                let plan = catalog.plan(key.as_str());
                let plan = plan.ok_or_else(|| invalid("plan", format!("unknown plan `{key}`")))?;
                Some(shared.prices.price_of(plan, &shared.client).await?)
            }
            None => None,
        };
        let arguments = format!(
            "seats {:?}, price {price:?}, end with the period {:?}",
            change.seats.map(Amount::get),
            change.cancel_at_period_end,
        );
        self.changed(id, "change", arguments, |shared, _, operation| async move {
            let shown = shared.client.subscription(id.as_str()).await?;
            let change = shared.wire_change(&shown, &change, price)?;
            Ok(shared.client.update_subscription(id.as_str(), &change, &operation).await?)
        })
        .await
    }

    pub(super) async fn cancel_subscription(
        &self,
        id: &SubscriptionId,
        at_period_end: bool,
    ) -> Result<Subscription, BillingError> {
        if at_period_end {
            let change =
                SubscriptionChange { cancel_at_period_end: Some(true), ..SubscriptionChange::default() };
            return self.change_subscription(id, change).await;
        }
        self.changed(id, "cancel", String::new(), |shared, _, operation| async move {
            match shared.client.cancel_subscription(id.as_str(), &operation).await {
                Ok(shown) => Ok(shown),
                // It is over already: a repeated call, or Stripe ended it.
                Err(error) if is_over(&error) => Ok(shared.client.subscription(id.as_str()).await?),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }
}

fn is_over(error: &StripeError) -> bool {
    matches!(error.kind(), StripeErrorKind::NotFound | StripeErrorKind::InvalidRequest)
}

impl Shared {
    /// The change in Stripe's words: of the item that has the plan, and undoing an end in the way it was said.
    fn wire_change(
        &self,
        shown: &wire::Subscription,
        change: &SubscriptionChange,
        price: Option<String>,
    ) -> Result<client::SubscriptionChange, BillingError> {
        let mut wire = client::SubscriptionChange::default();
        if price.is_some() || change.seats.is_some() {
            let catalog = self.entitlements.catalog();
            let items = &shown.items.data;
            let planned = items.iter().find(|item| self.prices.plan_of(&item.price, &catalog).is_some());
            let item = planned.or(items.first()).ok_or_else(|| {
                BillingError::new(BillingErrorKind::Conflict, "the subscription has no item to change")
            })?;
            wire.items = vec![ItemChange {
                id: Some(item.id.clone()),
                price,
                // A price that is replaced keeps the quantity.
                quantity: change.seats.map(Amount::get).or(item.quantity),
                deleted: false,
            }];
            wire.proration = Some(Proration::CreateProrations);
        }
        if change.seats.is_some() {
            wire.metadata.insert(SEATS_KEY.to_owned(), SEATS_SOLD.to_owned());
        }
        wire.cancel = match change.cancel_at_period_end {
            Some(true) => Some(CancelAt::PeriodEnd),
            Some(false) if shown.cancel_at_period_end => Some(CancelAt::NotPeriodEnd),
            Some(false) if shown.cancel_at.is_some() => Some(CancelAt::Never),
            Some(false) | None => None,
        };
        Ok(wire)
    }
}

pub(super) fn unknown(id: &SubscriptionId) -> BillingError {
    BillingError::new(BillingErrorKind::NotFound, format!("no subscription `{id}`"))
}
