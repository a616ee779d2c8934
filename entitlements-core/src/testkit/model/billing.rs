//! Operations of billing, and of usage that is billed.

use chrono::{DateTime, TimeDelta, Utc};

use super::kept::somebody;
use super::{COMPANIES, Model};
use crate::billing::{
    BillingStore, Customer, EventOutcome, Invoice, NewEvent, Operation, OperationResult, PlanFeature,
    UsageOutbox, UsageOutcome, UsageRecord,
};
use crate::id::{CustomerId, EventId, InvoiceId, OperationId};
use crate::store::{PageRequest, Store};
use crate::subscription::Subscription;
use crate::testkit::fixtures::{company, feature, plan, subscription};
use crate::testkit::random::FEW;

/// Nothing that the store cannot do is asked of it.
const ASKED: &str = "only asked of a store that does it";

impl<S: Store> Model<'_, S> {
    pub(super) async fn bill(&mut self) {
        let store = self.billing.expect(ASKED);
        match self.random.below(20) {
            0..3 => self.customer(store).await,
            3..8 => self.lock(store).await,
            8..11 => self.operation(store).await,
            11..17 => self.event(store).await,
            17..19 => self.invoice(store).await,
            _ => self.plan_features(store).await,
        }
    }

    fn instant(&mut self, minutes: u64) -> DateTime<Utc> {
        self.clock + TimeDelta::minutes(self.random.below(minutes).cast_signed())
    }

    async fn customer(&mut self, store: &dyn BillingStore) {
        let random = &mut self.random;
        let customer = Customer {
            id: CustomerId::new(format!("cus{}", u64::from(self.receipts / 16) + random.below(4))).unwrap(),
            company: company(random.pick(&COMPANIES)),
            livemode: random.one_in(2),
            created_at: self.clock,
            deleted_at: None,
        };
        if random.one_in(2) {
            let expected = self.memory.insert_customer(&customer).await;
            self.same(expected, store.insert_customer(&customer).await, &customer);
        } else {
            let expected = self.memory.delete_customer(&customer.id, self.clock).await;
            self.same(expected, store.delete_customer(&customer.id, self.clock).await, &customer);
        }
        let expected = self.memory.customer_of(&customer.company).await;
        self.same(expected, store.customer_of(&customer.company).await, &customer);
        let named = |known: Option<Customer>| {
            known.map(|mut known| {
                somebody(&mut known.company);
                known
            })
        };
        let expected = self.memory.customer(&customer.id).await.map(named);
        self.same(expected, store.customer(&customer.id).await.map(named), &customer);
    }

    /// Fences are not compared: each store may count in its own way.
    async fn lock(&mut self, store: &dyn BillingStore) {
        let company = company(self.random.pick(&COMPANIES));
        let held = self.locks.get(&company).cloned();
        match (self.random.below(3), held) {
            (0, Some((expected, actual))) => {
                let expected = self.memory.unlock(&expected).await;
                self.same(expected, store.unlock(&actual).await, &company);
            }
            (1, Some((of_memory, of_store))) => {
                let id = self.random.pick(&FEW);
                let owner =
                    if self.random.one_in(10) { self.random.pick(&COMPANIES) } else { company.as_str() };
                let state = Subscription {
                    plan: plan(self.random.pick(&["starter", "pro"])),
                    ..subscription(id, owner)
                };
                let expected = self.memory.put_synced_subscription(&of_memory, &state, self.clock).await;
                let actual = store.put_synced_subscription(&of_store, &state, self.clock).await;
                self.same_optional_revision(expected, actual, &state);
            }
            _ => {
                let until = self.instant(3_000);
                let expected = self.memory.lock(&company, until, self.clock).await.unwrap();
                let actual = store.lock(&company, until, self.clock).await.unwrap();
                assert_eq!(actual.is_some(), expected.is_some(), "{}: lock {company}", self.place);
                if let (Some(expected), Some(actual)) = (expected, actual) {
                    // One that was lost is tried again as well.
                    if self.random.one_in(2) || !self.locks.contains_key(&company) {
                        self.locks.insert(company, (expected, actual));
                    }
                }
            }
        }
    }

    async fn operation(&mut self, store: &dyn BillingStore) {
        let random = &mut self.random;
        let operation = Operation {
            id: OperationId::new(format!("op{}", random.below(60))).unwrap(),
            company: company(random.pick(&COMPANIES)),
            kind: random.pick(&["subscribe", "change"]).to_owned(),
            arguments: random.pick(&["starter", "pro"]).to_owned(),
            begun_at: self.clock,
        };
        if random.one_in(2) {
            let expected = self.memory.begin_operation(&operation).await;
            self.same(expected, store.begin_operation(&operation).await, &operation);
        } else {
            let result = if random.one_in(2) {
                OperationResult::Done("sub".to_owned())
            } else {
                OperationResult::Failed("no".to_owned())
            };
            let expected = self.memory.finish_operation(&operation.id, &result, self.clock).await;
            let actual = store.finish_operation(&operation.id, &result, self.clock).await;
            self.same(expected, actual, &(operation, result));
        }
    }

    /// Several steps of one event, of those of late.
    async fn event(&mut self, store: &dyn BillingStore) {
        let number = u64::from(self.receipts / 8) + self.random.below(6);
        let id = EventId::new(format!("evt{number}")).unwrap();
        for _ in 0..4 {
            self.event_step(store, &id).await;
            let expected = self.memory.event(&id).await;
            self.same(expected, store.event(&id).await, &id);
            self.clock += TimeDelta::minutes(1);
        }
    }

    async fn event_step(&mut self, store: &dyn BillingStore, id: &EventId) {
        let random = &mut self.random;
        match random.below(4) {
            0 => {
                let event = NewEvent {
                    id: id.clone(),
                    kind: random.pick(&["invoice.paid", "customer.created"]).to_owned(),
                    livemode: random.one_in(2),
                    object: random.one_in(2).then(|| random.pick(&FEW).to_owned()),
                    customer: random
                        .one_in(2)
                        .then(|| format!("cus{}", u64::from(self.receipts / 16) + random.below(4))),
                    created_at: self.clock - TimeDelta::minutes(random.below(9).cast_signed()),
                    payload: random.pick(&FEW).to_owned(),
                };
                let expected = self.memory.receive_event(&event, self.clock).await;
                self.same(expected, store.receive_event(&event, self.clock).await, &event);
            }
            1 => {
                let until = self.instant(20);
                let expected = self.memory.claim_event(id, until, self.clock).await;
                self.same(expected, store.claim_event(id, until, self.clock).await, id);
            }
            2 => {
                let known = self.memory.event(id).await.unwrap().map_or(0, |known| known.attempts);
                let attempt = if random.one_in(4) { known + 1 } else { known };
                let outcome = match random.below(3) {
                    0 => EventOutcome::Processed,
                    1 => EventOutcome::Ignored("nobody's".to_owned()),
                    _ => EventOutcome::Failed { error: "down".to_owned(), retry_at: self.instant(20) },
                };
                let expected = self.memory.finish_event(id, attempt, &outcome, self.clock).await;
                let actual = store.finish_event(id, attempt, &outcome, self.clock).await;
                self.same(expected, actual, &(id, attempt, outcome));
            }
            _ => {
                let (before, limit) = (self.clock - TimeDelta::days(1), random.index(9) + 1);
                let expected = self.memory.due_events(before, self.clock, limit).await;
                self.same(expected, store.due_events(before, self.clock, limit).await, &before);
            }
        }
    }

    async fn invoice(&mut self, store: &dyn BillingStore) {
        let random = &mut self.random;
        let invoice = Invoice {
            id: InvoiceId::new(format!("in{}", random.below(40))).unwrap(),
            company: company(random.pick(&COMPANIES)),
            subscription: None,
            number: random.one_in(2).then(|| random.pick(&FEW).to_owned()),
            status: random.pick(&["draft", "open", "paid"]).to_owned(),
            billing_reason: None,
            currency: "eur".to_owned(),
            total: random.below(9_000).cast_signed() - 1_000,
            amount_due: 0,
            amount_paid: 0,
            attempt_count: 1,
            next_payment_attempt: None,
            period_start: self.clock,
            period_end: self.clock + TimeDelta::days(30),
            hosted_url: random.one_in(2).then(|| "https://pay.example/in".to_owned()),
            created_at: self.clock - TimeDelta::days(random.below(3).cast_signed()),
        };
        let expected = self.memory.put_invoice(&invoice).await;
        self.same(expected, store.put_invoice(&invoice).await, &invoice);
        let request = PageRequest::first(self.random.index(9) + 1);
        let expected = self.memory.list_invoices(&invoice.company, &request).await.unwrap();
        let actual = store.list_invoices(&invoice.company, &request).await.unwrap();
        assert_eq!(actual.items, expected.items, "{}: list_invoices", self.place);
        self.same_cursor(&expected, &actual);
    }

    async fn plan_features(&mut self, store: &dyn BillingStore) {
        let mut features = Vec::new();
        for name in FEW {
            for of in ["starter", "pro"] {
                if self.random.one_in(2) {
                    let value = self.random.below(9).into();
                    features.push(PlanFeature { plan: plan(of), feature: feature(name), value });
                }
            }
        }
        let expected = self.memory.replace_plan_features(&features).await;
        self.same(expected, store.replace_plan_features(&features).await, &features);
        let expected = self.memory.plan_features().await;
        self.same(expected, store.plan_features().await, &features);
    }

    pub(super) async fn report(&mut self) {
        let store = self.outbox.expect(ASKED);
        match self.random.below(10) {
            0 => {
                let named = ["reports", "queries"].into_iter().filter(|_| !self.random.one_in(4));
                let meters: Vec<_> = named.map(feature).collect();
                let expected = self.memory.bill_meters(&meters).await;
                self.same(expected, store.bill_meters(&meters).await, &meters);
            }
            1..4 => self.claim_usage(store).await,
            4..9 => self.finish_usage(store).await,
            _ => {
                let expected = self.memory.unsettled_usage().await;
                self.same(expected, store.unsettled_usage().await, &"unsettled usage");
            }
        }
    }

    /// The ids of records are random, and those of one batch may be made in any order: they are known by their receipts.
    async fn claim_usage(&mut self, store: &dyn UsageOutbox) {
        let until = self.instant(3_000);
        let expected = self.memory.claim_usage(until, self.clock, usize::MAX >> 1).await.unwrap();
        let actual = store.claim_usage(until, self.clock, usize::MAX >> 1).await.unwrap();
        let (expected, actual) = (by_receipt(expected), by_receipt(actual));
        assert_eq!(actual.len(), expected.len(), "{}: claim_usage", self.place);
        for (expected, actual) in expected.into_iter().zip(actual) {
            let ids = (expected.id.clone(), actual.id.clone());
            assert_eq!(UsageRecord { id: ids.0.clone(), ..actual }, expected, "{}: claim_usage", self.place);
            if !self.records.contains(&ids) {
                self.records.push(ids);
            }
        }
    }

    async fn finish_usage(&mut self, store: &dyn UsageOutbox) {
        if self.records.is_empty() {
            return;
        }
        let (of_memory, of_store) = self.records[self.random.index(self.records.len())].clone();
        let known = self.memory.usage_record(&of_memory).await.unwrap();
        let random = &mut self.random;
        let attempt = known.map_or(0, |known| known.attempts) + u32::from(random.one_in(8));
        let tried_at = random.one_in(2).then_some(self.clock);
        let outcome = match random.below(8) {
            0 => return self.refuse_usage(store).await,
            1..4 => UsageOutcome::Sent,
            4 => UsageOutcome::Refused { why: "too old".to_owned(), tried_at },
            5 => UsageOutcome::Corrected,
            6 => UsageOutcome::Uncorrected("too late".to_owned()),
            _ => UsageOutcome::Failed { error: "down".to_owned(), retry_at: self.instant(3_000), tried_at },
        };
        let expected = self.memory.finish_usage(&of_memory, attempt, &outcome).await;
        let actual = store.finish_usage(&of_store, attempt, &outcome).await;
        self.same(expected, actual, &(&of_memory, attempt, outcome));
        let expected = self.memory.usage_record(&of_memory).await;
        let actual = store
            .usage_record(&of_store)
            .await
            .map(|known| known.map(|known| UsageRecord { id: of_memory.clone(), ..known }));
        self.same(expected, actual, &of_memory);
    }

    async fn refuse_usage(&mut self, store: &dyn UsageOutbox) {
        let (of_memory, of_store) = self.records[self.random.index(self.records.len())].clone();
        let expected = self.memory.refuse_usage(&of_memory, "no").await;
        self.same(expected, store.refuse_usage(&of_store, "no").await, &of_memory);
    }
}

fn by_receipt(mut records: Vec<UsageRecord>) -> Vec<UsageRecord> {
    records.sort_by(|a, b| (&a.company, &a.receipt).cmp(&(&b.company, &b.receipt)));
    records
}
