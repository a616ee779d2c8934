//! The steps of a store inside a transaction of the caller.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Inserted, Policies, StoreError};
use crate::facts::{Facts, Revision};
use crate::grant::Grant;
use crate::id::{CompanyId, GrantId, IdempotencyKey, ReceiptId};
use crate::usage::{Debit, DebitOutcome, Receipt};

/// What a store can do inside a transaction that the caller has begun, and ends: what is done here and what the caller does
/// beside it happen together, or not at all.
///
/// # Contract
///
/// * Every step is the step of the same name of [`SnapshotStore`](super::SnapshotStore), [`UsageStore`](super::UsageStore) or
///   [`GrantStore`](super::GrantStore), with the same meaning, and sees what was done before it in the transaction.
/// * Nothing is seen outside, or lasts, unless the transaction is committed. No step commits or rolls back.
/// * An answer, a refusal included, leaves the transaction usable. After an error it depends on the database whether
///   anything but rolling back is possible.
/// * What was debited stays locked until the transaction ends.
#[async_trait]
pub trait TransactionStore: Send {
    /// Everything known about a company.
    async fn load(&mut self, company: &CompanyId, now: DateTime<Utc>) -> Result<Facts, StoreError>;

    /// Every policy.
    async fn policies(&mut self) -> Result<Policies, StoreError>;

    /// Takes units, or refuses.
    async fn debit(&mut self, debit: &Debit) -> Result<DebitOutcome, StoreError>;

    /// Gives back what a receipt took.
    async fn refund(
        &mut self,
        company: &CompanyId,
        receipt: &ReceiptId,
        at: DateTime<Utc>,
    ) -> Result<Option<Receipt>, StoreError>;

    /// The receipt of an operation, if it was made.
    async fn receipt(
        &mut self,
        company: &CompanyId,
        key: &IdempotencyKey,
    ) -> Result<Option<Receipt>, StoreError>;

    /// Stores a new grant.
    async fn insert_grant(&mut self, grant: &Grant) -> Result<Inserted, StoreError>;

    /// The grant of that id, voided or not.
    async fn find_grant(&mut self, id: &GrantId) -> Result<Option<Grant>, StoreError>;

    /// Voids a grant; `None` if there is none, or it was voided before.
    async fn void_grant(&mut self, id: &GrantId, at: DateTime<Utc>) -> Result<Option<Revision>, StoreError>;
}
