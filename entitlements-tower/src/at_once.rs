//! The short way of most requests: a rule that only requires a feature, a subject that is among the extensions, and facts
//! that are in memory. It copies nothing but the decision, and takes no request apart.

use entitlements_core::{Action, AtOnce, Context, Request};
use http::{Extensions, Method, Uri};
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::action::action_of;
use crate::gate::{Gate, Shared};
use crate::rules::CompiledRule;
use crate::usual::Usual;

impl Shared {
    /// Whether nothing of the gate's own reads requests or adds to responses.
    fn has_a_short_way(&self) -> bool {
        self.action.is_none() && self.context.is_none() && self.resource.is_none() && !self.limits
    }
}

impl Gate {
    /// The decision, if the request has the short way; `None` says nothing about it. `counted` becomes true when the request
    /// was counted as one that its rule matched.
    ///
    /// Nothing else is to be done for a request that is allowed. For one that is denied, [`begin`](Gate::begin) is given
    /// the decision.
    #[inline]
    pub(crate) fn decide_at_once(
        &self,
        usual: &Usual,
        method: &Method,
        uri: &Uri,
        extensions: &Extensions,
        counted: &mut bool,
    ) -> Option<AtOnce> {
        // Who traces wants to see the span, too.
        if LevelFilter::current() >= Level::DEBUG {
            return None;
        }
        match usual.rule(method, extensions).filter(|_| self.has_first_rules()) {
            Some((rule, action)) => self.decide_by_facts(rule, action, extensions, counted),
            None => self.decide_by_any(usual, method, uri, extensions, counted),
        }
    }

    #[inline(never)]
    fn decide_by_any(
        &self,
        usual: &Usual,
        method: &Method,
        uri: &Uri,
        extensions: &Extensions,
        counted: &mut bool,
    ) -> Option<AtOnce> {
        if !self.shared().has_a_short_way() {
            return None;
        }
        let rules = self.rules();
        let rule = rules.of(method, uri, extensions).ok()??;
        let require = rule.requires_only()?;
        let action = require.action.unwrap_or_else(|| action_of(method));
        if rules.are_first() {
            usual.learn(method, extensions, &rules, rule, action);
        }
        self.decide_by_facts(rule, action, extensions, counted)
    }

    #[inline]
    fn decide_by_facts(
        &self,
        rule: &CompiledRule,
        action: Action,
        extensions: &Extensions,
        counted: &mut bool,
    ) -> Option<AtOnce> {
        let shared = self.shared();
        let feature = rule.require.as_ref()?.feature;
        let request = Request::new(shared.identify.at_hand(extensions)?, feature, action);
        rule.hit();
        *counted = true;
        shared.entitlements.check_at_once(&request, || extensions.get::<Context>())
    }
}
