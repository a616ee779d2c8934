//! What is traced of a gated request: one span, and one event for each decision.
//!
//! The fields have few values each: the rule, and what the catalog and this workspace name. Who asked, for which path and
//! which resource, is in none of them.

use entitlements_core::Decision;
use tracing::Span;
use tracing::field::Empty;

use crate::denial::Denial;

/// The span in which a request is decided, of the rule that it matched.
pub(crate) fn span(route: &str) -> Span {
    tracing::debug_span!(
        "entitlement",
        entitlement.route = route,
        entitlement.feature = Empty,
        entitlement.action = Empty,
        entitlement.outcome = Empty,
        entitlement.reason = Empty,
        entitlement.source = Empty,
        entitlement.plan = Empty,
    )
}

/// Takes note of a decision in the span around it. Of several, the last counts.
pub(crate) fn decided(span: &Span, decision: &Decision) {
    if span.is_disabled() {
        return;
    }
    span.record("entitlement.feature", decision.feature.as_ref());
    span.record("entitlement.action", decision.action.as_str());
    span.record("entitlement.reason", decision.reason.code());
    span.record("entitlement.source", decision.source.kind());
    span.record("entitlement.plan", decision.plan);
}

/// Takes note of how it ended.
pub(crate) fn ended(span: &Span, denial: Option<&Denial>) {
    if span.is_disabled() {
        return;
    }
    let outcome = match denial {
        None => "allowed",
        Some(Denial::Unavailable | Denial::Internal) => "undecided",
        Some(_) => "denied",
    };
    span.record("entitlement.outcome", outcome);
    if let Some(denial) = denial {
        span.record("entitlement.reason", denial.code());
    }
}
