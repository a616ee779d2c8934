//! Customers and payment methods.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cards::TestCard;
use super::events::changed;
use super::params::Params;
use super::refusal::Refusal;
use super::state::State;
use crate::wire::identified;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Customer {
    pub(super) id: String,
    created: i64,
    email: Option<String>,
    name: Option<String>,
    description: Option<String>,
    pub(super) default_payment_method: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) deleted: bool,
    pub(super) next_invoice: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PaymentMethod {
    pub(super) id: String,
    created: i64,
    /// The name of the test card.
    card: String,
    pub(super) customer: Option<String>,
}

identified!(Customer, PaymentMethod);

impl PaymentMethod {
    pub(super) fn card(&self) -> Option<&'static TestCard> {
        TestCard::find(&format!("pm_card_{}", self.card))
    }

    pub(super) fn show(&self) -> Value {
        let (brand, last4) = self.card().map_or(("visa", "4242"), |card| (card.brand, card.last4()));
        json!({
            "id": self.id, "object": "payment_method", "allow_redisplay": "unspecified",
            "billing_details": {"address": {"city": null, "country": null, "line1": null, "line2": null,
                "postal_code": null, "state": null}, "email": null, "name": null, "phone": null, "tax_id": null},
            "card": {"brand": brand, "checks": {"address_line1_check": null, "address_postal_code_check": null,
                "cvc_check": "pass"}, "country": "US", "display_brand": brand, "exp_month": 12, "exp_year": 2034,
                "fingerprint": "fakefingerprint0", "funding": "credit", "generated_from": null, "last4": last4,
                "networks": {"available": [brand], "preferred": null}, "regulated_status": "unregulated",
                "three_d_secure_usage": {"supported": true}, "wallet": null},
            "created": self.created, "customer": self.customer, "customer_account": null, "livemode": false,
            "metadata": {}, "type": "card",
        })
    }
}

impl Customer {
    pub(super) fn show(&self) -> Value {
        let customer = self;
        if customer.deleted {
            return json!({"id": customer.id, "object": "customer", "deleted": true});
        }
        json!({
            "id": customer.id, "object": "customer", "address": null, "balance": 0, "created": customer.created,
            "currency": null, "customer_account": null, "default_source": null, "delinquent": false,
            "description": customer.description, "discount": null, "email": customer.email,
            "invoice_prefix": prefix(&customer.id),
            "invoice_settings": {"custom_fields": null, "default_payment_method": customer.default_payment_method,
                "footer": null, "rendering_options": null},
            "livemode": false, "metadata": customer.metadata, "name": customer.name,
            "next_invoice_sequence": customer.next_invoice, "phone": null, "preferred_locales": [], "shipping": null,
            "tax_exempt": "none", "test_clock": null,
        })
    }
}

impl State {
    pub(super) fn create_customer(&mut self, params: &Params) -> Result<Value, Refusal> {
        let mut customer = Customer {
            id: self.ids.next("cus"),
            created: self.now,
            email: None,
            name: None,
            description: None,
            default_payment_method: None,
            metadata: BTreeMap::new(),
            deleted: false,
            next_invoice: 1,
        };
        fill(&mut customer, params)?;
        self.customers.put(customer.clone());
        let method = params.text("payment_method")?;
        if let Some(Err(refusal)) = method.map(|method| self.attach(method, &customer.id)) {
            self.customers.put(Customer { deleted: true, ..customer });
            return Err(refusal);
        }
        self.default_method(&mut customer, params)?;
        let shown = customer.show();
        self.customers.put(customer);
        self.emit("customer.created", shown.clone(), None);
        Ok(shown)
    }

    pub(super) fn update_customer(&mut self, id: &str, params: &Params) -> Result<Value, Refusal> {
        let mut customer = self.live_customer(id)?;
        let before = customer.show();
        fill(&mut customer, params)?;
        self.default_method(&mut customer, params)?;
        let shown = customer.show();
        self.customers.put(customer);
        if let Some(previous) = changed(&before, &shown) {
            self.emit("customer.updated", shown.clone(), Some(previous));
        }
        Ok(shown)
    }

    pub(super) fn delete_customer(&mut self, id: &str) -> Result<Value, Refusal> {
        let customer = self.live_customer(id)?;
        let ids: Vec<String> = self
            .subscriptions
            .iter()
            .filter(|subscription| subscription.customer == id && subscription.is_live())
            .map(|subscription| subscription.id.clone())
            .collect();
        for subscription in ids {
            self.end(&subscription, "cancellation_requested");
        }
        let shown = customer.show();
        self.customers.put(Customer { deleted: true, ..customer });
        self.emit("customer.deleted", shown, None);
        Ok(json!({"id": id, "object": "customer", "deleted": true}))
    }

    fn live_customer(&self, id: &str) -> Result<Customer, Refusal> {
        let found = self.customers.get(id).filter(|customer| !customer.deleted);
        found.cloned().ok_or_else(|| Refusal::not_found("customer", id))
    }

    fn default_method(&self, customer: &mut Customer, params: &Params) -> Result<(), Refusal> {
        let settings = params.parts("invoice_settings")?;
        match settings.text("default_payment_method")? {
            None => {}
            Some("") => customer.default_payment_method = None,
            Some(id) => {
                let method =
                    self.owned_method(id, &customer.id, "invoice_settings[default_payment_method]")?;
                customer.default_payment_method = Some(method);
            }
        }
        Ok(())
    }

