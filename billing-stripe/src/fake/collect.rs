//! How invoices are finalized and paid, and what that does to their subscriptions.

use entitlements_core::SubscriptionStatus;
use serde_json::{Value, json};

use super::AfterLastFailure;
use super::cards::Answer;
use super::customers::prefix;
use super::invoices::{Invoice, Line, PendingItem};
use super::params::Params;
use super::refusal::Refusal;
use super::state::State;

const DAY: i64 = 86_400;

impl State {
    /// Makes the draft an invoice that can be paid. Nothing due is paid at once.
    pub(super) fn finalize(&mut self, id: &str) {
        let Some(mut invoice) = self.invoices.get(id).filter(|it| it.status == "draft").cloned() else {
            return;
        };
        let number = self.customers.get_mut(&invoice.customer).map(|customer| {
            let number = format!("{}-{:04}", prefix(&customer.id), customer.next_invoice);
            customer.next_invoice += 1;
            number
        });
        invoice.number = number;
        invoice.status = "open".into();
        invoice.finalize_at = None;
        invoice.finalized_at = Some(self.now);
        if invoice.due() > 0 {
            invoice.intent = Some(self.ids.next("pi"));
        }
        let free = invoice.due() == 0;
        self.put_invoice(invoice, "invoice.finalized");
        if free {
            self.paid(id);
        }
    }

    fn put_invoice(&mut self, invoice: Invoice, event: &str) {
        let shown = self.show_invoice(&invoice);
        self.invoices.put(invoice);
        self.emit(event, shown, None);
    }

    /// Tries to collect the open invoice, with `method` or the one that is set. `present` means that the holder is there
    /// and proves it.
    pub(super) fn collect(&mut self, id: &str, method: Option<&str>, present: bool) -> Option<Refusal> {
        let invoice = self.invoices.get(id).filter(|it| it.status == "open").cloned()?;
        if invoice.collection_method == "send_invoice" && method.is_none() {
            return None;
        }
        let of_customer = || self.customers.get(&invoice.customer)?.default_payment_method.clone();
        let of_subscription =
            || invoice.subscription.as_ref().and_then(|id| self.method_of(self.subscriptions.get(id)?));
        let method = method.map(str::to_owned).or_else(of_subscription).or_else(of_customer);
        let card = method.and_then(|method| self.payment_methods.get(&method)?.card());
        let answer = match card {
            Some(card) if present && card.when_charged() == Answer::Authenticate => Answer::Yes,
            Some(card) => card.when_charged(),
            None => Answer::No("missing", None),
        };
        if answer == Answer::Yes {
            self.paid(id);
            return None;
        }
        self.failed(invoice, answer);
        if card.is_none() { Some(Refusal::no_payment_method()) } else { answer.refusal() }
    }

    fn paid(&mut self, id: &str) {
        let Some(mut invoice) = self.invoices.get(id).cloned() else { return };
        invoice.status = "paid".into();
        invoice.paid_at = Some(self.now);
        invoice.next_attempt = None;
        invoice.attempts += u32::from(invoice.due() > 0);
        let subscription = invoice.subscription.clone();
        self.put_invoice(invoice.clone(), "invoice.paid");
        let shown = self.show_invoice(&invoice);
        self.emit("invoice.payment_succeeded", shown, None);
        let Some(mut it) = subscription.and_then(|id| self.subscriptions.get(&id).cloned()) else { return };
        let owes = self.invoices.iter().any(|invoice| {
            invoice.subscription.as_ref() == Some(&it.id) && invoice.status == "open" && invoice.due() > 0
        });
        let recovers = match it.status {
            SubscriptionStatus::Incomplete => true,
            SubscriptionStatus::PastDue | SubscriptionStatus::Unpaid => !owes,
            _ => false,
        };
        if recovers {
            it.status = SubscriptionStatus::Active;
            self.put_changed(it);
        }
    }

