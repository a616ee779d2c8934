//! A fake Stripe, a store, and processes that use both.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use billing_stripe::client::{RetryPolicy, StripeClient};
use billing_stripe::fake::{FakeStripe, FakeStripeBuilder};
use billing_stripe::signature::{SigningSecret, sign};
use billing_stripe::{
    Handled, MeterBook, Notice, Notices, OperationId, StripeBilling, WebhookError, Webhooks,
};
use chrono::{DateTime, TimeDelta, Utc};
use entitlements_core::billing::{BillingError, BillingProvider, BillingStore, NewSubscription};
use entitlements_core::id::CompanyId;
use entitlements_core::observer::{Event, Observer};
use entitlements_core::{
    Action, Amount, Catalog, Clock, Entitlements, ManualClock, Reason, Request, Subject, Subscription,
};

use crate::ledger::{Ledger, fresh};
use crate::shaky::{Flaw, OpenOperations, Shaky};

pub(crate) const SECRET: &str = "whsec_test";

pub(crate) const CATALOG: &str = r#"
schema = 1
past_due_grace = "7d"
[features]
reports = { type = "flag" }
forecast = { type = "flag" }
pages = { type = "meter" }
[plans.starter]
stripe = { prices = ["price_starter"] }
grants = { reports = true }
[plans.pro]
stripe = { lookup_keys = ["pro_monthly"] }
grants = { reports = true, forecast = true, pages = { limit = 1000000, every = "month" } }
[plans.unsold]
grants = { reports = true }
"#;

pub(crate) fn catalog() -> Catalog {
    Catalog::parse("catalog.toml", CATALOG).unwrap()
}

/// The meters that Stripe bills.
pub(crate) fn meters() -> MeterBook {
    MeterBook::new([("pages".parse().unwrap(), PAGES.to_owned())]).unwrap()
}

/// The name of the events of `pages`.
pub(crate) const PAGES: &str = "pages_read";

/// Remembers what people were told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<Notice>>>);

impl Notices for Told {
    fn notice(&self, notice: &Notice) {
        self.0.lock().unwrap().push(notice.clone());
    }
}

/// How often something was forgotten because it changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forgotten(Arc<AtomicU32>);

