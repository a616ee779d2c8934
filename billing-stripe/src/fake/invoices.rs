//! Invoices: what they are, and how they are shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::params::Params;
use super::refusal::Refusal;
use super::state::State;
use crate::wire::identified;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Invoice {
    pub(super) id: String,
    pub(super) customer: String,
    pub(super) subscription: Option<String>,
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) currency: String,
    pub(super) lines: Vec<Line>,
    pub(super) created: i64,
    pub(super) period: (i64, i64),
    pub(super) number: Option<String>,
    pub(super) attempts: u32,
    pub(super) next_attempt: Option<i64>,
    pub(super) finalize_at: Option<i64>,
    pub(super) finalized_at: Option<i64>,
    pub(super) paid_at: Option<i64>,
    pub(super) voided_at: Option<i64>,
    pub(super) uncollectible_at: Option<i64>,
    pub(super) collection_method: String,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) subscription_metadata: BTreeMap<String, String>,
    pub(super) intent: Option<String>,
    pub(super) deleted: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) id: String,
    pub(super) amount: i64,
    pub(super) description: String,
    pub(super) price: Option<String>,
    pub(super) quantity: Option<u64>,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) proration: bool,
    pub(super) item: Option<String>,
}

/// A line that waits for the next invoice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PendingItem {
    pub(super) id: String,
    pub(super) customer: String,
    pub(super) subscription: Option<String>,
    pub(super) currency: String,
    pub(super) line: Line,
}

identified!(Invoice);

impl Invoice {
    pub(super) fn total(&self) -> i64 {
        self.lines.iter().map(|line| line.amount).fold(0, i64::saturating_add)
    }

    /// What is to be paid; what is given back is kept as a credit, which the fake does not account for.
    pub(super) fn due(&self) -> i64 {
        self.total().max(0)
    }
}

impl State {
    /// The name of what the price sells.
    pub(super) fn name_of(&self, price: &str) -> String {
        let product = self.prices.get(price).and_then(|price| self.products.get(&price.product));
        product.map_or_else(|| price.to_owned(), |product| product.name.clone())
    }

    /// A draft with what the subscription costs in its present period and what waits for an invoice.
    pub(super) fn draft_for(&mut self, subscription: &str, reason: &str) -> String {
        let Some(it) = self.subscriptions.get(subscription).cloned() else { return String::new() };
        let trialing = it.status == entitlements_core::SubscriptionStatus::Trialing;
        let lines: Vec<Line> = it
            .items
            .iter()
            .map(|item| {
                let quantity = item.quantity.unwrap_or_else(|| self.reported(&it, item));
                let unit = self.prices.get(&item.price).map_or(0, |price| price.unit_amount);
                let amount = unit.saturating_mul(i64::try_from(quantity).unwrap_or(i64::MAX));
                let name = self.name_of(&item.price);
                let description = if trialing {
                    format!("Trial period for {name}")
                } else {
                    format!("{quantity} × {name}")
                };
                Line {
                    description,
                    amount: if trialing { 0 } else { amount },
                    price: Some(item.price.clone()),
                    quantity: Some(quantity),
                    start: item.start,
                    end: item.end,
                    item: Some(item.id.clone()),
                    ..Line::default()
                }
            })
            .collect();
        self.draft(&it.customer, Some(subscription), reason, lines)
    }

