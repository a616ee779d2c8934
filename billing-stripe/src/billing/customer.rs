//! The customer of a company: one at most, made when something is bought.

use chrono::TimeDelta;
use entitlements_core::billing::{BillingError, BillingLock, Customer};
use entitlements_core::id::{CompanyId, CustomerId};

use super::Shared;
use super::operation::Open;
use super::sync::unusable;
use crate::client::NewCustomer;
use crate::translate::COMPANY_KEY;
use crate::wire::{self, Metadata};

/// How far Stripe's clock may be behind ours.
const SKEW: TimeDelta = TimeDelta::minutes(5);

impl Shared {
    /// The customer that a company has, here and at Stripe, with its subscriptions as Stripe shows them.
    pub(super) async fn known_customer(
        &self,
        lock: &BillingLock,
        open: &Open,
    ) -> Result<Option<CustomerId>, BillingError> {
        let Some(known) = self.store.customer_of(&lock.company).await? else { return Ok(None) };
        if open.after_crash {
            self.close_customer(lock, &known.id).await?;
        }
        if self.customer_is_gone(lock, &known.id).await? {
            return Ok(None);
        }
        self.sync_subscriptions(lock, &known.id).await?;
        Ok(Some(known.id))
    }

    /// Closes the operation that made a customer, should a crash have left it open.
    pub(super) async fn close_customer(
        &self,
        lock: &BillingLock,
        made: &CustomerId,
    ) -> Result<(), BillingError> {
        let open = self.begin_customer(&lock.company).await?;
        self.end(&open, Ok(()), |()| made.to_string()).await
    }

    /// Makes the customer of a company that has none. What an earlier call may have made is found, so there is one.
    pub(super) async fn make_customer(&self, company: &CompanyId) -> Result<CustomerId, BillingError> {
        loop {
            let open = self.begin_customer(company).await?;
            match self.make_customer_once(company, &open).await {
                Ok(Some(made)) => return self.end(&open, Ok(made), CustomerId::to_string).await,
                Ok(None) => self.give_up(&open).await?,
                Err(error) => return self.end(&open, Err(error), CustomerId::to_string).await,
            }
        }
    }

    /// `None` if the operation led to nothing, or to a customer that was deleted since.
    async fn make_customer_once(
        &self,
        company: &CompanyId,
        open: &Open,
    ) -> Result<Option<CustomerId>, BillingError> {
        let made = if open.resumed && self.is_given_up(open.begun_at()) {
            // Stripe may have forgotten the operation, or repeat a fault of its own under its id.
            let made = self.client.customers_since(open.begun_at() - SKEW).await?;
            let of_it = |shown: &wire::Customer| {
                shown.metadata.get(COMPANY_KEY).is_some_and(|name| name == company.as_str())
            };
            made.into_iter().find(of_it)
        } else {
            let new = NewCustomer {
                name: Some(company.to_string()),
                email: None,
                metadata: Metadata::from([(COMPANY_KEY.to_owned(), company.to_string())]),
            };
            let made = self.client.create_customer(&new, &open.id).await?;
            // The answer may be that of an earlier call, and old.
            Some(if open.resumed { self.client.customer(&made.id).await? } else { made })
        };
        let Some(made) = made.filter(|made| !made.deleted) else { return Ok(None) };
        let customer = Customer {
            id: made.id.parse().map_err(unusable)?,
            company: company.clone(),
            livemode: self.client.is_live(),
            created_at: made.created.unwrap_or_else(|| self.entitlements.now()),
            deleted_at: None,
        };
        Ok(Some(self.store.insert_customer(&customer).await?.id))
    }
}
