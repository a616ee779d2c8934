//! Life stories, told at the fake without our help, so that all we hear of them are webhooks.

use std::collections::BTreeSet;

use billing_stripe::COMPANY_KEY;
use billing_stripe::client::{
    CancelAt, ItemChange, MissingPaymentMethod, NewCustomer, NewItem, NewSubscription, PaymentBehavior,
    Proration, StripeClient, SubscriptionChange,
};
use billing_stripe::wire::{Event, Metadata};
use chrono::TimeDelta;

use crate::world::{World, acme, op};

/// Something that happens at Stripe. What it happens to is the subscription that was made last.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Subscribe,
    Try(u32),
    Days(i64),
    Hours(i64),
    Price(&'static str),
    Seats(u64),
    Invoice,
    Card(&'static str),
    EndWithPeriod,
    EndAtInstant,
    Keep,
    Cancel,
    Pause,
    Resume,
}

use Step::{
    Cancel, Card, Days, EndAtInstant, EndWithPeriod, Hours, Invoice, Keep, Pause, Price, Resume, Seats,
    Subscribe, Try,
};

const FAILS: &str = "pm_card_chargeCustomerFail";
const WORKS: &str = "pm_card_visa";

pub(crate) const STORIES: [(&str, &[Step]); 14] = [
    ("subscribe", &[Subscribe]),
    ("try, then pay", &[Try(14), Days(14), Hours(2)]),
    ("try, then cancel", &[Try(14), Days(5), Cancel]),
    ("upgrade", &[Subscribe, Days(5), Price("pro_monthly")]),
    ("downgrade at once", &[Subscribe, Price("pro_monthly"), Days(3), Price("starter")]),
    ("seats, invoiced at once", &[Subscribe, Days(3), Seats(7), Invoice]),
    ("renewal", &[Subscribe, Days(31), Hours(2)]),
    ("end with the period", &[Subscribe, EndWithPeriod, Days(31)]),
    ("end, and keep after all", &[Subscribe, EndWithPeriod, Keep, EndAtInstant, Keep]),
    ("payment fails, then works", &[Subscribe, Card(FAILS), Days(31), Hours(2), Card(WORKS), Days(4)]),
    ("payment fails, and still does", &[Subscribe, Card(FAILS), Days(31), Hours(2), Days(4)]),
    ("payment fails, then over", &[Subscribe, Card(FAILS), Days(31), Hours(2), Days(20)]),
    ("pause and resume", &[Subscribe, Pause, Days(3), Resume]),
    ("two subscriptions", &[Subscribe, Days(3), Subscribe, Seats(3), Cancel]),
];

/// A subscription of `customer` to a price.
pub(crate) fn of(customer: &str, price: &str) -> NewSubscription {
    NewSubscription {
        customer: customer.into(),
        items: vec![NewItem { price: price.into(), quantity: Some(1) }],
        trial_period_days: None,
        payment_behavior: PaymentBehavior::AllowIncomplete,
        missing_payment_method: None,
        metadata: Metadata::new(),
    }
}

/// Tells a story step by step.
pub(crate) struct Teller<'a> {
    world: &'a World,
    pub(crate) customer: String,
    subscription: String,
}

impl<'a> Teller<'a> {
    pub(crate) async fn new(world: &'a World) -> Self {
        let metadata = Metadata::from([(COMPANY_KEY.to_owned(), acme().to_string())]);
        let new = NewCustomer { metadata, ..NewCustomer::default() };
        let customer = world.client.create_customer(&new, &op()).await.unwrap().id;
        let teller = Self { world, customer, subscription: String::new() };
        teller.pay_with(WORKS).await;
        teller
    }

    fn client(&self) -> &StripeClient {
        &self.world.client
    }

    async fn pay_with(&self, card: &str) {
        let method = self.client().attach_payment_method(card, &self.customer, &op()).await.unwrap();
        self.client().set_default_payment_method(&self.customer, &method.id, &op()).await.unwrap();
    }

