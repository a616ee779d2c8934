//! The default deny, with the most useful reason.

use super::View;
use super::outcome::Outcome;
use crate::catalog::Plan;
use crate::decision::{Reason, Source};

/// Step 5. The first of these that fits:
///
/// * no plan and no add-on of the catalog includes feature and action: `not_granted`;
/// * there are subscriptions, none gives access, and the newest one's plan includes it or there is no default plan:
///   `subscription_inactive`;
/// * there is no subscription and no default plan: `no_subscription`;
/// * otherwise `feature_not_in_plan`.
#[inline]
pub(crate) fn outcome(view: &View<'_>) -> Outcome {
    if !view.catalog.offers(view.meter().index, view.request.action) {
        return Outcome::new(Reason::NotGranted, Source::Default);
    }
    let plan = |plan: Option<&Plan>| plan.map_or(Source::Default, |plan| Source::Plan(plan.key()));
    let without_default = view.catalog.default_plan().is_none();
    let newest = view.effect.newest_plan(view.catalog);
    if view.effect.is_lapsed() && (without_default || newest.is_some_and(|newest| includes(view, newest))) {
        Outcome::new(Reason::SubscriptionInactive, plan(newest))
    } else if without_default && !view.effect.is_subscribed() {
        Outcome::new(Reason::NoSubscription, Source::Default)
    } else {
        Outcome::new(Reason::FeatureNotInPlan, plan(view.effect.plan))
    }
}

/// Whether the catalog's plan, as it is sold, includes the requested feature and action.
fn includes(view: &View<'_>, plan: &Plan) -> bool {
    plan.includes(view.meter().index, view.request.action)
}
