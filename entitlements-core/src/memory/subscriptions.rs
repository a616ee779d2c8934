//! Subscriptions, add-ons and overrides in memory.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::MemoryStore;
use super::instant::{kept, kept_subscription};
use super::state::State;
use crate::facts::{AddOnQuantity, Override, PlanChange, Revision};
use crate::id::{CompanyId, FeatureKey, SubscriptionId};
use crate::store::{StoreError, StoreErrorKind, SubscriptionStore};
use crate::subscription::Subscription;

#[async_trait]
impl SubscriptionStore for MemoryStore {
    async fn put_subscription(
        &self,
        subscription: &Subscription,
        at: DateTime<Utc>,
    ) -> Result<Revision, StoreError> {
        put(&mut self.state(), subscription, at)
    }

    async fn subscription(&self, id: &SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        let state = self.state();
        let company = state.subscriptions.get(id).and_then(|owner| state.companies.get(owner));
        Ok(company.and_then(|company| company.subscriptions.get(id)).cloned())
    }

    async fn subscription_history(
        &self,
        id: &SubscriptionId,
    ) -> Result<Vec<(DateTime<Utc>, Subscription)>, StoreError> {
        Ok(self.state().history.get(id).cloned().unwrap_or_default())
    }

    async fn put_addon(&self, company: &CompanyId, addon: &AddOnQuantity) -> Result<Revision, StoreError> {
        Ok(self.state().change(company, |company| {
            if addon.quantity == 0 {
                company.addons.remove(&addon.addon);
            } else {
                company.addons.insert(addon.addon.clone(), addon.quantity);
            }
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

/// Stores the state of a subscription.
pub(super) fn put(
    state: &mut State,
    subscription: &Subscription,
    at: DateTime<Utc>,
) -> Result<Revision, StoreError> {
    let subscription = kept_subscription(subscription);
    if state.subscriptions.get(&subscription.id).is_some_and(|owner| *owner != subscription.company) {
        return Err(StoreError::new(StoreErrorKind::Unsupported, "move a subscription to another company"));
    }
    if let Some(known) = state.companies.get(&subscription.company)
        && known.subscriptions.get(&subscription.id) == Some(&subscription)
    {
        return Ok(known.revision);
    }
    state.subscriptions.insert(subscription.id.clone(), subscription.company.clone());
    state.history.entry(subscription.id.clone()).or_default().push((kept(at), subscription.clone()));
    let company = subscription.company.clone();
    Ok(state.change(&company, |company| {
        let (id, plan) = (subscription.id.clone(), subscription.plan.clone());
        if let Some(before) = company.subscriptions.insert(id.clone(), subscription)
            && before.plan != plan
        {
            let change = PlanChange { subscription: id, at: kept(at), from: before.plan };
            let place = company.plan_changes.partition_point(|known| known.at <= change.at);
            company.plan_changes.insert(place, change);
        }
    }))
}
