//! When it cannot be decided: the fail mode.

use entitlements_core::facts::Revision;
use entitlements_core::{Decision, Error, ErrorKind, Reason, Request, Source};

use crate::denial::Denial;
use crate::fail::FailMode;
use crate::pending::Asked;

/// Whether a decision counts that was made without live facts.
pub(crate) fn accept(asked: &Asked, decision: Decision) -> Result<Decision, Denial> {
    let Some(age) = decision.degraded else { return Ok(decision) };
    match asked.shared().fail_mode {
        FailMode::Open => Ok(decision),
        // How much is left of a quota cannot be known from the past.
        FailMode::LastKnown { max_age } if age <= max_age && decision.quota.is_none() => Ok(decision),
        FailMode::LastKnown { .. } | FailMode::Closed => Err(Denial::Unavailable),
    }
}

/// What counts instead of a decision about a feature, after `error`.
pub(crate) fn check(asked: &Asked, request: &Request<'_>, error: &Error) -> Result<Decision, Denial> {
    only_unreachable(error)?;
    let entitlements = &asked.shared().entitlements;
    match asked.shared().fail_mode {
        FailMode::Closed => Err(Denial::Unavailable),
        FailMode::LastKnown { max_age } => {
            let known = entitlements.last_known(request, Some(max_age)).ok_or(Denial::Unavailable)?;
            let known = accept(asked, known)?;
            entitlements.observe_degraded(request, &known);
            Ok(known)
        }
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

/// What the last facts say, if there are any, and otherwise the guardrails; an allow by default if nothing denies, as old
/// as the gate's ignorance.
fn open(asked: &Asked, request: &Request<'_>) -> Decision {
    let shared = asked.shared();
    let entitlements = &shared.entitlements;
    let known = entitlements.last_known(request, None).or_else(|| entitlements.denied_by_guardrail(request));
    let now = entitlements.now();
    let decision = known.unwrap_or_else(|| Decision {
        reason: Reason::AllowedByDefault,
        source: Source::Default,
        feature: request.feature.to_owned().into(),
        action: request.action,
        plan: None,
        value: None,
        quota: None,
        expires_at: Some(now),
        as_of: Revision::default(),
        catalog: entitlements.catalog().hash(),
        degraded: Some(now.signed_duration_since(shared.since).to_std().unwrap_or_default()),
        upgrade: Vec::new(),
    });
    entitlements.observe_degraded(request, &decision);
    decision
}
