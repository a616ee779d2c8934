//! Cached decisions: written down with names, so that any process with the same catalog can read them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{DecisionKey, FactsMark};
use crate::catalog::{Catalog, FeatureKind, Value};
use crate::decision::{Decision, Reason, Source};
use crate::id::{GrantId, PolicyId};

/// The form in which decisions are written. One that is written otherwise is not read.
const FORM: u32 = 1;

/// A decision with the question it answers and the facts it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CachedDecision {
    form: u32,
    /// The question.
    pub key: DecisionKey,
    /// The facts.
    pub mark: FactsMark,
    /// The fingerprint of the catalog, in 64 hex digits.
    catalog: Box<str>,
    reason: Box<str>,
    source: WrittenSource,
    plan: Option<Box<str>>,
    value: Option<Value>,
    expires_at: Option<DateTime<Utc>>,
    upgrade: Vec<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum WrittenSource {
    Grant(GrantId),
    Plan(Box<str>),
    Policy(PolicyId),
    Guardrail(PolicyId),
    Default,
}

impl CachedDecision {
    /// Writes a decision down; `None` if it must not be kept.
    ///
    /// Decisions about meters and gauges are never kept: usage changes without a revision. Nor are those that an outage
    /// made, and those about names that the catalog does not have, of which there is no end.
    #[must_use]
    pub fn of(key: DecisionKey, mark: FactsMark, decision: &Decision, catalog: &Catalog) -> Option<Self> {
        if !is_kept_feature(key.feature.as_str(), catalog)
            || decision.degraded.is_some()
            || decision.quota.is_some()
        {
            return None;
        }
        if decision.catalog != catalog.hash() || key.feature.as_str() != decision.feature {
            return None;
        }
        Some(Self {
            form: FORM,
            key,
            mark,
            catalog: decision.catalog.to_string().into(),
            reason: decision.reason.code().into(),
            source: match &decision.source {
                Source::Grant(id) => WrittenSource::Grant(id.clone()),
                Source::Plan(plan) => WrittenSource::Plan((*plan).into()),
                Source::Policy(id) => WrittenSource::Policy(id.clone()),
                Source::Guardrail(id) => WrittenSource::Guardrail(id.clone()),
                Source::Default => WrittenSource::Default,
            },
            plan: decision.plan.map(Into::into),
            value: decision.value.clone(),
            expires_at: decision.expires_at,
            upgrade: decision.upgrade.iter().map(|plan| (*plan).into()).collect(),
        })
    }

    /// The decision, bound to the catalog in force; `None` if it was made with another one, or cannot be read.
    #[must_use]
    pub fn bind(&self, catalog: &Catalog) -> Option<Decision> {
        if self.form != FORM || *self.catalog != *catalog.hash().to_string() {
            return None;
        }
        let feature = catalog.feature(self.key.feature.as_str())?;
        let plan = |key: &str| catalog.plan(key).map(crate::catalog::Plan::key);
        Some(Decision {
            reason: Reason::ALL.into_iter().find(|reason| reason.code() == &*self.reason)?,
            source: match &self.source {
                WrittenSource::Grant(id) => Source::Grant(id.clone()),
                WrittenSource::Plan(key) => Source::Plan(plan(key)?),
                WrittenSource::Policy(id) => Source::Policy(id.clone()),
                WrittenSource::Guardrail(id) => Source::Guardrail(id.clone()),
                WrittenSource::Default => Source::Default,
            },
            feature: feature.key().into(),
            action: self.key.action,
            plan: match &self.plan {
                Some(key) => Some(plan(key)?),
                None => None,
            },
            value: self.value.clone(),
            quota: None,
            expires_at: self.expires_at,
            as_of: self.mark.revision.max(self.mark.policies),
            catalog: catalog.hash(),
            degraded: None,
            upgrade: self.upgrade.iter().map(|key| plan(key)).collect::<Option<_>>()?,
        })
    }

    /// The first instant at which the decision may no longer be used, if there is one.
    #[must_use]
    pub const fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.expires_at
    }

    /// The text that a cache keeps.
    #[must_use]
    pub fn to_text(&self) -> String {
        // Texts and numbers always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the text that a cache kept; `None` for anything else, and for other forms of it.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|cached: &Self| cached.form == FORM)
    }
}

/// Whether decisions on the feature may be kept at all.
pub(crate) fn is_kept_feature(feature: &str, catalog: &Catalog) -> bool {
    catalog
        .feature(feature)
        .is_some_and(|feature| matches!(feature.kind(), FeatureKind::Flag | FeatureKind::Value))
}
