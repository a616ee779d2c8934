//! Decisions as JSON.

use chrono::{DateTime, Utc};
use entitlements_core::catalog::Value;
use entitlements_core::{Action, Amount, Decision, QuotaStatus};
use serde::Serialize;

/// A decision. Every member is always there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DecisionShape {
    allowed: bool,
    reason: &'static str,
    source: SourceShape,
    feature: String,
    action: Action,
    plan: Option<&'static str>,
    value: Option<Value>,
    quota: Option<QuotaShape>,
    expires_at: Option<DateTime<Utc>>,
    as_of: u64,
    /// The short hash.
    catalog: String,
    /// The age of the facts in seconds, if they could not be refreshed.
    degraded: Option<u64>,
    upgrade: Vec<UpgradeShape>,
}

/// Who decided.
#[derive(Debug, Serialize)]
struct SourceShape {
    #[serde(rename = "type")]
    kind: &'static str,
    id: Option<String>,
}

/// How much of a meter or gauge is left.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QuotaShape {
    meter: &'static str,
    /// `None` is unlimited.
    limit: Option<Amount>,
    used: Amount,
    remaining: Option<Amount>,
    overage: Amount,
    resets_at: Option<DateTime<Utc>>,
    soft: bool,
}

/// A plan that would allow.
#[derive(Debug, Serialize)]
struct UpgradeShape {
    plan: &'static str,
}

impl From<&Decision> for DecisionShape {
    fn from(decision: &Decision) -> Self {
        Self {
            allowed: decision.is_allowed(),
            reason: decision.reason.code(),
            source: SourceShape { kind: decision.source.kind(), id: decision.source.id().map(Into::into) },
            feature: decision.feature.clone().into_owned(),
            action: decision.action,
            plan: decision.plan,
            value: decision.value.clone(),
            quota: decision.quota.as_ref().map(QuotaShape::from),
            expires_at: decision.expires_at,
            as_of: decision.as_of.0,
            catalog: decision.catalog.short(),
            degraded: decision.degraded.map(|age| age.as_secs()),
            upgrade: decision.upgrade.iter().map(|plan| UpgradeShape { plan }).collect(),
        }
    }
}

impl From<&QuotaStatus> for QuotaShape {
    fn from(quota: &QuotaStatus) -> Self {
        Self {
            meter: quota.meter,
            limit: quota.limit,
            used: quota.used,
            remaining: quota.remaining,
            overage: quota.overage,
            resets_at: quota.resets_at,
            soft: quota.soft,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use entitlements_core::facts::Revision;
    use entitlements_core::{Catalog, Reason, Source};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_decision_has_every_member() {
        let catalog: Catalog =
            "schema = 1\npast_due_grace = \"7d\"\n[features]\nreports = { type = \"meter\" }"
                .parse()
                .unwrap();
        let at: DateTime<Utc> = "2026-12-07T09:00:00Z".parse().unwrap();
        let decision = Decision {
            reason: Reason::QuotaExceeded,
            source: Source::Plan("starter"),
            feature: "reports".into(),
            action: Action::Create,
            plan: Some("starter"),
            value: None,
            quota: Some(QuotaStatus {
                meter: "reports",
                limit: Some(Amount::from(10)),
                used: Amount::from(10),
                remaining: Some(Amount::ZERO),
                overage: Amount::ZERO,
                resets_at: Some(at),
                soft: false,
            }),
            expires_at: Some(at),
            as_of: Revision(42),
            catalog: catalog.hash(),
            degraded: Some(Duration::from_millis(2500)),
            upgrade: vec!["pro", "enterprise"],
        };
        assert_eq!(
            serde_json::to_value(DecisionShape::from(&decision)).unwrap(),
            json!({
                "allowed": false, "reason": "quota_exceeded", "source": {"type": "plan", "id": "starter"},
                "feature": "reports", "action": "create", "plan": "starter", "value": null,
                "quota": {"meter": "reports", "limit": 10, "used": 10, "remaining": 0, "overage": 0,
                          "resetsAt": "2026-12-07T09:00:00Z", "soft": false},
                "expiresAt": "2026-12-07T09:00:00Z", "asOf": 42, "catalog": catalog.hash().short(),
                "degraded": 2, "upgrade": [{"plan": "pro"}, {"plan": "enterprise"}]
            })
        );
    }
}
