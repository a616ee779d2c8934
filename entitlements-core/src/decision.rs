//! Decisions: the answer, why it is so, what is left, and until when it holds.

mod json;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::catalog::{CatalogHash, Value};
use crate::facts::Revision;
use crate::id::{GrantId, PolicyId};
use crate::{Action, Amount};

/// Why a decision is as it is: a stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A grant allows it.
    AllowedByGrant,
    /// The plan in effect includes it.
    AllowedByPlan,
    /// A policy allows it.
    AllowedByPolicy,
    /// It is the default of a `value` feature.
    AllowedByDefault,
    /// The catalog does not know the feature.
    UnknownFeature,
    /// A policy or guardrail denies it.
    PolicyDenied,
    /// Nothing is left of the quota.
    QuotaExceeded,
    /// There is no subscription, and no default plan.
    NoSubscription,
    /// The subscription gives no access.
    SubscriptionInactive,
    /// The plan in effect does not include it; another one does.
    FeatureNotInPlan,
    /// No plan includes it, and nothing else allows it.
    NotGranted,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::AllowedByGrant,
        Self::AllowedByPlan,
        Self::AllowedByPolicy,
        Self::AllowedByDefault,
        Self::UnknownFeature,
        Self::PolicyDenied,
        Self::QuotaExceeded,
        Self::NoSubscription,
        Self::SubscriptionInactive,
        Self::FeatureNotInPlan,
        Self::NotGranted,
    ];

    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::AllowedByGrant => "allowed_by_grant",
            Self::AllowedByPlan => "allowed_by_plan",
            Self::AllowedByPolicy => "allowed_by_policy",
            Self::AllowedByDefault => "allowed_by_default",
            Self::UnknownFeature => "unknown_feature",
            Self::PolicyDenied => "policy_denied",
            Self::QuotaExceeded => "quota_exceeded",
            Self::NoSubscription => "no_subscription",
            Self::SubscriptionInactive => "subscription_inactive",
            Self::FeatureNotInPlan => "feature_not_in_plan",
            Self::NotGranted => "not_granted",
        }
    }

    /// Whether it is the reason of an allow.
    #[must_use]
    pub const fn allows(self) -> bool {
        matches!(
            self,
            Self::AllowedByGrant | Self::AllowedByPlan | Self::AllowedByPolicy | Self::AllowedByDefault
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Who decided.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// A grant.
    Grant(GrantId),
    /// A plan of the catalog.
    Plan(&'static str),
    /// A policy.
    Policy(PolicyId),
    /// A guardrail.
    Guardrail(PolicyId),
    /// Nobody: the default.
    Default,
}

impl Source {
    /// The kind of the source: `grant`, `plan`, `policy`, `guardrail` or `default`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Grant(_) => "grant",
            Self::Plan(_) => "plan",
            Self::Policy(_) => "policy",
            Self::Guardrail(_) => "guardrail",
            Self::Default => "default",
        }
    }

    /// The id of the source, if it has one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Grant(id) => Some(id.as_str()),
            Self::Plan(key) => Some(key),
            Self::Policy(id) | Self::Guardrail(id) => Some(id.as_str()),
            Self::Default => None,
        }
    }
}

/// How much of a meter or gauge is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaStatus {
    /// The meter or gauge whose quota it is: the pool's name for a meter that shares one.
    pub meter: &'static str,
    /// Units per period, amount grants included; `None` is unlimited.
    pub limit: Option<Amount>,
    /// Units used.
    pub used: Amount,
    /// Units left; `None` is unlimited.
    pub remaining: Option<Amount>,
    /// Units used beyond the limit.
    pub overage: Amount,
    /// When the period ends, if it does.
    pub resets_at: Option<DateTime<Utc>>,
    /// Whether consumption beyond the limit is counted instead of refused.
    pub soft: bool,
}

/// The answer to a [`Request`](crate::Request). A denial is a value, not an error.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Why.
    pub reason: Reason,
    /// Who decided.
    pub source: Source,
    /// The feature that was asked for.
    pub feature: Cow<'static, str>,
    /// The action that was asked for.
    pub action: Action,
    /// The plan in effect, if there is one.
    pub plan: Option<&'static str>,
    /// The value of a `value` feature that is allowed.
    pub value: Option<Value>,
    /// What is left of a meter or gauge.
    pub quota: Option<QuotaStatus>,
    /// The earliest instant at which, without any write, the decision could change.
    pub expires_at: Option<DateTime<Utc>>,
    /// The revision of the facts.
    pub as_of: Revision,
    /// The fingerprint of the catalog.
    pub catalog: CatalogHash,
    /// How old the facts are, if they could not be refreshed.
    pub degraded: Option<Duration>,
    /// For a denial: every plan that would allow, in catalog order.
    pub upgrade: Vec<&'static str>,
}

impl Decision {
    /// Whether the request is allowed.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        self.reason.allows()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct() {
        let codes: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
    }
}
