//! Snapshots: the facts of one company, bound to a catalog, ready to be evaluated.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::bucket::Bucket;
use crate::catalog::{
    AddOnKind, Anchor, Catalog, CatalogHash, Entry, EntryKind, FeatureIndex, Overage, PlanIndex, Quota,
};
use crate::facts::{Facts, Revision};
use crate::grant::Grant;
use crate::id::CompanyId;
use crate::period::Interval;
use crate::policy::PolicySet;
use crate::subscription::{Access, Subscription};
use crate::{ActionSet, Amount};

/// All facts of one company, and the policies, bound to a catalog: what [`evaluate`](crate::evaluate()) reads.
///
/// Immutable. Names are resolved to the catalog's dense indices here, once, so that evaluation compares no texts.
#[derive(Clone, Debug)]
pub struct Snapshot {
    head: Head,
    facts: Facts,
    /// Of the subscriptions after the first, newest first.
    older: Vec<Standing>,
    /// By feature, then in burn order.
    grants: Vec<BoundGrant>,
    /// By feature.
    counters: Vec<BoundCounter>,
    /// By feature; `None` takes the feature away.
    overrides: Vec<(FeatureIndex, Option<Entry>)>,
    /// By feature.
    addons: Vec<(FeatureIndex, AddOnSum)>,
    /// By feature.
    gauges: Vec<(FeatureIndex, Amount)>,
}

/// What most decisions need, side by side: a decision that is allowed by a plan reads nothing else of the snapshot.
#[derive(Clone, Debug)]
struct Head {
    catalog: CatalogHash,
    policies: Arc<PolicySet>,
    /// Of the newest subscription.
    newest: Option<Standing>,
    as_of: Revision,
    has_grants: bool,
    /// Whether add-ons or overrides change what the plan gives.
    differs: bool,
}

/// How a subscription stands, whatever the time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    position: u32,
    /// Its plan, if the catalog knows it.
    pub(crate) plan: Option<PlanIndex>,
    /// The first instant without access; the first of all times if there never is any.
    pub(crate) until: DateTime<Utc>,
    pub(crate) trial_end: Option<DateTime<Utc>>,
}

impl Standing {
    fn of(position: u32, subscription: &Subscription, catalog: &Catalog) -> Self {
        let until = match subscription.access(DateTime::<Utc>::MIN_UTC, catalog.past_due_grace()) {
            Access::None => DateTime::<Utc>::MIN_UTC,
            Access::Until(until) => until.unwrap_or(DateTime::<Utc>::MAX_UTC),
        };
        let plan = catalog.plan_index(subscription.plan.as_str());
        Self { position, plan, until, trial_end: subscription.trial_end }
    }

    pub(crate) fn gives_access(&self, now: DateTime<Utc>) -> bool {
        now < self.until
    }
}

#[derive(Clone, Copy, Debug)]
struct BoundGrant {
    feature: FeatureIndex,
    position: u32,
    used: Amount,
}

#[derive(Clone, Copy, Debug)]
struct BoundCounter {
    feature: FeatureIndex,
    position: u32,
}

/// What a company's add-ons give of one feature, all quantities added up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AddOnSum {
    /// What they give where the plan does not name the feature.
    pub(crate) alone: Entry,
    /// What they add to the plan's limit.
    pub(crate) add: Amount,
}

/// What a company has of a feature instead of what its plan gives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Instead<'a> {
    /// Nothing: what the plan gives counts.
    AsPlanned,
    /// This.
    Given(&'a Entry),
    /// The feature is taken away.
    TakenAway,
}

/// A grant of the company, with the units spent of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GrantView<'a> {
    pub(crate) grant: &'a Grant,
    pub(crate) used: Amount,
}

