//! Subscriptions with their history, add-ons and overrides.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::Subscription;
use entitlements_core::facts::{AddOnQuantity, Override, Revision};
use entitlements_core::id::{CompanyId, FeatureKey, SubscriptionId};
use entitlements_core::store::{StoreError, StoreErrorKind, SubscriptionStore};

use crate::store::{OrderedStore, State, kept};

#[async_trait]
impl SubscriptionStore for OrderedStore {
    async fn put_subscription(
        &self,
        subscription: &Subscription,
        at: DateTime<Utc>,
    ) -> Result<Revision, StoreError> {
        let subscription = to_microseconds(subscription);
        let mut state = self.state();
        if let Some((_, present)) = history(&state, &subscription.id).last() {
            if present.company != subscription.company {
                return Err(StoreError::new(
                    StoreErrorKind::Unsupported,
                    "move a subscription to another company",
                ));
            }
            if *present == subscription
                && let Some(known) = state.companies.get(&subscription.company)
            {
                return Ok(known.revision);
            }
        }
        let company = subscription.company.clone();
        Ok(state.change(&company, |company| {
            let history = company.subscriptions.entry(subscription.id.clone()).or_default();
            history.push((kept(at), subscription));
        }))
    }

    async fn subscription(&self, id: &SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        Ok(history(&self.state(), id).last().map(|(_, present)| present.clone()))
    }

    async fn subscription_history(
        &self,
        id: &SubscriptionId,
    ) -> Result<Vec<(DateTime<Utc>, Subscription)>, StoreError> {
        Ok(history(&self.state(), id).to_vec())
    }

    async fn put_addon(&self, company: &CompanyId, addon: &AddOnQuantity) -> Result<Revision, StoreError> {
        Ok(self.state().change(company, |company| {
            match addon.quantity {
                0 => company.addons.remove(&addon.addon),
                quantity => company.addons.insert(addon.addon.clone(), quantity),
            };
        }))
    }

    async fn put_override(&self, company: &CompanyId, value: &Override) -> Result<Revision, StoreError> {
        Ok(self.state().change(company, |company| {
            company.overrides.insert(value.feature.clone(), value.value.clone());
        }))
    }

    async fn remove_override(
        &self,
        company: &CompanyId,
        feature: &FeatureKey,
    ) -> Result<Option<Revision>, StoreError> {
        let mut state = self.state();
        let known = state.companies.get(company).is_some_and(|known| known.overrides.contains_key(feature));
        Ok(known.then(|| {
            state.change(company, |company| {
                company.overrides.remove(feature);
            })
        }))
    }
}

/// The states of a subscription, of whichever company it is; a database has an index for that.
fn history<'a>(state: &'a State, id: &SubscriptionId) -> &'a [(DateTime<Utc>, Subscription)] {
    let mut companies = state.companies.values();
    companies.find_map(|company| company.subscriptions.get(id)).map_or(&[], Vec::as_slice)
}

fn to_microseconds(subscription: &Subscription) -> Subscription {
    Subscription {
        started_at: kept(subscription.started_at),
        anchor: kept(subscription.anchor),
        current_period_start: kept(subscription.current_period_start),
        current_period_end: kept(subscription.current_period_end),
        trial_end: subscription.trial_end.map(kept),
        past_due_since: subscription.past_due_since.map(kept),
        cancel_at: subscription.cancel_at.map(kept),
        created_at: kept(subscription.created_at),
        ..subscription.clone()
    }
}
