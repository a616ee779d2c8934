//! Forwarding: an `Arc` of a store is a store, and so is one that groups debits.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{
    AuditStore, ErasureStore, GaugeStore, GrantStore, GroupStore, Grouped, Inserted, Page, PageRequest,
    Policies, PolicyStore, ReservationStore, SnapshotStore, StoreError, SubscriptionStore, UsageStore,
};
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
use crate::subscription::Subscription;
use crate::usage::{Debit, DebitOutcome, Receipt, RecordOutcome, UsageAlert};

macro_rules! shared {
    ($trait:ident { $(fn $method:ident(&self $(, $argument:ident: $kind:ty)*) -> $output:ty;)+ }) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: $trait + ?Sized> $trait for Arc<S> {
            $(async fn $method(&self $(, $argument: $kind)*) -> Result<$output, StoreError> {
                (**self).$method($($argument),*).await
            })+
        }
    };
}

macro_rules! grouped {
    ($trait:ident { $(fn $method:ident(&self $(, $argument:ident: $kind:ty)*) -> $output:ty;)+ }) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: $trait> $trait for Grouped<S> {
            $(async fn $method(&self $(, $argument: $kind)*) -> Result<$output, StoreError> {
                self.inner.$method($($argument),*).await
            })+
        }
    };
}

macro_rules! forward {
    ($trait:ident $methods:tt) => {
        shared!($trait $methods);
        grouped!($trait $methods);
    };
}

forward!(SnapshotStore {
    fn load(&self, company: &CompanyId, now: DateTime<Utc>) -> Facts;
    fn policies(&self) -> Policies;
});

forward!(SubscriptionStore {
    fn put_subscription(&self, subscription: &Subscription, at: DateTime<Utc>) -> Revision;
    fn subscription(&self, id: &SubscriptionId) -> Option<Subscription>;
    fn subscription_history(&self, id: &SubscriptionId) -> Vec<(DateTime<Utc>, Subscription)>;
    fn put_addon(&self, company: &CompanyId, addon: &AddOnQuantity) -> Revision;
    fn put_override(&self, company: &CompanyId, value: &Override) -> Revision;
    fn remove_override(&self, company: &CompanyId, feature: &FeatureKey) -> Option<Revision>;
});

forward!(GrantStore {
    fn insert_grant(&self, grant: &Grant) -> Inserted;
    fn find_grant(&self, id: &GrantId) -> Option<Grant>;
    fn void_grant(&self, id: &GrantId, at: DateTime<Utc>) -> Option<Revision>;
    fn list_grants(&self, company: &CompanyId, page: &PageRequest) -> Page<Grant>;
});

forward!(PolicyStore {
    fn insert_policy(&self, policy: &Policy) -> Inserted;
    fn replace_policy(&self, policy: &Policy) -> Option<Revision>;
    fn remove_policy(&self, id: &PolicyId) -> Option<Revision>;
    fn find_policy(&self, id: &PolicyId) -> Option<Policy>;
    fn list_policies(&self, page: &PageRequest) -> Page<Policy>;
});

shared!(UsageStore {
    fn debit(&self, debit: &Debit) -> DebitOutcome;
    fn record(&self, company: &CompanyId, events: &[Debit]) -> Vec<RecordOutcome>;
    fn refund(&self, company: &CompanyId, receipt: &ReceiptId, at: DateTime<Utc>) -> Option<Receipt>;
    fn receipt(&self, company: &CompanyId, key: &IdempotencyKey) -> Option<Receipt>;
    fn pending_alerts(&self, limit: usize) -> Vec<UsageAlert>;
    fn claim_alerts(&self, until: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> Vec<UsageAlert>;
    fn acknowledge_alert(&self, alert: &UsageAlert) -> ();
});

shared!(GroupStore {
    fn debit_group(&self, debits: &[Debit]) -> Vec<DebitOutcome>;
});

forward!(AuditStore {
    fn append(&self, records: &[AuditRecord]) -> ();
    fn audit_page(&self, company: &CompanyId, page: &PageRequest) -> Page<AuditEntry>;
    fn expire_audit(&self, before: DateTime<Utc>) -> AuditHead;
    fn expire_audit_at(&self, before: DateTime<Utc>, now: DateTime<Utc>) -> AuditHead;
    fn audit_rows(&self, after: u64, limit: usize) -> AuditExport;
});

forward!(ErasureStore {
    fn erase(&self, company: &CompanyId, at: DateTime<Utc>) -> Option<Revision>;
    fn expire(&self, before: DateTime<Utc>) -> u64;
});

forward!(GaugeStore {
    fn acquire(
        &self, company: &CompanyId, gauge: &FeatureKey, holder: &HolderId, limit: Option<Amount>, at: DateTime<Utc>
    ) -> AcquireOutcome;
    fn release(&self, company: &CompanyId, gauge: &FeatureKey, holder: &HolderId) -> bool;
    fn set_level(
        &self, company: &CompanyId, gauge: &FeatureKey, level: Amount, limit: Option<Amount>
    ) -> LevelOutcome;
    fn list_holders(&self, company: &CompanyId, gauge: &FeatureKey, page: &PageRequest) -> Page<Holder>;
});

forward!(ReservationStore {
    fn reserve(&self, debit: &Debit, expires_at: DateTime<Utc>) -> ReserveOutcome;
    fn commit(
        &self, company: &CompanyId, reservation: &ReceiptId, actual: Amount, at: DateTime<Utc>
    ) -> Option<CommitOutcome>;
    fn release_reservation(
        &self, company: &CompanyId, reservation: &ReceiptId, at: DateTime<Utc>
    ) -> Option<Reservation>;
    fn reservation(&self, company: &CompanyId, key: &IdempotencyKey) -> Option<Reservation>;
});
