//! Policies as JSON: camelCase, `null` and absent are the same, unknown fields are errors.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, SubsecRound, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::operand::clip;
use super::parse::kind;
use super::{Condition, Effect, Policy, Target, When};
use crate::Action;
use crate::id::check_id;

/// One problem of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyProblem {
    /// Which field, for example `target.actions[0]` or `condition.all[1].eq`; empty for the policy as a whole.
    pub field: String,
    /// What is wrong, in one line.
    pub message: String,
}

impl fmt::Display for PolicyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// A policy that cannot be used, with all of its problems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    problems: Vec<PolicyProblem>,
}

impl PolicyError {
    /// Every problem; never empty.
    #[must_use]
    pub fn problems(&self) -> &[PolicyProblem] {
        &self.problems
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index > 0 { "; " } else { "" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyError {}

const FIELDS: [&str; 10] =
    ["id", "name", "priority", "effect", "guardrail", "enabled", "startsAt", "endsAt", "target", "condition"];
const TARGET_FIELDS: [&str; 5] = ["companies", "users", "features", "actions", "resources"];

impl Policy {
    /// Reads a policy from JSON.
    ///
    /// `id` and `effect` are required. Without the others the priority is 0, the policy is enabled and no guardrail, is
    /// about every request, and always applies to it. Instants are kept to the microsecond.
    ///
    /// # Errors
    ///
    /// Lists every problem with its field.
    ///
    /// ```
    /// use entitlements_core::policy::Policy;
    /// use serde_json::json;
    ///
    /// let policy = Policy::from_json(&json!({"id": "eu-only", "effect": "allow", "condition": {"eq": ["context.region", "eu"]}}))?;
    /// assert!(policy.enabled && !policy.guardrail);
    ///
    /// let error = Policy::from_json(&json!({"id": "x", "effect": "allow", "guardrail": true, "target": {"actions": ["look"]}}));
    /// let fields: Vec<_> = error.unwrap_err().problems().iter().map(|problem| problem.field.clone()).collect();
    /// assert_eq!(fields, ["target.actions[0]", "guardrail"]);
    /// # Ok::<(), entitlements_core::policy::PolicyError>(())
    /// ```
    pub fn from_json(value: &Value) -> Result<Self, PolicyError> {
        let mut fields = Fields::default();
        match fields.policy(value) {
            Some(policy) if fields.problems.is_empty() => Ok(policy),
            _ => Err(PolicyError { problems: fields.problems }),
        }
    }

    /// The policy as JSON, with every field.
    ///
    /// A condition that could not be read is shown as it is stored: as JSON if it is JSON, else as a text.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let target = &self.target;
        json!({
            "id": self.id,
            "name": self.name,
            "priority": self.priority,
            "effect": self.effect,
            "guardrail": self.guardrail,
            "enabled": self.enabled,
            "startsAt": self.starts_at,
            "endsAt": self.ends_at,
            "target": {
                "companies": target.companies,
                "users": target.users,
                "features": target.features,
                "actions": target.actions,
                "resources": target.resources,
            },
            "condition": match &self.when {
                When::Always => Value::Null,
                When::Holds(condition) => condition.to_json().clone(),
                When::Broken { stored, .. } => {
                    serde_json::from_str(stored).unwrap_or_else(|_| Value::String(stored.clone()))
                }
            },
        })
    }
}

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[derive(Default)]
struct Fields {
    problems: Vec<PolicyProblem>,
}

impl Fields {
    /// Notes a problem; always `None`, so that the caller can return it.
    fn problem<T>(&mut self, field: impl Into<String>, message: impl Into<String>) -> Option<T> {
        self.problems.push(PolicyProblem { field: field.into(), message: message.into() });
        None
    }

    fn policy(&mut self, value: &Value) -> Option<Policy> {
        let Some(object) = value.as_object() else {
            return self.problem("", format!("expected an object, found {}", kind(value)));
        };
        self.refuse_unknown("", object, &FIELDS);
        let id = match present(object, "id") {
            Some(id) => self.text("id", id),
            None => self.problem("id", "is required"),
        };
        let name = present(object, "name").and_then(|name| self.text::<Name>("name", name));
        let priority = present(object, "priority").map_or(Some(0), |priority| self.priority(priority));
        let effect = match present(object, "effect") {
            Some(effect) => self.effect(effect),
            None => self.problem("effect", "is required: allow or deny"),
        };
        let enabled = self.flag(object, "enabled", true);
        let starts_at = present(object, "startsAt").and_then(|at| self.instant("startsAt", at));
        let ends_at = present(object, "endsAt").and_then(|at| self.instant("endsAt", at));
        if let (Some(start), Some(end)) = (starts_at, ends_at)
            && end <= start
        {
            self.problem::<()>("endsAt", "must be after startsAt");
        }
        let target = present(object, "target").map_or_else(Target::default, |target| self.target(target));
        let when = present(object, "condition").map_or(Some(When::Always), |value| self.condition(value));
        let guardrail = self.flag(object, "guardrail", false);
        if guardrail == Some(true) && effect == Some(Effect::Allow) {
            self.problem::<()>("guardrail", "a guardrail must have the effect deny");
        }
        Some(Policy {
            id: id?,
            name: name.map(|Name(name)| name),
            priority: priority?,
            effect: effect?,
            guardrail: guardrail?,
            enabled: enabled?,
            starts_at,
            ends_at,
            target,
            when: when?,
        })
    }

    fn target(&mut self, value: &Value) -> Target {
        let Some(object) = value.as_object() else {
            self.problem::<()>("target", format!("expected an object, found {}", kind(value)));
            return Target::default();
        };
        self.refuse_unknown("target.", object, &TARGET_FIELDS);
        Target {
            companies: self.list(object, "companies"),
            users: self.list(object, "users"),
            features: self.list(object, "features"),
            actions: self.list::<Action>(object, "actions"),
            resources: self.list(object, "resources"),
        }
    }

    fn condition(&mut self, value: &Value) -> Option<When> {
        match Condition::parse(value) {
            Ok(condition) => Some(When::Holds(condition)),
            Err(error) => {
                let problems = error.problems().iter().cloned();
                self.problems.extend(
                    problems.map(|problem| PolicyProblem { field: problem.place, message: problem.message }),
                );
                None
            }
        }
    }

    fn refuse_unknown(&mut self, prefix: &str, object: &Map<String, Value>, known: &[&str]) {
        for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
            let alike = known
                .iter()
                .map(|known| (strsim::jaro_winkler(name, known), known))
                .filter(|(likeness, _)| *likeness >= 0.8)
                .max_by(|(a, _), (b, _)| a.total_cmp(b));
            let message = match alike {
                Some((_, known)) => format!("unknown field; did you mean `{known}`?"),
                None => format!("unknown field, expected one of {}", known.join(", ")),
            };
            self.problem::<()>(format!("{prefix}{}", clip(name)), message);
        }
    }

    fn list<T: FromStr<Err: fmt::Display>>(
        &mut self,
        object: &Map<String, Value>,
        name: &str,
    ) -> Option<Vec<T>> {
        let value = present(object, name)?;
        let field = format!("target.{name}");
        let Some(elements) = value.as_array() else {
            return self.problem(field, format!("expected a list, found {}", kind(value)));
        };
        if elements.is_empty() {
            return self.problem(field, "the list must not be empty; null means any");
        }
        let elements: Vec<_> = elements
            .iter()
            .enumerate()
            .map(|(at, element)| self.text(&format!("{field}[{at}]"), element))
            .collect();
        elements.into_iter().collect()
    }

    fn text<T: FromStr<Err: fmt::Display>>(&mut self, field: &str, value: &Value) -> Option<T> {
        let Some(text) = value.as_str() else {
            return self.problem(field, format!("expected text, found {}", kind(value)));
        };
        match text.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => self.problem(field, clip(&error.to_string())),
        }
    }

