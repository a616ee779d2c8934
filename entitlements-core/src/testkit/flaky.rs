//! A store that fails, or waits, when it is told to: for tests of what happens then.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;

use crate::Amount;
use crate::audit::{AuditEntry, AuditExport, AuditHead, AuditRecord};
use crate::facts::{AddOnQuantity, Facts, Override, Revision};
use crate::gauge::{AcquireOutcome, Holder, LevelOutcome};
use crate::grant::Grant;
use crate::id::{
    CompanyId, FeatureKey, GrantId, HolderId, IdempotencyKey, PolicyId, ReceiptId, SubscriptionId,
};
use crate::policy::Policy;
use crate::reservation::{CommitOutcome, Reservation, ReserveOutcome};
use crate::store::{
    AuditStore, ErasureStore, GaugeStore, GrantStore, Inserted, Page, PageRequest, Policies, PolicyStore,
    ReservationStore, SnapshotStore, StoreError, StoreErrorKind, SubscriptionStore, UsageStore,
};
use crate::subscription::Subscription;
use crate::usage::{Debit, DebitOutcome, Receipt, RecordOutcome, UsageAlert};

/// A store that fails, or waits, when it is told to, and counts how often it is asked.
///
/// ```
/// use entitlements_core::MemoryStore;
/// use entitlements_core::id::CompanyId;
/// use entitlements_core::store::{SnapshotStore, StoreErrorKind};
/// use entitlements_core::testkit::FlakyStore;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = FlakyStore::new(MemoryStore::default());
/// let acme = CompanyId::new("acme")?;
/// let now = "2026-11-24T00:00:00Z".parse()?;
///
/// store.fail(Some(StoreErrorKind::Unavailable));
/// assert!(store.load(&acme, now).await.unwrap_err().is_retryable());
/// store.fail(None);
/// assert!(store.load(&acme, now).await.is_ok());
/// assert_eq!(store.loads(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FlakyStore<S> {
    inner: S,
    failure: Mutex<Option<StoreErrorKind>>,
    loads: AtomicU64,
    policy_loads: AtomicU64,
    /// Loads that have read and wait to answer take a permit.
    gate: Semaphore,
    gated: Mutex<bool>,
    waiting: AtomicU64,
    losing: AtomicBool,
}

impl<S> FlakyStore<S> {
    /// A store that does what `inner` does, until it is told otherwise.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            failure: Mutex::new(None),
            loads: AtomicU64::new(0),
            policy_loads: AtomicU64::new(0),
            gate: Semaphore::new(0),
            gated: Mutex::new(false),
            waiting: AtomicU64::new(0),
            losing: AtomicBool::new(false),
        }
    }

    /// From here on every call fails so, without reaching the inner store; `None` heals it.
    pub fn fail(&self, kind: Option<StoreErrorKind>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = kind;
    }

    /// Whether calls other than loads are done, and then never answered.
    pub fn lose_answers(&self, losing: bool) {
        self.losing.store(losing, Ordering::SeqCst);
    }

    /// From here on loads read, and then wait before they answer.
    pub fn hold_loads(&self) {
        *self.gated.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Lets the loads that wait answer, and those to come, too.
    pub fn release_loads(&self) {
        *self.gated.lock().unwrap_or_else(PoisonError::into_inner) = false;
        let waiting = self.waiting.swap(0, Ordering::SeqCst);
        self.gate.add_permits(usize::try_from(waiting).unwrap_or(Semaphore::MAX_PERMITS));
    }

    /// How many loads have read and wait to answer.
    pub fn held_loads(&self) -> u64 {
        self.waiting.load(Ordering::SeqCst)
    }

    /// How often facts were asked for.
    pub fn loads(&self) -> u64 {
        self.loads.load(Ordering::SeqCst)
    }

    /// How often the policies were asked for.
    pub fn policy_loads(&self) -> u64 {
        self.policy_loads.load(Ordering::SeqCst)
    }

    /// The store inside.
    pub const fn inner(&self) -> &S {
        &self.inner
    }

    fn check(&self, operation: &'static str) -> Result<(), StoreError> {
        match *self.failure.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(kind) => Err(StoreError::new(kind, operation).with_source("a test asked for a failure")),
            None => Ok(()),
        }
    }

    async fn wait(&self) {
        let gated = *self.gated.lock().unwrap_or_else(PoisonError::into_inner);
        if gated {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            if let Ok(permit) = self.gate.acquire().await {
                permit.forget();
            }
        }
    }
}

#[async_trait]
impl<S: SnapshotStore> SnapshotStore for FlakyStore<S> {
    async fn load(&self, company: &CompanyId, now: DateTime<Utc>) -> Result<Facts, StoreError> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.check("load a company")?;
        let facts = self.inner.load(company, now).await;
        self.wait().await;
        facts
    }

    async fn policies(&self) -> Result<Policies, StoreError> {
        self.check("read the policies")?;
        self.policy_loads.fetch_add(1, Ordering::SeqCst);
        // As long as a round trip takes, others run.
        tokio::task::yield_now().await;
        self.inner.policies().await
    }
}

