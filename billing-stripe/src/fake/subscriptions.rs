//! Subscriptions: what they are, and how they are shown.

use std::collections::BTreeMap;

use entitlements_core::SubscriptionStatus;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::params::Params;
use super::refusal::Refusal;
use super::state::State;
use crate::wire::identified;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Subscription {
    pub(super) id: String,
    pub(super) customer: String,
    pub(super) created: i64,
    pub(super) status: SubscriptionStatus,
    pub(super) anchor: i64,
    pub(super) items: Vec<Item>,
    pub(super) trial_start: Option<i64>,
    pub(super) trial_end: Option<i64>,
    /// What happens when the trial ends without a payment method.
    pub(super) on_missing_method: String,
    pub(super) cancel_at: Option<i64>,
    pub(super) cancel_at_period_end: bool,
    pub(super) canceled_at: Option<i64>,
    pub(super) ended_at: Option<i64>,
    pub(super) cancel_reason: Option<String>,
    pub(super) default_payment_method: Option<String>,
    pub(super) collection_method: String,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) latest_invoice: Option<String>,
    pub(super) pause_collection: Option<Pause>,
    /// Why and when it was paused.
    pub(super) paused: Option<(String, i64)>,
    /// Whether the end of the trial was announced.
    pub(super) reminded: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) price: String,
    pub(super) quantity: Option<u64>,
    pub(super) created: i64,
    pub(super) start: i64,
    pub(super) end: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pause {
    pub(super) behavior: String,
    pub(super) resumes_at: Option<i64>,
}

identified!(Subscription);

impl Subscription {
    pub(super) fn is_live(&self) -> bool {
        !matches!(self.status, SubscriptionStatus::Canceled | SubscriptionStatus::IncompleteExpired)
    }

    pub(super) fn period_end(&self) -> i64 {
        self.items.iter().map(|item| item.end).min().unwrap_or(i64::MAX)
    }
}

impl State {
    /// What one period of the item costs.
    pub(super) fn amount(&self, item: &Item) -> i64 {
        let Some(price) = self.prices.get(&item.price) else { return 0 };
        let quantity = match item.quantity {
            Some(quantity) => i64::try_from(quantity).unwrap_or(i64::MAX),
            None => return 0,
        };
        price.unit_amount.saturating_mul(quantity)
    }

    /// The payment method that pays for the subscription.
    pub(super) fn method_of(&self, subscription: &Subscription) -> Option<String> {
        let own = subscription.default_payment_method.clone();
        own.or_else(|| self.customers.get(&subscription.customer)?.default_payment_method.clone())
    }

    pub(super) fn find_subscription(&self, id: &str) -> Result<Subscription, Refusal> {
        self.subscriptions.get(id).cloned().ok_or_else(|| Refusal::not_found("subscription", id))
    }

    pub(super) fn subscriptions_where(&self, params: &Params) -> Result<Vec<Value>, Refusal> {
        let (customer, status, price) =
            (params.text("customer")?, params.text("status")?, params.text("price")?);
        let of_status = |subscription: &Subscription| match status {
            Some("all") => true,
            Some("ended") => !subscription.is_live(),
            Some(status) => subscription.status.as_str() == status,
            None => subscription.status != SubscriptionStatus::Canceled,
        };
        let wanted = |subscription: &&Subscription| {
            customer.is_none_or(|customer| subscription.customer == customer)
                && price.is_none_or(|price| subscription.items.iter().any(|item| item.price == price))
                && of_status(subscription)
        };
        let newest = self.subscriptions.iter().rev().filter(wanted);
        Ok(newest.map(|subscription| self.show_subscription(subscription)).collect())
    }

    pub(super) fn show_item(&self, item: &Item, subscription: &str) -> Value {
        let price = self.prices.get(&item.price);
        let mut shown = json!({
            "id": item.id, "object": "subscription_item", "billing_thresholds": null, "created": item.created,
            "current_period_end": item.end, "current_period_start": item.start, "current_trial": null,
            "discounts": [], "metadata": {}, "plan": self.plan(&item.price),
            "price": price.map(super::goods::Price::show), "subscription": subscription, "tax_rates": [],
        });
        if let (Value::Object(fields), Some(quantity)) = (&mut shown, item.quantity) {
            fields.insert("quantity".into(), quantity.into());
        }
        shown
    }

