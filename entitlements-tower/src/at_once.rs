//! The short way of most requests: a rule that only requires a feature, a subject that is among the extensions, and facts
//! that are in memory. It copies nothing but the decision, and takes no request apart.

use entitlements_core::{Context, Decision, Entitlements, Request};
use http::{Extensions, Method, Uri};
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::action::action_of;
use crate::gate::{Gate, Shared};
use crate::rules::CompiledRule;

impl Shared {
    /// Whether nothing of the gate's own reads requests or adds to responses.
    fn has_a_short_way(&self) -> bool {
        self.action.is_none() && self.context.is_none() && self.resource.is_none() && !self.limits
    }
}

impl Gate {
    /// The decision, if the request has the short way; `None` says nothing about it.
    ///
    /// Nothing else is to be done for a request that is allowed. For one that is denied, [`begin`](Gate::begin) is given
    /// the decision.
    pub(crate) fn decide_at_once(
        &self,
        method: &Method,
        uri: &Uri,
        extensions: &Extensions,
    ) -> Option<Decision> {
        let shared = self.shared();
        // Who traces wants to see the span, too.
        if !shared.has_a_short_way() || LevelFilter::current() >= Level::DEBUG {
            return None;
        }
        let rules = self.rules();
        let rule = rules.of(method, uri, extensions).ok()??;
        let require = rule.requires_only()?;
        let subject = shared.identify.at_hand(extensions)?;
        let action = require.action.unwrap_or_else(|| action_of(method));
        let mut request = Request::new(subject, require.feature, action);
        if let Some(context) = extensions.get::<Context>() {
            request.context = context;
        }
        decide(&shared.entitlements, &request, rule)
    }
}

/// Apart, so that the decision is written where the caller wants it.
fn decide(entitlements: &Entitlements, request: &Request<'_>, rule: &CompiledRule) -> Option<Decision> {
    let decision = entitlements.check_warm(request);
    if decision.as_ref().is_some_and(Decision::is_allowed) {
        rule.hit();
    }
    decision
}