    /// The id of the payment method, which must be the customer's. A token stands for the card of that kind.
    pub(super) fn owned_method(&self, id: &str, customer: &str, param: &str) -> Result<String, Refusal> {
        let mut own = self.payment_methods.iter().rev().filter(|m| m.customer.as_deref() == Some(customer));
        let found = match id.strip_prefix("pm_card_") {
            Some(name) => own.find(|method| method.card == name),
            None => own.find(|method| method.id == id),
        };
        if let Some(method) = found {
            return Ok(method.id.clone());
        }
        if self.payment_methods.get(id).is_some() {
            return Err(Refusal::param(param, "The customer does not have a payment method with this ID."));
        }
        Err(Refusal::no_such("PaymentMethod", id, param))
    }

    pub(super) fn create_payment_method(&mut self, params: &Params) -> Result<Value, Refusal> {
        let card = params.parts("card")?;
        let token = match card.text("token")? {
            Some(token) => token,
            None => card.required("number")?,
        };
        let card = TestCard::find(token).ok_or_else(|| Refusal::no_such("token", token, "card[token]"))?;
        let method = self.new_method(card);
        let shown = method.show();
        self.payment_methods.put(method);
        Ok(shown)
    }

    fn new_method(&mut self, card: &TestCard) -> PaymentMethod {
        PaymentMethod { id: self.ids.next("pm"), created: self.now, card: card.name.into(), customer: None }
    }

    pub(super) fn attach_payment_method(&mut self, id: &str, params: &Params) -> Result<Value, Refusal> {
        params.only(&["customer"])?;
        let customer = params.required("customer")?.to_owned();
        self.customer_of(&customer, "customer")?;
        self.attach(id, &customer)
    }

    fn attach(&mut self, id: &str, customer: &str) -> Result<Value, Refusal> {
        let mut method = match (self.payment_methods.get(id).cloned(), TestCard::find(id)) {
            (Some(method), _) => method,
            (None, Some(card)) => self.new_method(card),
            (None, None) => return Err(Refusal::not_found("PaymentMethod", id)),
        };
        if method.customer.as_deref().is_some_and(|owner| owner != customer) {
            return Err(Refusal::state(
                "The payment method you provided has already been attached to a customer.",
            ));
        }
        if let Some(refusal) = method.card().and_then(|card| card.when_attached().refusal()) {
            return Err(refusal);
        }
        method.customer = Some(customer.to_owned());
        let shown = method.show();
        self.payment_methods.put(method);
        self.emit("payment_method.attached", shown.clone(), None);
        Ok(shown)
    }

    pub(super) fn detach_payment_method(&mut self, id: &str) -> Result<Value, Refusal> {
        let found =
            self.payment_methods.get_mut(id).ok_or_else(|| Refusal::not_found("PaymentMethod", id))?;
        let Some(customer) = found.customer.take() else {
            return Err(Refusal::state("The payment method you provided is not attached to a customer."));
        };
        let shown = found.show();
        if let Some(customer) = self.customers.get_mut(&customer) {
            customer.default_payment_method.take_if(|default| default == id);
        }
        self.emit("payment_method.detached", shown.clone(), None);
        Ok(shown)
    }

    pub(super) fn customers_where(&self, params: &Params) -> Result<Vec<Value>, Refusal> {
        let email = params.text("email")?;
        let since = params.parts("created")?.int("gte")?;
        let newest = self.customers.iter().rev().filter(|customer| !customer.deleted);
        let of = newest
            .filter(|customer| email.is_none() || customer.email.as_deref() == email)
            .filter(|customer| since.is_none_or(|since| customer.created >= since));
        Ok(of.map(Customer::show).collect())
    }

    /// Understands one clause: `metadata['key']:'value'` or `email:'value'`.
    pub(super) fn search_customers(&self, query: &str) -> Result<Vec<Value>, Refusal> {
        let quoted =
            |text: &str| text.trim().trim_matches(['\'', '"']).replace("\\'", "'").replace("\\\\", "\\");
        let (field, value) = query.split_once(':').ok_or_else(|| Refusal::param("query", "Invalid query"))?;
        let value = quoted(value);
        let key = field.strip_prefix("metadata[").and_then(|rest| rest.strip_suffix(']')).map(quoted);
        let matches = |customer: &&Customer| match &key {
            Some(key) => customer.metadata.get(key) == Some(&value),
            None => field == "email" && customer.email.as_ref() == Some(&value),
        };
        let newest = self.customers.iter().rev().filter(|customer| !customer.deleted);
        Ok(newest.filter(matches).map(Customer::show).collect())
    }
}

fn fill(customer: &mut Customer, params: &Params) -> Result<(), Refusal> {
    let fields = [
        ("email", &mut customer.email),
        ("name", &mut customer.name),
        ("description", &mut customer.description),
    ];
    for (key, field) in fields {
        if let Some(text) = params.text(key)? {
            *field = (!text.is_empty()).then(|| text.to_owned());
        }
    }
    params.metadata(&mut customer.metadata)
}

/// What the numbers of a customer's invoices begin with.
pub(super) fn prefix(id: &str) -> String {
    id.chars().rev().filter(char::is_ascii_alphanumeric).take(8).collect::<String>().to_uppercase()
}
