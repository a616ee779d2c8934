//! The store in memory without one of its parts, which it refuses.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::audit::{AuditEntry, AuditExport, AuditHead, AuditRecord};
use entitlements_core::billing::{
    Begun, BillingEvent, BillingLock, BillingStore, Claim, Customer, EventOutcome, Invoice, NewEvent,
    Operation, OperationResult, PlanFeature, Received, UnsettledUsage, UsageOutbox, UsageOutcome,
    UsageRecord,
};
use entitlements_core::facts::{AddOnQuantity, Facts, Override, Revision};
use entitlements_core::gauge::{AcquireOutcome, Holder, LevelOutcome};
use entitlements_core::id::{
    CompanyId, CustomerId, EventId, FeatureKey, GrantId, HolderId, IdempotencyKey, OperationId, PolicyId,
    ReceiptId, SubscriptionId, UsageRecordId,
};
use entitlements_core::policy::Policy;
use entitlements_core::reservation::{CommitOutcome, Reservation, ReserveOutcome};
use entitlements_core::store::{
    AuditStore, ErasureStore, GaugeStore, GrantStore, Inserted, Page, PageRequest, Policies, PolicyStore,
    ReservationStore, SnapshotStore, StoreError, StoreErrorKind, SubscriptionStore, UsageStore,
};
use entitlements_core::testkit::Part;
use entitlements_core::usage::{Debit, DebitOutcome, Receipt, RecordOutcome, UsageAlert};
use entitlements_core::{Amount, Grant, MemoryStore, Subscription};

/// A store that does everything but one part.
#[derive(Debug)]
pub(crate) struct Partial {
    memory: MemoryStore,
    refused: Part,
    manner: Manner,
}

/// How a part is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As every store has to.
    AsUnsupported,
    /// As if something had gone wrong.
    AsInternal,
    /// After it was done.
    Afterwards,
}

impl Partial {
    pub(crate) fn without(part: Part) -> Self {
        Self::refusing(part, Manner::AsUnsupported)
    }

    pub(crate) fn refusing(part: Part, manner: Manner) -> Self {
        Self { memory: MemoryStore::default(), refused: part, manner }
    }
}

macro_rules! done {
    ($part:expr, $trait:ident { $(fn $method:ident(&self $(, $argument:ident: $kind:ty)*) -> $output:ty;)+ }) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl $trait for Partial {
            $(async fn $method(&self $(, $argument: $kind)*) -> Result<$output, StoreError> {
                let refused = $part == Some(self.refused);
                let kind = match self.manner {
                    Manner::AsInternal => StoreErrorKind::Internal,
                    Manner::AsUnsupported | Manner::Afterwards => StoreErrorKind::Unsupported,
                };
                if refused && self.manner != Manner::Afterwards {
                    return Err(StoreError::new(kind, stringify!($method)));
                }
                let answer = self.memory.$method($($argument),*).await;
                if refused { Err(StoreError::new(kind, stringify!($method))) } else { answer }
            })+
        }
    };
}

done!(None, SnapshotStore {
    fn load(&self, company: &CompanyId, now: DateTime<Utc>) -> Facts;
    fn policies(&self) -> Policies;
});

done!(None, SubscriptionStore {
    fn put_subscription(&self, subscription: &Subscription, at: DateTime<Utc>) -> Revision;
    fn subscription(&self, id: &SubscriptionId) -> Option<Subscription>;
    fn subscription_history(&self, id: &SubscriptionId) -> Vec<(DateTime<Utc>, Subscription)>;
    fn put_addon(&self, company: &CompanyId, addon: &AddOnQuantity) -> Revision;
    fn put_override(&self, company: &CompanyId, value: &Override) -> Revision;
    fn remove_override(&self, company: &CompanyId, feature: &FeatureKey) -> Option<Revision>;
});

done!(None, GrantStore {
    fn insert_grant(&self, grant: &Grant) -> Inserted;
    fn find_grant(&self, id: &GrantId) -> Option<Grant>;
    fn void_grant(&self, id: &GrantId, at: DateTime<Utc>) -> Option<Revision>;
    fn list_grants(&self, company: &CompanyId, page: &PageRequest) -> Page<Grant>;
});

done!(None, PolicyStore {
    fn insert_policy(&self, policy: &Policy) -> Inserted;
    fn replace_policy(&self, policy: &Policy) -> Option<Revision>;
    fn remove_policy(&self, id: &PolicyId) -> Option<Revision>;
    fn find_policy(&self, id: &PolicyId) -> Option<Policy>;
    fn list_policies(&self, page: &PageRequest) -> Page<Policy>;
});

