//! The handle of a running fake.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use entitlements_core::Catalog;
use serde_json::Value;
use tokio::task::AbortHandle;

use super::deliver::{self, WebhookFaults};
use super::shared::Shared;
use super::{FakeStripeBuilder, RequestFault};
use crate::StripeConfig;
use crate::prices::PriceBook;
use crate::wire::time;

/// A running fake. It stops when this is dropped.
pub struct FakeStripe {
    shared: Arc<Shared>,
    address: SocketAddr,
    prices: PriceBook,
    tasks: [AbortHandle; 2],
}

/// A webhook that waits to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingWebhook {
    /// The event.
    pub event_id: String,
    /// What happened.
    pub kind: String,
    /// How often it was sent and not taken.
    pub attempts: u32,
}

impl FakeStripe {
    pub(super) const fn new(
        shared: Arc<Shared>,
        address: SocketAddr,
        prices: PriceBook,
        tasks: [AbortHandle; 2],
    ) -> Self {
        Self { shared, address, prices, tasks }
    }

    /// A fake to be set up.
    #[must_use]
    pub fn builder() -> FakeStripeBuilder {
        FakeStripeBuilder::default()
    }

    /// Where it is, for example `http://127.0.0.1:49152`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A configuration for a client of it.
    #[must_use]
    pub fn config(&self) -> StripeConfig {
        StripeConfig::new("sk_test_fake").base_url(self.base_url())
    }

    /// What time it is there.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        time::at(self.shared.up_to_date().state.now)
    }

    /// Lets `by` pass, with everything that is due in the meantime. Time never goes back.
    pub fn advance(&self, by: TimeDelta) {
        let mut it = self.shared.lock();
        it.ahead = it.ahead.saturating_add(by.num_seconds().max(0));
        self.shared.keep(&it);
        drop(it);
        self.catch_up();
    }

    /// Does what is due by the clock, for when that was moved. Requests do so by themselves.
    pub fn catch_up(&self) {
        drop(self.shared.up_to_date());
        self.shared.wake.notify_one();
    }

    /// Every event, oldest first, as it was sent.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.shared.lock().state.events.iter().map(|event| event.body.clone()).collect()
    }

    /// What happened, in order: `customer.created` and so on.
    #[must_use]
    pub fn event_kinds(&self) -> Vec<String> {
        self.shared.lock().state.events.iter().map(|event| event.kind.clone()).collect()
    }

    /// Sends every event from now on to `url` as well, signed with `secret`.
    pub fn add_webhook(&self, url: impl Into<String>, secret: impl Into<String>) {
        self.shared.lock().state.add_endpoint(url.into(), secret.into());
    }

    /// Lets requests go wrong.
    pub fn fail(&self, fault: RequestFault) {
        self.shared.lock().request_faults.push(fault);
    }

    /// Lets webhooks go wrong from now on.
    pub fn fail_webhooks(&self, faults: WebhookFaults) {
        self.shared.lock().webhook_faults = faults;
    }

    /// Sends no webhooks by itself any more: they wait to be sent by [`send`](Self::send).
    pub fn hold_webhooks(&self) {
        self.shared.lock().held = true;
    }

    /// Sends webhooks by itself again, and first those that wait.
    pub fn release_webhooks(&self) {
        self.shared.lock().held = false;
        self.shared.wake.notify_one();
    }

    /// The webhooks that wait, oldest first.
    #[must_use]
    pub fn pending_webhooks(&self) -> Vec<PendingWebhook> {
        let it = self.shared.lock();
        let pending = it.state.outbox.iter().filter_map(|delivery| {
            let event = it.state.events.get(&delivery.event)?;
            let (event_id, kind) = (event.id.clone(), event.kind.clone());
            Some(PendingWebhook { event_id, kind, attempts: delivery.attempts })
        });
        pending.collect()
    }

    /// Sends the event now, to every endpoint, however often it was sent before. The statuses of the answers.
    pub async fn send(&self, event_id: &str) -> Vec<Option<u16>> {
        let endpoints: Vec<String> = {
            let mut it = self.shared.lock();
            it.state.outbox.retain(|delivery| delivery.event != event_id);
            let kind = it.state.events.get(event_id).map(|event| event.kind.clone());
            kind.map(|kind| it.state.endpoints_for(&kind)).unwrap_or_default()
        };
        let mut statuses = Vec::new();
        for endpoint in endpoints {
            statuses.push(deliver::send(&self.shared, event_id, &endpoint).await);
        }
        statuses
    }

    /// Loses the webhook: it no longer waits.
    pub fn lose(&self, event_id: &str) {
        self.shared.lock().state.outbox.retain(|delivery| delivery.event != event_id);
    }

    /// Waits until every webhook was taken, for at most `limit`. Whether that is so.
    pub async fn webhooks_taken(&self, limit: Duration) -> bool {
        let taken = async {
            loop {
                let idle = self.shared.idle.notified();
                {
                    let it = self.shared.lock();
                    if it.state.outbox.is_empty() && it.in_flight == 0 {
                        return;
                    }
                }
                self.shared.wake.notify_one();
                // A notification may have come before the waiting began.
                let _ = tokio::time::timeout(Duration::from_millis(20), idle).await;
            }
        };
        tokio::time::timeout(limit, taken).await.is_ok()
    }

    /// Has a price for every plan and add-on of `catalog` from now on.
    pub fn stock(&self, catalog: &Catalog) {
        let mut it = self.shared.lock();
        it.state.stock(catalog, &self.prices);
        self.shared.keep(&it);
    }

    /// Has a meter for events of that name from now on.
    pub fn add_meter(&self, event_name: &str) {
        let mut it = self.shared.lock();
        it.state.ensure_meter(event_name);
        self.shared.keep(&it);
    }

    /// The units that were reported of a customer to the meter of that name, and are counted.
    #[must_use]
    pub fn usage(&self, event_name: &str, customer: &str) -> u64 {
        self.shared.lock().state.usage_of(event_name, customer)
    }

    /// Stops it: nothing is answered, sent or written any more.
    pub fn stop(&self) {
        for task in &self.tasks {
            task.abort();
        }
    }

    /// Everything that it knows, for [`FakeStripeBuilder::restore`].
    #[must_use]
    pub fn save(&self) -> String {
        self.shared.lock().save()
    }
}

impl Drop for FakeStripe {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for FakeStripe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeStripe").field("address", &self.address).finish_non_exhaustive()
    }
}
