//! When it cannot be decided: the fail mode.

use entitlements_core::facts::Revision;
use entitlements_core::{Decision, Error, ErrorKind, Reason, Request, Source};

use crate::denial::Denial;
use crate::fail::FailMode;
use crate::pending::Asked;

/// What counts instead of a decision about a feature, after `error`.
pub(crate) fn check(asked: &Asked, request: &Request<'_>, error: &Error) -> Result<Decision, Denial> {
    only_unreachable(error)?;
    let shared = asked.shared();
    match shared.fail_mode {
        FailMode::Closed => Err(Denial::Unavailable),
        FailMode::LastKnown { max_age } => shared
            .last_known
            .recall(request, Some(max_age), shared.entitlements.now())
            // How much is left of a quota cannot be known from the past.
            .filter(|known| known.quota.is_none())
            .ok_or(Denial::Unavailable),
        FailMode::Open => Ok(open(asked, request)),
    }
}

/// What counts instead of a decision about consuming a meter, after `error`.
pub(crate) fn charge(asked: &Asked, request: &Request<'_>, error: &Error) -> Result<Decision, Denial> {
    only_unreachable(error)?;
    match asked.shared().fail_mode {
        FailMode::Closed | FailMode::LastKnown { .. } => Err(Denial::Unavailable),
        FailMode::Open => Ok(open(asked, request)),
    }
}

/// Tells what cannot be reached from what is wrong: only for the first the fail mode counts.
fn only_unreachable(error: &Error) -> Result<(), Denial> {
    let cause = error as &dyn std::error::Error;
    match error.kind() {
        ErrorKind::Unavailable => {
            tracing::warn!(error = cause, "a request cannot be decided with live facts");
            Ok(())
        }
        ErrorKind::IdempotencyConflict => Err(Denial::IdempotencyConflict),
        _ => {
            tracing::error!(error = cause, "a request cannot be decided");
            Err(Denial::Internal)
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