    fn failed(&mut self, mut invoice: Invoice, answer: Answer) {
        let renewal = invoice.reason != "subscription_create" && invoice.subscription.is_some();
        invoice.attempts += 1;
        let first = invoice.finalized_at.unwrap_or(self.now);
        let retries = usize::try_from(invoice.attempts).unwrap_or(usize::MAX) - 1;
        let next = self.rules.retry_days.get(retries).filter(|_| renewal).map(|days| first + days * DAY);
        invoice.next_attempt = next.filter(|next| *next > self.now);
        let last = renewal && invoice.next_attempt.is_none();
        let subscription = invoice.subscription.clone();
        let shown = self.show_invoice(&invoice);
        self.put_invoice(invoice, "invoice.payment_failed");
        if answer == Answer::Authenticate {
            self.emit("invoice.payment_action_required", shown, None);
        }
        let Some(mut it) = subscription.and_then(|id| self.subscriptions.get(&id).cloned()) else { return };
        if !renewal || !it.is_live() {
            return;
        }
        it.status = SubscriptionStatus::PastDue;
        match self.rules.after_last_failure {
            AfterLastFailure::Cancel if last => {
                let id = it.id.clone();
                self.put_changed(it);
                self.end(&id, "payment_failed");
            }
            AfterLastFailure::Unpaid if last => {
                it.status = SubscriptionStatus::Unpaid;
                self.put_changed(it);
            }
            _ => self.put_changed(it),
        }
    }

    /// No invoice of the subscription is collected any more; the first one of a subscription that never began is void.
    pub(super) fn stop_collecting(&mut self, subscription: &str) {
        let mine = |invoice: &&Invoice| invoice.subscription.as_deref() == Some(subscription);
        let ids: Vec<String> = self.invoices.iter().filter(mine).map(|invoice| invoice.id.clone()).collect();
        for id in ids {
            let Some(invoice) = self.invoices.get_mut(&id) else { continue };
            invoice.next_attempt = None;
            invoice.finalize_at = None;
            if invoice.status == "open" && invoice.reason == "subscription_create" {
                self.void(&id);
            }
        }
    }

    pub(super) fn void(&mut self, id: &str) {
        let Some(mut invoice) = self.invoices.get(id).cloned() else { return };
        invoice.status = "void".into();
        invoice.voided_at = Some(self.now);
        invoice.next_attempt = None;
        self.put_invoice(invoice, "invoice.voided");
    }

    pub(super) fn write_off(&mut self, id: &str) {
        let Some(mut invoice) = self.invoices.get(id).cloned() else { return };
        invoice.status = "uncollectible".into();
        invoice.uncollectible_at = Some(self.now);
        invoice.next_attempt = None;
        self.put_invoice(invoice, "invoice.marked_uncollectible");
    }

    pub(super) fn create_invoice(&mut self, params: &Params) -> Result<Value, Refusal> {
        let customer = params.required("customer")?.to_owned();
        self.customer_of(&customer, "customer")?;
        let subscription = params.text("subscription")?.map(str::to_owned);
        let id = self.draft(&customer, subscription.as_deref(), "manual", Vec::new());
        if let Some(invoice) = self.invoices.get_mut(&id) {
            params.metadata(&mut invoice.metadata)?;
            if let Some(method) = params.text("collection_method")? {
                method.clone_into(&mut invoice.collection_method);
            }
        }
        Ok(self.show_invoice(&self.find_invoice(&id)?))
    }

    pub(super) fn update_invoice(&mut self, id: &str, params: &Params) -> Result<Value, Refusal> {
        let mut invoice = self.find_invoice(id)?;
        params.metadata(&mut invoice.metadata)?;
        self.put_invoice(invoice, "invoice.updated");
        Ok(self.show_invoice(&self.find_invoice(id)?))
    }

    /// Does `action` to the invoice.
    pub(super) fn act_on_invoice(
        &mut self,
        id: &str,
        action: &str,
        params: &Params,
    ) -> Result<Value, Refusal> {
        let invoice = self.find_invoice(id)?;
        let status = invoice.status.as_str();
        let wrong =
            |wanted: &str| Refusal::state(format!("Invoice is {status}: it must be {wanted} for this."));
        match (action, status) {
            ("finalize", "draft") => self.finalize(id),
            ("finalize", _) => return Err(wrong("a draft")),
            ("send", "draft" | "open") => {
                self.finalize(id);
                let sent = self.find_invoice(id)?;
                self.put_invoice(sent, "invoice.sent");
            }
            ("pay", "draft" | "open") => {
                self.finalize(id);
                let given = params.text("payment_method")?;
                let method = given
                    .map(|given| self.owned_method(given, &invoice.customer, "payment_method"))
                    .transpose()?;
                if let Some(refusal) = self.collect(id, method.as_deref(), false) {
                    return Err(refusal);
                }
            }
            ("pay", "paid") => return Err(Refusal::state("Invoice is already paid")),
            ("void", "open" | "uncollectible") => self.void(id),
            ("mark_uncollectible", "open") => self.write_off(id),
            _ => return Err(wrong("open")),
        }
        Ok(self.show_invoice(&self.find_invoice(id)?))
    }

