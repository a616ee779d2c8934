//! Meters and the usage that is reported to them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::params::Params;
use super::refusal::Refusal;
use super::state::State;
use super::subscriptions::{Item, Subscription};
use crate::wire::identified;

const DAY: i64 = 86_400;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Meter {
    pub(super) id: String,
    event_name: String,
    display_name: String,
    created: i64,
}

/// One report of usage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Reported {
    event_name: String,
    customer: String,
    value: u64,
    identifier: String,
    timestamp: i64,
    received: i64,
    counted: bool,
}

identified!(Meter);

impl Meter {
    fn show(&self) -> Value {
        json!({
            "id": self.id, "object": "billing.meter", "created": self.created,
            "customer_mapping": {"event_payload_key": "stripe_customer_id", "type": "by_id"},
            "default_aggregation": {"formula": "sum"}, "display_name": self.display_name,
            "event_name": self.event_name, "event_time_window": null, "livemode": false, "status": "active",
            "status_transitions": {"deactivated_at": null}, "updated": self.created,
            "value_settings": {"event_payload_key": "value"},
        })
    }
}

/// What an event says of a report that cannot be counted.
fn not_counted(summary: &str, code: &str, identifier: &str) -> Value {
    json!({"developer_message_summary": summary, "reason": {"error_count": 1, "error_types": [{
        "code": code, "error_count": 1,
        "sample_errors": [{"error_message": summary, "request": {"identifier": identifier}}]}]}})
}

impl State {
    pub(super) fn create_meter(&mut self, params: &Params) -> Result<Value, Refusal> {
        let event_name = params.required("event_name")?.to_owned();
        if self.meters.iter().any(|meter| meter.event_name == event_name) {
            return Err(Refusal::state("An active meter with this event name already exists."));
        }
        let display_name = params.required("display_name")?.to_owned();
        let meter = Meter { id: self.ids.next("mtr"), event_name, display_name, created: self.now };
        let shown = meter.show();
        self.meters.put(meter);
        self.emit("billing.meter.created", shown.clone(), None);
        Ok(shown)
    }

    pub(super) fn all_meters(&self) -> Vec<Value> {
        self.meters.iter().rev().map(Meter::show).collect()
    }

    pub(super) fn show_meter(&self, id: &str) -> Result<Value, Refusal> {
        self.meters.get(id).map(Meter::show).ok_or_else(|| Refusal::not_found("meter", id))
    }

    pub(super) fn create_meter_event(&mut self, params: &Params) -> Result<Value, Refusal> {
        let event_name = params.required("event_name")?.to_owned();
        let payload = params.parts("payload")?;
        let customer = payload.required("stripe_customer_id")?.to_owned();
        let value = payload.count("value")?.ok_or_else(|| Refusal::missing("payload[value]"))?;
        let identifier = match params.text("identifier")? {
            Some(identifier) if identifier.len() > 100 => {
                return Err(Refusal::param("identifier", "Invalid string: must be at most 100 characters"));
            }
            Some(identifier) => identifier.to_owned(),
            None => self.ids.next("mevt"),
        };
        let timestamp = params.int("timestamp")?.unwrap_or(self.now);
        if timestamp < self.now - 35 * DAY || timestamp > self.now + 300 {
            let message =
                "The timestamp must be within the past 35 days and at most 5 minutes in the future.";
            return Err(Refusal::param("timestamp", message));
        }
        let mut of_the_day = self.usage.iter().rev().take_while(|it| it.received > self.now - DAY);
        if of_the_day.any(|it| it.identifier == identifier) {
            return Err(Refusal::taken_identifier(&identifier));
        }
        let shown = json!({
            "object": "billing.meter_event", "created": self.now, "event_name": event_name, "identifier": identifier,
            "livemode": false, "payload": {"stripe_customer_id": customer, "value": value.to_string()},
            "timestamp": timestamp,
        });
        // Whether it can be booked is found out later, and told by an event.
        let meter =
            self.meters.iter().find(|meter| meter.event_name == event_name).map(|meter| meter.id.clone());
        let known = self.customers.get(&customer).is_some_and(|customer| !customer.deleted);
        let known_meter = meter.is_some();
        match meter {
            None => {
                let data = not_counted("There is no meter for 1 event.", "no_meter", &identifier);
                self.emit_thin(
                    "v1.billing.meter.no_meter_found",
                    ("", "billing.meter", "/v1/billing/meters"),
                    &data,
                );
            }
            Some(meter) if !known => {
                let code = "meter_event_customer_not_found";
                let data = not_counted("There is 1 invalid event.", code, &identifier);
                let url = format!("/v1/billing/meters/{meter}");
                let related = (meter.as_str(), "billing.meter", url.as_str());
                self.emit_thin("v1.billing.meter.error_report_triggered", related, &data);
            }
            Some(_) => {}
        }
        let (received, counted) = (self.now, known_meter && known);
        self.usage.push(Reported { event_name, customer, value, identifier, timestamp, received, counted });
        Ok(shown)
    }

