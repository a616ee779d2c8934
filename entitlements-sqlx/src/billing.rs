//! What billing keeps: the same statements in both dialects.

use chrono::{DateTime, Utc};
use entitlements_core::billing::{
    BillingEvent, Customer, EventOutcome, EventState, Invoice, NewEvent, Operation, OperationResult,
    PlanFeature,
};
use entitlements_core::store::{StoreError, StoreErrorKind};

use crate::error::corrupt;

pub(crate) const INSERT_CUSTOMER: &str = "store a customer";
pub(crate) const FIND_CUSTOMER: &str = "read a customer";
pub(crate) const DELETE_CUSTOMER: &str = "mark a customer as deleted";
pub(crate) const LOCK: &str = "lock a company's billing";
pub(crate) const PUT_SYNCED: &str = "store a subscription";
pub(crate) const OPERATION: &str = "store an operation";
pub(crate) const RECEIVE: &str = "store an event";
pub(crate) const CLAIM: &str = "claim an event";
pub(crate) const FINISH: &str = "finish an event";
pub(crate) const FIND_EVENT: &str = "read an event";
pub(crate) const DUE: &str = "read which events are due";
pub(crate) const PUT_INVOICE: &str = "store an invoice";
pub(crate) const LIST_INVOICES: &str = "list invoices";
pub(crate) const PLAN_FEATURES: &str = "read plan features";
pub(crate) const REPLACE_PLAN_FEATURES: &str = "replace plan features";

/// How often an insertion that met another row looks for that row. It can vanish in between, but not for ever.
pub(crate) const ROUNDS: usize = 8;

pub(crate) const fn unsupported(operation: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unsupported, operation)
}

pub(crate) const fn contention(operation: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Contention, operation)
}

fn instant(operation: &'static str, micros: i64) -> Result<DateTime<Utc>, StoreError> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| corrupt(operation)("an instant is out of range"))
}

fn instant_if_any(operation: &'static str, micros: Option<i64>) -> Result<Option<DateTime<Utc>>, StoreError> {
    micros.map(|micros| instant(operation, micros)).transpose()
}

pub(crate) type CustomerRow = (String, String, bool, i64, Option<i64>);

pub(crate) fn customer(row: CustomerRow) -> Result<Customer, StoreError> {
    let (id, company, livemode, created_at, deleted_at) = row;
    Ok(Customer {
        id: id.try_into().map_err(corrupt(FIND_CUSTOMER))?,
        company: company.try_into().map_err(corrupt(FIND_CUSTOMER))?,
        livemode,
        created_at: instant(FIND_CUSTOMER, created_at)?,
        deleted_at: instant_if_any(FIND_CUSTOMER, deleted_at)?,
    })
}

pub(crate) type OperationRow = (String, String, String, String, i64);

pub(crate) fn operation(row: OperationRow) -> Result<Operation, StoreError> {
    let (id, company, kind, arguments, begun_at) = row;
    Ok(Operation {
        id: id.try_into().map_err(corrupt(OPERATION))?,
        company: company.try_into().map_err(corrupt(OPERATION))?,
        kind,
        arguments,
        begun_at: instant(OPERATION, begun_at)?,
    })
}

/// The word of a result, and what it says.
pub(crate) fn result(result: &OperationResult) -> (&'static str, &str) {
    match result {
        OperationResult::Done(id) => ("done", id),
        OperationResult::Failed(why) => ("failed", why),
    }
}

pub(crate) fn state(operation: &'static str, word: &str) -> Result<EventState, StoreError> {
    let known = EventState::ALL.into_iter().find(|state| state.as_str() == word);
    known.ok_or_else(|| corrupt(operation)(format!("`{word}` is no state of an event")))
}

pub(crate) type EventRow = (
    String,
    String,
    bool,
    Option<String>,
    i64,
    String,
    i64,
    String,
    i64,
    Option<String>,
    Option<i64>,
    Option<i64>,
);

pub(crate) fn event(row: EventRow) -> Result<BillingEvent, StoreError> {
    let (
        id,
        kind,
        livemode,
        object,
        created_at,
        payload,
        received_at,
        word,
        attempts,
        note,
        due_at,
        finished_at,
    ) = row;
    Ok(BillingEvent {
        event: NewEvent {
            id: id.try_into().map_err(corrupt(FIND_EVENT))?,
            kind,
            livemode,
            object,
            created_at: instant(FIND_EVENT, created_at)?,
            payload,
        },
        state: state(FIND_EVENT, &word)?,
        attempts: attempts.try_into().map_err(corrupt(FIND_EVENT))?,
        note,
        received_at: instant(FIND_EVENT, received_at)?,
        finished_at: instant_if_any(FIND_EVENT, finished_at)?,
        due_at: instant_if_any(FIND_EVENT, due_at)?,
    })
}

