//! What is written down for people: invoices, and what plans include; and what is left of an erased company.

use serde_json::json;

use super::events::claimed;
use super::{customer, event, event_id, in_seconds, invoice, operation};
use crate::billing::{BillingStore, EventOutcome, EventState, Invoice, NewEvent, PlanFeature, Received};
use crate::id::CustomerId;
use crate::store::{PageRequest, Store, StoreErrorKind};
use crate::testkit::fixtures::{company, feature, now, plan, subscription};

/// An invoice comes back with every field, and is replaced by its id.
pub async fn an_invoice_is_replaced_by_its_id(store: &(impl Store + BillingStore)) {
    let bare = Invoice {
        subscription: None,
        number: None,
        billing_reason: None,
        next_payment_attempt: None,
        hosted_url: None,
        total: -1,
        amount_due: i64::MIN,
        amount_paid: i64::MAX,
        ..invoice("in_1", "acme")
    };
    for put in [invoice("in_1", "acme"), bare] {
        store.put_invoice(&put).await.unwrap();
        let page = store.list_invoices(&company("acme"), &PageRequest::first(10)).await.unwrap();
        assert_eq!((page.items, page.next), (vec![put], None));
    }
    let stolen = store.put_invoice(&invoice("in_1", "other")).await.unwrap_err();
    assert_eq!(stolen.kind(), StoreErrorKind::Unsupported);
    let page = store.list_invoices(&company("other"), &PageRequest::first(10)).await.unwrap();
    assert_eq!(page.items, []);
}

/// Invoices are listed newest first, page by page, and a new one does not move the next page.
pub async fn pages_of_invoices_follow_each_other(store: &(impl Store + BillingStore)) {
    let place = |id: &str, seconds| Invoice { created_at: in_seconds(seconds), ..invoice(id, "acme") };
    for put in [place("a:1", 3), place("b", 3), place("c", 1), place("d", 2), place("e", -1_000_000_000_000)]
    {
        store.put_invoice(&put).await.unwrap();
    }
    store.put_invoice(&invoice("z", "other")).await.unwrap();
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let request = PageRequest { limit: 2, cursor };
        let page = store.list_invoices(&company("acme"), &request).await.unwrap();
        assert!(!page.items.is_empty() && page.items.len() <= 2);
        seen.extend(page.items.into_iter().map(|invoice| invoice.id.as_str().to_owned()));
        store.put_invoice(&place(&format!("new {}", seen.len()), 100)).await.unwrap();
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["b", "a:1", "d", "c", "e"]);
    for cursor in ["", "x", "1", ":a", "1:"] {
        let request = PageRequest { limit: 2, cursor: Some(cursor.to_owned()) };
        let error = store.list_invoices(&company("acme"), &request).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{cursor}");
    }
}

/// What is written down about plans is replaced as a whole, and read in order.
pub async fn plan_features_are_replaced_as_a_whole(store: &(impl Store + BillingStore)) {
    let row = |of: &str, name: &str, value| PlanFeature { plan: plan(of), feature: feature(name), value };
    assert_eq!(store.plan_features().await.unwrap(), []);
    let rows =
        [row("pro", "a", json!(true)), row("basic", "b", json!({"limit": 5})), row("basic", "B", json!(1.5))];
    store.replace_plan_features(&rows).await.unwrap();
    let [pro, b, capital] = rows;
    assert_eq!(store.plan_features().await.unwrap(), [capital, b, pro.clone()]);
    store.replace_plan_features(std::slice::from_ref(&pro)).await.unwrap();
    assert_eq!(store.plan_features().await.unwrap(), [pro]);
    store.replace_plan_features(&[]).await.unwrap();
    assert_eq!(store.plan_features().await.unwrap(), []);
}

