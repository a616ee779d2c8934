//! Alerts: usage that reached a threshold. The store keeps each until it was sent.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use entitlements_core::store::{SharedStore, StoreError};
use entitlements_core::usage::UsageAlert;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::start_error::chain;

/// How often the store is asked.
const PERIOD: Duration = Duration::from_secs(1);

/// How many alerts are taken at once.
const BATCH: usize = 100;

/// Where alerts go.
///
/// # Contract
///
/// An alert that was sent, and whose acknowledgement failed, is sent again. One that could not be sent stays pending.
#[async_trait]
pub(crate) trait AlertSink: Debug + Send + Sync + 'static {
    /// Sends an alert; whether it arrived.
    async fn send(&self, alert: &UsageAlert) -> bool;
}

/// Writes alerts to the log.
#[derive(Debug)]
pub(crate) struct LogAlerts;

#[async_trait]
impl AlertSink for LogAlerts {
    async fn send(&self, alert: &UsageAlert) -> bool {
        tracing::warn!(
            company = alert.company.as_str(),
            meter = alert.meter.as_str(),
            percent = alert.percent,
            used = alert.used.get(),
            threshold = alert.threshold.get(),
            "usage reached a threshold"
        );
        true
    }
}

/// Sends what is pending, until `stopped`.
pub(crate) async fn run(store: SharedStore, sink: Arc<dyn AlertSink>, mut stopped: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // Also when the sender is gone.
            _ = stopped.changed() => return,
        }
        if let Err(error) = drain(&store, &*sink).await {
            tracing::warn!(error = chain(&error), "pending alerts cannot be sent");
        }
    }
}

/// Sends what is pending, and says how many arrived.
async fn drain(store: &SharedStore, sink: &dyn AlertSink) -> Result<usize, StoreError> {
    let mut sent = 0;
    loop {
        let pending = store.pending_alerts(BATCH).await?;
        let full = pending.len() == BATCH;
        for alert in pending {
            if !sink.send(&alert).await {
                return Ok(sent);
            }
            store.acknowledge_alert(&alert).await?;
            sent += 1;
        }
        if !full {
            return Ok(sent);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use entitlements_core::id::{CompanyId, FeatureKey};
    use entitlements_core::{Amount, Catalog, Consume, Entitlements, MemoryStore, Subject};

    use super::*;

    #[derive(Debug, Default)]
    struct Seen {
        percents: Mutex<Vec<u16>>,
        broken: bool,
    }

    #[async_trait]
    impl AlertSink for Seen {
        async fn send(&self, alert: &UsageAlert) -> bool {
            self.percents.lock().unwrap().push(alert.percent);
            !self.broken
        }
    }

    async fn store_with_two_alerts() -> SharedStore {
        let catalog: Catalog = "schema = 1\npast_due_grace = \"7d\"\ndefault_plan = \"free\"\n\
            [features]\nreports = { type = \"meter\" }\n\
            [plans.free.grants]\nreports = { limit = 10, every = \"month\", anchor = \"calendar\" }"
            .parse()
            .unwrap();
        let store: SharedStore = Arc::new(MemoryStore::default());
        let handle = Entitlements::builder(catalog).shared_store(Arc::clone(&store)).build();
        let acme = Subject::company(CompanyId::new("acme").unwrap());
        let meter = FeatureKey::new("reports").unwrap();
        let consumed = handle.consume(&Consume::new(&acme, meter.as_str(), Amount::from(10))).await.unwrap();
        assert!(consumed.receipt().is_some());
        store
    }

    #[tokio::test]
    async fn an_alert_is_sent_once() {
        let store = store_with_two_alerts().await;
        let seen = Seen::default();
        assert_eq!(drain(&store, &seen).await.unwrap(), 2);
        assert_eq!(drain(&store, &seen).await.unwrap(), 0);
        assert_eq!(*seen.percents.lock().unwrap(), [80, 100]);
    }

    #[tokio::test]
    async fn an_alert_that_did_not_arrive_stays_pending() {
        let store = store_with_two_alerts().await;
        let broken = Seen { broken: true, ..Seen::default() };
        assert_eq!(drain(&store, &broken).await.unwrap(), 0);
        assert_eq!(store.pending_alerts(BATCH).await.unwrap().len(), 2);
    }
}
