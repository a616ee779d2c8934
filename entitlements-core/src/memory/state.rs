//! What the store in memory holds.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};

use super::audit::Log;
use super::outbox::Outbox;
use super::reservations::Reserved;
use crate::Amount;
use crate::audit::PSEUDONYM;
use crate::billing::{BillingEvent, Customer, Invoice, NewEvent, Operation, OperationResult, PlanFeature};
use crate::bucket::Bucket;
use crate::facts::{PlanChange, Revision};
use crate::grant::Grant;
use crate::id::{
    AddOnKey, CompanyId, CustomerId, EventId, FeatureKey, GrantId, HolderId, IdempotencyKey, InvoiceId,
    OperationId, PolicyId, ReceiptId, SubscriptionId,
};
use crate::policy::Policy;
use crate::subscription::Subscription;
use crate::usage::{Counter, Receipt, Split, UsageAlert};

/// Everything.
#[derive(Default)]
pub(super) struct State {
    /// The last number that was taken, by a company or by the policies.
    sequence: u64,
    pub(super) companies: HashMap<CompanyId, Company>,
    pub(super) policies: BTreeMap<PolicyId, Policy>,
    pub(super) policies_revision: Revision,
    /// Where to find a grant by its id.
    pub(super) grants: HashMap<GrantId, GrantPlace>,
    pub(super) subscriptions: HashMap<SubscriptionId, CompanyId>,
    pub(super) history: HashMap<SubscriptionId, Vec<(DateTime<Utc>, Subscription)>>,
    pub(super) alerts: Vec<Waiting>,
    pub(super) raised: HashSet<AlertKey>,
    pub(super) log: Log,
    pub(super) billing: Billing,
    pub(super) outbox: Outbox,
}

/// What billing keeps.
#[derive(Default)]
pub(super) struct Billing {
    pub(super) customers: HashMap<CustomerId, Customer>,
    pub(super) locks: HashMap<CompanyId, Lease>,
    pub(super) operations: HashMap<OperationId, (Operation, Option<OperationResult>)>,
    /// In the order of their arrival.
    pub(super) events: Vec<BillingEvent>,
    pub(super) event_places: HashMap<EventId, usize>,
    pub(super) invoices: HashMap<InvoiceId, Invoice>,
    pub(super) plan_features: Vec<PlanFeature>,
}

impl Billing {
    /// Whether an event is about a customer of a company that was erased.
    pub(super) fn is_of_the_erased(&self, event: &NewEvent) -> bool {
        let id = event.customer.as_deref().and_then(|id| CustomerId::new(id).ok());
        let customer = id.and_then(|id| self.customers.get(&id));
        customer.is_some_and(|customer| customer.company.as_str().starts_with(PSEUDONYM))
    }

    /// Whether something is kept about a company, beside its fence.
    pub(super) fn names(&self, company: &CompanyId) -> bool {
        self.customers.values().any(|customer| customer.company == *company)
            || self.operations.values().any(|(operation, _)| operation.company == *company)
            || self.invoices.values().any(|invoice| invoice.company == *company)
    }
}

/// The lock of a company.
pub(super) struct Lease {
    pub(super) fence: u64,
    /// Until when somebody holds it.
    pub(super) until: Option<DateTime<Utc>>,
}

/// What belongs to one company.
#[derive(Default)]
pub(super) struct Company {
    pub(super) revision: Revision,
    /// When it was erased, also if it has come back: what is older is nobody's.
    pub(super) erased_at: Option<DateTime<Utc>>,
    /// The revision of its erasure: its own, if nothing was written about it since then but usage.
    pub(super) erased_revision: Option<Revision>,
    pub(super) subscriptions: BTreeMap<SubscriptionId, Subscription>,
    pub(super) plan_changes: Vec<PlanChange>,
    pub(super) addons: BTreeMap<AddOnKey, u32>,
    pub(super) overrides: BTreeMap<FeatureKey, serde_json::Value>,
    /// In the order of listing.
    pub(super) grants: BTreeMap<(DateTime<Utc>, GrantId), Grant>,
    pub(super) counters: BTreeMap<CounterKey, Count>,
    pub(super) receipts: HashMap<IdempotencyKey, Receipt>,
    pub(super) receipt_keys: HashMap<ReceiptId, IdempotencyKey>,
    pub(super) gauges: BTreeMap<FeatureKey, Gauge>,
    pub(super) reservations: HashMap<ReceiptId, Reserved>,
    pub(super) reservation_keys: HashMap<IdempotencyKey, ReceiptId>,
    /// Those whose units are still in the counters, in the order of their expiry.
    pub(super) open_reservations: BTreeSet<(DateTime<Utc>, ReceiptId)>,
}

