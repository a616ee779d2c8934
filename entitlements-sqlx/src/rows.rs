//! Rows as JSON arrays, in the order of the columns, and what they mean.

use chrono::serde::{ts_microseconds, ts_microseconds_option};
use chrono::{DateTime, Utc};
use entitlements_core::bucket::Bucket;
use entitlements_core::facts::{AddOnQuantity, GaugeLevel, Override, PlanChange, UsageCounter};
use entitlements_core::grant::{Grant, GrantKind, ResourcePattern};
use entitlements_core::id::{
    AddOnKey, CompanyId, FeatureKey, GrantId, IdempotencyKey, PlanKey, PolicyId, ReceiptId, SubscriptionId,
    UserId,
};
use entitlements_core::policy::{Effect, Policy, Target, When};
use entitlements_core::reservation::{Reservation, ReservationEnd, Settlement};
use entitlements_core::store::{StoreError, StoreErrorKind};
use entitlements_core::subscription::{Subscription, SubscriptionStatus};
use entitlements_core::usage::{Receipt, Split, UsageAlert};
use entitlements_core::{Action, Amount};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::corrupt;

/// Reads one row.
pub(crate) fn one<R, T>(operation: &'static str, json: &str) -> Result<T, StoreError>
where
    R: DeserializeOwned + Into<T>,
{
    serde_json::from_str::<R>(json).map(Into::into).map_err(corrupt(operation))
}

/// Reads an array of rows.
pub(crate) fn many<R, T>(operation: &'static str, json: &str) -> Result<Vec<T>, StoreError>
where
    R: DeserializeOwned + Into<T>,
{
    let rows: Vec<R> = serde_json::from_str(json).map_err(corrupt(operation))?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// A truth value; SQLite keeps it as a number.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Flag {
        Truth(bool),
        Number(i64),
    }
    match Flag::deserialize(deserializer)? {
        Flag::Truth(truth) => Ok(truth),
        Flag::Number(0) => Ok(false),
        Flag::Number(1) => Ok(true),
        Flag::Number(other) => Err(D::Error::custom(format_args!("{other} is no truth value"))),
    }
}

/// A truth value that may be missing.
fn optional_flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    struct Truth(#[serde(deserialize_with = "flag")] bool);
    Ok(Option::<Truth>::deserialize(deserializer)?.map(|Truth(truth)| truth))
}

/// A text that holds JSON, and may be missing.
fn optional_json_text<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| serde_json::from_str(&text).map_err(D::Error::custom)).transpose()
}

