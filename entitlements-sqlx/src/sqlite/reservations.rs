//! Reservations: one statement per write.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::Amount;
use entitlements_core::id::{CompanyId, IdempotencyKey, ReceiptId};
use entitlements_core::reservation::{CommitOutcome, Reservation, ReserveOutcome};
use entitlements_core::store::{ReservationStore, StoreError, StoreErrorKind};
use entitlements_core::usage::Debit;

use super::usage::bound;
use super::{SqliteStore, sql};
use crate::reservations::{committed, is_well_formed, known, reservation, reserved};

const RESERVE: &str = "reserve units";
const COMMIT: &str = "commit a reservation";
const RELEASE: &str = "release a reservation";
const FIND: &str = "read a reservation";

#[async_trait]
impl ReservationStore for SqliteStore {
    async fn reserve(&self, debit: &Debit, expires_at: DateTime<Utc>) -> Result<ReserveOutcome, StoreError> {
        if !is_well_formed(debit, expires_at) {
            return Err(StoreError::new(StoreErrorKind::Unsupported, RESERVE));
        }
        let query = bound(sql::RESERVE, debit).bind(expires_at.timestamp_micros());
        if let Some((used, split)) = self.write(RESERVE, query).await? {
            return reserved(RESERVE, debit, expires_at, used, &split);
        }
        // As with a debit, a key that is found now may have been free then.
        let (company, key) = (&debit.company, debit.key.as_str());
        let query = sqlx::query_as::<_, (String,)>(sql::RECEIPT_BY_KEY).bind(company.as_str()).bind(key);
        if self.read(RESERVE, query).await?.is_empty() {
            return Ok(ReserveOutcome::Refused);
        }
        let first = self.find(RESERVE, sql::RESERVATION_BY_KEY, company, key).await?;
        Ok(first.map_or(ReserveOutcome::Conflict, |first| known(debit, first)))
    }

    async fn commit(
        &self,
        company: &CompanyId,
        reservation: &ReceiptId,
        actual: Amount,
        at: DateTime<Utc>,
    ) -> Result<Option<CommitOutcome>, StoreError> {
        let (is_new, found) = self.settle(COMMIT, company, reservation, Some(actual), at).await?;
        found.map(|found| committed(COMMIT, is_new, found, actual)).transpose()
    }

    async fn release_reservation(
        &self,
        company: &CompanyId,
        reservation: &ReceiptId,
        at: DateTime<Utc>,
    ) -> Result<Option<Reservation>, StoreError> {
        Ok(self.settle(RELEASE, company, reservation, None, at).await?.1)
    }

    async fn reservation(
        &self,
        company: &CompanyId,
        key: &IdempotencyKey,
    ) -> Result<Option<Reservation>, StoreError> {
        self.find(FIND, sql::RESERVATION_BY_KEY, company, key.as_str()).await
    }
}

impl SqliteStore {
    /// Ends a reservation; whether it did, and the reservation as it then is.
    async fn settle(
        &self,
        operation: &'static str,
        company: &CompanyId,
        id: &ReceiptId,
        actual: Option<Amount>,
        at: DateTime<Utc>,
    ) -> Result<(bool, Option<Reservation>), StoreError> {
        let query = sqlx::query_as(sql::SETTLE)
            .bind(company.as_str())
            .bind(id.as_str())
            .bind(actual.map(Amount::as_i64))
            .bind(at.timestamp_micros());
        let is_new = self.write::<(String,)>(operation, query).await?.is_some();
        // How it ended never changes.
        Ok((is_new, self.find(operation, sql::RESERVATION_BY_ID, company, id.as_str()).await?))
    }

    async fn find(
        &self,
        operation: &'static str,
        statement: &'static str,
        company: &CompanyId,
        name: &str,
    ) -> Result<Option<Reservation>, StoreError> {
        let query = sqlx::query_as(statement).bind(company.as_str()).bind(name);
        reservation(operation, &self.read(operation, query).await?)
    }
}
