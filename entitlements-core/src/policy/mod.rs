//! ABAC policies: rules beside grants and plans, with a target, a typed condition and a priority.

mod attribute;
mod book;
mod comparison;
mod condition;
mod dispatch;
mod essence;
mod json;
mod operand;
mod parse;
mod reader;
mod reading;
mod set;
mod table;
mod truth;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use condition::Condition;
pub use json::{PolicyError, PolicyProblem};
pub use operand::{InvalidPath, Path};
pub use parse::{ConditionError, ConditionProblem, MAX_CONDITION_BYTES, MAX_CONDITION_DEPTH};
pub(crate) use set::Applied;
pub use set::PolicySet;
pub use truth::{Attributes, Truth};

use crate::grant::ResourcePattern;
use crate::id::{CompanyId, FeatureKey, PolicyId, UserId};
use crate::{Action, Request};

/// What a policy says when it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The request is allowed.
    Allow,
    /// The request is denied.
    Deny,
}

impl Effect {
    /// The effect's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }

    /// Whether a policy of this effect applies when its condition has this truth.
    ///
    /// An allow needs a condition that is true. A deny applies also when that cannot be known: it fails closed.
    #[must_use]
    pub const fn applies(self, truth: Truth) -> bool {
        match self {
            Self::Allow => matches!(truth, Truth::True),
            Self::Deny => !matches!(truth, Truth::False),
        }
    }
}

/// Which requests a policy is about. `None` is every one; a list is never empty.
///
/// A list of users, or of resources, does not match a request without one; only the resource pattern `*` does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Companies.
    pub companies: Option<Vec<CompanyId>>,
    /// Users.
    pub users: Option<Vec<UserId>>,
    /// Features.
    pub features: Option<Vec<FeatureKey>>,
    /// Actions.
    pub actions: Option<Vec<Action>>,
    /// Resources.
    pub resources: Option<Vec<ResourcePattern>>,
}

impl Target {
    /// Whether the policy is about `request`.
    #[must_use]
    pub fn matches(&self, request: &Request<'_>) -> bool {
        self.covers_company(request)
            && self.covers_user(request)
            && among(self.features.as_ref(), |feature| feature.as_str() == request.feature)
            && among(self.actions.as_ref(), |action| *action == request.action)
            && self.covers_resource(request)
    }

    pub(crate) fn covers_company(&self, request: &Request<'_>) -> bool {
        among(self.companies.as_ref(), |company| *company == request.subject.company)
    }

    pub(crate) fn covers_user(&self, request: &Request<'_>) -> bool {
        among(self.users.as_ref(), |user| Some(user) == request.subject.user.as_ref())
    }

    pub(crate) fn covers_resource(&self, request: &Request<'_>) -> bool {
        among(self.resources.as_ref(), |pattern| pattern.matches(request.resource))
    }
}

fn among<T>(list: Option<&Vec<T>>, test: impl Fn(&T) -> bool) -> bool {
    list.is_none_or(|list| list.iter().any(test))
}

/// When a policy's target is not enough: its condition, as it was loaded.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// No condition: the policy always applies to its target.
    Always,
    /// The condition must hold.
    Holds(Condition),
    /// The stored condition cannot be read. It counts as *unknown*, so a deny applies and an allow does not.
    Broken {
        /// The stored text.
        stored: String,
        /// Why it cannot be read.
        why: String,
    },
}

impl When {
    /// Reads a condition as a store keeps it: compact JSON, or nothing for none.
    ///
    /// A text that cannot be read makes the condition [broken](Self::Broken), and only that: the policy stays in force
    /// as far as that is safe. A stored `null` is broken too; nothing writes one.
    ///
    /// ```
    /// use entitlements_core::policy::When;
    ///
    /// assert_eq!(When::from_stored(None), When::Always);
    /// assert!(matches!(When::from_stored(Some("{\"eq\": [")), When::Broken { .. }));
    /// ```
    #[must_use]
    pub fn from_stored(text: Option<&str>) -> Self {
        let Some(text) = text else { return Self::Always };
        let broken = |why: String| Self::Broken { stored: text.into(), why };
        match serde_json::from_str::<serde_json::Value>(text) {
            Ok(value) => Condition::parse(&value).map_or_else(|error| broken(error.to_string()), Self::Holds),
            Err(error) => broken(format!("no JSON: {error}")),
        }
    }

    /// The condition as a store keeps it; the opposite of [`from_stored`](Self::from_stored).
    #[must_use]
    pub fn to_stored(&self) -> Option<String> {
        match self {
            Self::Always => None,
            Self::Holds(condition) => Some(condition.to_json().to_string()),
            Self::Broken { stored, .. } => Some(stored.clone()),
        }
    }

    /// Whether the condition holds: always without one, never known if it is broken.
    #[must_use]
    pub fn evaluate(&self, attributes: &Attributes<'_>) -> Truth {
        match self {
            Self::Always => Truth::True,
            Self::Holds(condition) => condition.evaluate(attributes),
            Self::Broken { .. } => Truth::Unknown,
        }
    }

    /// The truth, and the earliest instant after `now` at which it could change.
    pub(crate) fn survey(&self, attributes: &Attributes<'_>) -> (Truth, Option<DateTime<Utc>>) {
        match self {
            Self::Holds(condition) => condition.survey(attributes),
            settled => (settled.evaluate(attributes), None),
        }
    }
}

/// A rule: allow or deny what it is about, when its condition holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The policy's id.
    pub id: PolicyId,
    /// A name for people.
    pub name: Option<String>,
    /// Larger decides first. Ignored for guardrails.
    pub priority: i64,
    /// What it says.
    pub effect: Effect,
    /// Whether it decides before grants and plans; only a deny may.
    pub guardrail: bool,
    /// Whether it counts at all.
    pub enabled: bool,
    /// The first instant at which it counts; `None` is always.
    pub starts_at: Option<DateTime<Utc>>,
    /// The first instant at which it no longer counts; `None` is never.
    pub ends_at: Option<DateTime<Utc>>,
    /// Which requests it is about.
    pub target: Target,
    /// When it applies to them.
    pub when: When,
}

impl Policy {
    /// Whether the policy counts at `now`: enabled, started, not ended.
    #[must_use]
    pub fn is_active(&self, now: DateTime<Utc>) -> bool {
        self.enabled
            && self.starts_at.is_none_or(|start| start <= now)
            && self.ends_at.is_none_or(|end| now < end)
    }

    /// The truth of the condition, if the policy applies: it is active, is about the request, and its effect
    /// [applies](Effect::applies) with that truth. A guardrail that says allow never applies; such a policy cannot be
    /// loaded, but it could be stored.
    #[must_use]
    pub fn applies(&self, attributes: &Attributes<'_>) -> Option<Truth> {
        let legal = !(self.guardrail && self.effect == Effect::Allow);
        if !legal || !self.is_active(attributes.now) || !self.target.matches(attributes.request) {
            return None;
        }
        let truth = self.when.evaluate(attributes);
        self.effect.applies(truth).then_some(truth)
    }

    /// Whether the policy can change what it says without a write: it starts, ends, or asks what time it is.
    pub(crate) fn is_time_dependent(&self) -> bool {
        let condition = matches!(&self.when, When::Holds(condition) if condition.is_time_dependent());
        condition || self.starts_at.is_some() || self.ends_at.is_some()
    }
}
