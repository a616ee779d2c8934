//! The default deny, with the most useful reason.

use super::View;
use super::outcome::Outcome;
use crate::catalog::{AddOn, Plan};
use crate::decision::{Reason, Source};

/// Step 5. The first of these that fits:
///
/// * no plan and no add-on of the catalog includes feature and action: `not_granted`;
/// * there are subscriptions, none gives access, and the newest one's plan includes it or there is no default plan:
///   `subscription_inactive`;
/// * there is no subscription and no default plan: `no_subscription`;
/// * otherwise `feature_not_in_plan`.
pub(crate) fn outcome(view: &View<'_>) -> Outcome {
    let offered = view.catalog.plans().iter().any(|plan| includes(view, plan)) || addons_include(view);
    if !offered {
        return Outcome::new(Reason::NotGranted, Source::Default);
    }
    let plan = |plan: Option<&Plan>| plan.map_or(Source::Default, |plan| Source::Plan(plan.key()));
    let without_default = view.catalog.default_plan().is_none();
    let newest = view.effect.newest_plan(view.catalog);
    if view.effect.is_lapsed() && (without_default || newest.is_some_and(|newest| includes(view, newest))) {
        return Outcome::new(Reason::SubscriptionInactive, plan(newest));
    }
    if without_default && view.effect.subscription().is_none() {
        return Outcome::new(Reason::NoSubscription, Source::Default);
    }
    Outcome::new(Reason::FeatureNotInPlan, plan(view.effect.plan))
}

/// Whether the catalog's plan, as it is sold, includes the requested feature and action.
fn includes(view: &View<'_>, plan: &Plan) -> bool {
    plan.entry(view.meter().index).is_some_and(|entry| entry.actions.contains(view.request.action))
}

fn addons_include(view: &View<'_>) -> bool {
    let meter = view.meter().index;
    let action = view.request.action;
    let mut entries = view.catalog.addons().iter().flat_map(AddOn::entries);
    entries.any(|entry| entry.feature == meter && entry.actions.contains(action))
}
