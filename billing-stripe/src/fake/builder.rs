//! How a fake is set up.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use chrono::TimeDelta;
use entitlements_core::{Catalog, Clock, SystemClock};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::handle::FakeStripe;
use super::shared::{Saved, Shared};
use super::state::{Rules, State};
use super::{deliver, server};
use crate::prices::PriceBook;

/// What happens after the last attempt to collect a renewal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterLastFailure {
    /// The subscription ends.
    #[default]
    Cancel,
    /// It stays, as `unpaid`.
    Unpaid,
    /// It stays `past_due`.
    KeepPastDue,
}

/// How a fake is set up.
#[derive(Debug)]
pub struct FakeStripeBuilder {
    seed: u64,
    port: u16,
    clock: Arc<dyn Clock>,
    rules: Rules,
    webhooks: Vec<(String, String)>,
    catalog: Option<Arc<Catalog>>,
    prices: PriceBook,
    saved: Option<String>,
    file: Option<PathBuf>,
}

impl Default for FakeStripeBuilder {
    fn default() -> Self {
        Self {
            seed: 1,
            port: 0,
            clock: Arc::new(SystemClock),
            rules: Rules {
                draft_seconds: 3600,
                retry_days: vec![3, 8, 15],
                after_last_failure: AfterLastFailure::default(),
            },
            webhooks: Vec::new(),
            catalog: None,
            prices: PriceBook::default(),
            saved: None,
            file: None,
        }
    }
}

impl FakeStripeBuilder {
    /// What ids are made of; the same seed and the same requests give the same ids.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The port; 0 for a free one.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The clock that the fake follows, and ahead of which it can be moved.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How long the invoice of a renewal stays a draft before it is collected: an hour unless it is set.
    #[must_use]
    pub const fn drafts_for(mut self, time: TimeDelta) -> Self {
        self.rules.draft_seconds = time.num_seconds();
        self
    }

    /// After how many days, from the first attempt, a renewal that failed is collected again: 3, 8 and 15 unless they are
    /// set.
    #[must_use]
    pub fn retry_after_days(mut self, days: impl Into<Vec<i64>>) -> Self {
        self.rules.retry_days = days.into();
        self
    }

    /// What happens after the last of these attempts.
    #[must_use]
    pub const fn after_last_failure(mut self, what: AfterLastFailure) -> Self {
        self.rules.after_last_failure = what;
        self
    }

    /// Sends every event to `url`, signed with `secret`.
    #[must_use]
    pub fn webhook(mut self, url: impl Into<String>, secret: impl Into<String>) -> Self {
        self.webhooks.push((url.into(), secret.into()));
        self
    }

    /// Has a price for every plan and add-on of `catalog`.
    #[must_use]
    pub fn catalog(mut self, catalog: Arc<Catalog>) -> Self {
        self.catalog = Some(catalog);
        self
    }

    /// Has these prices of plans beside those that the catalog names.
    #[must_use]
    pub fn prices(mut self, prices: PriceBook) -> Self {
        self.prices = prices;
        self
    }

    /// Goes on from what [`FakeStripe::save`] wrote. Webhook endpoints are those of this builder.
    #[must_use]
    pub fn restore(mut self, saved: impl Into<String>) -> Self {
        self.saved = Some(saved.into());
        self
    }

    /// Keeps what it knows in `file`: everything that was answered is there, also after a crash, and it goes on from that.
    /// Webhook endpoints are those of this builder.
    #[must_use]
    pub fn file(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Starts the server on a loopback address. It runs until the handle is dropped.
    ///
    /// # Errors
    ///
    /// When the port is taken, or what was saved cannot be read.
    pub async fn start(self) -> std::io::Result<FakeStripe> {
        let now = self.clock.now().timestamp();
        let written = self.file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        let new = || {
            let state = State::new(self.seed, now, self.rules.clone());
            Saved { state, ahead: 0, replies: HashMap::new() }
        };
        let mut saved = match self.saved.or(written) {
            Some(saved) => serde_json::from_str(&saved)?,
            None => new(),
        };
        let state = &mut saved.state;
        state.rules = self.rules;
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).await?;
        let address = listener.local_addr()?;
        state.address = format!("http://{address}");
        if !self.webhooks.is_empty() {
            state.replace_endpoints(self.webhooks);
        }
        if let Some(catalog) = &self.catalog {
            state.stock(catalog, &self.prices);
        }
        let http = crate::client::plain_http().map_err(std::io::Error::other)?;
        let shared = Arc::new(Shared::new(self.clock, saved, self.file, http));
        let router = server::router(shared.clone());
        let serving = tokio::spawn(async move {
            // Fails only when the socket does, and then every request says so.
            let _ = axum::serve(listener, router).await;
        });
        let sending = tokio::spawn(deliver::run(shared.clone()));
        Ok(FakeStripe::new(shared, address, self.prices, [serving.abort_handle(), sending.abort_handle()]))
    }
}
