//! The last decisions that were made with live facts, for when there are none.

use std::time::Duration;

use chrono::{DateTime, Utc};
use entitlements_core::id::{CompanyId, UserId};
use entitlements_core::{Action, Decision, Request};
use moka::sync::Cache;

/// Requests with more context than this are not remembered.
const MAX_CONTEXT_BYTES: usize = 4096;

/// Everything a decision depends on, beside facts and time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    company: CompanyId,
    user: Option<UserId>,
    feature: Box<str>,
    action: Action,
    resource: Option<Box<str>>,
    /// As JSON text.
    context: Option<Box<str>>,
}

impl Question {
    fn of(request: &Request<'_>) -> Option<Self> {
        let context = serde_json::to_string(request.context).ok()?;
        if context.len() > MAX_CONTEXT_BYTES {
            return None;
        }
        Some(Self {
            company: request.subject.company.clone(),
            user: request.subject.user.clone(),
            feature: request.feature.into(),
            action: request.action,
            resource: request.resource.map(Into::into),
            context: (context != "{}").then(|| context.into()),
        })
    }
}

/// A decision out of the past.
#[derive(Clone, Debug)]
struct Known {
    decision: Decision,
    at: DateTime<Utc>,
}

/// The last decision on each request, as many as there is room for.
#[derive(Debug)]
pub(crate) struct LastKnown(Cache<Question, Known>);

impl LastKnown {
    pub(crate) fn new(capacity: u64) -> Self {
        Self(Cache::new(capacity))
    }

    /// Remembers a decision that was made with live facts.
    pub(crate) fn remember(&self, request: &Request<'_>, decision: &Decision, now: DateTime<Utc>) {
        if decision.degraded.is_some() {
            return;
        }
        if let Some(question) = Question::of(request) {
            self.0.insert(question, Known { decision: decision.clone(), at: now });
        }
    }

    /// The last decision on the same request, marked with its age, unless it is too old or has expired.
    pub(crate) fn recall(
        &self,
        request: &Request<'_>,
        max_age: Option<Duration>,
        now: DateTime<Utc>,
    ) -> Option<Decision> {
        let Known { mut decision, at } = self.0.get(&Question::of(request)?)?;
        // A clock that was set back makes nothing younger than it is.
        let age = now.signed_duration_since(at).to_std().unwrap_or_default();
        let expired = decision.expires_at.is_some_and(|end| end <= now);
        if expired || max_age.is_some_and(|max| max < age) {
            return None;
        }
        decision.degraded = Some(age);
        Some(decision)
    }
}
