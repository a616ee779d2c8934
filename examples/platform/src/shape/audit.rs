//! Entries of the audit log as JSON.

use chrono::{DateTime, Utc};
use entitlements_core::Action;
use entitlements_core::audit::{AuditEntry, AuditSource};
use entitlements_core::id::{CompanyId, UserId};
use entitlements_core::observer::Tier;
use serde::Serialize;

/// A decision that was made. Every member is always there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditShape {
    at: DateTime<Utc>,
    company_id: CompanyId,
    user_id: Option<UserId>,
    feature: String,
    action: Action,
    resource: Option<String>,
    allowed: bool,
    reason: String,
    source: AuditSource,
    tier: Tier,
    latency_us: u64,
}

impl From<AuditEntry> for AuditShape {
    fn from(entry: AuditEntry) -> Self {
        Self {
            at: entry.at,
            company_id: entry.company,
            user_id: entry.user,
            feature: entry.feature.into_owned(),
            action: entry.action,
            resource: entry.resource,
            allowed: entry.allowed,
            reason: entry.reason.into_owned(),
            source: entry.source,
            tier: entry.tier,
            latency_us: entry.latency_us,
        }
    }
}
