//! The platform: everything is opened, or nothing; then it serves until it is asked to end.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use entitlements_core::audit::Audit;
use entitlements_core::decision_cache::SHARED_TTL;
use entitlements_core::{Clock, Entitlements, OffsetClock, Resilience, SystemClock, TokioRuntime};
use entitlements_redis::{InvalidRedisConfig, RedisBus, RedisDecisionCache};
use entitlements_tower::{EntitlementLayer, FailMode, FreshnessLayer, subject_extension};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::alerts::{self, LogAlerts};
use crate::app::{App, router};
use crate::billed;
use crate::billing::{self, Billing, Place};
use crate::catalog_file::CatalogSource;
use crate::config::Config;
use crate::database::Opened;
use crate::dev_clock::DevClock;
use crate::development::Development;
use crate::metrics::{self, Metrics};
use crate::own_routes::{self, Ungated};
use crate::reload::Reload;
use crate::retention::{self, Retention};
use crate::signals::Hangups;
use crate::start_error::{StartError, chain};
use crate::token::Tokens;
use crate::{console, demo};

/// How long requests under way may take when the platform is asked to end.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// A platform that listens, and does not answer yet.
#[derive(Debug)]
pub struct Platform {
    pub(crate) app: Arc<App>,
    gate: EntitlementLayer,
    listener: TcpListener,
    address: SocketAddr,
    database: Opened,
    pub(crate) reload: Reload,
    retention: Retention,
    hangups: Hangups,
    greeting: String,
}

impl Platform {
    /// Opens everything that the configuration names.
    ///
    /// # Errors
    ///
    /// A line for each thing that is wrong: the catalog, the address, the database.
    pub async fn open(config: Config) -> Result<Self, StartError> {
        let source = CatalogSource::new(config.catalog, config.environment);
        let text = source.read()?.into_owned();
        let catalog = source.parse(&text)?;
        let (listener, address) = listen(&config.addresses).await?;
        let database = config.database.open().await?;
        let clock = if config.development { Some(DevClock::open(&config.database.file())?) } else { None };
        let internal = |error: &dyn std::error::Error| StartError::one(chain(error));
        let metrics = Metrics::new().map_err(|error| internal(&error))?;
        let hangups = Hangups::listen()?;
        let secret = match config.secret {
            Some(secret) => secret,
            None => random_secret()?,
        };

        let store = database.store();
        let audit = Audit::new(Arc::clone(&store));
        let ungated = own_routes::ungated(&catalog);
        let mut builder = Entitlements::builder(catalog)
            .shared_store(Arc::clone(&store))
            .clock(clock.as_ref().map_or_else(|| Arc::new(OffsetClock::default()), DevClock::shared))
            .observer(metrics::observer(&metrics))
            .observer(audit.clone());
        if let Some(deadline) = config.deadline {
            builder = builder.resilience(Resilience::default().with_deadline(deadline));
        }
        if let Some(runtime) = TokioRuntime::current() {
            builder = builder.runtime(runtime);
        }
        let mut redis = None;
        if let Some(config) = config.redis {
            let invalid = |error: InvalidRedisConfig| StartError::one(format!("REDIS_URL: {error}"));
            let decisions = Arc::new(RedisDecisionCache::connect(config.clone()).await.map_err(invalid)?);
            let bus = RedisBus::connect(config).await.map_err(invalid)?;
            builder = builder.shared_cache(Arc::clone(&decisions), SHARED_TTL).bus(bus);
            redis = Some(decisions);
        } else if let Some(bus) = database.bus() {
            builder = builder.bus(bus);
        }
        let entitlements = builder.build();
        let gate = gate(&entitlements, &ungated, config.fail_mode, &source)?;
        let place = Place {
            database: &config.database.file(),
            address,
            clock: clock.as_ref().map_or_else(|| Arc::new(SystemClock) as Arc<dyn Clock>, |it| it.shared()),
        };
        let ledger = database.ledger();
        let billing = Billing::open(config.stripe, place, ledger, entitlements.clone(), &metrics).await?;
        billing.publish(&entitlements.catalog()).await;
        let app = Arc::new(App {
            freshness: FreshnessLayer::new(entitlements.clone(), subject_extension()),
            entitlements,
            store,
            audit,
            billing,
            tokens: Tokens::new(&secret),
            metrics,
            redis,
            development: clock.map(|clock| Development { clock }),
        });

        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        for open in &ungated {
            tracing::warn!(route = %open, "the catalog has no rule for this route; the platform's own is used");
        }
        if app.development.is_some() {
            tracing::warn!(
                "DEVELOPMENT MODE: whoever reaches this address can be anybody and move the clock"
            );
            demo::ensure(&app)
                .await
                .map_err(|error| StartError::one(format!("the demo companies: {}", chain(&error))))?;
        } else if app.billing.fake.is_some() {
            tracing::warn!(
                "STRIPE_SECRET_KEY is not set: the fake Stripe takes every payment, and no money moves"
            );
        }
        let greeting =
            console::greeting(&app, address, &config.database, &source).map_err(|error| internal(&*error))?;
        let reload = Reload { app: Arc::clone(&app), source, ungated, last: Ok(text) };
        Ok(Self {
            app,
            gate,
            listener,
            address,
            database,
            reload,
            retention: config.retention,
            hangups,
            greeting,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What people should read first: where it is, how it runs, and commands to try.
    #[must_use]
    pub fn greeting(&self) -> &str {
        &self.greeting
    }

    /// Serves until `end` is ready. Requests under way are finished, for at most ten seconds.
    ///
    /// # Errors
    ///
    /// When the socket fails for good.
    pub async fn serve(self, end: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let (stop, stopped) = watch::channel(false);
        let background = [
            tokio::spawn(alerts::run(self.app.entitlements.clone(), LogAlerts, stopped.clone())),
            tokio::spawn(self.reload.run(self.hangups, stopped.clone())),
            tokio::spawn(billed::run(
                self.app.billing.provider.clone(),
                self.app.metrics.clone(),
                stopped.clone(),
            )),
            tokio::spawn(billing::retry(self.app.billing.webhooks.clone(), stopped.clone())),
            tokio::spawn(retention::run(self.app.entitlements.clone(), self.retention, stopped.clone())),
        ];
        let auditing = tokio::spawn(self.app.audit.clone().run(tokio::time::sleep));
        let router = router(&self.app, self.gate.clone());
        let listener = self.listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "a connection stays as it is");
            }
        });
        let ending = async move {
            end.await;
            tracing::info!("ending: requests under way are finished");
            // Without receivers there is nobody to tell.
            let _ = stop.send(true);
        };
        let server = axum::serve(listener, router).with_graceful_shutdown(ending);
        let outcome = tokio::select! {
            ended = server => ended,
            () = overdue(stopped) => {
                tracing::warn!("some requests did not end in time");
                Ok(())
            }
        };
        for task in background {
            if let Err(error) = task.await {
                tracing::error!(error = chain(&error), "a background task failed");
            }
        }
        settle(&self.gate).await;
        // Whatever was decided until now, refunds and late charges included, is written down.
        self.app.audit.close();
        if let Err(error) = auditing.await {
            tracing::error!(error = chain(&error), "a background task failed");
        }
        let audited = self.app.audit.stats();
        if audited.waiting > 0 || audited.dropped > 0 || audited.refused > 0 {
            tracing::error!(?audited, "some decisions are not in the audit log");
        }
        self.app.billing.close();
        self.database.close().await;
        outcome
    }
}

