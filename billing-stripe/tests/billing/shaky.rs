//! A store that stops at a step, or breaks a promise, when it is told to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::billing::{
    Begun, BillingEvent, BillingLock, BillingStore, Claim, Customer, EventOutcome, Invoice, NewEvent,
    Operation, OperationResult, PlanFeature, Received, UnsettledUsage, UsageOutbox, UsageOutcome,
    UsageRecord,
};
use entitlements_core::facts::{AddOnQuantity, Facts, Override, Revision};
use entitlements_core::id::{
    CompanyId, CustomerId, EventId, FeatureKey, OperationId, SubscriptionId, UsageRecordId,
};
use entitlements_core::store::{
    Page, PageRequest, Policies, SnapshotStore, StoreError, StoreErrorKind, SubscriptionStore,
};
use entitlements_core::subscription::Subscription;
use tokio::sync::Notify;

use crate::ledger::Ledger;

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It fails, and nothing is done.
    FailBefore,
    /// It is done, and then fails.
    FailAfter,
    /// The process ends before it.
    DieBefore,
    /// The process ends after it.
    DieAfter,
}

impl Cut {
    pub(crate) const ALL: [Self; 4] = [Self::FailBefore, Self::FailAfter, Self::DieBefore, Self::DieAfter];
}

/// A promise that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// Who lost a lock still writes.
    NoFence,
    /// An event can be claimed by many at once.
    ForgetfulLedger,
    /// An open operation is not remembered.
    ForgetfulOperations,
}

/// Operations that are open, whoever began them.
pub(crate) type OpenOperations = Arc<Mutex<BTreeMap<OperationId, String>>>;

/// What a process sees of the store.
#[derive(Clone, Debug)]
pub(crate) struct Shaky(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<dyn Ledger>,
    open: OpenOperations,
    flaw: Flaw,
    steps: AtomicU64,
    cut: Mutex<Option<(u64, Cut)>>,
    dead: AtomicBool,
    died: Notify,
    hold: Mutex<Option<&'static str>>,
    holding: Notify,
    release: Notify,
}

impl Shaky {
    pub(crate) fn new(store: Arc<dyn Ledger>, open: OpenOperations, flaw: Flaw) -> Self {
        Self(Arc::new(Inner {
            store,
            open,
            flaw,
            steps: AtomicU64::new(0),
            cut: Mutex::new(None),
            dead: AtomicBool::new(false),
            died: Notify::new(),
            hold: Mutex::new(None),
            holding: Notify::new(),
            release: Notify::new(),
        }))
    }

    /// How many steps were begun.
    pub(crate) fn steps(&self) -> u64 {
        self.0.steps.load(Ordering::SeqCst)
    }

    /// Cuts at the step of that number, counted from 1.
    pub(crate) fn cut_at(&self, step: u64, cut: Cut) {
        *self.0.cut.lock().unwrap() = Some((step, cut));
    }

    /// Answers once the process has ended.
    pub(crate) async fn died(&self) {
        while !self.0.dead.load(Ordering::SeqCst) {
            self.0.died.notified().await;
        }
    }

    /// The next call of `method` waits until it is released.
    pub(crate) fn hold(&self, method: &'static str) {
        *self.0.hold.lock().unwrap() = Some(method);
    }

    /// Answers once a call waits.
    pub(crate) async fn holding(&self) {
        self.0.holding.notified().await;
    }

    pub(crate) fn release(&self) {
        self.0.release.notify_one();
    }

    async fn die(&self) -> StoreError {
        self.0.dead.store(true, Ordering::SeqCst);
        self.0.died.notify_one();
        std::future::pending().await
    }

    async fn begin(&self, method: &'static str) -> Result<Option<Cut>, StoreError> {
        let held = self.0.hold.lock().unwrap().take_if(|held| *held == method);
        if held.is_some() {
            self.0.holding.notify_one();
            self.0.release.notified().await;
        }
        if self.0.dead.load(Ordering::SeqCst) {
            return Err(self.die().await);
        }
        let step = self.0.steps.fetch_add(1, Ordering::SeqCst) + 1;
        let cut = self.0.cut.lock().unwrap().take_if(|(at, _)| *at == step).map(|(_, cut)| cut);
        match cut {
            Some(Cut::FailBefore) => Err(StoreError::new(StoreErrorKind::Unavailable, method)),
            Some(Cut::DieBefore) => Err(self.die().await),
            cut => Ok(cut),
        }
    }

    async fn end(&self, method: &'static str, cut: Option<Cut>) -> Result<(), StoreError> {
        match cut {
            Some(Cut::FailAfter) => Err(StoreError::new(StoreErrorKind::Unavailable, method)),
            Some(Cut::DieAfter) => Err(self.die().await),
            _ => Ok(()),
        }
    }
}

macro_rules! shaky {
    ($trait:ident {
        $(fn $method:ident(&self $(, $argument:ident: $kind:ty)*) -> $output:ty = $of:ident.$inner:ident;)+
    }) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl $trait for Shaky {
            $(async fn $method(&self $(, $argument: $kind)*) -> Result<$output, StoreError> {
                let cut = self.begin(stringify!($method)).await?;
                let answer = self.$of().$inner($($argument),*).await;
                self.end(stringify!($method), cut).await?;
                answer
            })+
        }
    };
}

impl Shaky {
    fn store(&self) -> &dyn Ledger {
        &*self.0.store
    }

    fn flawed(&self) -> &Inner {
        &self.0
    }
}