    /// A draft with `lines` and what waits for an invoice. Tells of it.
    pub(super) fn draft(
        &mut self,
        customer: &str,
        subscription: Option<&str>,
        reason: &str,
        mut lines: Vec<Line>,
    ) -> String {
        let mine = |item: &PendingItem| {
            item.customer == customer
                && (item.subscription.is_none() || item.subscription.as_deref() == subscription)
        };
        let (waiting, others): (Vec<_>, Vec<_>) = self.pending_items.drain(..).partition(mine);
        self.pending_items = others;
        let first =
            lines.iter().find_map(|line| line.price.as_ref()).and_then(|price| self.prices.get(price));
        let currency = first.map(|price| price.currency.clone());
        let currency = currency.or_else(|| waiting.first().map(|item| item.currency.clone()));
        lines.extend(waiting.into_iter().map(|item| item.line));
        for line in &mut lines {
            line.id = self.ids.next("il");
        }
        let it = subscription.and_then(|id| self.subscriptions.get(id));
        let invoice = Invoice {
            customer: customer.to_owned(),
            subscription: subscription.map(str::to_owned),
            status: "draft".into(),
            reason: reason.to_owned(),
            currency: currency.unwrap_or_else(|| "usd".into()),
            lines,
            created: self.now,
            period: self.looks_back_on(it),
            collection_method: it
                .map_or("charge_automatically", |it| it.collection_method.as_str())
                .to_owned(),
            subscription_metadata: it.map(|it| it.metadata.clone()).unwrap_or_default(),
            id: self.ids.next("in"),
            ..Invoice::default()
        };
        let id = invoice.id.clone();
        let shown = self.show_invoice(&invoice);
        self.invoices.put(invoice);
        if let Some(it) = subscription.and_then(|id| self.subscriptions.get_mut(id)) {
            it.latest_invoice = Some(id.clone());
        }
        self.emit("invoice.created", shown, None);
        id
    }

    /// What an invoice made now looks back on: from the one before it.
    fn looks_back_on(&self, it: Option<&super::subscriptions::Subscription>) -> (i64, i64) {
        let last = it.and_then(|it| self.invoices.get(it.latest_invoice.as_ref()?)).map(|last| last.period.1);
        (last.unwrap_or(self.now), self.now)
    }

    /// Puts `lines` on an invoice now, or lets them wait for the next one.
    pub(super) fn bill_changes(&mut self, subscription: &str, lines: Vec<Line>, now: bool) {
        let Some(it) = self.subscriptions.get(subscription).cloned() else { return };
        if lines.is_empty() {
            return;
        }
        if now {
            let invoice = self.draft(&it.customer, Some(subscription), "subscription_update", lines);
            self.finalize(&invoice);
            self.collect(&invoice, None, false);
            return;
        }
        for line in lines {
            let price = line.price.as_ref().and_then(|price| self.prices.get(price));
            let currency = price.map_or("usd", |price| price.currency.as_str()).to_owned();
            let (customer, subscription) = (it.customer.clone(), Some(subscription.to_owned()));
            let id = self.ids.next("ii");
            self.pending_items.push(PendingItem { id, customer, subscription, currency, line });
        }
    }

    pub(super) fn find_invoice(&self, id: &str) -> Result<Invoice, Refusal> {
        let found = self.invoices.get(id).filter(|invoice| !invoice.deleted);
        found.cloned().ok_or_else(|| Refusal::not_found("invoice", id))
    }

    pub(super) fn invoices_where(&self, params: &Params) -> Result<Vec<Value>, Refusal> {
        let (customer, status) = (params.text("customer")?, params.text("status")?);
        let subscription = params.text("subscription")?;
        let wanted = |invoice: &&Invoice| {
            !invoice.deleted
                && customer.is_none_or(|customer| invoice.customer == customer)
                && status.is_none_or(|status| invoice.status == status)
                && subscription.is_none_or(|id| invoice.subscription.as_deref() == Some(id))
        };
        Ok(self.invoices.iter().rev().filter(wanted).map(|invoice| self.show_invoice(invoice)).collect())
    }

