//! What billing keeps, in memory.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::MemoryStore;
use super::instant::kept;
use super::state::{Billing, Lease};
use super::subscriptions::put;
use crate::billing::{
    Begun, BillingEvent, BillingLock, BillingStore, Claim, Customer, EventOutcome, EventState, Invoice,
    NewEvent, Operation, OperationResult, PlanFeature, Received,
};
use crate::facts::Revision;
use crate::id::{CompanyId, CustomerId, EventId, OperationId};
use crate::store::{Page, PageRequest, StoreError, StoreErrorKind};
use crate::subscription::Subscription;

const fn unsupported(operation: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unsupported, operation)
}

#[async_trait]
impl BillingStore for MemoryStore {
    async fn insert_customer(&self, customer: &Customer) -> Result<Customer, StoreError> {
        let mut state = self.state();
        let customers = &mut state.billing.customers;
        if customers.get(&customer.id).is_some_and(|known| known.company != customer.company) {
            return Err(unsupported("move a customer to another company"));
        }
        if let Some(known) =
            customers.values().find(|c| c.company == customer.company && c.deleted_at.is_none())
        {
            return Ok(known.clone());
        }
        if customers.contains_key(&customer.id) {
            return Err(unsupported("bring a deleted customer back"));
        }
        let stored = Customer {
            created_at: kept(customer.created_at),
            deleted_at: customer.deleted_at.map(kept),
            ..customer.clone()
        };
        customers.insert(stored.id.clone(), stored.clone());
        Ok(stored)
    }

    async fn customer_of(&self, company: &CompanyId) -> Result<Option<Customer>, StoreError> {
        let state = self.state();
        let mut customers = state.billing.customers.values();
        Ok(customers.find(|known| known.company == *company && known.deleted_at.is_none()).cloned())
    }

    async fn customer(&self, id: &CustomerId) -> Result<Option<Customer>, StoreError> {
        Ok(self.state().billing.customers.get(id).cloned())
    }

    async fn delete_customer(&self, id: &CustomerId, at: DateTime<Utc>) -> Result<bool, StoreError> {
        let mut state = self.state();
        let known = state.billing.customers.get_mut(id).filter(|known| known.deleted_at.is_none());
        Ok(known.map(|known| known.deleted_at = Some(kept(at))).is_some())
    }

