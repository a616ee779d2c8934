//! Recordings: a decision with everything it was made from, to be replayed and compared bit for bit.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::evaluate;
use crate::catalog::Catalog;
use crate::decision::Decision;
use crate::facts::{Facts, Revision};
use crate::policy::{Policy, PolicyError, PolicySet, When};
use crate::request::{Context, Request, Subject};
use crate::snapshot::Snapshot;
use crate::store::Policies;
use crate::{Action, Amount};

/// A decision with everything it was made from, but for the catalog, which it names by its fingerprint.
///
/// It survives JSON, so that a decision of production can be looked into elsewhere, and replayed against another catalog.
///
/// ```
/// use entitlements_core::facts::Facts;
/// use entitlements_core::{Action, Catalog, Recording, Request, Snapshot, Subject, id::CompanyId};
///
/// let catalog: Catalog = "schema = 1\npast_due_grace = \"7d\"\n[features]\nexport = { type = \"flag\" }".parse()?;
/// let acme = Subject::company(CompanyId::new("acme")?);
/// let snapshot = Snapshot::new(Facts::empty(acme.company.clone()), Default::default(), &catalog);
/// let request = Request::new(&acme, "export", Action::Export);
///
/// let recording = Recording::capture(&request, &snapshot, &catalog, "2026-11-24T00:00:00Z".parse()?);
/// let text = serde_json::to_string(&recording)?;
/// let later: Recording = serde_json::from_str(&text)?;
/// assert_eq!(later.replay(&catalog)?.reason.code(), "not_granted");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recording {
    /// When it was decided.
    pub now: DateTime<Utc>,
    /// The fingerprint of the catalog, in 64 hex digits.
    pub catalog: String,
    /// Who asked.
    pub subject: Subject,
    /// For which feature.
    pub feature: String,
    /// To do what.
    pub action: Action,
    /// With which resource.
    pub resource: Option<String>,
    /// For how many units.
    pub amount: Amount,
    /// Under which circumstances.
    pub context: Context,
    /// The facts of the company.
    pub facts: Facts,
    /// The revision of the policies.
    pub policies_revision: Revision,
    /// The policies that could apply.
    pub policies: Vec<RecordedPolicy>,
    /// The decision, in its JSON form.
    pub decision: serde_json::Value,
}

/// A policy as it was stored, so that one whose condition cannot be read is as unreadable in the replay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordedPolicy {
    /// The policy in its JSON form, without its condition.
    pub policy: serde_json::Value,
    /// The condition's text, as it was stored.
    pub condition: Option<String>,
}

impl RecordedPolicy {
    fn of(policy: &Policy) -> Self {
        let bare = Policy { when: When::Always, ..policy.clone() };
        Self { policy: bare.to_json(), condition: policy.when.to_stored() }
    }

    fn read(&self) -> Result<Policy, PolicyError> {
        let when = When::from_stored(self.condition.as_deref());
        Ok(Policy { when, ..Policy::from_json(&self.policy)? })
    }
}

/// A recording cannot be replayed, or says something else.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The catalog is not the one of then.
    #[error("the recording was made with catalog {recorded}, not with {given}")]
    OtherCatalog {
        /// The fingerprint of then.
        recorded: String,
        /// The fingerprint of the catalog that was given.
        given: String,
    },
    /// A recorded policy cannot be read.
    #[error("a recorded policy cannot be read")]
    Policy(#[from] PolicyError),
    /// The decision is another one.
    #[error("the decision differs: recorded {recorded}, replayed {replayed}")]
    Differs {
        /// The decision of then.
        recorded: Box<serde_json::Value>,
        /// The decision now.
        replayed: Box<serde_json::Value>,
    },
}

impl Recording {
    /// Decides, and records the decision with what it was made from.
    #[must_use]
    pub fn capture(
        request: &Request<'_>,
        snapshot: &Snapshot,
        catalog: &Catalog,
        now: DateTime<Utc>,
    ) -> Self {
        let decision = evaluate(request, snapshot, catalog, now);
        Self {
            now,
            catalog: catalog.hash().to_string(),
            subject: request.subject.clone(),
            feature: request.feature.into(),
            action: request.action,
            resource: request.resource.map(Into::into),
            amount: request.amount,
            context: request.context.clone(),
            facts: snapshot.facts().clone(),
            policies_revision: snapshot.policies().revision(),
            policies: snapshot.policies().iter().map(RecordedPolicy::of).collect(),
            decision: decision.to_json(),
        }
    }

    /// Decides again, and compares every bit of the decision.
    ///
    /// # Errors
    ///
    /// When the catalog is another one, a policy cannot be read, or the decision differs.
    pub fn replay(&self, catalog: &Catalog) -> Result<Decision, ReplayError> {
        let given = catalog.hash().to_string();
        if given != self.catalog {
            return Err(ReplayError::OtherCatalog { recorded: self.catalog.clone(), given });
        }
        let decision = self.decide(catalog)?;
        let replayed = decision.to_json();
        if replayed == self.decision {
            Ok(decision)
        } else {
            let recorded = Box::new(self.decision.clone());
            Err(ReplayError::Differs { recorded, replayed: Box::new(replayed) })
        }
    }

    /// What another catalog would have decided.
    ///
    /// # Errors
    ///
    /// When a policy cannot be read.
    pub fn decide(&self, catalog: &Catalog) -> Result<Decision, ReplayError> {
        let policies = self.policies.iter().map(RecordedPolicy::read).collect::<Result<_, _>>()?;
        let policies = Policies { revision: self.policies_revision, policies };
        let set = Arc::new(PolicySet::compile(&policies, catalog));
        let snapshot = Snapshot::new(self.facts.clone(), set, catalog);
        let request = Request {
            subject: &self.subject,
            feature: &self.feature,
            action: self.action,
            resource: self.resource.as_deref(),
            amount: self.amount,
            context: &self.context,
        };
        Ok(evaluate(&request, &snapshot, catalog, self.now))
    }
}
