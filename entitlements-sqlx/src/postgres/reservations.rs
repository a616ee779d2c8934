//! Reservations: one statement, one round trip each.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::Amount;
use entitlements_core::id::{CompanyId, IdempotencyKey, ReceiptId};
use entitlements_core::reservation::{CommitOutcome, Reservation, ReserveOutcome};
use entitlements_core::store::{ReservationStore, StoreError, StoreErrorKind};
use entitlements_core::usage::Debit;

use super::usage::bound;
use super::{PostgresStore, sql};
use crate::reservations::{committed, counters_json, is_well_formed, known, reservation, reserved};

const RESERVE: &str = "reserve units";
const COMMIT: &str = "commit a reservation";
const RELEASE: &str = "release a reservation";
const FIND: &str = "read a reservation";

/// What the statement of a reservation answers: units used and the split if it was made; the receipt of the key, if it is
/// known, and the reservation, if it is one.
type Answer = (Option<i64>, Option<String>, Option<String>, Option<String>);

#[async_trait]
impl ReservationStore for PostgresStore {
    async fn reserve(&self, debit: &Debit, expires_at: DateTime<Utc>) -> Result<ReserveOutcome, StoreError> {
        if !is_well_formed(debit, expires_at) {
            return Err(StoreError::new(StoreErrorKind::Unsupported, RESERVE));
        }
        let query = bound(sql::RESERVE, debit).bind(expires_at.timestamp_micros()).bind(counters_json(debit));
        let answers: Vec<Answer> = self.read(RESERVE, query).await?;
        match answers.into_iter().next() {
            Some((Some(used), Some(split), None, None)) => reserved(RESERVE, debit, expires_at, used, &split),
            Some((None, None, Some(_), Some(first))) => {
                let first = reservation(RESERVE, &[(first,)])?;
                Ok(first.map_or(ReserveOutcome::Conflict, |first| known(debit, first)))
            }
            Some((None, None, Some(_), None)) => Ok(ReserveOutcome::Conflict),
            Some((None, None, None, None)) => Ok(ReserveOutcome::Refused),
            _ => Err(StoreError::new(StoreErrorKind::Corrupt, RESERVE)),
        }
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
        let query = sqlx::query_as(sql::RESERVATION_BY_KEY).bind(company.as_str()).bind(key.as_str());
        reservation(FIND, &self.read(FIND, query).await?)
    }
}

impl PostgresStore {
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
        let rows: Vec<(bool, Option<String>)> = self.read(operation, query).await?;
        let (is_new, found) =
            rows.into_iter().next().ok_or(StoreError::new(StoreErrorKind::Corrupt, operation))?;
        let found = found.map(|json| reservation(operation, &[(json,)])).transpose()?.flatten();
        Ok((is_new, found))
    }
}
