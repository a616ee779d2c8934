//! Subscriptions, add-ons and overrides: one statement per write.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::Amount;
use entitlements_core::facts::{AddOnQuantity, Override, Revision};
use entitlements_core::id::{CompanyId, FeatureKey, SubscriptionId};
use entitlements_core::store::{StoreError, StoreErrorKind, SubscriptionStore};
use entitlements_core::subscription::Subscription;

use super::{Store, Typed, sql};
use crate::error::corrupt;
use crate::facts::revision;
use crate::rows::{SubscriptionRow, one};

const PUT: &str = "store a subscription";
const FIND: &str = "read a subscription";
const HISTORY: &str = "read the history of a subscription";
const PUT_ADDON: &str = "set an add-on";
const PUT_OVERRIDE: &str = "set an override";
const REMOVE_OVERRIDE: &str = "take an override away";

#[async_trait]
impl SubscriptionStore for Store {
    async fn put_subscription(
        &self,
        subscription: &Subscription,
        at: DateTime<Utc>,
    ) -> Result<Revision, StoreError> {
        let query = Self::bind_subscription(sqlx::query_as(sql::PUT_SUBSCRIPTION), subscription, at);
        match self.change(PUT, query).await? {
            Some(revision) => Ok(revision),
            None => self.unchanged(subscription).await,
        }
    }

    async fn subscription(&self, id: &SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        let query = sqlx::query_as(sql::FIND_SUBSCRIPTION).bind(id.as_str());
        let rows: Vec<(String,)> = self.read(FIND, query).await?;
        rows.first().map(|(json,)| one::<SubscriptionRow, _>(FIND, json)).transpose()
    }

    async fn subscription_history(
        &self,
        id: &SubscriptionId,
    ) -> Result<Vec<(DateTime<Utc>, Subscription)>, StoreError> {
        let query = sqlx::query_as(sql::SUBSCRIPTION_HISTORY).bind(id.as_str());
        let rows: Vec<(i64, String)> = self.read(HISTORY, query).await?;
        rows.iter()
            .map(|(stored_at, json)| {
                let stored_at = DateTime::from_timestamp_micros(*stored_at)
                    .ok_or_else(|| corrupt(HISTORY)("an instant is out of range"))?;
                Ok((stored_at, one::<SubscriptionRow, _>(HISTORY, json)?))
            })
            .collect()
    }

    async fn put_addon(&self, company: &CompanyId, addon: &AddOnQuantity) -> Result<Revision, StoreError> {
        let query = sqlx::query_as(sql::PUT_ADDON)
            .bind(company.as_str())
            .bind(addon.addon.as_str())
            .bind(i64::from(addon.quantity));
        let changed = self.change(PUT_ADDON, query).await?;
        changed.ok_or(StoreError::new(StoreErrorKind::Corrupt, PUT_ADDON))
    }

    async fn put_override(&self, company: &CompanyId, value: &Override) -> Result<Revision, StoreError> {
        let query = sqlx::query_as(sql::PUT_OVERRIDE)
            .bind(company.as_str())
            .bind(value.feature.as_str())
            .bind(value.value.to_string());
        let changed = self.change(PUT_OVERRIDE, query).await?;
        changed.ok_or(StoreError::new(StoreErrorKind::Corrupt, PUT_OVERRIDE))
    }

    async fn remove_override(
        &self,
        company: &CompanyId,
        feature: &FeatureKey,
    ) -> Result<Option<Revision>, StoreError> {
        let query = sqlx::query_as(sql::REMOVE_OVERRIDE).bind(company.as_str()).bind(feature.as_str());
        self.change(REMOVE_OVERRIDE, query).await
    }
}

impl Store {
    /// Binds the columns of a subscription, in the order of the table.
    pub(super) fn bind_subscription<'q>(
        query: Typed<'q, (i64,)>,
        subscription: &'q Subscription,
        at: DateTime<Utc>,
    ) -> Typed<'q, (i64,)> {
        let micros = |instant: Option<DateTime<Utc>>| instant.map(|instant| instant.timestamp_micros());
        query
            .bind(subscription.id.as_str())
            .bind(subscription.company.as_str())
            .bind(subscription.plan.as_str())
            .bind(subscription.status.as_str())
            .bind(subscription.seats.map(Amount::as_i64))
            .bind(subscription.started_at.timestamp_micros())
            .bind(subscription.anchor.timestamp_micros())
            .bind(subscription.current_period_start.timestamp_micros())
            .bind(subscription.current_period_end.timestamp_micros())
            .bind(micros(subscription.trial_end))
            .bind(micros(subscription.past_due_since))
            .bind(micros(subscription.cancel_at))
            .bind(subscription.cancel_at_period_end)
            .bind(subscription.created_at.timestamp_micros())
            .bind(at.timestamp_micros())
    }

    /// Why storing a subscription changed nothing: it is stored as it is, or it is another company's.
    pub(super) async fn unchanged(&self, subscription: &Subscription) -> Result<Revision, StoreError> {
        let query = sqlx::query_as(sql::SUBSCRIPTION_OWNER).bind(subscription.id.as_str());
        let rows: Vec<(String, i64)> = self.read(PUT, query).await?;
        match rows.first() {
            Some((owner, number)) if *owner == subscription.company.as_str() => revision(PUT, *number),
            Some(_) => {
                Err(StoreError::new(StoreErrorKind::Unsupported, "move a subscription to another company"))
            }
            None => Err(StoreError::new(StoreErrorKind::Corrupt, PUT)),
        }
    }
}
