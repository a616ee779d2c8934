//! Webhook endpoints, and the events that wait to be sent to them.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::events::covers;
use super::params::Params;
use super::refusal::Refusal;
use super::state::State;
use crate::wire::{API_VERSION, identified};

/// Where webhooks go.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Endpoint {
    pub(super) id: String,
    pub(super) url: String,
    pub(super) secret: String,
    events: Vec<String>,
    enabled: bool,
    created: i64,
    metadata: BTreeMap<String, String>,
}

identified!(Endpoint);

/// An event that waits to be sent to an endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Delivery {
    pub(super) event: String,
    pub(super) endpoint: String,
    pub(super) attempts: u32,
    #[serde(skip)]
    pub(super) not_before: Option<Instant>,
}

impl Delivery {
    pub(super) fn new(event: &str, endpoint: String) -> Self {
        Self { event: event.to_owned(), endpoint, attempts: 0, not_before: None }
    }
}

impl Endpoint {
    fn show(&self) -> Value {
        json!({
            "id": self.id, "object": "webhook_endpoint", "api_version": API_VERSION, "application": null,
            "created": self.created, "description": null, "enabled_events": self.events, "livemode": false,
            "metadata": self.metadata, "status": if self.enabled { "enabled" } else { "disabled" }, "url": self.url,
        })
    }
}

impl State {
    /// The endpoints that want to hear of `kind`.
    pub(super) fn endpoints_for(&self, kind: &str) -> Vec<String> {
        let wants = |it: &&Endpoint| it.enabled && it.events.iter().any(|pattern| covers(pattern, kind));
        self.endpoints.iter().filter(wants).map(|endpoint| endpoint.id.clone()).collect()
    }

    /// Puts endpoints that hear of everything in the place of those there are. What waits goes to the first of them.
    pub(super) fn replace_endpoints(&mut self, endpoints: Vec<(String, String)>) {
        let before = std::mem::take(&mut self.outbox);
        self.endpoints = super::table::Table::default();
        for (url, secret) in endpoints {
            self.add_endpoint(url, secret);
        }
        let first = self.endpoints.iter().next().map(|endpoint| endpoint.id.clone()).unwrap_or_default();
        for delivery in before {
            if self.outbox.iter().all(|it| it.event != delivery.event) {
                self.outbox.push(Delivery::new(&delivery.event, first.clone()));
            }
        }
    }

    /// Adds an endpoint that hears of everything.
    pub(super) fn add_endpoint(&mut self, url: String, secret: String) {
        let id = self.ids.next("we");
        let (events, metadata) = (vec!["*".to_owned()], BTreeMap::new());
        self.endpoints.put(Endpoint { id, url, secret, events, enabled: true, created: self.now, metadata });
    }

    pub(super) fn create_endpoint(&mut self, params: &Params) -> Result<Value, Refusal> {
        let url = params.required("url")?.to_owned();
        if !url.starts_with("http://127.0.0.1:") && !url.starts_with("http://localhost:") {
            return Err(Refusal::param("url", "The fake sends webhooks to this machine alone."));
        }
        let events = params.texts("enabled_events")?;
        if events.is_empty() {
            return Err(Refusal::missing("enabled_events"));
        }
        let secret = self.ids.next("whsec").replacen("_1", "_", 1);
        let mut metadata = BTreeMap::new();
        params.metadata(&mut metadata)?;
        let id = self.ids.next("we");
        let endpoint = Endpoint { id, url, secret, events, enabled: true, created: self.now, metadata };
        let mut shown = endpoint.show();
        if let Value::Object(fields) = &mut shown {
            fields.insert("secret".into(), endpoint.secret.clone().into());
        }
        self.endpoints.put(endpoint);
        Ok(shown)
    }

    pub(super) fn update_endpoint(&mut self, id: &str, params: &Params) -> Result<Value, Refusal> {
        let endpoint =
            self.endpoints.get_mut(id).ok_or_else(|| Refusal::not_found("webhook endpoint", id))?;
        if let Some(disabled) = params.flag("disabled")? {
            endpoint.enabled = !disabled;
        }
        let events = params.texts("enabled_events")?;
        if !events.is_empty() {
            endpoint.events = events;
        }
        Ok(endpoint.show())
    }

    pub(super) fn delete_endpoint(&mut self, id: &str) -> Result<Value, Refusal> {
        let endpoint =
            self.endpoints.get_mut(id).ok_or_else(|| Refusal::not_found("webhook endpoint", id))?;
        endpoint.enabled = false;
        self.outbox.retain(|delivery| delivery.endpoint != id);
        Ok(json!({"id": id, "object": "webhook_endpoint", "deleted": true}))
    }

    pub(super) fn all_endpoints(&self) -> Vec<Value> {
        self.endpoints.iter().rev().map(Endpoint::show).collect()
    }
}
