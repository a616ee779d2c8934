//! Billing: Stripe, or the embedded fake, and what is stored of it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use billing_stripe::fake::FakeStripe;
use billing_stripe::signature::SigningSecret;
use billing_stripe::{BillingLedger, Notice, Notices, StripeBilling, StripeClient, Webhooks};
use chrono::{DateTime, TimeDelta, Utc};
use entitlements_core::billing::PlanFeature;
use entitlements_core::subscription::Access;
use entitlements_core::{Catalog, Clock, Entitlements, Subscription};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::billed;
use crate::metrics::Metrics;
use crate::start_error::{StartError, chain};
use crate::stripe_config::StripeSettings;

/// Where webhooks are taken.
pub(crate) const WEBHOOKS: &str = "/api/billing/webhooks/stripe";

/// How often events that failed are looked for.
const RETRY_PERIOD: Duration = Duration::from_secs(5);

/// How many of them are worked on at once.
const BATCH: usize = 100;

/// How long the webhooks of the fake are waited for when its clock was moved.
const PATIENCE: Duration = Duration::from_secs(30);

/// What handlers need for billing.
#[derive(Debug)]
pub(crate) struct Billing {
    pub(crate) provider: StripeBilling,
    pub(crate) webhooks: Webhooks,
    pub(crate) client: StripeClient,
    pub(crate) ledger: Arc<dyn BillingLedger>,
    /// The embedded Stripe, unless there is a key for the real one.
    pub(crate) fake: Option<FakeStripe>,
    /// Where customers come back to from the portal, unless a request says otherwise.
    pub(crate) return_url: String,
}

/// Where billing finds itself.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    /// The file that other files about the database are named after.
    pub(crate) database: &'a Path,
    /// Where the platform listens.
    pub(crate) address: SocketAddr,
    /// The clock that the fake follows.
    pub(crate) clock: Arc<dyn Clock>,
}

impl Billing {
    /// Connects to Stripe, or starts the fake.
    ///
    /// # Errors
    ///
    /// When the fake cannot be started.
    pub(crate) async fn open(
        settings: StripeSettings,
        place: Place<'_>,
        ledger: Arc<dyn BillingLedger>,
        entitlements: Entitlements,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        let StripeSettings { client, mut secrets, mut prices, meters, app_url } = settings;
        billed::check(&meters, &entitlements.catalog())?;
        if secrets.is_empty() {
            // Nobody knows it but the fake.
            secrets.push(format!("whsec_{}", crate::platform::random_text()?));
        }
        let (client, fake) = if let Some(client) = client {
            (client, None)
        } else {
            prices = prices.named_after_plans();
            let fake = start_fake(&place, &secrets, &prices, entitlements.catalog()).await?;
            meters.event_names().for_each(|name| fake.add_meter(name));
            let client = StripeClient::new(&fake.config()).map_err(|error| failed(&error))?;
            (client, Some(fake))
        };
        let secrets: Result<Vec<_>, _> = secrets.into_iter().map(SigningSecret::new).collect();
        let secrets = secrets.map_err(|error| failed(&error))?;
        let provider = StripeBilling::builder(client.clone(), Arc::clone(&ledger), entitlements)
            .prices(prices)
            .meters(meters)
            .notices(LogNotices(metrics.clone()))
            .build();
        provider.bill_usage().await.map_err(|error| failed(&error))?;
        let webhooks = Webhooks::new(provider.clone(), secrets);
        let return_url = app_url.unwrap_or_else(|| format!("http://{}/", reachable(place.address)));
        Ok(Self { provider, webhooks, client, ledger, fake, return_url })
    }

    /// Waits until the platform knows what the fake did because its clock moved.
    pub(crate) async fn settle(&self) {
        let Some(fake) = &self.fake else { return };
        fake.catch_up();
        if !fake.webhooks_taken(PATIENCE).await {
            tracing::warn!("some webhooks of the fake Stripe are still under way");
        }
    }

    /// Makes known what is sold: to the fake, and to those who read the database.
    pub(crate) async fn publish(&self, catalog: &Catalog) {
        if let Some(fake) = &self.fake {
            fake.stock(catalog);
        }
        match PlanFeature::of(catalog) {
            Ok(features) => {
                if let Err(error) = self.ledger.replace_plan_features(&features).await {
                    tracing::warn!(error = chain(&error), "what plans give cannot be written down");
                }
            }
            Err(error) => tracing::warn!(error = chain(&error), "what plans give cannot be written down"),
        }
    }