    /// The price in its old form.
    fn plan(&self, price: &str) -> Value {
        let Some(price) = self.prices.get(price) else { return Value::Null };
        let shown = price.show();
        let recurring = |key: &str| shown.get("recurring").and_then(|recurring| recurring.get(key)).cloned();
        json!({
            "id": price.id, "object": "plan", "active": true, "amount": price.unit_amount,
            "amount_decimal": price.unit_amount.to_string(), "billing_scheme": "per_unit",
            "created": shown.get("created"), "currency": price.currency, "interval": recurring("interval"),
            "interval_count": recurring("interval_count"), "livemode": false, "metadata": {},
            "meter": recurring("meter"), "nickname": shown.get("nickname"), "product": price.product,
            "tiers_mode": null, "transform_usage": null, "trial_period_days": null,
            "usage_type": recurring("usage_type"),
        })
    }

    pub(super) fn show_subscription(&self, subscription: &Subscription) -> Value {
        let it = subscription;
        let items: Vec<Value> = it.items.iter().map(|item| self.show_item(item, &it.id)).collect();
        let currency =
            it.items.first().and_then(|item| self.prices.get(&item.price)).map(|price| &price.currency);
        let paused = it.paused.as_ref().map(|(cause, at)| {
            json!({"paused": {"subscription": {"type": cause}, "transitioned_at": at, "type": "subscription"}})
        });
        let mut shown = json!({
            "id": it.id, "object": "subscription", "application": null, "application_fee_percent": null,
            "automatic_tax": {"disabled_reason": null, "enabled": false, "liability": null},
            "billing_cycle_anchor": it.anchor, "billing_cycle_anchor_config": null,
            "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible",
                "updated_at": it.created},
            "billing_schedules": [], "billing_thresholds": null, "cancel_at": it.cancel_at, "cancel_at_period_end": it.cancel_at_period_end,
            "canceled_at": it.canceled_at,
            "cancellation_details": {"comment": null, "feedback": null, "feedback_option": null, "reason": it.cancel_reason},
            "collection_method": it.collection_method, "created": it.created, "currency": currency,
            "customer": it.customer, "customer_account": null, "days_until_due": null,
            "default_payment_method": it.default_payment_method, "default_source": null, "default_tax_rates": [],
            "description": null, "discounts": [], "ended_at": it.ended_at,
            "invoice_settings": {"account_tax_ids": null, "custom_fields": null, "description": null, "footer": null,
                "issuer": {"type": "self"}},
            "items": {"object": "list", "data": items, "has_more": false, "total_count": it.items.len(),
                "url": format!("/v1/subscription_items?subscription={}", it.id)},
            "latest_invoice": it.latest_invoice, "livemode": false, "managed_payments": null, "metadata": it.metadata,
            "next_pending_invoice_item_invoice": null, "on_behalf_of": null, "pause_collection": it.pause_collection,
            "payment_settings": {"payment_method_options": null, "payment_method_types": null,
                "save_default_payment_method": "off"},
            "pending_invoice_item_interval": null, "pending_setup_intent": null, "pending_update": null,
            "schedule": null, "start_date": it.created, "status": it.status, "test_clock": null,
            "transfer_data": null, "trial_end": it.trial_end,
            "trial_settings": {"end_behavior": {"billing_cycle_anchor": null,
                "missing_payment_method": it.on_missing_method}},
            "trial_start": it.trial_start,
        });
        if let (Value::Object(fields), Some(paused)) = (&mut shown, paused) {
            fields.insert("status_details".into(), paused);
        }
        shown
    }

    /// Puts the subscription in its place and tells of what is new in it.
    pub(super) fn put_changed(&mut self, subscription: Subscription) {
        let before = self.subscriptions.get(&subscription.id).map(|old| self.show_subscription(old));
        let after = self.show_subscription(&subscription);
        self.subscriptions.put(subscription);
        let previous = before.as_ref().and_then(|before| super::events::changed(before, &after));
        if previous.is_some() {
            self.emit("customer.subscription.updated", after, previous);
        }
    }
}
