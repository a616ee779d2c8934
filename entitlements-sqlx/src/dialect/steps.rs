//! The steps of a store in a transaction of the caller.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::facts::{Facts, Revision};
use entitlements_core::grant::Grant;
use entitlements_core::id::{CompanyId, GrantId, IdempotencyKey, ReceiptId};
use entitlements_core::store::{Inserted, Policies, StoreError, TransactionStore};
use entitlements_core::usage::{Debit, DebitOutcome, Receipt};

use super::{Transaction, grants, snapshot, usage};

#[async_trait]
impl TransactionStore for Transaction<'_> {
    async fn load(&mut self, company: &CompanyId, now: DateTime<Utc>) -> Result<Facts, StoreError> {
        snapshot::load_on(self, company, now).await
    }

    async fn policies(&mut self) -> Result<Policies, StoreError> {
        snapshot::policies_on(self).await
    }

    async fn debit(&mut self, debit: &Debit) -> Result<DebitOutcome, StoreError> {
        usage::debit_on(self, debit).await
    }

    async fn refund(
        &mut self,
        company: &CompanyId,
        receipt: &ReceiptId,
        at: DateTime<Utc>,
    ) -> Result<Option<Receipt>, StoreError> {
        usage::refund_on(self, company, receipt, at).await
    }

    async fn receipt(
        &mut self,
        company: &CompanyId,
        key: &IdempotencyKey,
    ) -> Result<Option<Receipt>, StoreError> {
        usage::receipt_on(self, company, key).await
    }

    async fn insert_grant(&mut self, grant: &Grant) -> Result<Inserted, StoreError> {
        grants::insert_on(self, grant).await
    }

    async fn find_grant(&mut self, id: &GrantId) -> Result<Option<Grant>, StoreError> {
        grants::find_on(self, id).await
    }

    async fn void_grant(&mut self, id: &GrantId, at: DateTime<Utc>) -> Result<Option<Revision>, StoreError> {
        grants::void_on(self, id, at).await
    }
}
