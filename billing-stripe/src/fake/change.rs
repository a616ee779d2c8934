//! How a subscription changes and ends.

use entitlements_core::SubscriptionStatus;
use serde_json::Value;

use super::params::Params;
use super::proration;
use super::refusal::Refusal;
use super::state::State;
use super::subscribe::PAYMENT_BEHAVIORS;
use super::subscriptions::{Item, Pause, Subscription};

const KNOWN: &[&str] = &[
    "billing_cycle_anchor",
    "cancel_at",
    "cancel_at_period_end",
    "cancellation_details",
    "collection_method",
    "default_payment_method",
    "description",
    "items",
    "metadata",
    "off_session",
    "pause_collection",
    "payment_behavior",
    "payment_settings",
    "proration_behavior",
    "proration_date",
    "trial_end",
    "trial_settings",
];

const PRORATIONS: &[&str] = &["create_prorations", "always_invoice", "none"];

impl State {
    pub(super) fn update_subscription(&mut self, id: &str, params: &Params) -> Result<Value, Refusal> {
        params.only(KNOWN)?;
        let old = self.find_subscription(id)?;
        if !old.is_live() && !params.is_only_of(&["metadata", "cancellation_details"]) {
            let message = "A canceled subscription can only update its cancellation_details and metadata.";
            return Err(Refusal::state(message));
        }
        let mut new = old.clone();
        params.metadata(&mut new.metadata)?;
        self.schedule_end(&mut new, params)?;
        self.set_method(&mut new, params)?;
        set_pause(&mut new, params)?;
        self.set_items(&mut new, params)?;
        let prorate = params.word("proration_behavior", PRORATIONS)?.unwrap_or("create_prorations");
        let behavior = params.word("payment_behavior", PAYMENT_BEHAVIORS)?;
        let at = params.int("proration_date")?.unwrap_or(self.now);
        let restart = self.restarts(&old, &new, params)?;
        if restart {
            self.restart_period(&mut new);
        }
        let trial = params.text("trial_end")?;
        let settle_now = restart || prorate == "always_invoice";
        let billed = old.items != new.items && settled(&old);
        let lines = if billed && prorate != "none" {
            proration::lines(self, &old, &new, at, restart)
        } else {
            Vec::new()
        };
        if billed && settle_now && behavior == Some("error_if_incomplete") {
            let card = self.method_of(&new).and_then(|method| self.payment_methods.get(&method)?.card());
            if let Some(refusal) = card.and_then(|card| card.when_charged().refusal()) {
                return Err(refusal);
            }
        }
        if let Some(end) = params.int("trial_end").ok().flatten() {
            self.extend_trial(&mut new, end)?;
        }
        let id = new.id.clone();
        self.put_changed(new);
        self.bill_changes(&id, lines, settle_now);
        if trial == Some("now") && old.status == SubscriptionStatus::Trialing {
            self.trial_over(&id, true);
        }
        let subscription = self.find_subscription(&id)?;
        Ok(self.show_subscription(&subscription))
    }

    /// The cancellation that the parameters decide or undo.
    pub(super) fn schedule_end(&self, it: &mut Subscription, params: &Params) -> Result<(), Refusal> {
        let (flag, at) = (params.flag("cancel_at_period_end")?, params.text("cancel_at")?);
        if flag == Some(true) && at.is_some_and(|at| !at.is_empty()) {
            let message = "You may only specify one of these parameters: cancel_at, cancel_at_period_end.";
            return Err(Refusal::param("cancel_at", message));
        }
        let mut decide = |at: Option<i64>, with_period: bool| {
            it.cancel_at = at;
            it.cancel_at_period_end = with_period;
            it.canceled_at = at.map(|_| self.now);
            it.cancel_reason = at.map(|_| "cancellation_requested".to_owned());
        };
        match at {
            Some("") => decide(None, false),
            Some("min_period_end" | "max_period_end") => {
                let end = it.period_end();
                it.cancel_at = Some(end);
                it.canceled_at = Some(self.now);
            }
            Some(_) => {
                let at = params.int("cancel_at")?.filter(|at| *at > self.now);
                let message = "The timestamp must be in the future.";
                decide(Some(at.ok_or_else(|| Refusal::param("cancel_at", message))?), false);
            }
            None => {}
        }
        match flag {
            Some(true) => {
                let end = it.period_end();
                it.cancel_at = Some(end);
                it.cancel_at_period_end = true;
                it.canceled_at = Some(self.now);
                it.cancel_reason = Some("cancellation_requested".into());
            }
            // What the portal decided is undone by `cancel_at` alone.
            Some(false) if it.cancel_at_period_end => {
                it.cancel_at = None;
                it.cancel_at_period_end = false;
                it.canceled_at = None;
                it.cancel_reason = None;
            }
            _ => {}
        }
        Ok(())
    }

