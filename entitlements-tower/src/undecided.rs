//! When it cannot be decided: the fail mode.

use entitlements_core::facts::Revision;
use entitlements_core::{Decision, Error, ErrorKind, Reason, Request, Source};

use crate::denial::Denial;
use crate::fail::FailMode;
use crate::pending::Asked;

/// The facts could not be reached: only then the fail mode counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Undecided;

impl Undecided {
    /// Tells what cannot be reached from what is wrong.
    pub(crate) fn of(error: &Error) -> Result<Self, Denial> {
        match error.kind() {
            ErrorKind::Unavailable => {
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "a request cannot be decided with live facts"
                );
                Ok(Self)
            }
            ErrorKind::IdempotencyConflict => Err(Denial::IdempotencyConflict),
            _ => {
                tracing::error!(error = error as &dyn std::error::Error, "a request cannot be decided");
                Err(Denial::Internal)
            }
        }
    }

    /// What counts instead of a decision about a feature.
    pub(crate) fn check(self, asked: &Asked, request: &Request<'_>) -> Result<Decision, Denial> {
        let shared = asked.shared();
        let now = shared.entitlements.now();
        match shared.fail_mode {
            FailMode::Closed => Err(Denial::Unavailable),
            FailMode::LastKnown { max_age } => shared
                .last_known
                .recall(request, Some(max_age), now)
                // How much is left of a quota cannot be known from the past.
                .filter(|known| known.quota.is_none())
                .ok_or(Denial::Unavailable),
            FailMode::Open => Ok(open(asked, request)),
        }
    }

    /// What counts instead of a decision about consuming a meter.
    pub(crate) fn charge(self, asked: &Asked, request: &Request<'_>) -> Result<Decision, Denial> {
        match asked.shared().fail_mode {
            FailMode::Closed | FailMode::LastKnown { .. } => Err(Denial::Unavailable),
            FailMode::Open => Ok(open(asked, request)),
        }
    }
}

/// The last decision, if there is one; otherwise an allow by default, as old as the gate's ignorance.
fn open(asked: &Asked, request: &Request<'_>) -> Decision {
    let shared = asked.shared();
    let now = shared.entitlements.now();
    shared.last_known.recall(request, None, now).unwrap_or_else(|| Decision {
        reason: Reason::AllowedByDefault,
        source: Source::Default,
        feature: request.feature.to_owned().into(),
        action: request.action,
        plan: None,
        value: None,
        quota: None,
        expires_at: Some(now),
        as_of: Revision::default(),
        catalog: shared.entitlements.catalog().hash(),
        degraded: Some(now.signed_duration_since(shared.since).to_std().unwrap_or_default()),
        upgrade: Vec::new(),
    })
}
