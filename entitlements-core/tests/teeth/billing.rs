//! What is wrong with billing.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::Subscription;
use entitlements_core::billing::{
    Begun, BillingEvent, BillingLock, BillingStore, Claim, Customer, EventOutcome, EventState, Invoice,
    NewEvent, Operation, OperationResult, PlanFeature, Received,
};
use entitlements_core::facts::Revision;
use entitlements_core::id::{CompanyId, CustomerId, EventId, OperationId};
use entitlements_core::store::{Page, PageRequest, SubscriptionStore};

use super::{Result, Store, Wrong};

#[async_trait]
impl BillingStore for Store {
    async fn insert_customer(&self, customer: &Customer) -> Result<Customer> {
        let known = self.memory.insert_customer(customer).await?;
        Ok(if self.is(Wrong::ReplacesCustomers) { customer.clone() } else { known })
    }

    async fn customer_of(&self, company: &CompanyId) -> Result<Option<Customer>> {
        self.memory.customer_of(company).await
    }

    async fn customer(&self, id: &CustomerId) -> Result<Option<Customer>> {
        self.memory.customer(id).await
    }

    async fn delete_customer(&self, id: &CustomerId, at: DateTime<Utc>) -> Result<bool> {
        self.memory.delete_customer(id, at).await
    }

    async fn lock(
        &self,
        company: &CompanyId,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<BillingLock>> {
        self.memory.lock(company, until, now).await
    }

    async fn unlock(&self, lock: &BillingLock) -> Result<()> {
        self.memory.unlock(lock).await
    }

    async fn put_synced_subscription(
        &self,
        lock: &BillingLock,
        subscription: &Subscription,
        at: DateTime<Utc>,
    ) -> Result<Option<Revision>> {
        if self.is(Wrong::SyncsWithoutTheLock) {
            return self.memory.put_subscription(subscription, at).await.map(Some);
        }
        self.memory.put_synced_subscription(lock, subscription, at).await
    }

    async fn begin_operation(&self, operation: &Operation) -> Result<Begun> {
        let begun = self.memory.begin_operation(operation).await?;
        Ok(if self.is(Wrong::BeginsAgain) { Begun::Now } else { begun })
    }

    async fn finish_operation(
        &self,
        id: &OperationId,
        result: &OperationResult,
        at: DateTime<Utc>,
    ) -> Result<bool> {
        self.memory.finish_operation(id, result, at).await
    }

    async fn receive_event(&self, event: &NewEvent, at: DateTime<Utc>) -> Result<Received> {
        let received = self.memory.receive_event(event, at).await?;
        Ok(if self.is(Wrong::StoresEventsAgain) { Received::Now } else { received })
    }

    async fn claim_event(&self, id: &EventId, until: DateTime<Utc>, now: DateTime<Utc>) -> Result<Claim> {
        let claim = self.memory.claim_event(id, until, now).await?;
        if claim == Claim::Busy
            && self.is(Wrong::ClaimsAgain)
            && let Some(event) = self.memory.event(id).await?
        {
            return Ok(Claim::Taken(event));
        }
        Ok(claim)
    }

    async fn finish_event(
        &self,
        id: &EventId,
        attempt: u32,
        outcome: &EventOutcome,
        at: DateTime<Utc>,
    ) -> Result<bool> {
        let mut attempt = attempt;
        // Whoever ends it, ends it.
        if self.is(Wrong::FinishesLate)
            && let Some(event) =
                self.memory.event(id).await?.filter(|event| event.state == EventState::Processing)
        {
            attempt = event.attempts;
        }
        self.memory.finish_event(id, attempt, outcome, at).await
    }

    async fn event(&self, id: &EventId) -> Result<Option<BillingEvent>> {
        self.memory.event(id).await
    }

    async fn due_events(
        &self,
        received_before: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<EventId>> {
        self.memory.due_events(received_before, now, limit).await
    }

    async fn put_invoice(&self, invoice: &Invoice) -> Result<()> {
        self.memory.put_invoice(invoice).await
    }

    async fn list_invoices(&self, company: &CompanyId, page: &PageRequest) -> Result<Page<Invoice>> {
        self.memory.list_invoices(company, page).await
    }

    async fn replace_plan_features(&self, features: &[PlanFeature]) -> Result<()> {
        let mut features = features.to_vec();
        if self.is(Wrong::AddsPlanFeatures) {
            let known = self.memory.plan_features().await?;
            let is_new = |known: &PlanFeature| {
                !features.iter().any(|other| (&other.plan, &other.feature) == (&known.plan, &known.feature))
            };
            let kept: Vec<_> = known.into_iter().filter(is_new).collect();
            features.extend(kept);
        }
        self.memory.replace_plan_features(&features).await
    }

    async fn plan_features(&self) -> Result<Vec<PlanFeature>> {
        self.memory.plan_features().await
    }
}
