//! Usage: how every quota of a company stands.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::allowance::Allowance;
use super::in_effect::InEffect;
use super::{Horizon, View, steps};
use crate::bucket::Bucket;
use crate::catalog::{Catalog, Feature, FeatureKind};
use crate::decision::QuotaStatus;
use crate::request::{Request, Subject};
use crate::snapshot::Snapshot;
use crate::{Action, Amount};

/// How one meter or gauge of a company stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageItem {
    /// Limit, used, remaining.
    pub quota: QuotaStatus,
    /// For a pool: what each of its meters has contributed, by name; zeros included.
    pub parts: BTreeMap<&'static str, Amount>,
}

/// Every meter and gauge that the plan, add-ons, overrides or grants of the company name, by name. Members of a pool are
/// parts of it.
pub(crate) fn usage(
    subject: &Subject,
    snapshot: &Snapshot,
    catalog: &Catalog,
    now: DateTime<Utc>,
) -> Vec<UsageItem> {
    if !snapshot.is_bound_to(catalog) {
        return usage(subject, &snapshot.rebind(catalog), catalog, now);
    }
    let effect = InEffect::at(snapshot, catalog, now);
    let mut items = Vec::new();
    for feature in catalog.features().iter().filter(|feature| !feature.is_pooled()) {
        let request =
            Request::new(subject, feature.key(), action_for(&effect, snapshot, feature, catalog, now))
                .with_amount(Amount::ZERO);
        let view = View { request: &request, snapshot, catalog, now, feature, effect: &effect };
        if let Some(quota) = status(&view) {
            items.push(UsageItem { quota, parts: parts(&view) });
        }
    }
    items
}

/// An action that the plan includes, so that a plan without `create` shows its quota, too.
fn action_for(
    effect: &InEffect<'_>,
    snapshot: &Snapshot,
    feature: &Feature,
    catalog: &Catalog,
    now: DateTime<Utc>,
) -> Action {
    let subject = Subject::company(snapshot.company().clone());
    let request = Request::new(&subject, feature.key(), Action::Create);
    let view = View { request: &request, snapshot, catalog, now, feature, effect };
    let actions = effect.plan.and_then(|plan| view.given_of(plan, feature)).map(|given| given.entry.actions);
    match actions {
        Some(actions) if !actions.contains(Action::Create) => actions.iter().next().unwrap_or(Action::Create),
        _ => Action::Create,
    }
}

fn status(view: &View<'_>) -> Option<QuotaStatus> {
    let mut horizon = Horizon::new(view.now);
    let unlimited = steps::unlimited_grant(view, &mut horizon).is_some();
    match view.feature.kind() {
        FeatureKind::Meter if unlimited => Some(steps::uncapped_status(view, &mut horizon)),
        FeatureKind::Meter => {
            let allowance = Allowance::under(view, view.effect.plan, &mut horizon);
            if allowance.included {
                return Some(allowance.status);
            }
            // Counted under an allow policy.
            let counted = steps::uncapped_status(view, &mut horizon);
            (!counted.used.is_zero()).then_some(counted)
        }
        FeatureKind::Gauge => {
            let planned = view.effect.plan.and_then(|plan| steps::gauge_status(view, plan));
            if unlimited { Some(steps::held(view, None)) } else { planned }
        }
        FeatureKind::Flag | FeatureKind::Value => None,
    }
}

fn parts(view: &View<'_>) -> BTreeMap<&'static str, Amount> {
    let start = steps::uncapped_period(view).start;
    let members = view.feature.members.iter().filter_map(|index| view.catalog.features.get(index.get()));
    members
        .map(|member| {
            let used = view.snapshot.used(member.index, start, |bucket| *bucket == Bucket::Part);
            (member.key(), used)
        })
        .collect()
}
