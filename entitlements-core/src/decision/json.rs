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