    pub(super) fn cancel_meter_event(&mut self, params: &Params) -> Result<Value, Refusal> {
        let event_name = params.required("event_name")?.to_owned();
        let identifier = params.parts("cancel")?.required("identifier")?.to_owned();
        let day_ago = self.now - DAY;
        let matches = |it: &&mut Reported| it.event_name == event_name && it.identifier == identifier;
        let found = self.usage.iter_mut().find(matches).filter(|it| it.received > day_ago);
        let found =
            found.ok_or_else(|| Refusal::no_such("meter event", &identifier, "cancel[identifier]"))?;
        found.counted = false;
        Ok(json!({"object": "billing.meter_event_adjustment", "cancel": {"identifier": identifier},
            "event_name": event_name, "livemode": false, "status": "complete", "type": "cancel"}))
    }

    pub(super) fn meter_summaries(&self, id: &str, params: &Params) -> Result<Vec<Value>, Refusal> {
        let meter = self.meters.get(id).ok_or_else(|| Refusal::not_found("meter", id))?;
        let customer = params.required("customer")?;
        let start = params.int("start_time")?.ok_or_else(|| Refusal::missing("start_time"))?;
        let end = params.int("end_time")?.ok_or_else(|| Refusal::missing("end_time"))?;
        let sum = self.sum(&meter.event_name, customer, start, end);
        Ok(vec![json!({
            "id": format!("mtrusg_{id}"), "object": "billing.meter_event_summary", "aggregated_value": sum,
            "end_time": end, "livemode": false, "meter": id, "start_time": start,
        })])
    }

    /// Makes a meter for events of that name, unless there is one.
    pub(super) fn ensure_meter(&mut self, event_name: &str) {
        if self.meters.iter().all(|meter| meter.event_name != event_name) {
            let id = self.ids.next("mtr");
            let (event_name, display_name) = (event_name.to_owned(), event_name.to_owned());
            self.meters.put(Meter { id, event_name, display_name, created: self.now });
        }
    }

    /// All that counts of a customer.
    pub(super) fn usage_of(&self, event_name: &str, customer: &str) -> u64 {
        self.sum(event_name, customer, i64::MIN, i64::MAX)
    }

    fn sum(&self, event_name: &str, customer: &str, start: i64, end: i64) -> u64 {
        let counts = |it: &&Reported| {
            it.event_name == event_name
                && it.customer == customer
                && it.counted
                && (start..end).contains(&it.timestamp)
        };
        self.usage.iter().filter(counts).map(|it| it.value).fold(0, u64::saturating_add)
    }

    /// The usage in the period before that of the metered item.
    pub(super) fn reported(&self, it: &Subscription, item: &Item) -> u64 {
        let every = self.prices.get(&item.price).and_then(|price| price.every.as_ref());
        let meter = every.and_then(|every| self.meters.get(every.meter.as_ref()?));
        let last = it.latest_invoice.as_ref().and_then(|id| self.invoices.get(id));
        let since = last.map_or(it.created, |invoice| invoice.created);
        meter.map_or(0, |meter| self.sum(&meter.event_name, &it.customer, since, item.start))
    }
}