    async fn change(&self, change: SubscriptionChange) {
        self.client().update_subscription(&self.subscription, &change, &op()).await.unwrap();
    }

    async fn change_item(&self, price: Option<String>, quantity: Option<u64>, proration: Proration) {
        let shown = self.client().subscription(&self.subscription).await.unwrap();
        let id = Some(shown.items.data[0].id.clone());
        let items = vec![ItemChange { id, price, quantity, deleted: false }];
        let proration = Some(proration);
        self.change(SubscriptionChange { items, proration, ..SubscriptionChange::default() }).await;
    }

    async fn end(&self, cancel: CancelAt) {
        self.change(SubscriptionChange { cancel: Some(cancel), ..SubscriptionChange::default() }).await;
    }

    async fn subscribe(&mut self, trial: Option<u32>) {
        let new = NewSubscription {
            trial_period_days: trial,
            missing_payment_method: trial.map(|_| MissingPaymentMethod::Cancel),
            ..of(&self.customer, "price_starter")
        };
        self.subscription = self.client().create_subscription(&new, &op()).await.unwrap().id;
    }

    pub(crate) async fn tell(&mut self, step: Step) {
        let id = self.subscription.clone();
        match step {
            Subscribe => self.subscribe(None).await,
            Try(days) => self.subscribe(Some(days)).await,
            Days(days) => self.world.advance(TimeDelta::days(days)),
            Hours(hours) => self.world.advance(TimeDelta::hours(hours)),
            Price("starter") => {
                self.change_item(Some("price_starter".into()), None, Proration::CreateProrations).await;
            }
            Price(key) => {
                let price = self.client().prices_by_lookup_key(&[key]).await.unwrap()[0].id.clone();
                self.change_item(Some(price), None, Proration::CreateProrations).await;
            }
            Seats(count) => self.change_item(None, Some(count), Proration::CreateProrations).await,
            Invoice => self.change_item(None, Some(9), Proration::AlwaysInvoice).await,
            Card(card) => self.pay_with(card).await,
            EndWithPeriod => self.end(CancelAt::PeriodEnd).await,
            EndAtInstant => {
                let shown = self.client().subscription(&id).await.unwrap();
                self.end(CancelAt::At(shown.items.data[0].current_period_end.unwrap())).await;
            }
            Keep => {
                let shown = self.client().subscription(&id).await.unwrap();
                let way = if shown.cancel_at_period_end { CancelAt::NotPeriodEnd } else { CancelAt::Never };
                self.end(way).await;
            }
            Cancel => drop(self.client().cancel_subscription(&id, &op()).await.unwrap()),
            Pause => drop(self.client().pause_subscription(&id, &op()).await.unwrap()),
            Resume => drop(self.client().resume_subscription(&id, &op()).await.unwrap()),
        }
    }
}

/// Whether something here follows from an event of this kind.
fn counts(kind: &str) -> bool {
    kind.starts_with("customer.subscription.")
        || matches!(
            kind,
            "invoice.paid" | "invoice.payment_failed" | "invoice.finalized" | "customer.updated"
        )
}

/// Up to `limit` events of a story that matter: the births of subscriptions, and the newest of the others.
pub(crate) fn chosen(bodies: &[String], limit: usize) -> Vec<String> {
    let read = |body: &String| Event::from_slice(body.as_bytes()).unwrap().kind().to_owned();
    let that_count: Vec<&String> = bodies.iter().filter(|body| counts(&read(body))).collect();
    let is_birth = |place: &usize| read(that_count[*place]) == "customer.subscription.created";
    let mut places: BTreeSet<usize> = (0..that_count.len()).filter(is_birth).collect();
    for place in (0..that_count.len()).rev() {
        if places.len() < limit {
            places.insert(place);
        }
    }
    places.into_iter().map(|place| that_count[place].clone()).collect()
}