done!(None, UsageStore {
    fn debit(&self, debit: &Debit) -> DebitOutcome;
    fn record(&self, company: &CompanyId, events: &[Debit]) -> Vec<RecordOutcome>;
    fn refund(&self, company: &CompanyId, receipt: &ReceiptId, at: DateTime<Utc>) -> Option<Receipt>;
    fn receipt(&self, company: &CompanyId, key: &IdempotencyKey) -> Option<Receipt>;
    fn pending_alerts(&self, limit: usize) -> Vec<UsageAlert>;
    fn claim_alerts(&self, until: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> Vec<UsageAlert>;
    fn acknowledge_alert(&self, alert: &UsageAlert) -> ();
});

done!(Some(Part::Audit), AuditStore {
    fn append(&self, records: &[AuditRecord]) -> ();
    fn audit_page(&self, company: &CompanyId, page: &PageRequest) -> Page<AuditEntry>;
    fn expire_audit(&self, before: DateTime<Utc>) -> AuditHead;
    fn expire_audit_at(&self, before: DateTime<Utc>, now: DateTime<Utc>) -> AuditHead;
    fn audit_rows(&self, after: u64, limit: usize) -> AuditExport;
});

done!(Some(Part::Erasure), ErasureStore {
    fn erase(&self, company: &CompanyId, at: DateTime<Utc>) -> Option<Revision>;
    fn expire(&self, before: DateTime<Utc>) -> u64;
});

done!(Some(Part::Gauges), GaugeStore {
    fn acquire(
        &self, company: &CompanyId, gauge: &FeatureKey, holder: &HolderId, limit: Option<Amount>, at: DateTime<Utc>
    ) -> AcquireOutcome;
    fn release(&self, company: &CompanyId, gauge: &FeatureKey, holder: &HolderId) -> bool;
    fn set_level(
        &self, company: &CompanyId, gauge: &FeatureKey, level: Amount, limit: Option<Amount>
    ) -> LevelOutcome;
    fn list_holders(&self, company: &CompanyId, gauge: &FeatureKey, page: &PageRequest) -> Page<Holder>;
});

done!(Some(Part::Reservations), ReservationStore {
    fn reserve(&self, debit: &Debit, expires_at: DateTime<Utc>) -> ReserveOutcome;
    fn commit(
        &self, company: &CompanyId, reservation: &ReceiptId, actual: Amount, at: DateTime<Utc>
    ) -> Option<CommitOutcome>;
    fn release_reservation(
        &self, company: &CompanyId, reservation: &ReceiptId, at: DateTime<Utc>
    ) -> Option<Reservation>;
    fn reservation(&self, company: &CompanyId, key: &IdempotencyKey) -> Option<Reservation>;
});

done!(None, BillingStore {
    fn insert_customer(&self, customer: &Customer) -> Customer;
    fn customer_of(&self, company: &CompanyId) -> Option<Customer>;
    fn customer(&self, id: &CustomerId) -> Option<Customer>;
    fn delete_customer(&self, id: &CustomerId, at: DateTime<Utc>) -> bool;
    fn lock(&self, company: &CompanyId, until: DateTime<Utc>, now: DateTime<Utc>) -> Option<BillingLock>;
    fn unlock(&self, lock: &BillingLock) -> ();
    fn put_synced_subscription(
        &self, lock: &BillingLock, subscription: &Subscription, at: DateTime<Utc>
    ) -> Option<Revision>;
    fn begin_operation(&self, operation: &Operation) -> Begun;
    fn finish_operation(&self, id: &OperationId, result: &OperationResult, at: DateTime<Utc>) -> bool;
    fn receive_event(&self, event: &NewEvent, at: DateTime<Utc>) -> Received;
    fn claim_event(&self, id: &EventId, until: DateTime<Utc>, now: DateTime<Utc>) -> Claim;
    fn finish_event(&self, id: &EventId, attempt: u32, outcome: &EventOutcome, at: DateTime<Utc>) -> bool;
    fn event(&self, id: &EventId) -> Option<BillingEvent>;
    fn due_events(&self, received_before: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> Vec<EventId>;
    fn put_invoice(&self, invoice: &Invoice) -> ();
    fn list_invoices(&self, company: &CompanyId, page: &PageRequest) -> Page<Invoice>;
    fn replace_plan_features(&self, features: &[PlanFeature]) -> ();
    fn plan_features(&self) -> Vec<PlanFeature>;
});

done!(None, UsageOutbox {
    fn bill_meters(&self, meters: &[FeatureKey]) -> ();
    fn claim_usage(&self, until: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> Vec<UsageRecord>;
    fn finish_usage(&self, id: &UsageRecordId, attempt: u32, outcome: &UsageOutcome) -> bool;
    fn refuse_usage(&self, id: &UsageRecordId, why: &str) -> bool;
    fn usage_record(&self, id: &UsageRecordId) -> Option<UsageRecord>;
    fn unsettled_usage(&self) -> Vec<UnsettledUsage>;
});
