//! Changes of a subscription: seats, plan, end, pause.

use std::future::Future;

use entitlements_core::billing::{BillingError, BillingErrorKind, BillingLock, SubscriptionChange};
use entitlements_core::id::SubscriptionId;
use entitlements_core::{Amount, Subscription, SubscriptionStatus};

use super::operation::Open;
use super::subscribe::{invalid, is_live};
use super::{Shared, StripeBilling};
use crate::client::{self, CancelAt, ItemChange, OperationId, Proration, StripeError, StripeErrorKind};
use crate::translate::{SEATS_KEY, SEATS_SOLD};
use crate::wire;

impl StripeBilling {
    /// Has `ask` change a subscription at Stripe, under the company's lock and as one operation, and stores the reply.
    ///
    /// What is asked for is a state and not a step, so that it does no harm to ask again.
    async fn changed<'a, F>(
        &'a self,
        id: &'a SubscriptionId,
        kind: &'static str,
        arguments: &'a str,
        ask: impl Fn(OperationId) -> F,
    ) -> Result<Subscription, BillingError>
    where
        F: Future<Output = Result<wire::Subscription, BillingError>>,
    {
        let shared = self.shared();
        let known = shared.store.subscription(id).await?.ok_or_else(|| unknown(id))?;
        let kind = format!("{kind} {id}");
        let work = |lock: BillingLock| async move {
            loop {
                let known = shared.store.subscription(id).await?.ok_or_else(|| unknown(id))?;
                if !is_live(&known) {
                    return Err(over(id));
                }
                let open = shared.begin(&lock, &kind, arguments).await?;
                if open.resumed && shared.is_given_up(open.begun_at()) {
                    shared.give_up(&open).await?;
                    continue;
                }
                let outcome = match ask(open.id.clone()).await {
                    Err(error) if open.resumed && is_mismatch(&error) => {
                        shared.give_up(&open).await?;
                        continue;
                    }
                    outcome => shared.take_answer(&lock, &open, id, outcome).await,
                };
                return shared.end(&open, outcome, |changed| changed.id.to_string()).await;
            }
        };
        shared.locked(&known.company, work).await
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
        let (change, price) = (&change, price.as_deref());
        self.changed(id, "change", &arguments, |operation| async move {
            let shown = shared.client.subscription(id.as_str()).await?;
            let change = shared.wire_change(&shown, change, price)?;
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
        let shared = self.shared();
        self.changed(id, "cancel", "", |operation| async move {
            let answer = shared.client.cancel_subscription(id.as_str(), &operation).await;
            shared.unless_it_is(id, answer, &SubscriptionStatus::Canceled).await
        })
        .await
    }

    pub(super) async fn pause_subscription(&self, id: &SubscriptionId) -> Result<Subscription, BillingError> {
        let shared = self.shared();
        self.changed(id, "pause", "", |operation| async move {
            let answer = shared.client.pause_subscription(id.as_str(), &operation).await;
            shared.unless_it_is(id, answer, &SubscriptionStatus::Paused).await
        })
        .await
    }

    pub(super) async fn resume_subscription(
        &self,
        id: &SubscriptionId,
    ) -> Result<Subscription, BillingError> {
        let shared = self.shared();
        self.changed(id, "resume", "", |operation| async move {
            let answer = shared.client.resume_subscription(id.as_str(), &operation).await;
            shared.unless_it_is(id, answer, &SubscriptionStatus::Active).await
        })
        .await
    }
}

fn is_refusal(error: &StripeError) -> bool {
    matches!(error.kind(), StripeErrorKind::NotFound | StripeErrorKind::InvalidRequest)
}

/// Whether the key was used for a request that looked otherwise, because the subscription did.
pub(super) fn is_mismatch(error: &BillingError) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<StripeError>());
    cause.is_some_and(|cause| cause.kind() == StripeErrorKind::Idempotency)
}

impl Shared {
    /// A refusal is none if the subscription is already as it is wanted: by a repeated call, or by Stripe itself.
    async fn unless_it_is(
        &self,
        id: &SubscriptionId,
        answer: Result<wire::Subscription, StripeError>,
        wanted: &SubscriptionStatus,
    ) -> Result<wire::Subscription, BillingError> {
        match answer {
            Err(error) if is_refusal(&error) => match self.client.subscription(id.as_str()).await {
                Ok(shown) if shown.status == *wanted => Ok(shown),
                _ => Err(error.into()),
            },
            answer => Ok(answer?),
        }
    }

    /// Stores what Stripe answered to a change, or what it shows now if the answer may be old.
    async fn take_answer(
        &self,
        lock: &BillingLock,
        open: &Open,
        id: &SubscriptionId,
        answer: Result<wire::Subscription, BillingError>,
    ) -> Result<Subscription, BillingError> {
        match answer {
            Ok(_) if open.resumed => {
                let shown = self.client.subscription(id.as_str()).await?;
                self.put(lock, &shown).await
            }
            Ok(shown) => self.put(lock, &shown).await,
            Err(error) if matches!(error.kind(), BillingErrorKind::Invalid | BillingErrorKind::NotFound) => {
                // Something was missed here, if it is over there.
                self.sync_subscriptions_of(lock).await?;
                let known = self.store.subscription(id).await?;
                Err(if known.is_none_or(|known| is_live(&known)) { error } else { over(id) })
            }
            Err(error) => Err(error),
        }
    }

    async fn sync_subscriptions_of(&self, lock: &BillingLock) -> Result<(), BillingError> {
        if let Some(customer) = self.store.customer_of(&lock.company).await?
            && !self.customer_is_gone(lock, &customer.id).await?
        {
            self.sync_subscriptions(lock, &customer.id).await?;
        }
        Ok(())
    }

    /// The change in Stripe's words: of the item that has the plan, and undoing an end in the way it was said.
    fn wire_change(
        &self,
        shown: &wire::Subscription,
        change: &SubscriptionChange,
        price: Option<&str>,
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
                price: price.map(str::to_owned),
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

fn unknown(id: &SubscriptionId) -> BillingError {
    BillingError::new(BillingErrorKind::NotFound, format!("no subscription `{id}`"))
}

fn over(id: &SubscriptionId) -> BillingError {
    BillingError::new(BillingErrorKind::Conflict, format!("the subscription `{id}` is over"))
}