    pub(super) fn delete_invoice(&mut self, id: &str) -> Result<Value, Refusal> {
        let invoice = self.find_invoice(id)?;
        if invoice.status != "draft" {
            return Err(Refusal::state("You can only delete draft invoices."));
        }
        self.put_invoice(Invoice { deleted: true, ..invoice }, "invoice.deleted");
        Ok(json!({"id": id, "object": "invoice", "deleted": true}))
    }

    pub(super) fn create_invoice_item(&mut self, params: &Params) -> Result<Value, Refusal> {
        let customer = params.required("customer")?.to_owned();
        self.customer_of(&customer, "customer")?;
        let currency = params.text("currency")?.unwrap_or("usd").to_lowercase();
        let amount = params.int("amount")?.or(params.int("unit_amount")?);
        let amount = amount.ok_or_else(|| Refusal::missing("amount"))?;
        let description = params.text("description")?.unwrap_or_default().to_owned();
        let subscription = params.text("subscription")?.map(str::to_owned);
        let line = Line {
            amount,
            description,
            quantity: Some(1),
            start: self.now,
            end: self.now,
            ..Line::default()
        };
        let item = PendingItem { id: self.ids.next("ii"), customer, subscription, currency, line };
        let shown = json!({
            "id": item.id, "object": "invoiceitem", "amount": amount, "currency": item.currency,
            "customer": item.customer, "customer_account": null, "date": self.now,
            "description": item.line.description, "discountable": true, "discounts": [], "invoice": null,
            "livemode": false, "metadata": {}, "net_amount": amount, "parent": null,
            "period": {"end": self.now, "start": self.now}, "pricing": null, "proration": false, "quantity": 1,
            "quantity_decimal": "1", "tax_rates": [], "test_clock": null,
        });
        self.pending_items.push(item);
        self.emit("invoiceitem.created", shown.clone(), None);
        Ok(shown)
    }

    pub(super) fn delete_invoice_item(&mut self, id: &str) -> Result<Value, Refusal> {
        let before = self.pending_items.len();
        self.pending_items.retain(|item| item.id != id);
        if self.pending_items.len() == before {
            return Err(Refusal::not_found("invoiceitem", id));
        }
        let shown = json!({"id": id, "object": "invoiceitem", "deleted": true});
        self.emit("invoiceitem.deleted", shown.clone(), None);
        Ok(shown)
    }

    /// What the customer does on the page where cards are entered and holders prove who they are.
    pub(super) fn confirm_intent(&mut self, id: &str, params: &Params) -> Result<Value, Refusal> {
        let invoice = self.invoices.iter().find(|invoice| invoice.intent.as_deref() == Some(id)).cloned();
        let invoice = invoice.ok_or_else(|| Refusal::not_found("payment_intent", id))?;
        let given = params.text("payment_method")?;
        let method =
            given.map(|given| self.owned_method(given, &invoice.customer, "payment_method")).transpose()?;
        if let Some(refusal) = self.collect(&invoice.id, method.as_deref(), true) {
            return Err(refusal);
        }
        self.show_intent(id).ok_or_else(|| Refusal::not_found("payment_intent", id))
    }

    pub(super) fn show_intent(&self, id: &str) -> Option<Value> {
        let invoice = self.invoices.iter().find(|invoice| invoice.intent.as_deref() == Some(id))?;
        let status = match invoice.status.as_str() {
            "paid" => "succeeded",
            "void" => "canceled",
            _ if invoice.attempts > 0 => "requires_payment_method",
            _ => "requires_confirmation",
        };
        Some(json!({
            "id": id, "object": "payment_intent", "amount": invoice.due(), "currency": invoice.currency,
            "client_secret": format!("{id}_secret_fake"), "created": invoice.created, "customer": invoice.customer,
            "livemode": false, "metadata": {}, "status": status,
        }))
    }
}
