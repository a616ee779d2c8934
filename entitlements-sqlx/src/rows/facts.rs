//! What is known of a company: subscriptions, add-ons, overrides, grants, counters and gauges.

use chrono::serde::{ts_microseconds, ts_microseconds_option};
use chrono::{DateTime, Utc};
use entitlements_core::bucket::Bucket;
use entitlements_core::facts::{AddOnQuantity, GaugeLevel, Override, PlanChange, UsageCounter};
use entitlements_core::grant::{Grant, GrantKind, ResourcePattern};
use entitlements_core::id::{AddOnKey, CompanyId, FeatureKey, GrantId, PlanKey, SubscriptionId, UserId};
use entitlements_core::subscription::{Subscription, SubscriptionStatus};
use entitlements_core::{Action, Amount};
use serde::Deserialize;

use super::{flag, json_text, parsed};

#[derive(Deserialize)]
pub(crate) struct SubscriptionRow {
    id: SubscriptionId,
    company: CompanyId,
    plan: PlanKey,
    status: SubscriptionStatus,
    seats: Option<Amount>,
    #[serde(with = "ts_microseconds")]
    started_at: DateTime<Utc>,
    #[serde(with = "ts_microseconds")]
    anchor: DateTime<Utc>,
    #[serde(with = "ts_microseconds")]
    current_period_start: DateTime<Utc>,
    #[serde(with = "ts_microseconds")]
    current_period_end: DateTime<Utc>,
    #[serde(with = "ts_microseconds_option")]
    trial_end: Option<DateTime<Utc>>,
    #[serde(with = "ts_microseconds_option")]
    past_due_since: Option<DateTime<Utc>>,
    #[serde(with = "ts_microseconds_option")]
    cancel_at: Option<DateTime<Utc>>,
    #[serde(deserialize_with = "flag")]
    cancel_at_period_end: bool,
    #[serde(with = "ts_microseconds")]
    created_at: DateTime<Utc>,
}

impl From<SubscriptionRow> for Subscription {
    fn from(row: SubscriptionRow) -> Self {
        Self {
            id: row.id,
            company: row.company,
            plan: row.plan,
            status: row.status,
            seats: row.seats,
            started_at: row.started_at,
            anchor: row.anchor,
            current_period_start: row.current_period_start,
            current_period_end: row.current_period_end,
            trial_end: row.trial_end,
            past_due_since: row.past_due_since,
            cancel_at: row.cancel_at,
            cancel_at_period_end: row.cancel_at_period_end,
            created_at: row.created_at,
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct PlanChangeRow(SubscriptionId, #[serde(with = "ts_microseconds")] DateTime<Utc>, PlanKey);

impl From<PlanChangeRow> for PlanChange {
    fn from(PlanChangeRow(subscription, at, from): PlanChangeRow) -> Self {
        Self { subscription, at, from }
    }
}

#[derive(Deserialize)]
pub(crate) struct AddOnRow(AddOnKey, u32);

impl From<AddOnRow> for AddOnQuantity {
    fn from(AddOnRow(addon, quantity): AddOnRow) -> Self {
        Self { addon, quantity }
    }
}

#[derive(Deserialize)]
pub(crate) struct OverrideRow(FeatureKey, #[serde(deserialize_with = "json_text")] serde_json::Value);

impl From<OverrideRow> for Override {
    fn from(OverrideRow(feature, value): OverrideRow) -> Self {
        Self { feature, value }
    }
}

#[derive(Deserialize)]
pub(crate) struct GrantRow {
    id: GrantId,
    company: CompanyId,
    user: Option<UserId>,
    feature: FeatureKey,
    #[serde(deserialize_with = "json_text")]
    actions: Vec<Action>,
    resource: Option<ResourcePattern>,
    amount: Option<Amount>,
    kind: GrantKind,
    #[serde(with = "ts_microseconds")]
    starts_at: DateTime<Utc>,
    #[serde(with = "ts_microseconds_option")]
    ends_at: Option<DateTime<Utc>>,
    reason: Option<String>,
    #[serde(with = "ts_microseconds")]
    created_at: DateTime<Utc>,
    #[serde(with = "ts_microseconds_option")]
    voided_at: Option<DateTime<Utc>>,
}

impl From<GrantRow> for Grant {
    fn from(row: GrantRow) -> Self {
        Self {
            id: row.id,
            company: row.company,
            user: row.user,
            feature: row.feature,
            actions: row.actions.into_iter().collect(),
            resource: row.resource,
            amount: row.amount,
            kind: row.kind,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            reason: row.reason,
            created_at: row.created_at,
            voided_at: row.voided_at,
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct CounterRow {
    meter: FeatureKey,
    #[serde(deserialize_with = "parsed")]
    bucket: Bucket,
    #[serde(with = "ts_microseconds")]
    period_start: DateTime<Utc>,
    used: Amount,
}

impl From<CounterRow> for UsageCounter {
    fn from(row: CounterRow) -> Self {
        Self { meter: row.meter, bucket: row.bucket, period_start: row.period_start, used: row.used }
    }
}

#[derive(Deserialize)]
pub(crate) struct GaugeRow(FeatureKey, Amount);

impl From<GaugeRow> for GaugeLevel {
    fn from(GaugeRow(gauge, used): GaugeRow) -> Self {
        Self { gauge, used }
    }
}