shaky!(SnapshotStore {
    fn load(&self, company: &CompanyId, now: DateTime<Utc>) -> Facts = store.load;
    fn policies(&self) -> Policies = store.policies;
});

shaky!(SubscriptionStore {
    fn put_subscription(&self, subscription: &Subscription, at: DateTime<Utc>) -> Revision = store.put_subscription;
    fn subscription(&self, id: &SubscriptionId) -> Option<Subscription> = store.subscription;
    fn subscription_history(&self, id: &SubscriptionId) -> Vec<(DateTime<Utc>, Subscription)> = store.subscription_history;
    fn put_addon(&self, company: &CompanyId, addon: &AddOnQuantity) -> Revision = store.put_addon;
    fn put_override(&self, company: &CompanyId, value: &Override) -> Revision = store.put_override;
    fn remove_override(&self, company: &CompanyId, feature: &FeatureKey) -> Option<Revision> = store.remove_override;
});

/// What of billing is done with the flaws.
#[async_trait]
trait Flawed {
    async fn put(
        &self,
        lock: &BillingLock,
        subscription: &Subscription,
        at: DateTime<Utc>,
    ) -> Result<Option<Revision>, StoreError>;
    async fn start(&self, operation: &Operation) -> Result<Begun, StoreError>;
    async fn finish(
        &self,
        id: &OperationId,
        result: &OperationResult,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError>;
    async fn claim(
        &self,
        id: &EventId,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Claim, StoreError>;
}

#[async_trait]
impl Flawed for Inner {
    async fn put(
        &self,
        lock: &BillingLock,
        subscription: &Subscription,
        at: DateTime<Utc>,
    ) -> Result<Option<Revision>, StoreError> {
        if self.flaw == Flaw::NoFence {
            return self.store.put_subscription(subscription, at).await.map(Some);
        }
        self.store.put_synced_subscription(lock, subscription, at).await
    }

    async fn start(&self, operation: &Operation) -> Result<Begun, StoreError> {
        let begun = self.store.begin_operation(operation).await?;
        if let (Begun::Before(open) | Begun::Busy(open), Flaw::ForgetfulOperations) = (&begun, self.flaw) {
            let closed = OperationResult::Failed("forgotten".into());
            self.store.finish_operation(&open.id, &closed, operation.begun_at).await?;
            return self.start(operation).await;
        }
        if begun == Begun::Now {
            self.open.lock().unwrap().insert(operation.id.clone(), operation.kind.clone());
        }
        Ok(begun)
    }

    async fn finish(
        &self,
        id: &OperationId,
        result: &OperationResult,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.open.lock().unwrap().remove(id);
        self.store.finish_operation(id, result, at).await
    }

    async fn claim(
        &self,
        id: &EventId,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Claim, StoreError> {
        let now = if self.flaw == Flaw::ForgetfulLedger { DateTime::<Utc>::MAX_UTC } else { now };
        self.store.claim_event(id, until, now).await
    }
}

shaky!(BillingStore {
    fn insert_customer(&self, customer: &Customer) -> Customer = store.insert_customer;
    fn customer_of(&self, company: &CompanyId) -> Option<Customer> = store.customer_of;
    fn customer(&self, id: &CustomerId) -> Option<Customer> = store.customer;
    fn delete_customer(&self, id: &CustomerId, at: DateTime<Utc>) -> bool = store.delete_customer;
    fn lock(&self, company: &CompanyId, until: DateTime<Utc>, now: DateTime<Utc>) -> Option<BillingLock> = store.lock;
    fn unlock(&self, lock: &BillingLock) -> () = store.unlock;
    fn put_synced_subscription(
        &self, lock: &BillingLock, subscription: &Subscription, at: DateTime<Utc>
    ) -> Option<Revision> = flawed.put;
    fn begin_operation(&self, operation: &Operation) -> Begun = flawed.start;
    fn finish_operation(&self, id: &OperationId, result: &OperationResult, at: DateTime<Utc>) -> bool = flawed.finish;
    fn receive_event(&self, event: &NewEvent, at: DateTime<Utc>) -> Received = store.receive_event;
    fn claim_event(&self, id: &EventId, until: DateTime<Utc>, now: DateTime<Utc>) -> Claim = flawed.claim;
    fn finish_event(&self, id: &EventId, attempt: u32, outcome: &EventOutcome, at: DateTime<Utc>) -> bool = store.finish_event;
    fn event(&self, id: &EventId) -> Option<BillingEvent> = store.event;
    fn due_events(&self, received_before: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> Vec<EventId> = store.due_events;
    fn put_invoice(&self, invoice: &Invoice) -> () = store.put_invoice;
    fn list_invoices(&self, company: &CompanyId, page: &PageRequest) -> Page<Invoice> = store.list_invoices;
    fn replace_plan_features(&self, features: &[PlanFeature]) -> () = store.replace_plan_features;
    fn plan_features(&self) -> Vec<PlanFeature> = store.plan_features;
});

shaky!(UsageOutbox {
    fn bill_meters(&self, meters: &[FeatureKey]) -> () = store.bill_meters;
    fn claim_usage(&self, until: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> Vec<UsageRecord> = store.claim_usage;
    fn finish_usage(&self, id: &UsageRecordId, attempt: u32, outcome: &UsageOutcome) -> bool = store.finish_usage;
    fn refuse_usage(&self, id: &UsageRecordId, why: &str) -> bool = store.refuse_usage;
    fn usage_record(&self, id: &UsageRecordId) -> Option<UsageRecord> = store.usage_record;
    fn unsettled_usage(&self) -> Vec<UnsettledUsage> = store.unsettled_usage;
});
