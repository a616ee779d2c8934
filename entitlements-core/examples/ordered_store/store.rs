//! What is kept, and how a change takes a revision.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, SubsecRound, Utc};
use entitlements_core::bucket::Bucket;
use entitlements_core::facts::Revision;
use entitlements_core::id::{
    AddOnKey, CompanyId, FeatureKey, GrantId, IdempotencyKey, PolicyId, SubscriptionId,
};
use entitlements_core::policy::Policy;
use entitlements_core::store::{MAX_PAGE, Page, PageRequest};
use entitlements_core::usage::{Receipt, UsageAlert};
use entitlements_core::{Amount, Grant, Subscription};

/// The store. One lock is around everything, so each method is one atomic step; a database has transactions for that.
#[derive(Debug, Default)]
pub(crate) struct OrderedStore {
    state: Mutex<State>,
}

/// Everything that is kept.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The last revision that was given to a company, or to the policies: they share one sequence.
    sequence: u64,
    pub(crate) companies: BTreeMap<CompanyId, Company>,
    pub(crate) policies: BTreeMap<PolicyId, Policy>,
    pub(crate) policies_revision: Revision,
    /// The alerts that nobody has acknowledged, oldest first.
    pub(crate) alerts: Vec<Waiting>,
}

impl State {
    /// Puts a changed company in the place of what it was.
    pub(crate) fn put(&mut self, name: &CompanyId, mut company: Company) {
        let raised = company.alerts.drain(..);
        self.alerts.extend(raised.map(|alert| Waiting { alert, claimed_until: None }));
        self.companies.insert(name.clone(), company);
    }
}

/// Everything about one company. It is in no other company's map, so nothing can be mistaken for another's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Company {
    pub(crate) revision: Revision,
    /// Every state that each subscription had, with the instant of the write; the last is the present one.
    pub(crate) subscriptions: BTreeMap<SubscriptionId, Vec<(DateTime<Utc>, Subscription)>>,
    pub(crate) addons: BTreeMap<AddOnKey, u32>,
    pub(crate) overrides: BTreeMap<FeatureKey, serde_json::Value>,
    /// In the order in which they are listed.
    pub(crate) grants: BTreeMap<(DateTime<Utc>, GrantId), Grant>,
    pub(crate) counters: BTreeMap<CounterKey, Count>,
    pub(crate) receipts: BTreeMap<IdempotencyKey, Receipt>,
    /// What was raised once: the counter, with the threshold as percent and as units.
    pub(crate) raised: BTreeSet<(CounterKey, u16, Amount)>,
    /// What a change on trial raises; it is with all others as soon as the change counts.
    pub(crate) alerts: Vec<UsageAlert>,
}

/// An alert, and until when somebody has claimed it.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) alert: UsageAlert,
    pub(crate) claimed_until: Option<DateTime<Utc>>,
}

/// Names a counter of a company: the meter, what fills it, and the start of the period.
pub(crate) type CounterKey = (FeatureKey, Bucket, DateTime<Utc>);

/// What is in a counter.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) used: Amount,
    pub(crate) period_end: Option<DateTime<Utc>>,
}

impl OrderedStore {
    /// The state, for as long as the caller keeps the lock. No method leaves it half changed, not even one that panics.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Changes what a company may do. The revision belongs to the change, so that nobody can see one without the other.
    pub(crate) fn change(&mut self, company: &CompanyId, change: impl FnOnce(&mut Company)) -> Revision {
        let revision = self.next_revision();
        let company = self.companies.entry(company.clone()).or_default();
        change(company);
        company.revision = revision;
        revision
    }

    /// Changes the policies, which have a revision together.
    pub(crate) fn change_policies(
        &mut self,
        change: impl FnOnce(&mut BTreeMap<PolicyId, Policy>),
    ) -> Revision {
        self.policies_revision = self.next_revision();
        change(&mut self.policies);
        self.policies_revision
    }

    fn next_revision(&mut self) -> Revision {
        self.sequence += 1;
        Revision(self.sequence)
    }
}

/// An instant as stores keep it: to the microsecond.
pub(crate) fn kept(instant: DateTime<Utc>) -> DateTime<Utc> {
    instant.trunc_subsecs(6)
}

/// The first items of what comes after a cursor, and the cursor of the last if more follow.
pub(crate) fn page<T: Clone>(
    mut rest: impl Iterator<Item = T>,
    request: &PageRequest,
    cursor: impl FnOnce(&T) -> String,
) -> Page<T> {
    let items: Vec<T> = rest.by_ref().take(request.limit.clamp(1, MAX_PAGE)).collect();
    let next = rest.next().and(items.last()).map(cursor);
    Page { items, next }
}
