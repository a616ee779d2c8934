//! Cases about what billing keeps.

mod customers;
mod events;
mod locks;
mod operations;
mod records;

use chrono::{DateTime, TimeDelta, Utc};

use super::fixtures::{at, company, facts, now, subscription, subscription_id};
use crate::billing::{Begun, BillingLock, BillingStore, Customer, Invoice, NewEvent, Operation};
use crate::id::{CustomerId, EventId, InvoiceId, OperationId};
use crate::store::{PageRequest, Store};

pub use customers::*;
pub use events::*;
pub use locks::*;
pub use operations::*;
pub use records::*;

fn customer(id: &str, of: &str) -> Customer {
    Customer {
        id: CustomerId::new(id).unwrap(),
        company: company(of),
        livemode: false,
        created_at: now(),
        deleted_at: None,
    }
}

fn event(id: &str) -> NewEvent {
    NewEvent {
        id: event_id(id),
        kind: "invoice.paid".to_owned(),
        livemode: false,
        object: Some("in_1".to_owned()),
        customer: Some("cus_of_in_1".to_owned()),
        created_at: at("2026-11-07T08:59:59Z"),
        payload: "{\"id\": \"é\\u0000\"}".to_owned(),
    }
}

fn event_id(id: &str) -> EventId {
    EventId::new(id).unwrap()
}

fn operation(id: &str, of: &str, arguments: &str) -> Operation {
    Operation {
        id: OperationId::new(id).unwrap(),
        company: company(of),
        kind: "create_subscription".to_owned(),
        arguments: arguments.to_owned(),
        begun_at: now(),
    }
}

fn invoice(id: &str, of: &str) -> Invoice {
    Invoice {
        id: InvoiceId::new(id).unwrap(),
        company: company(of),
        subscription: Some(subscription_id("sub_1")),
        number: Some("F-0001".to_owned()),
        status: "open".to_owned(),
        billing_reason: Some("subscription_cycle".to_owned()),
        currency: "eur".to_owned(),
        total: 4_900,
        amount_due: 4_900,
        amount_paid: 0,
        attempt_count: 1,
        next_payment_attempt: Some(at("2026-11-10T00:00:00Z")),
        period_start: at("2026-11-01T00:00:00Z"),
        period_end: at("2026-12-01T00:00:00Z"),
        hosted_url: Some("https://pay.example/in_1".to_owned()),
        created_at: now(),
    }
}

fn in_seconds(seconds: i64) -> DateTime<Utc> {
    now() + TimeDelta::seconds(seconds)
}

async fn locked(store: &impl BillingStore, of: &str, from: DateTime<Utc>) -> BillingLock {
    let until = from + TimeDelta::seconds(30);
    store.lock(&company(of), until, from).await.unwrap().expect("the lock is free")
}

/// Ids with separators, in any case and any normal form, name what they name and nothing else.
pub async fn hostile_billing_ids_never_mix(store: &(impl Store + BillingStore)) {
    let names = super::hostile::hostile_ids();
    for name in &names {
        store.insert_customer(&customer(name, name)).await.unwrap();
        store.receive_event(&event(name), now()).await.unwrap();
        store.put_invoice(&invoice(name, name)).await.unwrap();
        assert_eq!(store.begin_operation(&operation(name, name, name)).await.unwrap(), Begun::Now);
    }
    let mut first = None;
    for name in &names {
        assert_eq!(store.customer_of(&company(name)).await.unwrap(), Some(customer(name, name)));
        assert_eq!(store.event(&event_id(name)).await.unwrap().unwrap().event, event(name));
        let page = store.list_invoices(&company(name), &PageRequest::first(10)).await.unwrap();
        assert_eq!(page.items, [invoice(name, name)]);
        // All of them are held at once, and each for the first time.
        let lock = locked(store, name, now()).await;
        assert_eq!(lock.fence, *first.get_or_insert(lock.fence));
        let put = subscription(name, name);
        assert!(store.put_synced_subscription(&lock, &put, now()).await.unwrap().is_some());
        assert_eq!(facts(store, name).await.subscriptions, [put]);
    }
}
