//! What Stripe sends is read, whatever else it may send.

#![expect(clippy::unwrap_used, reason = "helpers of tests stop at the first surprise, as tests do")]

use billing_stripe::wire::{
    BillingReason, Customer, Event, Expandable, Invoice, InvoiceStatus, List, Meter, MeterEvent,
    PaymentMethod, PortalSession, Price, Subscription, UsageType,
};
use entitlements_core::SubscriptionStatus;
use serde_json::{Value, json};

fn subscription() -> Value {
    let text = r#"{
        "id": "sub_a", "object": "subscription", "customer": "cus_a", "status": "active", "created": 1767225600,
        "start_date": 1767225600, "billing_cycle_anchor": 1767225600, "cancel_at": null,
        "cancel_at_period_end": false, "canceled_at": null, "ended_at": null, "latest_invoice": "in_a",
        "livemode": false, "metadata": {"company": "acme"}, "trial_end": null, "pause_collection": null,
        "billing_mode": {"type": "flexible"},
        "items": {"object": "list", "has_more": false, "url": "/v1/subscription_items", "data": [{
            "id": "si_a", "object": "subscription_item", "quantity": 3, "created": 1767225600,
            "current_period_start": 1767225600, "current_period_end": 1769904000,
            "price": {"id": "price_a", "object": "price", "active": true, "currency": "eur", "lookup_key": null,
                "unit_amount": 2900, "product": "prod_a", "metadata": {},
                "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"}}
        }]}
    }"#;
    serde_json::from_str(text).unwrap()
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_subscription_says_its_period_on_its_items() {
    let read: Subscription = read(subscription());
    let item = &read.items.data[0];
    assert_eq!(item.current_period_end.unwrap().to_rfc3339(), "2026-02-01T00:00:00+00:00");
    assert_eq!((item.quantity, item.price.id.as_str()), (Some(3), "price_a"));
    assert_eq!(read.status, SubscriptionStatus::Active);
    assert_eq!(read.customer.id(), "cus_a");
    assert_eq!(read.current_period_end, None);
}

#[test]
fn a_subscription_of_an_old_version_says_its_period_itself() {
    let mut old = subscription();
    old["current_period_start"] = json!(1_767_225_600);
    old["current_period_end"] = json!(1_769_904_000);
    let read: Subscription = read(old);
    assert_eq!(read.current_period_end.unwrap().timestamp(), 1_769_904_000);
}

#[test]
fn an_unknown_status_keeps_its_word() {
    let mut grown = subscription();
    grown["status"] = json!("hibernating");
    grown["brand_new"] = json!({"deep": [1, 2]});
    grown["items"]["data"][0]["price"]["recurring"]["usage_type"] = json!("guessed");
    let read: Subscription = read(grown);
    assert_eq!(read.status.as_str(), "hibernating");
    let recurring = read.items.data[0].price.recurring.as_ref().unwrap();
    assert_eq!(recurring.usage_type, Some(UsageType::Other("guessed".into())));
}

#[test]
fn absent_and_null_mean_the_same() {
    let bare: Subscription =
        read(json!({"id": "sub_a", "customer": "cus_a", "status": "active", "created": 0}));
    let nulls: Subscription = read(json!({
        "id": "sub_a", "customer": "cus_a", "status": "active", "created": 0, "metadata": null, "items": null,
        "start_date": null, "latest_invoice": null, "default_payment_method": null,
    }));
    assert_eq!(bare, nulls);
}

#[test]
fn a_scheduled_end_is_seen_in_either_form() {
    let with = |at: Value, flag: bool, ended: Value| {
        let mut value = subscription();
        value["cancel_at"] = at;
        value["cancel_at_period_end"] = json!(flag);
        value["ended_at"] = ended;
        read::<Subscription>(value).is_canceling()
    };
    assert!(with(json!(1_769_904_000), false, json!(null)), "as the portal says it");
    assert!(with(json!(null), true, json!(null)), "as old versions say it");
    assert!(!with(json!(null), false, json!(null)));
    assert!(!with(json!(1_769_904_000), true, json!(1_769_904_000)), "it has ended");
}

#[test]
fn an_expandable_field_is_an_id_an_object_or_what_is_left() {
    let whole = json!({"id": "cus_a", "object": "customer", "created": 5, "email": "a@example.com"});
    let with = |customer: Value| {
        let mut value = subscription();
        value["customer"] = customer;
        read::<Subscription>(value).customer
    };
    assert_eq!(with(json!("cus_a")), Expandable::Id("cus_a".into()));
    let expanded = with(whole);
    assert_eq!(expanded.object().and_then(|customer| customer.email.as_deref()), Some("a@example.com"));
    let gone = with(json!({"id": "cus_a", "object": "customer", "deleted": true}));
    assert!(matches!(&gone, Expandable::Deleted { .. }), "{gone:?}");
    assert_eq!(gone.id(), "cus_a");
}

#[test]
fn a_customer_names_what_pays_its_invoices() {
    let customer: Customer = read(json!({
        "id": "cus_a", "object": "customer", "created": 5, "metadata": {"company": "acme"},
        "invoice_settings": {"default_payment_method": "pm_a", "footer": null}, "livemode": false,
    }));
    assert_eq!(customer.invoice_settings.default_payment_method.unwrap().id(), "pm_a");
    let gone: Customer = read(json!({"id": "cus_a", "object": "customer", "deleted": true}));
    assert!(gone.deleted);
}

