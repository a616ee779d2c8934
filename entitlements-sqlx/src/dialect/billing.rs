//! What billing keeps.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::billing::{
    Begun, BillingEvent, BillingLock, BillingStore, Claim, Customer, EventOutcome, EventState, Invoice,
    NewEvent, Operation, OperationResult, PlanFeature, Received,
};
use entitlements_core::facts::Revision;
use entitlements_core::id::{CompanyId, CustomerId, EventId, OperationId, SubscriptionId};
use entitlements_core::store::{MAX_PAGE, Page, PageRequest, StoreError};
use entitlements_core::subscription::Subscription;

use super::{Store, sql};
use crate::billing;
use crate::error::corrupt;
use crate::paging::{before_invoice, invoice_cursor, one_more, page_of};

#[async_trait]
impl BillingStore for Store {
    async fn insert_customer(&self, customer: &Customer) -> Result<Customer, StoreError> {
        for _ in 0..billing::ROUNDS {
            let query = sqlx::query_as(sql::INSERT_CUSTOMER)
                .bind(customer.id.as_str())
                .bind(customer.company.as_str())
                .bind(customer.livemode)
                .bind(customer.created_at.timestamp_micros())
                .bind(customer.deleted_at.map(|at| at.timestamp_micros()));
            if let Some(row) = self.write(billing::INSERT_CUSTOMER, query).await? {
                return billing::customer(row);
            }
            let taken = self.customer(&customer.id).await?;
            if taken.as_ref().is_some_and(|known| known.company != customer.company) {
                return Err(billing::unsupported("move a customer to another company"));
            }
            if let Some(known) = self.customer_of(&customer.company).await? {
                return Ok(known);
            }
            if taken.is_some_and(|known| known.deleted_at.is_some()) {
                return Err(billing::unsupported("bring a deleted customer back"));
            }
        }
        Err(billing::contention(billing::INSERT_CUSTOMER))
    }

    async fn customer_of(&self, company: &CompanyId) -> Result<Option<Customer>, StoreError> {
        let query = sqlx::query_as(sql::CUSTOMER_OF).bind(company.as_str());
        let rows = self.read(billing::FIND_CUSTOMER, query).await?;
        rows.into_iter().next().map(billing::customer).transpose()
    }

    async fn customer(&self, id: &CustomerId) -> Result<Option<Customer>, StoreError> {
        let query = sqlx::query_as(sql::FIND_CUSTOMER).bind(id.as_str());
        let rows = self.read(billing::FIND_CUSTOMER, query).await?;
        rows.into_iter().next().map(billing::customer).transpose()
    }

    async fn delete_customer(&self, id: &CustomerId, at: DateTime<Utc>) -> Result<bool, StoreError> {
        let query = sqlx::query_as(sql::DELETE_CUSTOMER).bind(id.as_str()).bind(at.timestamp_micros());
        let row: Option<(String,)> = self.write(billing::DELETE_CUSTOMER, query).await?;
        Ok(row.is_some())
    }

