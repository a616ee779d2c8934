//! Grants as JSON.

use chrono::{DateTime, SubsecRound, Utc};
use entitlements_core::grant::{Grant, GrantKind};
use entitlements_core::id::{CompanyId, FeatureKey, GrantId, UserId};
use entitlements_core::{ActionSet, Amount, ResourcePattern};
use serde::Serialize;

/// A grant. Every member is always there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GrantShape {
    id: GrantId,
    company_id: CompanyId,
    user_id: Option<UserId>,
    feature: FeatureKey,
    actions: ActionSet,
    resource: Option<ResourcePattern>,
    amount: Option<Amount>,
    kind: GrantKind,
    starts_at: DateTime<Utc>,
    ends_at: Option<DateTime<Utc>>,
    reason: Option<String>,
    created_at: DateTime<Utc>,
    voided_at: Option<DateTime<Utc>>,
}

impl From<Grant> for GrantShape {
    fn from(grant: Grant) -> Self {
        Self {
            id: grant.id,
            company_id: grant.company,
            user_id: grant.user,
            feature: grant.feature,
            actions: grant.actions,
            resource: grant.resource,
            amount: grant.amount,
            kind: grant.kind,
            // To the microsecond, as stores keep it.
            starts_at: grant.starts_at.trunc_subsecs(6),
            ends_at: grant.ends_at,
            reason: grant.reason,
            created_at: grant.created_at.trunc_subsecs(6),
            voided_at: grant.voided_at,
        }
    }
}