fn invoice() -> Value {
    json!({
        "id": "in_a", "object": "invoice", "customer": "cus_a", "status": "open", "created": 1_767_225_600,
        "billing_reason": "subscription_cycle", "currency": "eur", "amount_due": 2900, "amount_paid": 0,
        "amount_remaining": 2900, "total": 2900, "attempt_count": 1, "next_payment_attempt": 1_767_484_800,
        "status_transitions": {"finalized_at": 1_767_229_200, "paid_at": null},
        "lines": {"data": [{"id": "il_a", "amount": 2900, "quantity": 1, "description": "1 × Pro"}]},
    })
}

#[test]
fn an_invoice_names_its_subscription_in_the_new_place() {
    let mut value = invoice();
    value["parent"] = json!({"type": "subscription_details", "quote_details": null,
        "subscription_details": {"subscription": "sub_a", "metadata": {"company": "acme"}}});
    let invoice: Invoice = read(value);
    assert_eq!(invoice.subscription(), Some("sub_a"));
    assert_eq!(invoice.subscription_metadata().unwrap()["company"], "acme");
    assert_eq!(invoice.status, Some(InvoiceStatus::Open));
    assert_eq!(invoice.billing_reason, Some(BillingReason::SubscriptionCycle));
    assert_eq!(invoice.status_transitions.finalized_at.unwrap().timestamp(), 1_767_229_200);
}

#[test]
fn an_invoice_names_its_subscription_in_the_old_place() {
    let mut value = invoice();
    value["subscription"] = json!("sub_a");
    assert_eq!(read::<Invoice>(value).subscription(), Some("sub_a"));
    assert_eq!(read::<Invoice>(invoice()).subscription(), None);
}

#[test]
fn an_event_is_read_for_the_names_in_it_alone() {
    let event = json!({
        "id": "evt_a", "object": "event", "type": "customer.subscription.updated", "created": 1_767_225_600,
        "api_version": "2020-08-27", "livemode": true, "pending_webhooks": 1,
        "request": {"id": "req_a", "idempotency_key": "op_1"},
        "data": {"object": {"id": "sub_a", "object": "subscription", "customer": {"id": "cus_a"}, "status": 5},
            "previous_attributes": {"status": "trialing"}},
    });
    let event = Event::from_slice(event.to_string().as_bytes()).unwrap();
    assert_eq!((event.id(), event.kind()), ("evt_a", "customer.subscription.updated"));
    assert_eq!((event.object_id(), event.customer_id()), (Some("sub_a"), Some("cus_a")));
    assert!(event.livemode());
    let Event::V1(event) = event else { panic!("a thin event") };
    assert_eq!(event.previous_attributes(), Some(r#"{"status":"trialing"}"#));
    assert_eq!(event.request.unwrap().idempotency_key.as_deref(), Some("op_1"));
}

#[test]
fn an_event_about_a_customer_names_it() {
    let event = json!({"id": "evt_a", "object": "event", "type": "customer.deleted", "created": 0, "request": "req_old",
        "data": {"object": {"id": "cus_a", "object": "customer"}}});
    let event = Event::from_slice(event.to_string().as_bytes()).unwrap();
    assert_eq!(event.customer_id(), Some("cus_a"));
}

#[test]
fn a_thin_event_is_no_failure() {
    let event = json!({"id": "evt_a", "object": "v2.core.event", "livemode": false, "reason": null,
        "type": "v1.billing.meter.error_report_triggered", "created": "2026-01-01T00:00:00.250Z", "context": null,
        "related_object": {"id": "mtr_a", "type": "billing.meter", "url": "/v1/billing/meters/mtr_a"}});
    let event = Event::from_slice(event.to_string().as_bytes()).unwrap();
    assert_eq!((event.object_id(), event.customer_id()), (Some("mtr_a"), None));
    assert_eq!(event.created().timestamp(), 1_767_225_600);
}

#[test]
fn what_is_no_event_is_refused() {
    for body in ["", "[]", "{}", "null", r#"{"object": "customer", "id": "cus_a"}"#, r#"{"object": "event"}"#]
    {
        assert!(Event::from_slice(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn the_smaller_objects_are_read() {
    let price: Price =
        read(json!({"id": "pro-monthly", "active": true, "unit_amount": null, "lookup_key": "pro",
        "product": {"id": "prod_a", "name": "Pro"}, "recurring": {"interval": "month"}}));
    let recurring = price.recurring.unwrap();
    assert_eq!(recurring.interval(), Some(entitlements_core::period::Interval::Month));
    let method: PaymentMethod =
        read(json!({"id": "pm_a", "type": "card", "card": {"brand": "visa", "last4": "4242"}}));
    assert_eq!(method.card.unwrap().last4.as_deref(), Some("4242"));
    let portal: PortalSession =
        read(json!({"id": "bps_a", "url": "https://portal.example", "customer": "cus_a"}));
    assert_eq!(portal.url, "https://portal.example");
    let meter: Meter = read(json!({"id": "mtr_a", "event_name": "tokens", "status": "active"}));
    assert_eq!(meter.event_name, "tokens");
    let event: MeterEvent = read(json!({"event_name": "tokens", "identifier": "u1", "timestamp": 5,
        "payload": {"stripe_customer_id": "cus_a", "value": "12"}}));
    assert_eq!(event.payload["value"], "12");
    let list: List<Price> = read(json!({"object": "list", "data": []}));
    assert!(!list.has_more);
}
