//! Which request does what.

use serde_json::{Value, json};

use super::params::Params;
use super::refusal::Refusal;
use super::state::State;

/// Answers one request.
pub(super) fn answer(
    state: &mut State,
    method: &str,
    path: &[&str],
    params: &Params,
) -> Result<Value, Refusal> {
    match path {
        ["v1", rest @ ..] => match method {
            "GET" => get(state, rest, params),
            "POST" => post(state, rest, params),
            "DELETE" => delete(state, rest),
            _ => Err(Refusal::unrecognized(method, &path.join("/"))),
        },
        ["v2", "billing", "meter_events"] if method == "POST" => {
            let mut event = state.create_meter_event(params)?;
            if let Value::Object(fields) = &mut event {
                fields.insert("object".into(), "v2.billing.meter_event".into());
            }
            Ok(event)
        }
        _ => Err(Refusal::unrecognized(method, &path.join("/"))),
    }
}

fn get(state: &State, path: &[&str], params: &Params) -> Result<Value, Refusal> {
    let object = |kind: &str, prefix: &str, id: &str| {
        let right = prefix.is_empty() || id.starts_with(prefix);
        state.show(id).filter(|_| right).ok_or_else(|| Refusal::not_found(kind, id))
    };
    match path {
        ["customers"] => page(state.customers_where(params)?, "/v1/customers", params),
        ["customers", "search"] => {
            let found = state.search_customers(params.required("query")?)?;
            Ok(json!({"object": "search_result", "data": found, "has_more": false, "next_page": null,
                "url": "/v1/customers/search"}))
        }
        ["customers", id] => object("customer", "cus_", id),
        ["customers", id, "payment_methods"] => page(state.methods_of(id), "/v1/payment_methods", params),
        ["payment_methods"] => page(
            state.methods_of(params.text("customer")?.unwrap_or_default()),
            "/v1/payment_methods",
            params,
        ),
        ["payment_methods", id] | ["customers", _, "payment_methods", id] => {
            object("PaymentMethod", "pm_", id)
        }
        ["products"] => {
            let all = state.products.iter().rev().map(super::goods::Product::show).collect();
            page(all, "/v1/products", params)
        }
        ["products", id] => {
            let found = state.products.get(id).map(super::goods::Product::show);
            found.ok_or_else(|| Refusal::not_found("product", id))
        }
        ["prices"] => page(state.prices_where(params)?, "/v1/prices", params),
        ["prices", id] => {
            let found = state.prices.get(id).map(super::goods::Price::show);
            found.ok_or_else(|| Refusal::not_found("price", id))
        }
        ["subscriptions"] => page(state.subscriptions_where(params)?, "/v1/subscriptions", params),
        ["subscriptions", id] => object("subscription", "sub_", id),
        ["subscription_items"] => {
            let it = state.find_subscription(params.required("subscription")?)?;
            let items = it.items.iter().map(|item| state.show_item(item, &it.id)).collect();
            page(items, "/v1/subscription_items", params)
        }
        ["invoices"] => page(state.invoices_where(params)?, "/v1/invoices", params),
        ["invoices", id] => Ok(state.show_invoice(&state.find_invoice(id)?)),
        ["payment_intents", id] => {
            state.show_intent(id).ok_or_else(|| Refusal::not_found("payment_intent", id))
        }
        ["events"] => page(state.events_where(params)?, "/v1/events", params),
        ["events", id] => {
            let found = state.events.get(id).map(|event| event.body.clone());
            found.ok_or_else(|| Refusal::not_found("event", id))
        }
        ["billing", "meters"] => page(state.all_meters(), "/v1/billing/meters", params),
        ["billing", "meters", id] => state.show_meter(id),
        ["billing", "meters", id, "event_summaries"] => {
            page(state.meter_summaries(id, params)?, "/v1/billing/meters", params)
        }
        ["webhook_endpoints"] => page(state.all_endpoints(), "/v1/webhook_endpoints", params),
        ["balance"] => Ok(json!({"object": "balance", "available": [], "livemode": false, "pending": []})),
        ["account"] => {
            Ok(json!({"id": "acct_1Fake", "object": "account", "country": "US", "livemode": false,
            "settings": {"dashboard": {"display_name": "Fake", "timezone": "Etc/UTC"}}}))
        }
        _ => Err(Refusal::unrecognized("GET", &path.join("/"))),
    }
}