    async fn lock(
        &self,
        company: &CompanyId,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<BillingLock>, StoreError> {
        let mut state = self.state();
        // The first fence is the instant: a lock that was given before the company was erased is none of those after it.
        let first = u64::try_from(now.timestamp_micros()).unwrap_or_default();
        let lease = state.billing.locks.entry(company.clone());
        let lease = lease.or_insert(Lease { fence: first, until: None });
        if lease.until.is_some_and(|end| kept(now) < end) {
            return Ok(None);
        }
        lease.fence += 1;
        lease.until = Some(kept(until));
        Ok(Some(BillingLock { company: company.clone(), fence: lease.fence }))
    }

    async fn unlock(&self, lock: &BillingLock) -> Result<(), StoreError> {
        let mut state = self.state();
        if let Some(lease) = state.billing.locks.get_mut(&lock.company)
            && lease.fence == lock.fence
        {
            lease.until = None;
        }
        Ok(())
    }

    async fn put_synced_subscription(
        &self,
        lock: &BillingLock,
        subscription: &Subscription,
        at: DateTime<Utc>,
    ) -> Result<Option<Revision>, StoreError> {
        if lock.company != subscription.company {
            return Err(unsupported("store a subscription under another company's lock"));
        }
        let mut state = self.state();
        if state.billing.locks.get(&lock.company).is_none_or(|lease| lease.fence != lock.fence) {
            return Ok(None);
        }
        put(&mut state, subscription, at).map(Some)
    }

    async fn begin_operation(&self, operation: &Operation) -> Result<Begun, StoreError> {
        let mut state = self.state();
        let operations = &mut state.billing.operations;
        let open = operations.values().find(|(known, result)| {
            known.company == operation.company && known.kind == operation.kind && result.is_none()
        });
        if let Some((open, _)) = open {
            let same = open.arguments == operation.arguments;
            return Ok(if same { Begun::Before(open.clone()) } else { Begun::Busy(open.clone()) });
        }
        if operations.contains_key(&operation.id) {
            return Err(unsupported("begin an operation again"));
        }
        let stored = Operation { begun_at: kept(operation.begun_at), ..operation.clone() };
        operations.insert(stored.id.clone(), (stored, None));
        Ok(Begun::Now)
    }

    async fn finish_operation(
        &self,
        id: &OperationId,
        result: &OperationResult,
        _at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        let open = state.billing.operations.get_mut(id).filter(|(_, known)| known.is_none());
        Ok(open.map(|(_, known)| *known = Some(result.clone())).is_some())
    }

    async fn receive_event(&self, event: &NewEvent, at: DateTime<Utc>) -> Result<Received, StoreError> {
        let mut state = self.state();
        let mut event = NewEvent { created_at: kept(event.created_at), ..event.clone() };
        if state.billing.is_of_the_erased(&event) {
            event.payload.clear();
        }
        let Billing { events, event_places, .. } = &mut state.billing;
        if let Some(known) = event_places.get(&event.id).and_then(|place| events.get(*place)) {
            return Ok(Received::Before(known.state));
        }
        event_places.insert(event.id.clone(), events.len());
        events.push(BillingEvent {
            event,
            state: EventState::Received,
            attempts: 0,
            note: None,
            received_at: kept(at),
            finished_at: None,
            due_at: None,
        });
        Ok(Received::Now)
    }

    async fn claim_event(
        &self,
        id: &EventId,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Claim, StoreError> {
        let mut state = self.state();
        let Some(known) = state.billing.event_mut(id) else { return Ok(Claim::Unknown) };
        if known.state.is_final() {
            return Ok(Claim::Finished(known.state));
        }
        if !is_due(known, now) {
            return Ok(Claim::Busy);
        }
        known.state = EventState::Processing;
        known.attempts = known.attempts.saturating_add(1);
        known.due_at = Some(kept(until));
        Ok(Claim::Taken(known.clone()))
    }

    async fn finish_event(
        &self,
        id: &EventId,
        attempt: u32,
        outcome: &EventOutcome,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        let known = state.billing.event_mut(id);
        let Some(known) = known.filter(|k| k.state == EventState::Processing && k.attempts == attempt) else {
            return Ok(false);
        };
        (known.state, known.note, known.due_at) = match outcome {
            EventOutcome::Processed => (EventState::Processed, None, None),
            EventOutcome::Ignored(why) => (EventState::Ignored, Some(why.clone()), None),
            EventOutcome::Failed { error, retry_at } => {
                (EventState::Failed, Some(error.clone()), Some(kept(*retry_at)))
            }
        };
        known.finished_at = known.state.is_final().then(|| kept(at));
        Ok(true)
    }

    async fn event(&self, id: &EventId) -> Result<Option<BillingEvent>, StoreError> {
        Ok(self.state().billing.event_mut(id).cloned())
    }

    async fn due_events(
        &self,
        received_before: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<EventId>, StoreError> {
        let state = self.state();
        let due = state.billing.events.iter().filter(|known| {
            !known.state.is_final() && known.received_at < kept(received_before) && is_due(known, now)
        });
        Ok(due.take(limit).map(|known| known.event.id.clone()).collect())
    }

    async fn put_invoice(&self, invoice: &Invoice) -> Result<(), StoreError> {
        let mut state = self.state();
        let invoices = &mut state.billing.invoices;
        if invoices.get(&invoice.id).is_some_and(|known| known.company != invoice.company) {
            return Err(unsupported("move an invoice to another company"));
        }
        let stored = Invoice {
            next_payment_attempt: invoice.next_payment_attempt.map(kept),
            period_start: kept(invoice.period_start),
            period_end: kept(invoice.period_end),
            created_at: kept(invoice.created_at),
            ..invoice.clone()
        };
        invoices.insert(stored.id.clone(), stored);
        Ok(())
    }

    async fn list_invoices(
        &self,
        company: &CompanyId,
        page: &PageRequest,
    ) -> Result<Page<Invoice>, StoreError> {
        let before = page.cursor.as_deref().map(before).transpose()?;
        let state = self.state();
        let mut invoices: Vec<_> = (state.billing.invoices.values())
            .filter(|invoice| invoice.company == *company)
            .filter(|invoice| before.is_none_or(|before| place(invoice) < before))
            .collect();
        invoices.sort_by_key(|invoice| std::cmp::Reverse(place(invoice)));
        let more = invoices.len() > page.limit.max(1);
        invoices.truncate(page.limit.max(1));
        let next = invoices.last().filter(|_| more).map(|last| {
            let (micros, id) = place(last);
            format!("{micros}:{id}")
        });
        Ok(Page { items: invoices.into_iter().cloned().collect(), next })
    }

    async fn replace_plan_features(&self, features: &[PlanFeature]) -> Result<(), StoreError> {
        let mut stored = features.to_vec();
        stored.sort_by(|a, b| (&a.plan, &a.feature).cmp(&(&b.plan, &b.feature)));
        self.state().billing.plan_features = stored;
        Ok(())
    }

    async fn plan_features(&self) -> Result<Vec<PlanFeature>, StoreError> {
        Ok(self.state().billing.plan_features.clone())
    }
}

impl Billing {
    fn event_mut(&mut self, id: &EventId) -> Option<&mut BillingEvent> {
        self.event_places.get(id).and_then(|place| self.events.get_mut(*place))
    }
}

/// Whether another attempt may begin.
fn is_due(event: &BillingEvent, now: DateTime<Utc>) -> bool {
    event.due_at.is_none_or(|due| due <= kept(now))
}

/// Where an invoice stands in the list.
fn place(invoice: &Invoice) -> (i64, &str) {
    (invoice.created_at.timestamp_micros(), invoice.id.as_str())
}

/// The place of the last invoice of the page before.
fn before(cursor: &str) -> Result<(i64, &str), StoreError> {
    (cursor.split_once(':'))
        .and_then(|(micros, id)| Some((micros.parse().ok()?, id)))
        .filter(|(_, id)| !id.is_empty())
        .ok_or(unsupported("list invoices from such a cursor"))
}
