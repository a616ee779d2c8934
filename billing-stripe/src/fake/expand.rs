//! Puts objects in the place of their ids where that was asked for.

use serde_json::{Value, json};

use super::state::State;

/// Expands `paths`, such as `data.latest_invoice.payments`, in `value`.
pub(super) fn expand(state: &State, value: &mut Value, paths: &[String]) {
    for path in paths {
        let steps: Vec<&str> = path.split('.').collect();
        walk(state, value, &steps);
    }
}

fn walk(state: &State, value: &mut Value, steps: &[&str]) {
    let Some((step, rest)) = steps.split_first() else { return };
    if let Value::Array(items) = value {
        for item in items {
            walk(state, item, steps);
        }
        return;
    }
    if value.get("object").and_then(Value::as_str) == Some("invoice") {
        include(state, value, step);
    }
    let Some(field) = value.get_mut(*step) else { return };
    if let Some(object) = field.as_str().and_then(|id| state.show(id)) {
        *field = object;
    }
    walk(state, field, rest);
}

/// Adds what an invoice shows on demand alone.
fn include(state: &State, invoice: &mut Value, field: &str) {
    let id = invoice.get("id").and_then(Value::as_str).unwrap_or_default();
    let Some(it) = state.invoices.get(id) else { return };
    let added = match field {
        "confirmation_secret" => match &it.intent {
            Some(intent) => {
                json!({"client_secret": format!("{intent}_secret_fake"), "type": "payment_intent"})
            }
            None => Value::Null,
        },
        "payments" => {
            let paid = it.paid_at.is_some();
            let payment = it.intent.as_ref().map(|intent| {
                json!({"id": format!("inpay_{}", it.id), "object": "invoice_payment",
                    "amount_paid": paid.then(|| it.due()), "amount_requested": it.due(), "created": it.created,
                    "currency": it.currency, "invoice": it.id, "is_default": true, "livemode": false,
                    "payment": {"payment_intent": intent, "type": "payment_intent"},
                    "status": if paid { "paid" } else { "open" },
                    "status_transitions": {"canceled_at": null, "paid_at": it.paid_at}})
            });
            let data: Vec<Value> = payment.into_iter().collect();
            json!({"object": "list", "data": data, "has_more": false, "url": "/v1/invoice_payments"})
        }
        _ => return,
    };
    if let Value::Object(fields) = invoice {
        fields.insert(field.to_owned(), added);
    }
}