fn post(state: &mut State, path: &[&str], params: &Params) -> Result<Value, Refusal> {
    match path {
        ["customers"] => state.create_customer(params),
        ["customers", id] => state.update_customer(id, params),
        ["payment_methods"] => state.create_payment_method(params),
        ["payment_methods", id, "attach"] => state.attach_payment_method(id, params),
        ["payment_methods", id, "detach"] => state.detach_payment_method(id),
        ["products"] => state.create_product(params),
        ["prices"] => state.create_price(params),
        ["prices", id] => state.update_price(id, params),
        ["subscriptions"] => state.create_subscription(params),
        ["subscriptions", id] => state.update_subscription(id, params),
        ["subscriptions", id, "pause"] => state.pause_subscription(id, params),
        ["subscriptions", id, "resume"] => state.resume_subscription(id, params),
        ["subscription_items", id] => state.update_item(id, params),
        ["invoices"] => state.create_invoice(params),
        ["invoices", id] => state.update_invoice(id, params),
        ["invoices", id, action] => state.act_on_invoice(id, action, params),
        ["invoiceitems"] => state.create_invoice_item(params),
        ["payment_intents", id, "confirm"] => state.confirm_intent(id, params),
        ["billing_portal", "sessions"] => state.create_visit(params),
        ["billing", "meters"] => state.create_meter(params),
        ["billing", "meter_events"] => state.create_meter_event(params),
        ["billing", "meter_event_adjustments"] => state.cancel_meter_event(params),
        ["webhook_endpoints"] => state.create_endpoint(params),
        ["webhook_endpoints", id] => state.update_endpoint(id, params),
        _ => Err(Refusal::unrecognized("POST", &path.join("/"))),
    }
}

fn delete(state: &mut State, path: &[&str]) -> Result<Value, Refusal> {
    match path {
        ["customers", id] => state.delete_customer(id),
        ["subscriptions", id] => state.cancel_subscription(id),
        ["invoices", id] => state.delete_invoice(id),
        ["invoiceitems", id] => state.delete_invoice_item(id),
        ["webhook_endpoints", id] => state.delete_endpoint(id),
        _ => Err(Refusal::unrecognized("DELETE", &path.join("/"))),
    }
}

/// The page of `all`, which are newest first, that the parameters ask for.
fn page(all: Vec<Value>, url: &str, params: &Params) -> Result<Value, Refusal> {
    let limit = params.count("limit")?.unwrap_or(10);
    if !(1..=100).contains(&limit) {
        return Err(Refusal::param("limit", "This value must be between 1 and 100."));
    }
    let limit = usize::try_from(limit).unwrap_or(100);
    let place = |id: &str| all.iter().position(|object| object.get("id").and_then(Value::as_str) == Some(id));
    let (after, before) = (params.text("starting_after")?, params.text("ending_before")?);
    let unknown = |id: &str, param: &str| Refusal::no_such("object", id, param);
    let (start, end) = match (after, before) {
        (Some(after), _) => {
            let place = place(after).ok_or_else(|| unknown(after, "starting_after"))?;
            (place + 1, all.len())
        }
        (None, Some(before)) => {
            let place = place(before).ok_or_else(|| unknown(before, "ending_before"))?;
            (place.saturating_sub(limit), place)
        }
        (None, None) => (0, all.len()),
    };
    let more = if before.is_some() && after.is_none() { start > 0 } else { end - start > limit };
    let data: Vec<Value> = all.into_iter().skip(start).take((end - start).min(limit)).collect();
    Ok(json!({"object": "list", "data": data, "has_more": more, "url": url}))
}

impl State {
    fn methods_of(&self, customer: &str) -> Vec<Value> {
        let mine = self.payment_methods.iter().rev().filter(|it| it.customer.as_deref() == Some(customer));
        mine.map(super::customers::PaymentMethod::show).collect()
    }

    fn update_item(&mut self, id: &str, params: &Params) -> Result<Value, Refusal> {
        let found = self.subscriptions.iter().find(|it| it.items.iter().any(|item| item.id == id));
        let subscription = found.map(|it| it.id.clone());
        let subscription = subscription.ok_or_else(|| Refusal::not_found("subscription_item", id))?;
        let mut item = vec![("id", Some(id))];
        for key in ["price", "quantity"] {
            item.push((key, params.text(key)?));
        }
        let mut pairs: Vec<String> = Vec::new();
        let escaped = crate::form::escaped;
        for (key, text) in item {
            pairs.extend(text.map(|text| format!("items[0][{key}]={}", escaped(text))));
        }
        for key in ["proration_behavior", "proration_date", "payment_behavior"] {
            pairs.extend(params.text(key)?.map(|text| format!("{key}={}", escaped(text))));
        }
        let form = pairs.join("&");
        self.update_subscription(&subscription, &Params::decode(&form)?)?;
        let it = self.find_subscription(&subscription)?;
        let item = it.items.iter().find(|item| item.id == id);
        item.map(|item| self.show_item(item, &it.id))
            .ok_or_else(|| Refusal::not_found("subscription_item", id))
    }
}
