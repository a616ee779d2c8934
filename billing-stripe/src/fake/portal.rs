//! The customer portal: a session, and a page on which a subscription is cancelled and kept.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::params::Params;
use super::refusal::Refusal;
use super::state::State;
use crate::wire::{identified, time};

/// A session of the portal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Visit {
    pub(super) id: String,
    customer: String,
    return_url: Option<String>,
    created: i64,
}

identified!(Visit);

impl State {
    pub(super) fn create_visit(&mut self, params: &Params) -> Result<Value, Refusal> {
        params.only(&["customer", "return_url", "configuration", "flow_data", "locale", "on_behalf_of"])?;
        let customer = params.required("customer")?.to_owned();
        self.customer_of(&customer, "customer")?;
        let return_url = params.text("return_url")?.filter(|url| !url.is_empty()).map(str::to_owned);
        if return_url.as_ref().is_some_and(|url| !url.starts_with("https://") && !url.starts_with("http://"))
        {
            return Err(Refusal::param("return_url", "Not a valid URL"));
        }
        let visit = Visit { id: self.ids.next("bps"), customer, return_url, created: self.now };
        let shown = json!({
            "id": visit.id, "object": "billing_portal.session", "configuration": "bpc_1Fake",
            "created": visit.created, "customer": visit.customer, "customer_account": null, "flow": null,
            "livemode": false, "locale": null, "on_behalf_of": null, "return_url": visit.return_url,
            "url": format!("{}/p/session/{}", self.address, visit.id),
        });
        self.visits.put(visit);
        self.emit("billing_portal.session.created", shown.clone(), None);
        Ok(shown)
    }

    /// The page of the session.
    pub(super) fn portal_page(&self, id: &str) -> Option<String> {
        let visit = self.visits.get(id)?;
        let rows: Vec<String> = self
            .subscriptions
            .iter()
            .filter(|it| it.customer == visit.customer && it.is_live())
            .map(|it| {
                let names: Vec<String> = it.items.iter().map(|item| self.name_of(&item.price)).collect();
                let (action, label, until) = match it.cancel_at {
                    Some(at) => ("keep", "Keep it", format!(", ends {}", time::at(at).date_naive())),
                    None => ("cancel", "Cancel", String::new()),
                };
                format!(
                    "<li>{} ({}{until}) <form method=\"post\" action=\"/p/session/{id}/{action}/{}\">\
                     <button>{label}</button></form></li>",
                    text(&names.join(", ")),
                    text(it.status.as_str()),
                    text(&it.id),
                )
            })
            .collect();
        let back = visit.return_url.as_ref().map(|url| format!("<a href=\"{}\">Back</a>", text(url)));
        let back = back.unwrap_or_default();
        Some(format!(
            "<!doctype html><meta charset=\"utf-8\"><title>Billing</title><h1>Billing (fake)</h1><ul>{}</ul>{back}",
            rows.concat()
        ))
    }

    /// What a button on the page does. The portal says only when the subscription ends.
    pub(super) fn portal_action(&mut self, visit: &str, action: &str, subscription: &str) -> Option<()> {
        let visit = self.visits.get(visit)?;
        let mut it = self.subscriptions.get(subscription).cloned()?;
        if it.customer != visit.customer || !it.is_live() {
            return None;
        }
        let end = (action == "cancel").then(|| it.period_end());
        it.cancel_at = end;
        it.cancel_at_period_end = false;
        it.canceled_at = end.map(|_| self.now);
        it.cancel_reason = end.map(|_| "cancellation_requested".to_owned());
        self.put_changed(it);
        Some(())
    }
}

/// The text, so that it cannot become markup.
fn text(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
