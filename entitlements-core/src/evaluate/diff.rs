//! Differences between two catalogs: who gains and who loses what, before one of them is published.

use chrono::{DateTime, Utc};

use super::evaluate;
use crate::catalog::{Catalog, Feature, Value};
use crate::decision::Decision;
use crate::id::CompanyId;
use crate::request::{Request, Subject};
use crate::snapshot::Snapshot;
use crate::{Action, Amount};

/// What another catalog does to one company, for one feature and action.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The company.
    pub company: CompanyId,
    /// The feature.
    pub feature: String,
    /// The action.
    pub action: Action,
    /// What happens.
    pub kind: DifferenceKind,
    /// The decision under the first catalog.
    pub before: Decision,
    /// The decision under the second catalog.
    pub after: Decision,
}

/// What another catalog does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DifferenceKind {
    /// What was allowed is denied.
    Loses,
    /// It stays allowed or denied, with a lower limit or another value that is not known to be higher.
    Less,
    /// It stays allowed or denied, with a higher limit or value.
    More,
    /// What was denied is allowed.
    Gains,
}

/// What `after` changes for the companies of the snapshots, compared with `before`: for every feature of either catalog
/// and every action, in that order. What stays the same is left out.
///
/// Asked for the company as such, without resource and context, for no units (inclusion) and with the present usage.
///
/// ```
/// use entitlements_core::facts::Facts;
/// use entitlements_core::{Catalog, DifferenceKind, Snapshot, diff, id::CompanyId};
///
/// let text = |limit| format!(r#"
///     schema = 1
///     default_plan = "free"
///     past_due_grace = "7d"
///     [features]
///     reports = {{ type = "meter" }}
///     [plans.free.grants]
///     reports = {{ limit = {limit}, every = "month", actions = ["create"] }}
/// "#);
/// let (before, after): (Catalog, Catalog) = (text(10).parse()?, text(5).parse()?);
/// let acme = Snapshot::new(Facts::empty(CompanyId::new("acme")?), Default::default(), &before);
/// let differences = diff(&before, &after, [&acme], "2026-11-24T00:00:00Z".parse()?);
/// assert_eq!(differences.len(), 1);
/// assert_eq!(differences[0].kind, DifferenceKind::Less);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn diff<'s>(
    before: &Catalog,
    after: &Catalog,
    snapshots: impl IntoIterator<Item = &'s Snapshot>,
    now: DateTime<Utc>,
) -> Vec<Difference> {
    let mut features: Vec<_> = before.features().iter().chain(after.features()).map(Feature::key).collect();
    features.sort_unstable();
    features.dedup();
    let mut differences = Vec::new();
    for snapshot in snapshots {
        let (old, new) = (bound(snapshot, before), snapshot.rebind(after));
        let subject = Subject::company(snapshot.company().clone());
        for feature in &features {
            for action in Action::ALL {
                let request = Request::new(&subject, feature, action).with_amount(Amount::ZERO);
                let was = evaluate(&request, &old, before, now);
                let is = evaluate(&request, &new, after, now);
                if let Some(kind) = kind(&was, &is) {
                    differences.push(Difference {
                        company: snapshot.company().clone(),
                        feature: (*feature).into(),
                        action,
                        kind,
                        before: was,
                        after: is,
                    });
                }
            }
        }
    }
    differences
}

fn bound(snapshot: &Snapshot, catalog: &Catalog) -> Snapshot {
    if snapshot.is_bound_to(catalog) { snapshot.clone() } else { snapshot.rebind(catalog) }
}

fn kind(was: &Decision, is: &Decision) -> Option<DifferenceKind> {
    match (was.is_allowed(), is.is_allowed()) {
        (true, false) => return Some(DifferenceKind::Loses),
        (false, true) => return Some(DifferenceKind::Gains),
        (false, false) => return None,
        (true, true) => {}
    }
    let limit = |decision: &Decision| decision.quota.map(|quota| quota.limit.map_or(u64::MAX, Amount::get));
    match limit(was).cmp(&limit(is)) {
        std::cmp::Ordering::Less => return Some(DifferenceKind::More),
        std::cmp::Ordering::Greater => return Some(DifferenceKind::Less),
        std::cmp::Ordering::Equal => {}
    }
    value_kind(was, is)
}

fn value_kind(was: &Decision, is: &Decision) -> Option<DifferenceKind> {
    if was.value == is.value {
        return None;
    }
    let number = |decision: &Decision| decision.value.as_ref().and_then(Value::number);
    match (number(was), number(is)) {
        (Some(was), Some(is)) if was < is => Some(DifferenceKind::More),
        _ => Some(DifferenceKind::Less),
    }
}
