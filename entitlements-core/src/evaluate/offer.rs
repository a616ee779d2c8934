//! The offer: which plans would allow what was denied.

use super::allowance::Allowance;
use super::{Horizon, View, steps};
use crate::catalog::{FeatureKind, Plan};
use crate::decision::Reason;

/// Every plan of the catalog that would allow the request now, in catalog order. Only for denials that another plan ends.
#[inline]
pub(crate) fn upgrade(view: &View<'_>, reason: Reason, horizon: &mut Horizon) -> Vec<&'static str> {
    match reason {
        Reason::NoSubscription
        | Reason::SubscriptionInactive
        | Reason::FeatureNotInPlan
        | Reason::QuotaExceeded => allowing(view, horizon),
        _ => Vec::new(),
    }
}

#[inline(never)]
fn allowing(view: &View<'_>, horizon: &mut Horizon) -> Vec<&'static str> {
    let plans = view.catalog.plans().iter();
    plans.filter(|plan| would_allow(view, plan, horizon)).map(Plan::key).collect()
}

/// Whether the company, on `plan`, with its add-ons, overrides, grants and usage, would be allowed.
fn would_allow(view: &View<'_>, plan: &Plan, horizon: &mut Horizon) -> bool {
    match view.feature.kind() {
        FeatureKind::Flag => steps::gives_flag(view, plan),
        FeatureKind::Value => view.given(plan).is_some(),
        FeatureKind::Meter => {
            let allowance = Allowance::under(view, Some(plan), horizon);
            allowance.included && allowance.fits(view.request.amount)
        }
        FeatureKind::Gauge => steps::gauge_status(view, plan)
            .is_some_and(|status| steps::gauge_fits(&status, view.request.amount)),
    }
}