    async fn lock(
        &self,
        company: &CompanyId,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<BillingLock>, StoreError> {
        let query = sqlx::query_as(sql::LOCK_COMPANY)
            .bind(company.as_str())
            .bind(until.timestamp_micros())
            .bind(now.timestamp_micros());
        let row: Option<(i64,)> = self.write(billing::LOCK, query).await?;
        let fence = row.map(|(fence,)| fence.try_into()).transpose();
        let fence = fence.map_err(corrupt(billing::LOCK))?;
        Ok(fence.map(|fence| BillingLock { company: company.clone(), fence }))
    }

    async fn unlock(&self, lock: &BillingLock) -> Result<(), StoreError> {
        let fence = i64::try_from(lock.fence).map_err(corrupt(billing::LOCK))?;
        let query = sqlx::query(sql::UNLOCK_COMPANY).bind(lock.company.as_str()).bind(fence);
        self.execute(billing::LOCK, query).await
    }

    async fn put_synced_subscription(
        &self,
        lock: &BillingLock,
        subscription: &Subscription,
        at: DateTime<Utc>,
    ) -> Result<Option<Revision>, StoreError> {
        if lock.company != subscription.company {
            return Err(billing::unsupported("store a subscription under another company's lock"));
        }
        let fence = i64::try_from(lock.fence).map_err(corrupt(billing::PUT_SYNCED))?;
        let query = Self::bind_subscription(sqlx::query_as(sql::PUT_SYNCED_SUBSCRIPTION), subscription, at)
            .bind(fence);
        if let Some(revision) = self.change(billing::PUT_SYNCED, query).await? {
            return Ok(Some(revision));
        }
        // Either the lock is lost, or nothing is new.
        let query = sqlx::query_as(sql::LOCK_FENCE).bind(lock.company.as_str());
        let fences: Vec<(i64,)> = self.read(billing::LOCK, query).await?;
        if fences.first() != Some(&(fence,)) {
            return Ok(None);
        }
        self.unchanged(subscription).await.map(Some)
    }

    async fn begin_operation(&self, operation: &Operation) -> Result<Begun, StoreError> {
        for _ in 0..billing::ROUNDS {
            let query = sqlx::query_as(sql::BEGIN_OPERATION)
                .bind(operation.id.as_str())
                .bind(operation.company.as_str())
                .bind(operation.kind.as_str())
                .bind(operation.arguments.as_str())
                .bind(operation.begun_at.timestamp_micros());
            let begun: Option<(String,)> = self.write(billing::OPERATION, query).await?;
            if begun.is_some() {
                return Ok(Begun::Now);
            }
            let query = sqlx::query_as(sql::OPEN_OPERATION)
                .bind(operation.company.as_str())
                .bind(operation.kind.as_str());
            let rows = self.read(billing::OPERATION, query).await?;
            if let Some(row) = rows.into_iter().next() {
                let open = billing::operation(row)?;
                let same = open.arguments == operation.arguments;
                return Ok(if same { Begun::Before(open) } else { Begun::Busy(open) });
            }
            let query = sqlx::query_as(sql::OPERATION_IS_KNOWN).bind(operation.id.as_str());
            let known: Vec<(String,)> = self.read(billing::OPERATION, query).await?;
            if !known.is_empty() {
                return Err(billing::unsupported("begin an operation again"));
            }
        }
        Err(billing::contention(billing::OPERATION))
    }

    async fn finish_operation(
        &self,
        id: &OperationId,
        result: &OperationResult,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let (word, result) = billing::result(result);
        let query = sqlx::query_as(sql::FINISH_OPERATION)
            .bind(id.as_str())
            .bind(word)
            .bind(result)
            .bind(at.timestamp_micros());
        let row: Option<(String,)> = self.write(billing::OPERATION, query).await?;
        Ok(row.is_some())
    }

    async fn receive_event(&self, event: &NewEvent, at: DateTime<Utc>) -> Result<Received, StoreError> {
        let query = sqlx::query_as(sql::RECEIVE_EVENT)
            .bind(event.id.as_str())
            .bind(event.kind.as_str())
            .bind(event.livemode)
            .bind(event.object.as_deref())
            .bind(event.customer.as_deref())
            .bind(event.created_at.timestamp_micros())
            .bind(event.payload.as_str())
            .bind(at.timestamp_micros());
        let row: Option<(String,)> = self.write(billing::RECEIVE, query).await?;
        if row.is_some() {
            return Ok(Received::Now);
        }
        match self.event_state(&event.id).await? {
            Some(state) => Ok(Received::Before(state)),
            None => Err(billing::contention(billing::RECEIVE)),
        }
    }

    async fn claim_event(
        &self,
        id: &EventId,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Claim, StoreError> {
        let query = sqlx::query_as(sql::CLAIM_EVENT)
            .bind(id.as_str())
            .bind(until.timestamp_micros())
            .bind(now.timestamp_micros());
        if let Some(row) = self.write(billing::CLAIM, query).await? {
            return billing::event(row).map(Claim::Taken);
        }
        Ok(match self.event_state(id).await? {
            None => Claim::Unknown,
            Some(state) if state.is_final() => Claim::Finished(state),
            Some(_) => Claim::Busy,
        })
    }

    async fn finish_event(
        &self,
        id: &EventId,
        attempt: u32,
        outcome: &EventOutcome,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let (state, note, due_at, finished_at) = billing::outcome(outcome, at);
        let query = sqlx::query_as(sql::FINISH_EVENT)
            .bind(id.as_str())
            .bind(i64::from(attempt))
            .bind(state.as_str())
            .bind(note)
            .bind(due_at)
            .bind(finished_at);
        let row: Option<(String,)> = self.write(billing::FINISH, query).await?;
        Ok(row.is_some())
    }

    async fn event(&self, id: &EventId) -> Result<Option<BillingEvent>, StoreError> {
        let query = sqlx::query_as(sql::FIND_EVENT).bind(id.as_str());
        let rows = self.read(billing::FIND_EVENT, query).await?;
        rows.into_iter().next().map(billing::event).transpose()
    }

    async fn due_events(
        &self,
        received_before: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<EventId>, StoreError> {
        let query = sqlx::query_as(sql::DUE_EVENTS)
            .bind(received_before.timestamp_micros())
            .bind(now.timestamp_micros())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows: Vec<(String,)> = self.read(billing::DUE, query).await?;
        rows.into_iter().map(|(id,)| id.try_into().map_err(corrupt(billing::DUE))).collect()
    }

    async fn put_invoice(&self, invoice: &Invoice) -> Result<(), StoreError> {
        let query = sqlx::query_as(sql::PUT_INVOICE)
            .bind(invoice.id.as_str())
            .bind(invoice.company.as_str())
            .bind(invoice.subscription.as_ref().map(SubscriptionId::as_str))
            .bind(invoice.number.as_deref())
            .bind(invoice.status.as_str())
            .bind(invoice.billing_reason.as_deref())
            .bind(invoice.currency.as_str())
            .bind(invoice.total)
            .bind(invoice.amount_due)
            .bind(invoice.amount_paid)
            .bind(i64::from(invoice.attempt_count))
            .bind(invoice.next_payment_attempt.map(|at| at.timestamp_micros()))
            .bind(invoice.period_start.timestamp_micros())
            .bind(invoice.period_end.timestamp_micros())
            .bind(invoice.hosted_url.as_deref())
            .bind(invoice.created_at.timestamp_micros());
        let row: Option<(String,)> = self.write(billing::PUT_INVOICE, query).await?;
        row.map(drop).ok_or(billing::unsupported("move an invoice to another company"))
    }

    async fn list_invoices(
        &self,
        company: &CompanyId,
        page: &PageRequest,
    ) -> Result<Page<Invoice>, StoreError> {
        let (created_at, id) = before_invoice(page.cursor.as_deref())?;
        let limit = page.limit.clamp(1, MAX_PAGE);
        let query = sqlx::query_as(sql::LIST_INVOICES)
            .bind(company.as_str())
            .bind(created_at)
            .bind(id)
            .bind(one_more(limit));
        let rows = self.read(billing::LIST_INVOICES, query).await?;
        let items = rows.into_iter().map(billing::invoice).collect::<Result<_, _>>()?;
        Ok(page_of(items, limit, invoice_cursor))
    }

    async fn replace_plan_features(&self, features: &[PlanFeature]) -> Result<(), StoreError> {
        let rows = billing::plan_feature_rows(features);
        let query = sqlx::query(sql::REPLACE_PLAN_FEATURES).bind(rows);
        self.execute(billing::REPLACE_PLAN_FEATURES, query).await
    }

    async fn plan_features(&self) -> Result<Vec<PlanFeature>, StoreError> {
        let rows = self.read(billing::PLAN_FEATURES, sqlx::query_as(sql::PLAN_FEATURES)).await?;
        rows.into_iter().map(billing::plan_feature).collect()
    }
}

impl Store {
    async fn event_state(&self, id: &EventId) -> Result<Option<EventState>, StoreError> {
        let query = sqlx::query_as(sql::EVENT_STATE).bind(id.as_str());
        let rows: Vec<(String,)> = self.read(billing::FIND_EVENT, query).await?;
        rows.first().map(|(word,)| billing::state(billing::FIND_EVENT, word)).transpose()
    }
}