impl Observer for Forgotten {
    fn observe(&self, event: &Event<'_>) {
        if matches!(event, Event::Invalidated { .. }) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Forgotten {
    pub(crate) fn times(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Told {
    pub(crate) fn all(&self) -> Vec<Notice> {
        self.0.lock().unwrap().clone()
    }
}

pub(crate) struct World {
    /// The clock of our processes.
    pub(crate) clock: Arc<ManualClock>,
    /// The clock of the fake.
    pub(crate) there: Arc<ManualClock>,
    pub(crate) fake: FakeStripe,
    pub(crate) client: StripeClient,
    pub(crate) memory: Arc<dyn Ledger>,
    pub(crate) open: OpenOperations,
    pub(crate) flaw: Flaw,
    /// How long the lock of a company is waited for.
    pub(crate) patience: Duration,
}

/// One of our processes.
pub(crate) struct Process {
    pub(crate) store: Shaky,
    pub(crate) entitlements: Entitlements,
    pub(crate) billing: StripeBilling,
    pub(crate) webhooks: Webhooks,
    pub(crate) told: Told,
    pub(crate) forgotten: Forgotten,
    clock: Arc<ManualClock>,
}

pub(crate) fn start() -> DateTime<Utc> {
    "2026-01-10T00:00:00Z".parse().unwrap()
}

pub(crate) fn acme() -> CompanyId {
    "acme".parse().unwrap()
}

pub(crate) fn buy(plan: &str, card: Option<&str>) -> NewSubscription {
    NewSubscription {
        company: acme(),
        plan: plan.parse().unwrap(),
        seats: None,
        trial_days: None,
        payment_method: card.map(str::to_owned),
    }
}

pub(crate) fn seats(count: u64) -> Option<Amount> {
    Amount::new(count)
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Flaw::None, |builder| builder).await
    }

    pub(crate) async fn with(
        flaw: Flaw,
        set_up: impl FnOnce(FakeStripeBuilder) -> FakeStripeBuilder,
    ) -> Self {
        let there = Arc::new(ManualClock::at(start()));
        let builder = FakeStripe::builder().clock(there.clone()).catalog(Arc::new(catalog()));
        let fake = set_up(builder).start().await.unwrap();
        let quick = RetryPolicy {
            retries: 1,
            first_wait: Duration::from_millis(1),
            longest_wait: Duration::from_millis(1),
        };
        let client = StripeClient::new(&fake.config().retry(quick)).unwrap();
        Self {
            clock: Arc::new(ManualClock::at(start())),
            there,
            fake,
            client,
            memory: fresh().await,
            open: Arc::default(),
            flaw,
            patience: Duration::from_secs(5),
        }
    }

    /// A process on the same store.
    pub(crate) fn process(&self) -> Process {
        self.process_on(self.memory.clone(), self.client.clone())
    }

    pub(crate) fn process_on(&self, memory: Arc<dyn Ledger>, client: StripeClient) -> Process {
        let forgotten = Forgotten::default();
        let store = Shaky::new(memory.clone(), self.open.clone(), self.flaw);
        let entitlements = Entitlements::builder(catalog())
            .shared_store(memory)
            .clock(self.clock.clone())
            .observer(forgotten.clone())
            .build();
        let told = Told::default();
        let billing = StripeBilling::builder(client, store.clone(), entitlements.clone())
            .notices(told.clone())
            .clock(self.clock.clone())
            .patience(self.patience)
            .meters(meters())
            .build();
        let webhooks = Webhooks::new(billing.clone(), [SigningSecret::new(SECRET).unwrap()]);
        Process { store, entitlements, billing, webhooks, told, forgotten, clock: self.clock.clone() }
    }

    /// Lets time pass, here and at the fake.
    pub(crate) fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
        self.there.advance(by);
        self.fake.catch_up();
    }

    /// The bodies of what happened since the `count` first events.
    pub(crate) fn bodies_after(&self, count: usize) -> Vec<String> {
        self.fake.events().iter().skip(count).map(ToString::to_string).collect()
    }

    pub(crate) fn count(&self, kind: &str) -> usize {
        self.fake.event_kinds().iter().filter(|it| *it == kind).count()
    }

    /// The kinds of the operations that are open.
    pub(crate) fn open(&self) -> Vec<String> {
        self.open.lock().unwrap().values().cloned().collect()
    }

    pub(crate) async fn stored(&self) -> Vec<Subscription> {
        stored(&*self.memory, self.clock.now()).await
    }

    /// What a store that knew nothing has after everything was asked for.
    pub(crate) async fn truth(&self) -> Vec<Subscription> {
        let fresh = fresh().await;
        if let Some(known) = self.memory.customer_of(&acme()).await.unwrap() {
            fresh.insert_customer(&known).await.unwrap();
        }
        let process = self.process_on(fresh.clone(), self.client.clone());
        process.billing.reconcile(&acme()).await.unwrap();
        stored(&*fresh, self.clock.now()).await
    }
}

pub(crate) async fn stored(memory: &dyn Ledger, now: DateTime<Utc>) -> Vec<Subscription> {
    let all = memory.load(&acme(), now).await.unwrap().subscriptions;
    let by_id: BTreeMap<_, _> = all.into_iter().map(|it| (it.id.clone(), it)).collect();
    by_id.into_values().collect()
}

/// The id of an operation of the story itself, a new one each time.
pub(crate) fn op() -> OperationId {
    static MADE: AtomicU32 = AtomicU32::new(0);
    OperationId::new(format!("story_{}", MADE.fetch_add(1, Ordering::Relaxed))).unwrap()
}

impl Process {
    pub(crate) async fn check(&self, feature: &str) -> Reason {
        let subject = Subject::company(acme());
        let decision = self.entitlements.check(&Request::new(&subject, feature, Action::View)).await.unwrap();
        decision.reason
    }

    pub(crate) async fn may(&self, feature: &str) -> bool {
        self.check(feature).await == Reason::AllowedByPlan
    }

    pub(crate) async fn subscribe(&self, new: &NewSubscription) -> Result<Subscription, BillingError> {
        self.billing.subscribe(new).await
    }

    /// Receives a webhook, signed now.
    pub(crate) async fn receive(&self, body: &str) -> Result<Handled, WebhookError> {
        let secret = SigningSecret::new(SECRET).unwrap();
        let header = sign(body.as_bytes(), &secret, self.clock.now());
        self.webhooks.receive(body.as_bytes(), Some(&header)).await
    }
}
