//! The layer.

use std::fmt;
use std::sync::Arc;

use entitlements_core::{Action, Entitlements};
use tower_layer::Layer;

use crate::builder::EntitlementLayerBuilder;
use crate::coverage::Coverage;
use crate::deny::ProblemJson;
use crate::fail::FailMode;
use crate::gate::Gate;
use crate::identity::Identify;
use crate::in_handler::TypedGates;
use crate::rule::Rule;
use crate::rules::RuleError;
use crate::service::{EntitlementService, Shell};
use crate::settle::SettlementStats;

/// Gates every request of a service. Cheap to clone; clones share everything.
///
/// With axum, add it with `Router::route_layer`, and the layer that authenticates after (below) it. See the crate's
/// documentation for an example.
pub struct EntitlementLayer<D = ProblemJson> {
    shell: Arc<Shell<D>>,
}

impl EntitlementLayer {
    /// Begins to build a layer: whom to ask, how to know who asks, and what happens when it cannot be decided.
    ///
    /// The rules are the routes of the catalog, and follow it when it is replaced.
    pub fn builder(
        entitlements: Entitlements,
        identify: impl Identify,
        fail_mode: FailMode,
    ) -> EntitlementLayerBuilder {
        EntitlementLayerBuilder::new(entitlements, identify, fail_mode)
    }

    /// A layer for one route: every request through it needs `feature`, for `action` or the action of its method.
    ///
    /// # Errors
    ///
    /// [`RuleError`] when the catalog does not have the feature.
    pub fn require(
        entitlements: Entitlements,
        identify: impl Identify,
        fail_mode: FailMode,
        feature: &str,
        action: impl Into<Option<Action>>,
    ) -> Result<Self, RuleError> {
        Self::builder(entitlements, identify, fail_mode).rules([required(feature, action.into())]).build()
    }
}

fn required(feature: &str, action: Option<Action>) -> Rule {
    match action {
        Some(action) => Rule::every_request().require_action(feature, action),
        None => Rule::every_request().require(feature),
    }
}

impl<D> EntitlementLayer<D> {
    pub(crate) fn new(gate: Gate, typed: Option<Arc<TypedGates>>, deny: Arc<D>) -> Self {
        Self { shell: Arc::new(Shell::new(gate, typed, deny)) }
    }

    /// Another layer for one route, which shares everything with this one but the rules: every request through it needs
    /// `feature`, for `action` or the action of its method.
    ///
    /// Each of the two knows its own rules and no other. Where this layer is around the route as well, it takes the route for
    /// one without a rule: it refuses it with `unmatched = "deny"`, misses it among the
    /// [declared](crate::EntitlementLayerBuilder::declared) routes, and lists it in its [coverage](Self::coverage). A rule
    /// without a feature for the route, such as `Rule::new("GET /csv")`, says that it is known; it passes here, and is gated
    /// there.
    ///
    /// # Errors
    ///
    /// [`RuleError`] when the catalog does not have the feature.
    pub fn require_feature(
        &self,
        feature: &str,
        action: impl Into<Option<Action>>,
    ) -> Result<Self, RuleError> {
        self.with_rule(required(feature, action.into()))
    }

    /// Another layer for one route, which shares everything with this one but the rules: it has only `rule`. What is said of
    /// [`require_feature`](Self::require_feature) is true of it, too.
    ///
    /// # Errors
    ///
    /// [`RuleError`] when the rule is malformed or names what the catalog does not have.
    pub fn with_rule(&self, rule: Rule) -> Result<Self, RuleError> {
        let Shell { gate, typed, deny, .. } = &*self.shell;
        Ok(Self::new(gate.with_rule(rule)?, typed.clone(), Arc::clone(deny)))
    }

    /// The gate of the layer, for other kinds of proxies and for what has no layer.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.shell.gate
    }

    /// Which rules were hit so far, and which routes have none.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        self.shell.gate.coverage()
    }

    /// Counts of refunds and late charges.
    #[must_use]
    pub fn settlements(&self) -> SettlementStats {
        self.shell.gate.settlements()
    }

    /// Does every refund and late charge that can be done now; call it when the server has shut down.
    pub async fn flush(&self) -> SettlementStats {
        self.shell.gate.flush().await
    }
}

impl<S, D> Layer<S> for EntitlementLayer<D> {
    type Service = EntitlementService<S, D>;

    fn layer(&self, inner: S) -> Self::Service {
        EntitlementService::new(inner, self.shell.anew())
    }
}

impl<D> Clone for EntitlementLayer<D> {
    fn clone(&self) -> Self {
        Self { shell: Arc::clone(&self.shell) }
    }
}

impl<D> fmt::Debug for EntitlementLayer<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntitlementLayer").field("gate", &self.shell.gate).finish_non_exhaustive()
    }
}
