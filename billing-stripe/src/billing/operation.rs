//! Operations: stored before Stripe is asked, so that a repeated call is the same request.

use chrono::{DateTime, TimeDelta, Utc};
use entitlements_core::billing::{
    Begun, BillingError, BillingErrorKind, BillingLock, Operation, OperationResult,
};
use entitlements_core::id::CompanyId;
use uuid::Uuid;

use super::Shared;
use super::sync::unusable;
use crate::client::OperationId;

/// After so long an operation that nobody ended was given up: whoever began it has crashed.
const GIVEN_UP: TimeDelta = TimeDelta::seconds(60);

/// An operation that is stored, and under way.
#[derive(Debug)]
pub(super) struct Open {
    stored: Operation,
    /// What Stripe knows it by.
    pub(super) id: OperationId,
    /// Whether it was begun by another call, which may have had an effect.
    pub(super) resumed: bool,
    /// Whether another call ended without closing its own.
    pub(super) after_crash: bool,
}

impl Open {
    fn new(stored: Operation, resumed: bool) -> Result<Self, BillingError> {
        let id = OperationId::new(stored.id.as_str()).map_err(unusable)?;
        Ok(Self { stored, id, resumed, after_crash: resumed })
    }

    /// When it was begun, by whichever call.
    pub(super) fn begun_at(&self) -> DateTime<Utc> {
        self.stored.begun_at
    }
}

impl Shared {
    /// Begins an operation, or goes on with the one that asks for the same thing.
    ///
    /// One that asks for something else and was given up is closed: what it may have done at Stripe is fetched first.
    pub(super) async fn begin(
        &self,
        lock: &BillingLock,
        kind: &str,
        arguments: &str,
    ) -> Result<Open, BillingError> {
        let mut after_crash = false;
        loop {
            let stored = self.fresh(&lock.company, kind, arguments)?;
            let open = match self.store.begin_operation(&stored).await? {
                Begun::Now => {
                    let open = Open::new(stored, false)?;
                    return Ok(Open { after_crash, ..open });
                }
                Begun::Before(open) => return Open::new(open, true),
                Begun::Busy(open) => open,
            };
            if !self.is_given_up(open.begun_at) {
                let message = "another change of the same kind is under way";
                return Err(BillingError::new(BillingErrorKind::Conflict, message));
            }
            after_crash = true;
            if let Some(customer) = self.store.customer_of(&lock.company).await? {
                self.sync_company(lock, &customer.id).await?;
            }
            self.give_up(&Open::new(open, true)?).await?;
        }
    }

    /// Begins to make the customer of a company, or goes on with the operation that does, whatever it was begun for.
    pub(super) async fn begin_customer(&self, company: &CompanyId) -> Result<Open, BillingError> {
        let stored = self.fresh(company, "customer", "")?;
        match self.store.begin_operation(&stored).await? {
            Begun::Now => Open::new(stored, false),
            Begun::Before(open) | Begun::Busy(open) => Open::new(open, true),
        }
    }

    /// Whether an operation that was begun at an instant is certainly no longer worked on.
    pub(super) fn is_given_up(&self, begun_at: DateTime<Utc>) -> bool {
        begun_at + GIVEN_UP <= self.clock.now()
    }

    /// Closes an operation that led to nothing, so that another can be begun.
    pub(super) async fn give_up(&self, open: &Open) -> Result<(), BillingError> {
        let result = OperationResult::Failed("given up for another".to_owned());
        self.store.finish_operation(&open.stored.id, &result, self.clock.now()).await?;
        Ok(())
    }

    /// Closes an operation, if its end is known. What may still have had an effect at Stripe stays open, so that the next
    /// call of the same kind repeats the same request.
    pub(super) async fn end<T>(
        &self,
        open: &Open,
        outcome: Result<T, BillingError>,
        name: impl FnOnce(&T) -> String,
    ) -> Result<T, BillingError> {
        let result = match &outcome {
            Ok(value) => OperationResult::Done(name(value)),
            Err(error) if error.is_retryable() || error.kind() == BillingErrorKind::Internal => {
                return outcome;
            }
            Err(error) => OperationResult::Failed(error.to_string()),
        };
        self.store.finish_operation(&open.stored.id, &result, self.clock.now()).await?;
        outcome
    }

    fn fresh(&self, company: &CompanyId, kind: &str, arguments: &str) -> Result<Operation, BillingError> {
        Ok(Operation {
            id: Uuid::new_v4().to_string().parse().map_err(unusable)?,
            company: company.clone(),
            kind: kind.to_owned(),
            arguments: arguments.to_owned(),
            begun_at: self.clock.now(),
        })
    }
}