/// What an event says of a customer goes with the company, and so does what arrives afterwards; that it arrived stays.
pub async fn an_erasure_empties_the_events_of_its_customers(store: &(impl Store + BillingStore)) {
    let of = |name: &str, customer: Option<&str>| NewEvent {
        customer: customer.map(str::to_owned),
        payload: format!("{{\"email\": \"ann@{name}.test\"}}"),
        ..event(name)
    };
    for name in ["acme", "other"] {
        store.insert_customer(&customer(&format!("cus_{name}"), name)).await.unwrap();
    }
    let events = [
        of("done", Some("cus_acme")),
        of("open", Some("cus_acme")),
        of("others", Some("cus_other")),
        of("strangers", Some("cus_stranger")),
        of("nobodys", None),
    ];
    for event in &events {
        store.receive_event(event, now()).await.unwrap();
    }
    let claimed = claimed(store, "done", now()).await;
    let why = EventOutcome::Ignored("ann@done.test".to_owned());
    store.finish_event(&claimed.event.id, claimed.attempts, &why, now()).await.unwrap();
    store.erase(&company("acme"), now()).await.unwrap().unwrap();
    let late = of("late", Some("cus_acme"));
    assert_eq!(store.receive_event(&late, in_seconds(1)).await.unwrap(), Received::Now);
    for event in events.into_iter().chain([late]) {
        let known = store.event(&event.id).await.unwrap().unwrap();
        let emptied = event.customer.as_deref() == Some("cus_acme");
        let payload = if emptied { String::new() } else { event.payload.clone() };
        assert_eq!(known.note, None);
        assert_eq!(known.event, NewEvent { payload, ..event });
    }
    // What is open still is worked on, once.
    assert_eq!(self::claimed(store, "open", in_seconds(2)).await.attempts, 1);
    assert_eq!(store.event(&event_id("done")).await.unwrap().unwrap().state, EventState::Ignored);
}

/// What billing keeps about an erased company goes; its invoices and its customer stay, and are nobody's.
pub async fn an_erasure_keeps_nothing_but_invoices_and_customers(store: &(impl Store + BillingStore)) {
    for name in ["acme", "other"] {
        store.insert_customer(&customer(&format!("cus_{name}"), name)).await.unwrap();
        store.begin_operation(&operation(&format!("op_{name}"), name, "pro")).await.unwrap();
        store.put_invoice(&invoice(&format!("in_{name}"), name)).await.unwrap();
    }
    let lock = store.lock(&company("acme"), in_seconds(30), now()).await.unwrap().unwrap();
    assert!(store.erase(&company("acme"), now()).await.unwrap().is_some());
    // Who was about to write something about it no longer can.
    let late = subscription("sub_1", "acme");
    assert_eq!(store.put_synced_subscription(&lock, &late, now()).await.unwrap(), None);
    // Nor can they when somebody else locks the company again.
    let again = store.lock(&company("acme"), in_seconds(31), in_seconds(1)).await.unwrap().unwrap();
    assert_eq!(store.put_synced_subscription(&lock, &late, in_seconds(1)).await.unwrap(), None);
    store.unlock(&again).await.unwrap();
    // What the provider says of the customer from now on is nobody's.
    let customer = store.customer(&CustomerId::new("cus_acme").unwrap()).await.unwrap().unwrap();
    assert!(customer.company.as_str().starts_with(crate::audit::PSEUDONYM), "{customer:?}");
    assert_eq!(customer.deleted_at, Some(now()));
    assert_eq!(store.customer_of(&company("acme")).await.unwrap(), None);
    let all = PageRequest::first(10);
    assert_eq!(store.list_invoices(&company("acme"), &all).await.unwrap().items, []);
    assert_eq!(store.erase(&company("acme"), now()).await.unwrap(), None);
    // The id is still taken: by the invoice that stayed.
    let again = store.put_invoice(&invoice("in_acme", "acme")).await.unwrap_err();
    assert_eq!(again.kind(), StoreErrorKind::Unsupported);
    assert!(store.customer_of(&company("other")).await.unwrap().is_some());
    assert_eq!(
        store.list_invoices(&company("other"), &all).await.unwrap().items,
        [invoice("in_other", "other")]
    );
}