impl Snapshot {
    /// Binds facts and policies to a catalog.
    #[must_use]
    pub fn new(mut facts: Facts, policies: Arc<PolicySet>, catalog: &Catalog) -> Self {
        // The newest first: it decides when several give access.
        facts.subscriptions.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.id.cmp(&b.id)));
        let mut standings =
            (0u32..).zip(&facts.subscriptions).map(|(position, s)| Standing::of(position, s, catalog));
        let newest = standings.next();
        let older = standings.collect();
        let grants = bind_grants(&facts, catalog);
        let overrides = bind_overrides(&facts, catalog);
        let addons = bind_addons(&facts, catalog);
        let head = Head {
            catalog: catalog.hash(),
            newest,
            as_of: facts.revision.max(policies.revision()),
            policies,
            has_grants: !grants.is_empty(),
            differs: !overrides.is_empty() || !addons.is_empty(),
        };
        Self {
            head,
            older,
            grants,
            counters: bind_counters(&facts, catalog),
            overrides,
            addons,
            gauges: bind_gauges(&facts, catalog),
            facts,
        }
    }

    /// The same facts and policies, bound to another catalog.
    #[must_use]
    pub fn rebind(&self, catalog: &Catalog) -> Self {
        Self::new(self.facts.clone(), Arc::new(self.head.policies.rebind(catalog)), catalog)
    }

    /// Other facts with the same policies: what if?
    #[must_use]
    pub fn with_facts(&self, facts: Facts, catalog: &Catalog) -> Self {
        Self::new(facts, Arc::clone(&self.head.policies), catalog)
    }

    /// The company.
    #[must_use]
    pub const fn company(&self) -> &CompanyId {
        &self.facts.company
    }

    /// The facts.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The revision of the last write that the snapshot shows, to the company or to any policy.
    #[must_use]
    pub const fn as_of(&self) -> Revision {
        self.head.as_of
    }

    /// The revision up to which the facts show every write: policies may be newer, and prove nothing about the facts.
    pub(crate) fn seen(&self) -> Revision {
        self.facts.revision.max(self.facts.policies_revision)
    }

    pub(crate) fn is_bound_to(&self, catalog: &Catalog) -> bool {
        self.head.catalog == catalog.hash() && self.head.policies.is_bound_to(catalog)
    }

    pub(crate) fn policies(&self) -> &PolicySet {
        &self.head.policies
    }

    /// How the subscriptions stand, newest first.
    pub(crate) fn standings(&self) -> impl Iterator<Item = &Standing> {
        self.head.newest.iter().chain(&self.older)
    }

    pub(crate) fn subscription(&self, standing: &Standing) -> Option<&Subscription> {
        self.facts.subscriptions.get(standing.position as usize)
    }

    /// Whether the company has grants of any feature.
    pub(crate) const fn has_grants(&self) -> bool {
        self.head.has_grants
    }

    /// Whether add-ons or overrides change what the plan gives of any feature.
    pub(crate) const fn differs(&self) -> bool {
        self.head.differs
    }

    /// The grants of a feature, in burn order: earliest end, oldest, smallest id.
    pub(crate) fn grants(&self, feature: FeatureIndex) -> impl Iterator<Item = GrantView<'_>> + Clone {
        run(&self.grants, feature, |bound| bound.feature).iter().filter_map(|bound| {
            let grant = self.facts.grants.get(bound.position as usize)?;
            Some(GrantView { grant, used: bound.used })
        })
    }

    /// Units used out of `bucket` in the period that begins at `start`.
    pub(crate) fn used(
        &self,
        feature: FeatureIndex,
        start: DateTime<Utc>,
        bucket: impl Fn(&Bucket) -> bool,
    ) -> Amount {
        let counters = run(&self.counters, feature, |bound| bound.feature);
        let counter = counters
            .iter()
            .filter_map(|bound| self.facts.usage.get(bound.position as usize))
            .find(|counter| counter.period_start == start && bucket(&counter.bucket));
        counter.map_or(Amount::ZERO, |counter| counter.used)
    }

    /// What differs for the company from its plan, of one feature.
    pub(crate) fn instead(&self, feature: FeatureIndex) -> Instead<'_> {
        match find(&self.overrides, feature) {
            None => Instead::AsPlanned,
            Some(None) => Instead::TakenAway,
            Some(Some(entry)) => Instead::Given(entry),
        }
    }

    pub(crate) fn addons(&self, feature: FeatureIndex) -> Option<&AddOnSum> {
        find(&self.addons, feature)
    }

    pub(crate) fn gauge(&self, feature: FeatureIndex) -> Amount {
        find(&self.gauges, feature).copied().unwrap_or_default()
    }
}

/// The elements of `feature` in a list that is sorted by feature.
fn run<T>(list: &[T], feature: FeatureIndex, of: impl Fn(&T) -> FeatureIndex) -> &[T] {
    let start = list.partition_point(|element| of(element) < feature);
    let rest = list.get(start..).unwrap_or_default();
    let length = rest.partition_point(|element| of(element) == feature);
    rest.get(..length).unwrap_or_default()
}

/// The element of `feature` in a list that is sorted by feature and has at most one of each.
fn find<T>(list: &[(FeatureIndex, T)], feature: FeatureIndex) -> Option<&T> {
    let at = list.binary_search_by_key(&feature, |(index, _)| *index).ok()?;
    list.get(at).map(|(_, element)| element)
}