    fn set_method(&self, it: &mut Subscription, params: &Params) -> Result<(), Refusal> {
        match params.text("default_payment_method")? {
            None => {}
            Some("") => it.default_payment_method = None,
            Some(method) => {
                it.default_payment_method =
                    Some(self.owned_method(method, &it.customer, "default_payment_method")?);
            }
        }
        Ok(())
    }

    fn set_items(&mut self, it: &mut Subscription, params: &Params) -> Result<(), Refusal> {
        for (index, given) in params.items("items")?.iter().enumerate() {
            let Some(id) = given.text("id")? else {
                let item = self.new_item(given, index, it.anchor)?;
                if it.items.iter().any(|other| other.price == item.price) {
                    return Err(Refusal::state("Cannot add multiple subscription items with the same plan."));
                }
                let end = it.period_end().min(item.end);
                it.items.push(Item { end, ..item });
                continue;
            };
            given.only(&["id", "price", "plan", "quantity", "deleted", "metadata", "clear_usage"])?;
            let param = format!("items[{index}][id]");
            let place = it.items.iter().position(|item| item.id == id);
            let place = place.ok_or_else(|| Refusal::no_such("subscription item", id, param))?;
            if given.flag("deleted")? == Some(true) {
                it.items.remove(place);
                continue;
            }
            let Some(item) = it.items.get_mut(place) else { continue };
            if let Some(price) = given.text("price")?.or(given.text("plan")?) {
                let price = self.recurring_price(price, &format!("items[{index}][price]"))?;
                item.price.clone_from(&price.id);
            }
            if let Some(quantity) = given.count("quantity")? {
                item.quantity = Some(quantity);
            }
        }
        if it.items.is_empty() {
            return Err(Refusal::state("A subscription must have at least one active plan."));
        }
        Ok(())
    }

    /// Whether a new period begins now: another interval, or because it was asked for.
    fn restarts(&self, old: &Subscription, new: &Subscription, params: &Params) -> Result<bool, Refusal> {
        if old.status == SubscriptionStatus::Trialing {
            return Ok(false);
        }
        let asked = params.word("billing_cycle_anchor", &["now", "unchanged"])? == Some("now");
        let every = |it: &Subscription| self.prices.get(&it.items.first()?.price)?.every.clone();
        let other = every(old).zip(every(new)).is_some_and(|(old, new)| !old.same_as(&new));
        Ok(asked || other)
    }

    /// Lets a new period begin now.
    pub(super) fn restart_period(&self, it: &mut Subscription) {
        it.anchor = self.now;
        for item in &mut it.items {
            let every = self.prices.get(&item.price).and_then(|price| price.every.as_ref());
            item.start = self.now;
            item.end = every.map_or(i64::MAX, |every| every.boundary(self.now, self.now));
        }
    }