    pub(super) fn show_invoice(&self, invoice: &Invoice) -> Value {
        let it = invoice;
        let customer = self.customers.get(&it.customer).map(super::customers::Customer::show);
        let of_customer = |key: &str| customer.as_ref().and_then(|customer| customer.get(key)).cloned();
        let paid = if it.status == "paid" { it.due() } else { 0 };
        let remaining = if it.status == "paid" { 0 } else { it.due() };
        let lines: Vec<Value> = it.lines.iter().map(|line| self.show_line(line, it)).collect();
        let parent = it.subscription.as_ref().map(|subscription| {
            json!({"quote_details": null, "subscription_details": {"metadata": it.subscription_metadata,
                "subscription": subscription}, "type": "subscription_details"})
        });
        let attempted = it.attempts > 0 || it.status == "paid";
        let hosted = it.finalized_at.map(|_| format!("{}/i/{}", self.address, it.id));
        json!({
            "id": it.id, "object": "invoice", "account_country": "US", "account_name": "Fake",
            "account_tax_ids": null, "amount_due": it.due(), "amount_overpaid": 0, "amount_paid": paid,
            "amount_remaining": remaining, "amount_shipping": 0, "application": null, "attempt_count": it.attempts,
            "attempted": attempted, "auto_advance": it.finalize_at.is_some() || it.next_attempt.is_some(),
            "automatic_tax": {"disabled_reason": null, "enabled": false, "liability": null, "provider": null,
                "status": null},
            "automatically_finalizes_at": it.finalize_at, "billing_reason": it.reason,
            "collection_method": it.collection_method, "created": it.created, "currency": it.currency,
            "custom_fields": null, "customer": it.customer, "customer_account": null, "customer_address": null,
            "customer_email": of_customer("email"), "customer_name": of_customer("name"), "customer_phone": null,
            "customer_shipping": null, "customer_tax_exempt": "none", "customer_tax_ids": [],
            "default_payment_method": null, "default_source": null, "default_tax_rates": [], "description": null,
            "discounts": [], "due_date": null, "effective_at": it.finalized_at, "ending_balance": 0, "footer": null,
            "from_invoice": null, "hosted_invoice_url": hosted, "invoice_pdf": null, "issuer": {"type": "self"},
            "last_finalization_error": null, "latest_revision": null,
            "lines": {"object": "list", "data": lines, "has_more": false, "total_count": it.lines.len(),
                "url": format!("/v1/invoices/{}/lines", it.id)},
            "livemode": false, "metadata": it.metadata, "next_payment_attempt": it.next_attempt,
            "number": it.number, "on_behalf_of": null, "parent": parent,
            "payment_settings": {"default_mandate": null, "payment_method_options": null,
                "payment_method_types": null},
            "period_end": it.period.1, "period_start": it.period.0, "post_payment_credit_notes_amount": 0,
            "pre_payment_credit_notes_amount": 0, "receipt_number": null, "rendering": null, "shipping_cost": null,
            "shipping_details": null, "starting_balance": 0, "statement_descriptor": null, "status": it.status,
            "status_transitions": {"finalized_at": it.finalized_at,
                "marked_uncollectible_at": it.uncollectible_at, "paid_at": it.paid_at, "voided_at": it.voided_at},
            "subtotal": it.total(), "subtotal_excluding_tax": it.total(), "test_clock": null, "total": it.total(),
            "total_discount_amounts": [], "total_excluding_tax": it.total(), "total_pretax_credit_amounts": [],
            "total_taxes": [], "webhooks_delivered_at": it.created,
        })
    }

    fn show_line(&self, line: &Line, invoice: &Invoice) -> Value {
        let product =
            line.price.as_ref().and_then(|price| self.prices.get(price)).map(|price| &price.product);
        let parent = line.item.as_ref().map(|item| {
            json!({"invoice_item_details": null, "subscription_item_details": {"invoice_item": null,
                "proration": line.proration, "proration_details": {"credited_items": null},
                "subscription": invoice.subscription, "subscription_item": item},
                "type": "subscription_item_details"})
        });
        let pricing = line.price.as_ref().map(|price| {
            json!({"price_details": {"price": price, "product": product}, "type": "price_details",
                "unit_amount_decimal": null})
        });
        json!({
            "id": line.id, "object": "line_item", "amount": line.amount, "currency": invoice.currency,
            "description": line.description, "discount_amounts": [], "discountable": !line.proration, "discounts": [],
            "invoice": invoice.id, "livemode": false, "metadata": {}, "parent": parent,
            "period": {"end": line.end, "start": line.start}, "pretax_credit_amounts": [], "pricing": pricing,
            "quantity": line.quantity, "quantity_decimal": line.quantity.map(|quantity| quantity.to_string()),
            "subscription": invoice.subscription, "subtotal": line.amount, "taxes": [],
        })
    }
}
