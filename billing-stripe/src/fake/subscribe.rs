//! How a subscription begins.

use std::collections::BTreeMap;

use entitlements_core::SubscriptionStatus;
use serde_json::Value;

use super::params::Params;
use super::refusal::Refusal;
use super::state::State;
use super::subscriptions::{Item, Subscription};

const DAY: i64 = 86_400;

const KNOWN: &[&str] = &[
    "billing_cycle_anchor",
    "billing_mode",
    "cancel_at",
    "cancel_at_period_end",
    "collection_method",
    "currency",
    "customer",
    "days_until_due",
    "default_payment_method",
    "description",
    "items",
    "metadata",
    "off_session",
    "payment_behavior",
    "payment_settings",
    "proration_behavior",
    "trial_end",
    "trial_period_days",
    "trial_settings",
];

/// What happens when a payment does not succeed at once.
pub(super) const PAYMENT_BEHAVIORS: &[&str] =
    &["allow_incomplete", "default_incomplete", "error_if_incomplete"];

impl State {
    pub(super) fn create_subscription(&mut self, params: &Params) -> Result<Value, Refusal> {
        params.only(KNOWN)?;
        let customer = params.required("customer")?.to_owned();
        self.customer_of(&customer, "customer")?;
        let trial_end = self.trial_of(params)?;
        let anchor = trial_end.or(params.int("billing_cycle_anchor")?).unwrap_or(self.now);
        if anchor < self.now {
            return Err(Refusal::param("billing_cycle_anchor", "Invalid timestamp: must be in the future"));
        }
        let items = self.new_items(params, anchor, trial_end)?;
        let behavior = params.word("payment_behavior", PAYMENT_BEHAVIORS)?.unwrap_or("allow_incomplete");
        let automatic = "charge_automatically";
        let collection = params.word("collection_method", &[automatic, "send_invoice"])?.unwrap_or(automatic);
        let end_behavior = params.parts("trial_settings")?.parts("end_behavior")?;
        let missing = end_behavior.word("missing_payment_method", &["cancel", "create_invoice", "pause"])?;
        let method = match params.text("default_payment_method")? {
            Some(method) if !method.is_empty() => {
                Some(self.owned_method(method, &customer, "default_payment_method")?)
            }
            _ => None,
        };
        let mut metadata = BTreeMap::new();
        params.metadata(&mut metadata)?;

        let mut subscription = Subscription {
            id: self.ids.next("sub"),
            customer,
            created: self.now,
            status: SubscriptionStatus::Active,
            anchor,
            items,
            trial_start: trial_end.map(|_| self.now),
            trial_end,
            on_missing_method: missing.unwrap_or("create_invoice").into(),
            cancel_at: None,
            cancel_at_period_end: false,
            canceled_at: None,
            ended_at: None,
            cancel_reason: None,
            default_payment_method: method,
            collection_method: collection.into(),
            metadata,
            latest_invoice: None,
            pause_collection: None,
            paused: None,
            reminded: false,
        };
        self.schedule_end(&mut subscription, params)?;

        let due: i64 = subscription.items.iter().map(|item| self.amount(item)).sum();
        let charged = trial_end.is_none() && due > 0 && collection == automatic;
        if charged {
            self.payable(&subscription, behavior)?;
            subscription.status = SubscriptionStatus::Incomplete;
        }
        if trial_end.is_some() {
            subscription.status = SubscriptionStatus::Trialing;
        }
        let id = subscription.id.clone();
        let shown = self.show_subscription(&subscription);
        self.subscriptions.put(subscription);
        self.emit("customer.subscription.created", shown, None);
        self.remind_of_trial(&id);

        let invoice = self.draft_for(&id, "subscription_create");
        self.finalize(&invoice);
        if charged && behavior != "default_incomplete" {
            self.collect(&invoice, None, false);
        }
        let subscription = self.find_subscription(&id)?;
        Ok(self.show_subscription(&subscription))
    }

    fn trial_of(&self, params: &Params) -> Result<Option<i64>, Refusal> {
        if let Some(days) = params.count("trial_period_days")?.filter(|days| *days > 0) {
            let days = i64::try_from(days).unwrap_or(i64::MAX);
            if days > 730 {
                let message = "The maximum number of trial period days is 730 (2 years).";
                return Err(Refusal::param("trial_period_days", message));
            }
            return Ok(Some(self.now + days * DAY));
        }
        match params.text("trial_end")? {
            None | Some("" | "now") => Ok(None),
            Some(_) => {
                let end = params.int("trial_end")?.filter(|end| *end > self.now);
                let message = "Invalid timestamp: must be an integer Unix timestamp in the future.";
                end.map(Some).ok_or_else(|| Refusal::param("trial_end", message))
            }
        }
    }

    fn new_items(
        &mut self,
        params: &Params,
        anchor: i64,
        trial_end: Option<i64>,
    ) -> Result<Vec<Item>, Refusal> {
        let given = params.items("items")?;
        if given.is_empty() {
            return Err(Refusal::missing("items"));
        }
        let mut items: Vec<Item> = Vec::new();
        for (index, given) in given.iter().enumerate() {
            let item = self.new_item(given, index, anchor)?;
            if items.iter().any(|other| other.price == item.price) {
                return Err(Refusal::state("Cannot add multiple subscription items with the same plan."));
            }
            items.push(Item { end: trial_end.unwrap_or(item.end), ..item });
        }
        Ok(items)
    }

    /// The item that `given` describes, with a period from now on.
    pub(super) fn new_item(&mut self, given: &Params, index: usize, anchor: i64) -> Result<Item, Refusal> {
        given.only(&["price", "plan", "quantity", "metadata", "discounts", "tax_rates"])?;
        let price = given.text("price")?.or(given.text("plan")?);
        let price = price.ok_or_else(|| Refusal::missing(&format!("items[{index}][price]")))?;
        let price = self.recurring_price(price, &format!("items[{index}][price]"))?;
        let (metered, id, every) = (price.is_metered(), price.id.clone(), price.every.clone());
        let quantity = given.count("quantity")?;
        if metered && quantity.is_some() {
            let message = "You cannot set the quantity for metered plans.";
            return Err(Refusal::param(format!("items[{index}][quantity]"), message));
        }
        let end = every.map_or(i64::MAX, |every| every.boundary(anchor, self.now));
        Ok(Item {
            id: self.ids.next("si"),
            price: id,
            quantity: (!metered).then(|| quantity.unwrap_or(1)),
            created: self.now,
            start: self.now,
            end,
        })
    }

    /// Whether the first payment can be tried, and, if the caller wants nothing unpaid, whether it will succeed.
    fn payable(&self, subscription: &Subscription, behavior: &str) -> Result<(), Refusal> {
        if behavior == "default_incomplete" {
            return Ok(());
        }
        let Some(method) = self.method_of(subscription) else { return Err(Refusal::no_payment_method()) };
        if behavior != "error_if_incomplete" {
            return Ok(());
        }
        let card = self.payment_methods.get(&method).and_then(super::customers::PaymentMethod::card);
        card.and_then(|card| card.when_charged().refusal()).map_or(Ok(()), Err)
    }
}