    fn priority(&mut self, value: &Value) -> Option<i64> {
        match value.as_i64() {
            Some(priority) => Some(priority),
            None if value.is_number() => self.problem("priority", "must be a whole number of 64 bits"),
            None => self.problem("priority", format!("expected a whole number, found {}", kind(value))),
        }
    }

    fn effect(&mut self, value: &Value) -> Option<Effect> {
        match value.as_str() {
            Some("allow") => Some(Effect::Allow),
            Some("deny") => Some(Effect::Deny),
            Some(word) => {
                self.problem("effect", format!("unknown effect `{}`, expected allow or deny", clip(word)))
            }
            None => self.problem("effect", format!("expected allow or deny, found {}", kind(value))),
        }
    }

    fn flag(&mut self, object: &Map<String, Value>, field: &str, default: bool) -> Option<bool> {
        match present(object, field) {
            None => Some(default),
            Some(Value::Bool(flag)) => Some(*flag),
            Some(other) => self.problem(field, format!("expected true or false, found {}", kind(other))),
        }
    }

    fn instant(&mut self, field: &str, value: &Value) -> Option<DateTime<Utc>> {
        match value.as_str().map(DateTime::parse_from_rfc3339) {
            // At the edges, the offset can carry an instant out of the years that RFC 3339 can write.
            Some(Ok(instant)) if !(0..=9999).contains(&instant.to_utc().year()) => {
                self.problem(field, "must lie in the years 0000 to 9999 in UTC")
            }
            Some(Ok(instant)) => Some(instant.to_utc().trunc_subsecs(6)),
            Some(Err(_)) => self.problem(field, "must be an RFC 3339 instant such as 2026-12-24T00:00:00Z"),
            None => self.problem(field, format!("expected an RFC 3339 instant, found {}", kind(value))),
        }
    }
}

/// The field's value; `null` is absent.
fn present<'v>(object: &'v Map<String, Value>, field: &str) -> Option<&'v Value> {
    object.get(field).filter(|value| !value.is_null())
}

/// A name for people: bounded and printable, like an id.
struct Name(String);

impl FromStr for Name {
    type Err = crate::id::InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check_id(text).map(|()| Self(text.into()))
    }
}

#[cfg(test)]
mod tests;
