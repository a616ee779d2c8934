//! What this store does not do. It ignores nothing: whoever asks for it is told, and can do something else.
//!
//! A part that is done some day moves out of here, and out of the list in `main.rs`; the suite then asks for all of it.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::Amount;
use entitlements_core::audit::{AuditEntry, AuditExport, AuditHead, AuditRecord};
use entitlements_core::facts::Revision;
use entitlements_core::gauge::{AcquireOutcome, Holder, LevelOutcome};
use entitlements_core::id::{CompanyId, FeatureKey, HolderId, IdempotencyKey, ReceiptId};
use entitlements_core::reservation::{CommitOutcome, Reservation, ReserveOutcome};
use entitlements_core::store::{
    AuditStore, ErasureStore, GaugeStore, Page, PageRequest, ReservationStore, StoreError, StoreErrorKind,
};
use entitlements_core::usage::Debit;

use crate::store::OrderedStore;

fn refuse<T>(operation: &'static str) -> Result<T, StoreError> {
    Err(StoreError::new(StoreErrorKind::Unsupported, operation))
}

#[async_trait]
impl GaugeStore for OrderedStore {
    async fn acquire(
        &self,
        _: &CompanyId,
        _: &FeatureKey,
        _: &HolderId,
        _: Option<Amount>,
        _: DateTime<Utc>,
    ) -> Result<AcquireOutcome, StoreError> {
        refuse("acquire a unit of a gauge")
    }

    async fn release(&self, _: &CompanyId, _: &FeatureKey, _: &HolderId) -> Result<bool, StoreError> {
        refuse("release a unit of a gauge")
    }

    async fn set_level(
        &self,
        _: &CompanyId,
        _: &FeatureKey,
        _: Amount,
        _: Option<Amount>,
    ) -> Result<LevelOutcome, StoreError> {
        refuse("set the level of a gauge")
    }

    async fn list_holders(
        &self,
        _: &CompanyId,
        _: &FeatureKey,
        _: &PageRequest,
    ) -> Result<Page<Holder>, StoreError> {
        refuse("list the holders of a gauge")
    }
}

#[async_trait]
impl ReservationStore for OrderedStore {
    async fn reserve(&self, _: &Debit, _: DateTime<Utc>) -> Result<ReserveOutcome, StoreError> {
        refuse("reserve units")
    }

    async fn commit(
        &self,
        _: &CompanyId,
        _: &ReceiptId,
        _: Amount,
        _: DateTime<Utc>,
    ) -> Result<Option<CommitOutcome>, StoreError> {
        refuse("commit a reservation")
    }

    async fn release_reservation(
        &self,
        _: &CompanyId,
        _: &ReceiptId,
        _: DateTime<Utc>,
    ) -> Result<Option<Reservation>, StoreError> {
        refuse("release a reservation")
    }

    async fn reservation(
        &self,
        _: &CompanyId,
        _: &IdempotencyKey,
    ) -> Result<Option<Reservation>, StoreError> {
        refuse("find a reservation")
    }
}

#[async_trait]
impl AuditStore for OrderedStore {
    async fn append(&self, _: &[AuditRecord]) -> Result<(), StoreError> {
        refuse("append to the audit log")
    }

    async fn audit_page(&self, _: &CompanyId, _: &PageRequest) -> Result<Page<AuditEntry>, StoreError> {
        refuse("list entries of the audit log")
    }

    async fn expire_audit(&self, _: DateTime<Utc>) -> Result<AuditHead, StoreError> {
        refuse("expire the audit log")
    }

    async fn audit_rows(&self, _: u64, _: usize) -> Result<AuditExport, StoreError> {
        refuse("export the audit log")
    }
}

#[async_trait]
impl ErasureStore for OrderedStore {
    async fn erase(&self, _: &CompanyId, _: DateTime<Utc>) -> Result<Option<Revision>, StoreError> {
        refuse("erase a company")
    }

    async fn expire(&self, _: DateTime<Utc>) -> Result<u64, StoreError> {
        refuse("expire receipts")
    }
}