fn bind_grants(facts: &Facts, catalog: &Catalog) -> Vec<BoundGrant> {
    let spent = |grant: &Grant| {
        let mut own = facts.usage.iter().filter(|counter| {
            counter.meter == grant.feature && matches!(&counter.bucket, Bucket::Grant(id) if *id == grant.id)
        });
        own.next().map_or(Amount::ZERO, |counter| counter.used)
    };
    let mut bound: Vec<_> = (0u32..)
        .zip(&facts.grants)
        .filter_map(|(position, grant)| {
            let feature = catalog.feature_index(grant.feature.as_str())?;
            let used = if grant.amount.is_some() { spent(grant) } else { Amount::ZERO };
            Some((BoundGrant { feature, position, used }, grant))
        })
        .collect();
    bound.sort_by(|(a, left), (b, right)| {
        a.feature.cmp(&b.feature).then_with(|| burn_order(left).cmp(&burn_order(right)))
    });
    bound.into_iter().map(|(bound, _)| bound).collect()
}

/// The order in which grants are spent: earliest end, then oldest, then smallest id.
pub(crate) fn burn_order(grant: &Grant) -> impl Ord + '_ {
    (grant.ends_at.unwrap_or(DateTime::<Utc>::MAX_UTC), grant.created_at, &grant.id)
}

fn bind_counters(facts: &Facts, catalog: &Catalog) -> Vec<BoundCounter> {
    let mut bound: Vec<_> = (0u32..)
        .zip(&facts.usage)
        .filter(|(_, counter)| !matches!(counter.bucket, Bucket::Grant(_)))
        .filter_map(|(position, counter)| {
            Some(BoundCounter { feature: catalog.feature_index(counter.meter.as_str())?, position })
        })
        .collect();
    bound.sort_by_key(|bound| bound.feature);
    bound
}

fn bind_overrides(facts: &Facts, catalog: &Catalog) -> Vec<(FeatureIndex, Option<Entry>)> {
    let mut bound: Vec<_> = facts
        .overrides
        .iter()
        .filter_map(|given| {
            let feature = catalog.feature(given.feature.as_str())?;
            // A stored override that no longer fits the feature's kind takes the feature away: it cannot give anything.
            Some((feature.index, Entry::from_json(feature, &given.value).unwrap_or(None)))
        })
        .collect();
    bound.sort_by_key(|(feature, _)| *feature);
    bound.dedup_by_key(|(feature, _)| *feature);
    bound
}

fn bind_addons(facts: &Facts, catalog: &Catalog) -> Vec<(FeatureIndex, AddOnSum)> {
    let mut sums: Vec<(FeatureIndex, AddOnSum)> = Vec::new();
    // In catalog order, so that the order of the facts does not matter.
    for addon in catalog.addons() {
        let owned = facts.addons.iter().filter(|owned| owned.addon.as_str() == addon.key());
        let quantity = owned.fold(0u32, |sum, owned| sum.saturating_add(owned.quantity));
        for entry in addon.entries().iter().filter(|_| quantity > 0) {
            let given = addon_sum(entry.actions, entry.kind, quantity);
            match sums.iter_mut().find(|(feature, _)| *feature == entry.feature) {
                Some((_, sum)) => sum.join(&given),
                None => sums.push((entry.feature, given)),
            }
        }
    }
    sums.sort_by_key(|(feature, _)| *feature);
    sums
}

fn addon_sum(actions: ActionSet, kind: AddOnKind, quantity: u32) -> AddOnSum {
    let (add, kind) = match kind {
        AddOnKind::Flag => (Amount::ZERO, EntryKind::Flag),
        AddOnKind::Meter { add, every } => {
            let add = add.saturating_mul(quantity.into());
            let anchor = if every == Interval::Lifetime { Anchor::Calendar } else { Anchor::Subscription };
            let quota = Quota {
                limit: Some(add),
                every,
                anchor,
                over: Overage::Block,
                rollover: Amount::ZERO,
                alerts: Vec::new(),
            };
            (add, EntryKind::Meter(vec![quota]))
        }
        AddOnKind::Gauge { add } => {
            let add = add.saturating_mul(quantity.into());
            (add, EntryKind::Gauge(Some(add)))
        }
    };
    AddOnSum { alone: Entry { actions, kind }, add }
}

impl AddOnSum {
    fn join(&mut self, other: &Self) {
        self.add = self.add.saturating_add(other.add);
        self.alone.actions = self.alone.actions.union(other.alone.actions);
        match &mut self.alone.kind {
            EntryKind::Meter(quotas) => quotas.iter_mut().for_each(|quota| quota.limit = Some(self.add)),
            EntryKind::Gauge(limit) => *limit = Some(self.add),
            EntryKind::Flag | EntryKind::Value(_) => {}
        }
    }
}

fn bind_gauges(facts: &Facts, catalog: &Catalog) -> Vec<(FeatureIndex, Amount)> {
    let mut bound: Vec<_> = facts
        .gauges
        .iter()
        .filter_map(|level| Some((catalog.feature_index(level.gauge.as_str())?, level.used)))
        .collect();
    bound.sort_by_key(|(feature, _)| *feature);
    bound
}
