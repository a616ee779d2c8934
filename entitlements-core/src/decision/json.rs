//! The JSON form of decisions: the same everywhere, over HTTP, in recordings and in audits.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::{Decision, QuotaStatus};

impl Decision {
    /// The decision as JSON, in camelCase, every member present; times are RFC 3339 in UTC.
    ///
    /// `limit` and `remaining` are `null` for an unlimited quota; `degraded` is the age of the facts in whole seconds.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "allowed": self.is_allowed(),
            "reason": self.reason.code(),
            "source": {"type": self.source.kind(), "id": self.source.id()},
            "feature": self.feature,
            "action": self.action,
            "plan": self.plan,
            "value": self.value,
            "quota": self.quota.as_ref().map(QuotaStatus::to_json),
            "expiresAt": self.expires_at.map(instant),
            "asOf": self.as_of,
            "catalog": self.catalog.short(),
            "degraded": self.degraded.map(|age| age.as_secs()),
            "upgrade": self.upgrade.iter().map(|plan| json!({"plan": plan})).collect::<Vec<_>>(),
        })
    }
}

impl QuotaStatus {
    /// The status as JSON, in camelCase, every member present.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "meter": self.meter,
            "limit": self.limit,
            "used": self.used,
            "remaining": self.remaining,
            "overage": self.overage,
            "resetsAt": self.resets_at.map(instant),
            "soft": self.soft,
        })
    }
}

fn instant(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

impl Serialize for Decision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::facts::Revision;
    use crate::{Action, Amount, Catalog, Reason, Source};

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
            serde_json::to_value(&decision).unwrap(),
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