    fn extend_trial(&self, it: &mut Subscription, end: i64) -> Result<(), Refusal> {
        if end <= self.now {
            return Err(Refusal::param("trial_end", "Invalid timestamp: must be in the future."));
        }
        it.trial_start = it.trial_start.or(Some(self.now));
        it.trial_end = Some(end);
        it.anchor = end;
        it.status = SubscriptionStatus::Trialing;
        it.reminded = false;
        for item in &mut it.items {
            item.end = end;
        }
        Ok(())
    }

    pub(super) fn cancel_subscription(&mut self, id: &str) -> Result<Value, Refusal> {
        let found = self.find_subscription(id)?;
        if !found.is_live() {
            return Err(Refusal::not_found("subscription", id));
        }
        self.end(id, "cancellation_requested");
        let ended = self.find_subscription(id)?;
        Ok(self.show_subscription(&ended))
    }

    /// Ends the subscription now.
    pub(super) fn end(&mut self, id: &str, reason: &str) {
        let Some(mut it) = self.subscriptions.get(id).cloned() else { return };
        it.status = SubscriptionStatus::Canceled;
        it.ended_at = Some(self.now);
        it.canceled_at = it.canceled_at.or(Some(self.now));
        it.cancel_reason = it.cancel_reason.or_else(|| Some(reason.to_owned()));
        self.stop_collecting(id);
        let shown = self.show_subscription(&it);
        self.subscriptions.put(it);
        self.emit("customer.subscription.deleted", shown, None);
    }

    pub(super) fn pause_subscription(&mut self, id: &str, params: &Params) -> Result<Value, Refusal> {
        params.only(&["bill_for", "invoicing_behavior", "type"])?;
        let mut it = self.find_subscription(id)?;
        let pausable = matches!(
            it.status,
            SubscriptionStatus::Active | SubscriptionStatus::Trialing | SubscriptionStatus::PastDue
        );
        if !pausable {
            return Err(Refusal::state(format!("A subscription that is {} cannot be paused.", it.status)));
        }
        if settled(&it) {
            let credit = proration::credit(self, &it, self.now);
            self.bill_changes(id, credit, false);
        }
        it.status = SubscriptionStatus::Paused;
        it.paused = Some(("pause_requested".into(), self.now));
        self.put_changed(it.clone());
        let shown = self.show_subscription(&it);
        self.emit("customer.subscription.paused", shown.clone(), None);
        Ok(shown)
    }

    pub(super) fn resume_subscription(&mut self, id: &str, params: &Params) -> Result<Value, Refusal> {
        params.only(&["billing_cycle_anchor", "payment_behavior", "proration_behavior", "proration_date"])?;
        let mut it = self.find_subscription(id)?;
        if it.status != SubscriptionStatus::Paused {
            return Err(Refusal::state("Only a paused subscription can be resumed."));
        }
        it.status = SubscriptionStatus::Active;
        it.paused = None;
        self.restart_period(&mut it);
        self.put_changed(it.clone());
        let shown = self.show_subscription(&it);
        self.emit("customer.subscription.resumed", shown, None);
        let invoice = self.draft_for(id, "subscription_update");
        self.finalize(&invoice);
        self.collect(&invoice, None, false);
        let subscription = self.find_subscription(id)?;
        Ok(self.show_subscription(&subscription))
    }
}

/// Whether the present period is one that is paid for.
fn settled(it: &Subscription) -> bool {
    matches!(it.status, SubscriptionStatus::Active | SubscriptionStatus::PastDue)
}

fn set_pause(it: &mut Subscription, params: &Params) -> Result<(), Refusal> {
    if !params.has("pause_collection") {
        return Ok(());
    }
    let given = params.parts("pause_collection")?;
    if given.is_empty() {
        it.pause_collection = None;
        return Ok(());
    }
    let behavior = given.word("behavior", &["keep_as_draft", "mark_uncollectible", "void"])?;
    let behavior = behavior.ok_or_else(|| Refusal::missing("pause_collection[behavior]"))?.to_owned();
    it.pause_collection = Some(Pause { behavior, resumes_at: given.int("resumes_at")? });
    Ok(())
}
