//! What is wrong with reservations.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use entitlements_core::Amount;
use entitlements_core::id::{CompanyId, IdempotencyKey, ReceiptId};
use entitlements_core::reservation::{CommitOutcome, Reservation, ReserveOutcome};
use entitlements_core::store::{ReservationStore, UsageStore};
use entitlements_core::usage::Debit;

use super::{Result, Store, Wrong};

#[async_trait]
impl ReservationStore for Store {
    async fn reserve(&self, debit: &Debit, expires_at: DateTime<Utc>) -> Result<ReserveOutcome> {
        let expires_at = match self.wrong {
            Wrong::ExpiresLate => expires_at + TimeDelta::microseconds(1),
            Wrong::NeverExpires => expires_at + TimeDelta::days(1000),
            _ => expires_at,
        };
        let mut debit = debit.clone();
        if self.is(Wrong::ReturnsToTheFirst) {
            // So that a commit keeps what is in the last bucket.
            debit.buckets.reverse();
        }
        self.memory.reserve(&debit, expires_at).await
    }

    async fn commit(
        &self,
        company: &CompanyId,
        reservation: &ReceiptId,
        actual: Amount,
        at: DateTime<Utc>,
    ) -> Result<Option<CommitOutcome>> {
        let outcome = self.memory.commit(company, reservation, actual, at).await?;
        Ok(match outcome {
            Some(CommitOutcome::Duplicate(settlement)) if self.is(Wrong::CommitsAgain) => {
                Some(CommitOutcome::Committed(settlement))
            }
            Some(CommitOutcome::Committed(mut settlement)) if self.is(Wrong::CommitsWhatDoesNotFit) => {
                if let Some(receipt) = &mut settlement.receipt {
                    receipt.amount = actual;
                }
                Some(CommitOutcome::Committed(settlement))
            }
            other => other,
        })
    }

    async fn release_reservation(
        &self,
        company: &CompanyId,
        reservation: &ReceiptId,
        at: DateTime<Utc>,
    ) -> Result<Option<Reservation>> {
        if self.is(Wrong::ReleasesCommitted) {
            self.memory.refund(company, reservation, at).await?;
        }
        self.memory.release_reservation(company, reservation, at).await
    }

    async fn reservation(&self, company: &CompanyId, key: &IdempotencyKey) -> Result<Option<Reservation>> {
        self.memory.reservation(company, key).await
    }
}
