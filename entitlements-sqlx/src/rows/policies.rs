//! Policies, and their targets as text.

use chrono::serde::ts_microseconds_option;
use chrono::{DateTime, Utc};
use entitlements_core::Action;
use entitlements_core::grant::ResourcePattern;
use entitlements_core::id::{CompanyId, FeatureKey, PolicyId, UserId};
use entitlements_core::policy::{Effect, Policy, Target, When};
use entitlements_core::store::{StoreError, StoreErrorKind};
use serde::{Deserialize, Serialize};

use super::{flag, json_text};

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