/// What an outcome makes of an event: its state, its note, when it is due, and when it was finished.
pub(crate) fn outcome(
    outcome: &EventOutcome,
    at: DateTime<Utc>,
) -> (EventState, Option<&str>, Option<i64>, Option<i64>) {
    let at = Some(at.timestamp_micros());
    match outcome {
        EventOutcome::Processed => (EventState::Processed, None, None, at),
        EventOutcome::Ignored(why) => (EventState::Ignored, Some(why), None, at),
        EventOutcome::Failed { error, retry_at } => {
            (EventState::Failed, Some(error), Some(retry_at.timestamp_micros()), None)
        }
    }
}

pub(crate) type InvoiceRow = (
    String,
    String,
    Option<String>,
    Option<String>,
    String,
    Option<String>,
    String,
    i64,
    i64,
    i64,
    i64,
    Option<i64>,
    i64,
    i64,
    Option<String>,
    i64,
);

pub(crate) fn invoice(row: InvoiceRow) -> Result<Invoice, StoreError> {
    let (
        id,
        company,
        subscription,
        number,
        status,
        billing_reason,
        currency,
        total,
        amount_due,
        amount_paid,
        attempt_count,
        next_payment_attempt,
        period_start,
        period_end,
        hosted_url,
        created_at,
    ) = row;
    Ok(Invoice {
        id: id.try_into().map_err(corrupt(LIST_INVOICES))?,
        company: company.try_into().map_err(corrupt(LIST_INVOICES))?,
        subscription: subscription.map(TryInto::try_into).transpose().map_err(corrupt(LIST_INVOICES))?,
        number,
        status,
        billing_reason,
        currency,
        total,
        amount_due,
        amount_paid,
        attempt_count: attempt_count.try_into().map_err(corrupt(LIST_INVOICES))?,
        next_payment_attempt: instant_if_any(LIST_INVOICES, next_payment_attempt)?,
        period_start: instant(LIST_INVOICES, period_start)?,
        period_end: instant(LIST_INVOICES, period_end)?,
        hosted_url,
        created_at: instant(LIST_INVOICES, created_at)?,
    })
}

/// The rows as an array of [plan, feature, value], with the value as text.
pub(crate) fn plan_feature_rows(features: &[PlanFeature]) -> String {
    let rows: Vec<_> = (features.iter())
        .map(|row| serde_json::json!([row.plan.as_str(), row.feature.as_str(), row.value.to_string()]))
        .collect();
    serde_json::Value::from(rows).to_string()
}

pub(crate) fn plan_feature(
    (plan, feature, value): (String, String, String),
) -> Result<PlanFeature, StoreError> {
    Ok(PlanFeature {
        plan: plan.try_into().map_err(corrupt(PLAN_FEATURES))?,
        feature: feature.try_into().map_err(corrupt(PLAN_FEATURES))?,
        value: serde_json::from_str(&value).map_err(corrupt(PLAN_FEATURES))?,
    })
}

/// The store of one dialect. Its statements are in `sql`; it runs them with `write` and `read`.
macro_rules! billing_store {
    ($store:ty) => {
        #[async_trait::async_trait]
        impl BillingStore for $store {
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
                let query =
                    sqlx::query_as(sql::DELETE_CUSTOMER).bind(id.as_str()).bind(at.timestamp_micros());
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
                let query =
                    Self::bind_subscription(sqlx::query_as(sql::PUT_SYNCED_SUBSCRIPTION), subscription, at)
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

            async fn receive_event(
                &self,
                event: &NewEvent,
                at: DateTime<Utc>,
            ) -> Result<Received, StoreError> {
                let query = sqlx::query_as(sql::RECEIVE_EVENT)
                    .bind(event.id.as_str())
                    .bind(event.kind.as_str())
                    .bind(event.livemode)
                    .bind(event.object.as_deref())
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
                    .bind(invoice.subscription.as_ref().map(|id| id.as_str()))
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

        impl $store {
            async fn event_state(&self, id: &EventId) -> Result<Option<EventState>, StoreError> {
                let query = sqlx::query_as(sql::EVENT_STATE).bind(id.as_str());
                let rows: Vec<(String,)> = self.read(billing::FIND_EVENT, query).await?;
                rows.first().map(|(word,)| billing::state(billing::FIND_EVENT, word)).transpose()
            }
        }
    };
}

pub(crate) use billing_store;
