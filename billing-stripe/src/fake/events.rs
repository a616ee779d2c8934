//! Events: what happened, in order.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::outbox::Delivery;
use super::params::Params;
use super::refusal::Refusal;
use super::state::State;
use crate::wire::{API_VERSION, identified, time};

/// The request that causes what happens now; none if time does.
#[derive(Clone, Debug, Default)]
pub(super) struct Cause {
    pub(super) request: Option<String>,
    pub(super) key: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredEvent {
    pub(super) id: String,
    pub(super) kind: String,
    created: i64,
    pub(super) body: Value,
    /// Events of the second interface are not in the list of the first.
    thin: bool,
}

identified!(StoredEvent);

impl State {
    /// Records that `kind` happened to `object`, of which `previous` has the values that were replaced.
    pub(super) fn emit(&mut self, kind: &str, object: Value, previous: Option<Value>) {
        let id = self.ids.next("evt");
        let mut data = Map::from_iter([("object".to_owned(), object)]);
        data.extend(previous.map(|previous| ("previous_attributes".to_owned(), previous)));
        let endpoints = self.endpoints_for(kind);
        let body = json!({
            "id": id, "object": "event", "api_version": API_VERSION, "created": self.now, "data": data,
            "livemode": false, "pending_webhooks": endpoints.len(),
            "request": {"id": self.cause.request, "idempotency_key": self.cause.key}, "type": kind,
        });
        self.record(StoredEvent { id, kind: kind.into(), created: self.now, body, thin: false }, endpoints);
    }

    /// Records an event that names its object alone.
    pub(super) fn emit_thin(&mut self, kind: &str, related: (&str, &str, &str), data: &Value) {
        let id = self.ids.next("evt");
        let (object, object_kind, url) = related;
        let body = json!({
            "id": id, "object": "v2.core.event", "context": null, "created": time::at(self.now).to_rfc3339(),
            "data": data, "livemode": false, "reason": null,
            "related_object": {"id": object, "type": object_kind, "url": url}, "type": kind,
        });
        let endpoints = self.endpoints_for(kind);
        self.record(StoredEvent { id, kind: kind.into(), created: self.now, body, thin: true }, endpoints);
    }

    fn record(&mut self, event: StoredEvent, endpoints: Vec<String>) {
        let deliveries = endpoints.into_iter().map(|endpoint| Delivery::new(&event.id, endpoint));
        self.outbox.extend(deliveries);
        self.events.put(event);
    }

    pub(super) fn events_where(&self, params: &Params) -> Result<Vec<Value>, Refusal> {
        let mut kinds = params.texts("types")?;
        kinds.extend(params.text("type")?.map(str::to_owned));
        let created = if params.text("created").is_err() { params.parts("created")? } else { Params::none() };
        let (from, until) = (created.int("gte")?, created.int("lte")?);
        let matches = |kind: &str| kinds.is_empty() || kinds.iter().any(|wanted| covers(wanted, kind));
        let wanted = |event: &&StoredEvent| {
            !event.thin
                && matches(&event.kind)
                && from.is_none_or(|from| event.created >= from)
                && until.is_none_or(|until| event.created <= until)
        };
        Ok(self.events.iter().rev().filter(wanted).map(|event| event.body.clone()).collect())
    }
}

/// Whether the pattern, which may end in `*`, covers `kind`.
pub(super) fn covers(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => kind.starts_with(start),
        None => pattern == kind,
    }
}

/// The values of `before` that are others in `after`; `None` if there are none.
pub(super) fn changed(before: &Value, after: &Value) -> Option<Value> {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let differing = old.iter().filter_map(|(key, value)| {
                let previous = changed(value, new.get(key).unwrap_or(&Value::Null))?;
                Some((key.clone(), previous))
            });
            let added =
                new.keys().filter(|key| !old.contains_key(*key)).map(|key| (key.clone(), Value::Null));
            let all: Map<String, Value> = differing.chain(added).collect();
            (!all.is_empty()).then_some(Value::Object(all))
        }
        (old, new) => (old != new).then(|| old.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::changed;

    #[test]
    fn only_what_was_replaced_is_told() {
        let before = json!({"a": 1, "b": {"c": 2, "d": 3}, "list": [1], "same": true});
        let after = json!({"a": 1, "b": {"c": 9, "d": 3}, "list": [1, 2], "same": true, "new": 5});
        assert_eq!(changed(&before, &after), Some(json!({"b": {"c": 2}, "list": [1], "new": null})));
        assert_eq!(changed(&after, &after), None);
    }
}
