//! Alerts: usage that reached a threshold. The store keeps each until it was sent, by one of the processes.

use std::time::Duration;

use async_trait::async_trait;
use entitlements_core::Entitlements;
use entitlements_core::alert::AlertSink;
use entitlements_core::usage::UsageAlert;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::start_error::chain;

/// How often the store is asked.
const PERIOD: Duration = Duration::from_secs(1);

/// How many alerts are taken at once.
const BATCH: usize = 100;

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

/// Sends what waits, until `stopped`.
pub(crate) async fn run(
    entitlements: Entitlements,
    sink: impl AlertSink,
    mut stopped: watch::Receiver<bool>,
) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // Also when the sender is gone.
            _ = stopped.changed() => return,
        }
        match entitlements.send_alerts(&sink, BATCH).await {
            Ok(sent) if sent.refused > 0 => {
                tracing::warn!(refused = sent.refused, "alerts did not arrive, and are sent again later");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(error = chain(&error), "pending alerts cannot be sent"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use entitlements_core::id::CompanyId;
    use entitlements_core::store::SharedStore;
    use entitlements_core::{Amount, Catalog, Consume, MemoryStore, Subject};
    use tokio::sync::mpsc;

    use super::*;

    #[derive(Debug)]
    struct Seen(Arc<Mutex<Vec<u16>>>, mpsc::UnboundedSender<()>);

    #[async_trait]
    impl AlertSink for Seen {
        async fn send(&self, alert: &UsageAlert) -> bool {
            self.0.lock().unwrap().push(alert.percent);
            self.1.send(()).unwrap();
            true
        }
    }

    #[tokio::test]
    async fn what_waits_is_sent_once_by_two_processes_until_they_are_stopped() {
        let catalog = "schema = 1\npast_due_grace = \"7d\"\ndefault_plan = \"free\"\n\
            [features]\nreports = { type = \"meter\" }\n\
            [plans.free.grants]\nreports = { limit = 10, every = \"month\", anchor = \"calendar\" }";
        let store: SharedStore = Arc::new(MemoryStore::default());
        let process = || {
            let catalog: Catalog = catalog.parse().unwrap();
            Entitlements::builder(catalog).shared_store(Arc::clone(&store)).build()
        };
        let acme = Subject::company(CompanyId::new("acme").unwrap());
        let consumed = process().consume(&Consume::new(&acme, "reports", Amount::from(10))).await.unwrap();
        assert!(consumed.receipt().is_some());
        let (percents, (told, mut sent)) = (Arc::default(), mpsc::unbounded_channel());
        let (stop, stopped) = watch::channel(false);
        let running = [(); 2].map(|()| {
            let seen = Seen(Arc::clone(&percents), told.clone());
            tokio::spawn(run(process(), seen, stopped.clone()))
        });
        for _ in 0..2 {
            sent.recv().await.unwrap();
        }
        stop.send(true).unwrap();
        for one in running {
            one.await.unwrap();
        }
        assert_eq!(*percents.lock().unwrap(), [80, 100]);
        assert_eq!(store.pending_alerts(10).await.unwrap(), []);
    }
}
