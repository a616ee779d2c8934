//! Operations: stored before Stripe is asked, so that a repeated call is the same request.

use chrono::TimeDelta;
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

/// So long Stripe certainly remembers the key of an operation.
const REMEMBERED: TimeDelta = TimeDelta::hours(12);

/// An operation that is stored, and under way.
#[derive(Debug)]
pub(super) struct Open {
    stored: Operation,
    /// What Stripe knows it by.
    pub(super) id: OperationId,
    /// Whether it was begun by another call, which may have had an effect.
    pub(super) resumed: bool,
}

impl Open {
    fn new(stored: Operation, resumed: bool) -> Result<Self, BillingError> {
        let id = OperationId::new(stored.id.as_str()).map_err(unusable)?;
        Ok(Self { stored, id, resumed })
    }
}

impl Shared {
    /// Begins an operation, or goes on with the one that asks for the same thing and was just begun.
    ///
    /// One that was given up is closed: what it may have done at Stripe is fetched first.
    pub(super) async fn begin(
        &self,
        lock: &BillingLock,
        kind: &str,
        arguments: &str,
    ) -> Result<Open, BillingError> {
        loop {
            let stored = self.fresh(&lock.company, kind, arguments)?;
            let (open, same) = match self.store.begin_operation(&stored).await? {
                Begun::Now => return Open::new(stored, false),
                Begun::Before(open) => (open, true),
                Begun::Busy(open) => (open, false),
            };
            if open.begun_at + GIVEN_UP <= self.clock.now() {
                if let Some(customer) = self.store.customer_of(&lock.company).await? {
                    self.sync_company(lock, &customer.id).await?;
                }
                let result = OperationResult::Failed("given up for another".to_owned());
                self.store.finish_operation(&open.id, &result, self.clock.now()).await?;
            } else if same {
                return Open::new(open, true);
            } else {
                let message = "another change of the same kind is under way";
                return Err(BillingError::new(BillingErrorKind::Conflict, message));
            }
        }
    }

    /// Begins to make the customer of a company: the same operation until it succeeds, however often it is begun, and whatever
    /// it is begun for. So there is one customer. The second answer is whether Stripe may have forgotten the operation.
    pub(super) async fn begin_customer(&self, company: &CompanyId) -> Result<(Open, bool), BillingError> {
        let stored = self.fresh(company, "customer", "")?;
        match self.store.begin_operation(&stored).await? {
            Begun::Now => Ok((Open::new(stored, false)?, false)),
            Begun::Before(open) | Begun::Busy(open) => {
                let forgotten = open.begun_at + REMEMBERED <= self.clock.now();
                Ok((Open::new(open, true)?, forgotten))
            }
        }
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
