//! The JSON form of decisions: the same everywhere, over HTTP, in recordings and in audits.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{Decision, QuotaStatus};

impl Decision {
    /// The decision as a JSON value; see [`Decision`]'s `Serialize`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        // Numbers and texts always have a JSON form.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// In camelCase, every member present; times are RFC 3339 in UTC, `degraded` is the age of the facts in whole seconds.
impl Serialize for Decision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("Decision", 13)?;
        members.serialize_field("allowed", &self.is_allowed())?;
        members.serialize_field("reason", self.reason.code())?;
        members.serialize_field("source", &Source { kind: self.source.kind(), id: self.source.id() })?;
        members.serialize_field("feature", &self.feature)?;
        members.serialize_field("action", &self.action)?;
        members.serialize_field("plan", &self.plan)?;
        members.serialize_field("value", &self.value)?;
        members.serialize_field("quota", &self.quota)?;
        members.serialize_field("expiresAt", &self.expires_at.map(instant))?;
        members.serialize_field("asOf", &self.as_of)?;
        members.serialize_field("catalog", &self.catalog.short())?;
        members.serialize_field("degraded", &self.degraded.map(|age| age.as_secs()))?;
        let upgrade: Vec<_> = self.upgrade.iter().map(|plan| Upgrade { plan }).collect();
        members.serialize_field("upgrade", &upgrade)?;
        members.end()
    }
}

/// In camelCase, every member present; `limit` and `remaining` are `null` for an unlimited quota.
impl Serialize for QuotaStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("QuotaStatus", 7)?;
        members.serialize_field("meter", self.meter)?;
        members.serialize_field("limit", &self.limit)?;
        members.serialize_field("used", &self.used)?;
        members.serialize_field("remaining", &self.remaining)?;
        members.serialize_field("overage", &self.overage)?;
        members.serialize_field("resetsAt", &self.resets_at.map(instant))?;
        members.serialize_field("soft", &self.soft)?;
        members.end()
    }
}

#[derive(Serialize)]
struct Source<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: Option<&'a str>,
}

#[derive(Serialize)]
struct Upgrade {
    plan: &'static str,
}

fn instant(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{DateTime, Decision, QuotaStatus, Utc};
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