macro_rules! checked {
    ($trait:ident { $(fn $method:ident(&self $(, $argument:ident: $kind:ty)*) -> $output:ty;)+ }) => {
        #[async_trait]
        impl<S: $trait> $trait for FlakyStore<S> {
            $(async fn $method(&self $(, $argument: $kind)*) -> Result<$output, StoreError> {
                self.check(stringify!($method))?;
                let answer = self.inner.$method($($argument),*).await;
                if self.losing.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                answer
            })+
        }
    };
}

checked!(SubscriptionStore {
    fn put_subscription(&self, subscription: &Subscription, at: DateTime<Utc>) -> Revision;
    fn subscription(&self, id: &SubscriptionId) -> Option<Subscription>;
    fn subscription_history(&self, id: &SubscriptionId) -> Vec<(DateTime<Utc>, Subscription)>;
    fn put_addon(&self, company: &CompanyId, addon: &AddOnQuantity) -> Revision;
    fn put_override(&self, company: &CompanyId, value: &Override) -> Revision;
    fn remove_override(&self, company: &CompanyId, feature: &FeatureKey) -> Option<Revision>;
});

checked!(GrantStore {
    fn insert_grant(&self, grant: &Grant) -> Inserted;
    fn find_grant(&self, id: &GrantId) -> Option<Grant>;
    fn void_grant(&self, id: &GrantId, at: DateTime<Utc>) -> Option<Revision>;
    fn list_grants(&self, company: &CompanyId, page: &PageRequest) -> Page<Grant>;
});

checked!(PolicyStore {
    fn insert_policy(&self, policy: &Policy) -> Inserted;
    fn replace_policy(&self, policy: &Policy) -> Option<Revision>;
    fn remove_policy(&self, id: &PolicyId) -> Option<Revision>;
    fn find_policy(&self, id: &PolicyId) -> Option<Policy>;
    fn list_policies(&self, page: &PageRequest) -> Page<Policy>;
});

checked!(UsageStore {
    fn debit(&self, debit: &Debit) -> DebitOutcome;
    fn record(&self, company: &CompanyId, events: &[Debit]) -> Vec<RecordOutcome>;
    fn refund(&self, company: &CompanyId, receipt: &ReceiptId, at: DateTime<Utc>) -> Option<Receipt>;
    fn receipt(&self, company: &CompanyId, key: &IdempotencyKey) -> Option<Receipt>;
    fn pending_alerts(&self, limit: usize) -> Vec<UsageAlert>;
    fn claim_alerts(&self, until: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> Vec<UsageAlert>;
    fn acknowledge_alert(&self, alert: &UsageAlert) -> ();
});

checked!(AuditStore {
    fn append(&self, records: &[AuditRecord]) -> ();
    fn audit_page(&self, company: &CompanyId, page: &PageRequest) -> Page<AuditEntry>;
    fn expire_audit(&self, before: DateTime<Utc>) -> AuditHead;
    fn expire_audit_at(&self, before: DateTime<Utc>, now: DateTime<Utc>) -> AuditHead;
    fn audit_rows(&self, after: u64, limit: usize) -> AuditExport;
});

checked!(ErasureStore {
    fn erase(&self, company: &CompanyId, at: DateTime<Utc>) -> Option<Revision>;
    fn expire(&self, before: DateTime<Utc>) -> u64;
});

checked!(GaugeStore {
    fn acquire(
        &self, company: &CompanyId, gauge: &FeatureKey, holder: &HolderId, limit: Option<Amount>, at: DateTime<Utc>
    ) -> AcquireOutcome;
    fn release(&self, company: &CompanyId, gauge: &FeatureKey, holder: &HolderId) -> bool;
    fn set_level(
        &self, company: &CompanyId, gauge: &FeatureKey, level: Amount, limit: Option<Amount>
    ) -> LevelOutcome;
    fn list_holders(&self, company: &CompanyId, gauge: &FeatureKey, page: &PageRequest) -> Page<Holder>;
});

checked!(ReservationStore {
    fn reserve(&self, debit: &Debit, expires_at: DateTime<Utc>) -> ReserveOutcome;
    fn commit(
        &self, company: &CompanyId, reservation: &ReceiptId, actual: Amount, at: DateTime<Utc>
    ) -> Option<CommitOutcome>;
    fn release_reservation(
        &self, company: &CompanyId, reservation: &ReceiptId, at: DateTime<Utc>
    ) -> Option<Reservation>;
    fn reservation(&self, company: &CompanyId, key: &IdempotencyKey) -> Option<Reservation>;
});