/// Waits until the end was asked for, and then as long as requests may take.
async fn overdue(mut stopped: watch::Receiver<bool>) {
    if stopped.changed().await.is_err() {
        // The server has ended on its own.
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(LAST_REQUESTS).await;
}

/// Does the refunds and late charges that are left. What cannot be done now is lost with the process.
async fn settle(gate: &EntitlementLayer) {
    let settled = tokio::time::timeout(LAST_REQUESTS, gate.flush()).await;
    let settled = settled.unwrap_or_else(|_| gate.settlements());
    if settled.pending > 0 || settled.dropped > 0 || settled.failed > 0 {
        tracing::error!(?settled, "some refunds and late charges are not done");
    } else {
        tracing::debug!(?settled, "refunds and late charges are done");
    }
}

/// The gate: the rules of the catalog, and one for each route that it leaves open.
pub(crate) fn gate(
    entitlements: &Entitlements,
    ungated: &[Ungated],
    fail_mode: FailMode,
    source: &CatalogSource,
) -> Result<EntitlementLayer, StartError> {
    let builder = EntitlementLayer::builder(entitlements.clone(), subject_extension(), fail_mode);
    let builder = ungated.iter().fold(builder, |builder, open| builder.route(open.rule()));
    builder.build().map_err(|error| {
        let problems = error.problems().iter();
        let name = source.name();
        StartError::all(
            problems.map(|problem| format!("{name}: rule `{}`: {}", problem.rule, problem.message)),
        )
    })
}

async fn listen(addresses: &[SocketAddr]) -> Result<(TcpListener, SocketAddr), StartError> {
    let refused = |error: io::Error| {
        let all: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        StartError::one(format!("BIND_ADDR: cannot listen on {}: {error}", all.join(", ")))
    };
    let listener = TcpListener::bind(addresses).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

/// A secret that is forgotten when the process ends.
fn random_secret() -> Result<SecretString, StartError> {
    random_text().map(SecretString::from)
}

/// A text that nobody guesses.
pub(crate) fn random_text() -> Result<String, StartError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| StartError::one(format!("the machine gives no random bytes: {error}")))?;
    Ok(const_hex::encode(bytes))
}