/// What is held of a gauge.
#[derive(Default)]
pub(super) struct Gauge {
    pub(super) level: Amount,
    pub(super) holders: BTreeMap<HolderId, DateTime<Utc>>,
}

impl Gauge {
    /// Units used, by holders and level together.
    pub(super) fn used(&self) -> Amount {
        let holders = u64::try_from(self.holders.len()).ok().and_then(Amount::new).unwrap_or(Amount::MAX);
        self.level.saturating_add(holders)
    }
}

impl Company {
    /// Whether nothing is left of it but the revision of its erasure.
    pub(super) fn is_erased(&self) -> bool {
        self.erased_revision == Some(self.revision)
            && self.counters.is_empty()
            && self.receipts.is_empty()
            && self.gauges.is_empty()
    }
}

pub(super) struct GrantPlace {
    pub(super) company: CompanyId,
    pub(super) created_at: DateTime<Utc>,
}

/// Names a counter of a company.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct CounterKey {
    pub(super) meter: FeatureKey,
    pub(super) bucket: Bucket,
    pub(super) period_start: DateTime<Utc>,
}

impl From<&Counter> for CounterKey {
    fn from(counter: &Counter) -> Self {
        Self {
            meter: counter.meter.clone(),
            bucket: counter.bucket.clone(),
            period_start: counter.period.start,
        }
    }
}

impl From<&Split> for CounterKey {
    fn from(split: &Split) -> Self {
        Self { meter: split.meter.clone(), bucket: split.bucket.clone(), period_start: split.period_start }
    }
}

/// What a counter holds.
#[derive(Default)]
pub(super) struct Count {
    pub(super) period_end: Option<DateTime<Utc>>,
    pub(super) used: Amount,
}

/// An alert that was not acknowledged.
pub(super) struct Waiting {
    pub(super) alert: UsageAlert,
    /// Until when it is somebody's; `None` if nobody has claimed it.
    pub(super) claimed_until: Option<DateTime<Utc>>,
}

/// Names an alert: one per counter and threshold.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct AlertKey {
    company: CompanyId,
    counter: CounterKey,
    percent: u16,
    threshold: Amount,
}

impl AlertKey {
    /// Whose counter it is of.
    pub(super) fn counter(&self) -> (CompanyId, CounterKey) {
        (self.company.clone(), self.counter.clone())
    }

    pub(super) fn is_of(&self, company: &CompanyId) -> bool {
        self.company == *company
    }
}

impl From<&UsageAlert> for AlertKey {
    fn from(alert: &UsageAlert) -> Self {
        Self {
            company: alert.company.clone(),
            counter: CounterKey {
                meter: alert.meter.clone(),
                bucket: alert.bucket.clone(),
                period_start: alert.period_start,
            },
            percent: alert.percent,
            threshold: alert.threshold,
        }
    }
}

impl Company {
    /// Units in a counter, those of reservations included.
    pub(super) fn used(&self, counter: &CounterKey) -> Amount {
        self.counters.get(counter).map_or(Amount::ZERO, |count| count.used)
    }
}

impl State {
    /// Takes the next number of the sequence.
    fn next_revision(&mut self) -> Revision {
        self.sequence += 1;
        Revision(self.sequence)
    }

    /// Changes a company, and gives it the next revision.
    pub(super) fn change(&mut self, company: &CompanyId, change: impl FnOnce(&mut Company)) -> Revision {
        let revision = self.next_revision();
        let company = self.companies.entry(company.clone()).or_default();
        change(company);
        company.revision = revision;
        revision
    }

    /// Changes the policies, and gives them the next revision.
    pub(super) fn change_policies(
        &mut self,
        change: impl FnOnce(&mut BTreeMap<PolicyId, Policy>),
    ) -> Revision {
        change(&mut self.policies);
        self.policies_revision = self.next_revision();
        self.policies_revision
    }
}