/// A text that holds JSON.
fn json_text<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    serde_json::from_str(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// A text that can be parsed.
fn parsed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bucket, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

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

/// The target of a policy, as its column keeps it.
#[derive(Deserialize, Serialize)]
struct TargetText {
    companies: Option<Vec<CompanyId>>,
    users: Option<Vec<UserId>>,
    features: Option<Vec<FeatureKey>>,
    actions: Option<Vec<Action>>,
    resources: Option<Vec<ResourcePattern>>,
}

impl From<&Target> for TargetText {
    fn from(target: &Target) -> Self {
        let Target { companies, users, features, actions, resources } = target.clone();
        Self { companies, users, features, actions, resources }
    }
}

impl From<TargetText> for Target {
    fn from(text: TargetText) -> Self {
        let TargetText { companies, users, features, actions, resources } = text;
        Self { companies, users, features, actions, resources }
    }
}

/// The text of a target.
pub(crate) fn target_json(operation: &'static str, target: &Target) -> Result<String, StoreError> {
    serde_json::to_string(&TargetText::from(target))
        .map_err(|error| StoreError::new(StoreErrorKind::Internal, operation).with_source(error))
}

#[derive(Deserialize)]
pub(crate) struct PolicyRow {
    id: PolicyId,
    name: Option<String>,
    priority: i64,
    effect: Effect,
    #[serde(deserialize_with = "flag")]
    guardrail: bool,
    #[serde(deserialize_with = "flag")]
    enabled: bool,
    #[serde(with = "ts_microseconds_option")]
    starts_at: Option<DateTime<Utc>>,
    #[serde(with = "ts_microseconds_option")]
    ends_at: Option<DateTime<Utc>>,
    #[serde(deserialize_with = "json_text")]
    target: TargetText,
    condition: Option<String>,
}

impl From<PolicyRow> for Policy {
    fn from(row: PolicyRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            priority: row.priority,
            effect: row.effect,
            guardrail: row.guardrail,
            enabled: row.enabled,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            target: row.target.into(),
            when: When::from_stored(row.condition.as_deref()),
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

#[derive(Deserialize)]
pub(crate) struct SplitRow {
    meter: FeatureKey,
    #[serde(deserialize_with = "parsed")]
    bucket: Bucket,
    #[serde(with = "ts_microseconds")]
    period_start: DateTime<Utc>,
    #[serde(rename = "period_end")]
    _period_end: Option<i64>,
    amount: Amount,
    #[serde(rename = "after")]
    _after: Amount,
    #[serde(rename = "crossed")]
    _crossed: Vec<(u16, Amount)>,
}

impl From<SplitRow> for Split {
    fn from(row: SplitRow) -> Self {
        Self { meter: row.meter, bucket: row.bucket, period_start: row.period_start, amount: row.amount }
    }
}

#[derive(Deserialize)]
pub(crate) struct ReceiptRow {
    id: ReceiptId,
    company: CompanyId,
    user: Option<UserId>,
    key: IdempotencyKey,
    meter: FeatureKey,
    amount: Amount,
    #[serde(with = "ts_microseconds")]
    at: DateTime<Utc>,
    #[serde(deserialize_with = "json_text")]
    split: Vec<SplitRow>,
    used: Amount,
    limit: Option<Amount>,
    #[serde(with = "ts_microseconds_option")]
    resets_at: Option<DateTime<Utc>>,
    #[serde(with = "ts_microseconds_option")]
    refunded_at: Option<DateTime<Utc>>,
    /// For a reservation: whether it was committed.
    #[serde(deserialize_with = "optional_flag")]
    committed: Option<bool>,
}

/// What the key of a receipt names.
#[derive(Debug)]
pub(crate) enum Known {
    /// A receipt.
    Receipt(Receipt),
    /// A reservation without one.
    Reservation,
}

impl From<ReceiptRow> for Known {
    fn from(row: ReceiptRow) -> Self {
        if row.committed == Some(false) {
            return Self::Reservation;
        }
        Self::Receipt(Receipt {
            id: row.id,
            company: row.company,
            user: row.user,
            key: row.key,
            meter: row.meter,
            amount: row.amount,
            at: row.at,
            split: row.split.into_iter().map(Into::into).collect(),
            used: row.used,
            limit: row.limit,
            resets_at: row.resets_at,
            refunded_at: row.refunded_at,
        })
    }
}

#[derive(Deserialize)]
pub(crate) struct ReservationRow {
    id: ReceiptId,
    company: CompanyId,
    user: Option<UserId>,
    key: IdempotencyKey,
    meter: FeatureKey,
    amount: Amount,
    #[serde(with = "ts_microseconds")]
    at: DateTime<Utc>,
    #[serde(deserialize_with = "json_text")]
    split: Vec<SplitRow>,
    used: Amount,
    limit: Option<Amount>,
    #[serde(with = "ts_microseconds_option")]
    resets_at: Option<DateTime<Utc>>,
    #[serde(with = "ts_microseconds")]
    expires_at: DateTime<Utc>,
    #[serde(with = "ts_microseconds_option")]
    ended_at: Option<DateTime<Utc>>,
    actual: Option<Amount>,
    taken: Option<Amount>,
    used_then: Option<Amount>,
    #[serde(deserialize_with = "optional_json_text")]
    split_then: Option<Vec<SplitRow>>,
    #[serde(with = "ts_microseconds_option")]
    refunded_at: Option<DateTime<Utc>>,
}

impl From<ReservationRow> for Reservation {
    fn from(row: ReservationRow) -> Self {
        let held = Receipt {
            id: row.id,
            company: row.company,
            user: row.user,
            key: row.key,
            meter: row.meter,
            amount: row.amount,
            at: row.at,
            split: row.split.into_iter().map(Into::into).collect(),
            used: row.used,
            limit: row.limit,
            resets_at: row.resets_at,
            refunded_at: None,
        };
        let (taken, used) = (row.taken.unwrap_or_default(), row.used_then.unwrap_or_default());
        let split = row.split_then.into_iter().flatten().map(Into::into).collect();
        let end = match (row.ended_at, row.actual) {
            (None, _) => None,
            (Some(at), None) => Some(ReservationEnd::Released { at }),
            (Some(at), Some(actual)) => {
                let receipt = (!taken.is_zero()).then(|| Receipt {
                    amount: taken,
                    at,
                    split,
                    used,
                    refunded_at: row.refunded_at,
                    ..held.clone()
                });
                Some(ReservationEnd::Committed(Settlement { actual, at, receipt }))
            }
        };
        Self { held, expires_at: row.expires_at, end }
    }
}

#[derive(Deserialize)]
pub(crate) struct AlertRow {
    company: CompanyId,
    meter: FeatureKey,
    #[serde(deserialize_with = "parsed")]
    bucket: Bucket,
    #[serde(with = "ts_microseconds")]
    period_start: DateTime<Utc>,
    percent: u16,
    threshold: Amount,
    used: Amount,
    #[serde(with = "ts_microseconds")]
    at: DateTime<Utc>,
}

impl From<AlertRow> for UsageAlert {
    fn from(row: AlertRow) -> Self {
        Self {
            company: row.company,
            meter: row.meter,
            bucket: row.bucket,
            period_start: row.period_start,
            percent: row.percent,
            threshold: row.threshold,
            used: row.used,
            at: row.at,
        }
    }
}
