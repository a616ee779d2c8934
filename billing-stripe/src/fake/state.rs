//! Everything the fake knows.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::customers::{Customer, PaymentMethod};
use super::events::{Cause, StoredEvent};
use super::goods::{Price, Product};
use super::ids::Ids;
use super::invoices::{Invoice, PendingItem};
use super::meters::{Meter, Reported};
use super::outbox::{Delivery, Endpoint};
use super::portal::Visit;
use super::refusal::Refusal;
use super::subscriptions::Subscription;
use super::table::Table;

/// Everything the fake knows. Times are seconds since 1970.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) now: i64,
    pub(super) ids: Ids,
    pub(super) rules: Rules,
    pub(super) address: String,
    pub(super) customers: Table<Customer>,
    pub(super) payment_methods: Table<PaymentMethod>,
    pub(super) products: Table<Product>,
    pub(super) prices: Table<Price>,
    pub(super) subscriptions: Table<Subscription>,
    pub(super) invoices: Table<Invoice>,
    pub(super) pending_items: Vec<PendingItem>,
    pub(super) meters: Table<Meter>,
    pub(super) usage: Vec<Reported>,
    pub(super) visits: Table<Visit>,
    pub(super) events: Table<StoredEvent>,
    pub(super) endpoints: Table<Endpoint>,
    pub(super) outbox: Vec<Delivery>,
    #[serde(skip)]
    pub(super) cause: Cause,
}

/// What an account may set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Rules {
    /// How long the invoice of a renewal stays a draft.
    pub(super) draft_seconds: i64,
    /// After how many days, from the first attempt, a failed payment is tried again.
    pub(super) retry_days: Vec<i64>,
    /// What happens after the last attempt.
    pub(super) after_last_failure: super::AfterLastFailure,
}

impl State {
    pub(super) fn new(seed: u64, now: i64, rules: Rules) -> Self {
        Self {
            now,
            ids: Ids::new(seed),
            rules,
            address: String::new(),
            customers: Table::default(),
            payment_methods: Table::default(),
            products: Table::default(),
            prices: Table::default(),
            subscriptions: Table::default(),
            invoices: Table::default(),
            pending_items: Vec::new(),
            meters: Table::default(),
            usage: Vec::new(),
            visits: Table::default(),
            events: Table::default(),
            endpoints: Table::default(),
            outbox: Vec::new(),
            cause: Cause::default(),
        }
    }

    /// The object with this id, as it is shown.
    pub(super) fn show(&self, id: &str) -> Option<Value> {
        let (prefix, _) = id.rsplit_once('_').unwrap_or((id, ""));
        match prefix {
            "cus" => Some(self.customers.get(id)?.show()),
            "pm" => Some(self.payment_methods.get(id)?.show()),
            "prod" => Some(self.products.get(id)?.show()),
            "sub" => Some(self.show_subscription(self.subscriptions.get(id)?)),
            "in" => Some(self.show_invoice(self.invoices.get(id)?)),
            _ => Some(self.prices.get(id)?.show()),
        }
    }

    /// The customer that a parameter names.
    pub(super) fn customer_of(&self, id: &str, param: &str) -> Result<&Customer, Refusal> {
        let found = self.customers.get(id).filter(|customer| !customer.deleted);
        found.ok_or_else(|| Refusal::no_such("customer", id, param))
    }
}
