//! What the audit log says about one decision.

use std::borrow::Cow;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::decision::{Decision, Source};
use crate::id::{CompanyId, UserId};
use crate::observer::Tier;
use crate::request::Request;

/// One decision: who asked for what, what was answered, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// When it was decided, to the microsecond.
    pub at: DateTime<Utc>,
    /// Who asked; a [pseudonym](super::PSEUDONYM) once the company was erased.
    pub company: CompanyId,
    /// Which user of the company.
    pub user: Option<UserId>,
    /// For which feature, or meter.
    pub feature: Cow<'static, str>,
    /// To do what.
    pub action: Action,
    /// With which resource.
    pub resource: Option<String>,
    /// Whether it was allowed.
    pub allowed: bool,
    /// The code of the [reason](crate::Reason).
    pub reason: Cow<'static, str>,
    /// Who decided.
    pub source: AuditSource,
    /// Where the facts came from.
    pub tier: Tier,
    /// How long it took, in microseconds.
    pub latency_us: u64,
}

/// Who decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditSource {
    /// `grant`, `plan`, `policy`, `guardrail` or `default`.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// Which one, if there are several. That of a grant is forgotten when its company is erased.
    pub id: Option<Cow<'static, str>>,
}

impl AuditEntry {
    /// What is to be noted about `decision`.
    #[must_use]
    pub fn new(
        request: &Request<'_>,
        decision: &Decision,
        tier: Tier,
        at: DateTime<Utc>,
        took: Duration,
    ) -> Self {
        Self {
            at: whole_micros(at),
            company: request.subject.company.clone(),
            user: request.subject.user.clone(),
            feature: without_nul(decision.feature.clone()),
            action: decision.action,
            resource: request.resource.map(|resource| resource.replace('\0', NO_NUL)),
            allowed: decision.is_allowed(),
            reason: Cow::Borrowed(decision.reason.code()),
            source: AuditSource::from(&decision.source),
            tier,
            latency_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX).min(i64::MAX.unsigned_abs()),
        }
    }
}

impl AuditSource {
    /// Whether its id belongs to the company that asked.
    #[must_use]
    pub fn is_of_the_company(&self) -> bool {
        self.kind == "grant"
    }
}

impl From<&Source> for AuditSource {
    fn from(source: &Source) -> Self {
        let id = match source {
            Source::Plan(plan) => Some(Cow::Borrowed(*plan)),
            other => other.id().map(|id| Cow::Owned(id.to_owned())),
        };
        Self { kind: Cow::Borrowed(source.kind()), id }
    }
}

/// An instant as stores keep it.
pub(super) fn whole_micros(instant: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(instant.timestamp_micros()).unwrap_or(instant)
}

/// What stands where an asker wrote a NUL, which no database keeps.
const NO_NUL: &str = "\u{fffd}";

fn without_nul(name: Cow<'static, str>) -> Cow<'static, str> {
    if name.contains('\0') { name.replace('\0', NO_NUL).into() } else { name }
}