    /// Ends the fake.
    pub(crate) fn close(&self) {
        if let Some(fake) = &self.fake {
            fake.stop();
        }
    }
}

/// Which Stripe it is, for people.
impl fmt::Display for Billing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fake {
            Some(fake) => write!(f, "the embedded fake Stripe at {}; no money moves", fake.base_url()),
            None => write!(f, "Stripe, {} mode", if self.client.is_live() { "live" } else { "test" }),
        }
    }
}

/// The subscription that counts: the newest that gives access, else the newest.
pub(crate) fn current(
    mut subscriptions: Vec<Subscription>,
    now: DateTime<Utc>,
    grace: TimeDelta,
) -> Option<Subscription> {
    subscriptions.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.id.cmp(&b.id)));
    let gives_access = |it: &Subscription| it.access(now, grace) != Access::None;
    let place = subscriptions.iter().position(gives_access).unwrap_or(0);
    subscriptions.into_iter().nth(place)
}

/// Works on events that failed or were given up, until `stopped`.
pub(crate) async fn retry(webhooks: Webhooks, mut stopped: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(RETRY_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // Also when the sender is gone.
            _ = stopped.changed() => return,
        }
        match webhooks.retry_due(BATCH).await {
            Ok(0) => {}
            Ok(events) => tracing::info!(events, "webhook events were tried again"),
            Err(error) => tracing::warn!(error = chain(&error), "webhook events cannot be tried again"),
        }
    }
}

/// Writes to the log what people should be told of, and counts it.
#[derive(Debug)]
struct LogNotices(Metrics);

impl Notices for LogNotices {
    fn notice(&self, notice: &Notice) {
        match notice {
            Notice::PaymentFailed { company, invoice, attempts, .. } => {
                self.0.noticed("payment_failed");
                tracing::warn!(%company, %invoice, attempts, "a payment failed");
            }
            Notice::TrialWillEnd { company, subscription, trial_end } => {
                self.0.noticed("trial_will_end");
                tracing::warn!(%company, %subscription, ?trial_end, "a trial ends soon");
            }
            Notice::UsageNotCounted { meter, records, why } => {
                self.0.noticed("usage_not_counted");
                tracing::warn!(?meter, records, ?why, "Stripe could not count usage");
            }
            other => {
                self.0.noticed("other");
                tracing::warn!(?other, "a notice of the billing provider");
            }
        }
    }
}

async fn start_fake(
    place: &Place<'_>,
    secrets: &[String],
    prices: &billing_stripe::PriceBook,
    catalog: Arc<Catalog>,
) -> Result<FakeStripe, StartError> {
    let file = file(place.database);
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    }
    let url = format!("http://{}{WEBHOOKS}", reachable(place.address));
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| failed(&error))?;
    let builder = FakeStripe::builder()
        // A database outlives this file at times, and then the ids of another fake are in it.
        .seed(u64::from_ne_bytes(seed))
        .clock(Arc::clone(&place.clock))
        .prices(prices.clone())
        .catalog(catalog)
        .file(&file)
        .webhook(url, secrets.first().cloned().unwrap_or_default());
    builder.start().await.map_err(|error| {
        StartError::one(format!(
            "the fake Stripe cannot be started from `{}`: {error}; remove it to begin with a new one",
            file.display()
        ))
    })
}

fn file(database: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(database);
    name.push(".stripe");
    name.into()
}

/// The address under which this machine reaches itself.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}

fn failed(error: &dyn std::error::Error) -> StartError {
    StartError::one(format!("billing cannot be set up: {}", chain(error)))
}

#[cfg(test)]
impl Billing {
    /// Billing whose Stripe nobody can reach.
    pub(crate) fn unreachable(entitlements: Entitlements) -> Self {
        let config = billing_stripe::StripeConfig::new("sk_test_none").base_url("http://127.0.0.1:1");
        let client = StripeClient::new(&config).unwrap();
        let ledger: Arc<dyn BillingLedger> = Arc::new(entitlements_core::MemoryStore::default());
        let provider = StripeBilling::builder(client.clone(), Arc::clone(&ledger), entitlements).build();
        let webhooks = Webhooks::new(provider.clone(), []);
        Self { provider, webhooks, client, ledger, fake: None, return_url: "http://localhost/".into() }
    }
}
