//! Sending alerts: what waits is claimed, given to a sink, and acknowledged.

use chrono::TimeDelta;

use super::Entitlements;
use crate::alert::{AlertSink, SentAlerts};
use crate::error::Error;

/// How long a claim lasts.
const CLAIM: TimeDelta = TimeDelta::minutes(1);

impl Entitlements {
    /// Sends the alerts that wait and that no other process is sending, oldest first; at most `at_once` of them are claimed at
    /// a time, for a minute.
    ///
    /// An alert that the sink refuses is left, and those behind it are sent; it is tried again by the first call after its
    /// minute. What a sink was too slow to be given within the minute waits in the same way, so that no other process sends
    /// it, too. Call it again and again, in as many processes as there are.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails. At most
    /// one alert was sent then whose acknowledgement is not certain, and what was claimed is sent later.
    ///
    /// ```
    /// use async_trait::async_trait;
    /// use entitlements_core::alert::AlertSink;
    /// use entitlements_core::id::CompanyId;
    /// use entitlements_core::usage::UsageAlert;
    /// use entitlements_core::{Amount, Catalog, Consume, Entitlements, MemoryStore, Subject};
    ///
    /// #[derive(Debug)]
    /// struct Console;
    ///
    /// #[async_trait]
    /// impl AlertSink for Console {
    ///     async fn send(&self, alert: &UsageAlert) -> bool {
    ///         println!("{} has used {} % of {}", alert.company, alert.percent, alert.meter);
    ///         true
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let catalog = Catalog::parse("catalog.toml", r#"
    ///     schema = 1
    ///     default_plan = "free"
    ///     past_due_grace = "7d"
    ///     [features]
    ///     reports = { type = "meter" }
    ///     [plans.free.grants]
    ///     reports = { limit = 10, every = "month" }
    /// "#)?;
    /// let entitlements = Entitlements::builder(catalog).store(MemoryStore::default()).build();
    /// let acme = Subject::company(CompanyId::new("acme")?);
    /// let consumed = entitlements.consume(&Consume::new(&acme, "reports", Amount::from(8))).await?;
    /// assert!(consumed.receipt().is_some());
    ///
    /// assert_eq!(entitlements.send_alerts(&Console, 100).await?.arrived, 1);
    /// assert_eq!(entitlements.send_alerts(&Console, 100).await?.arrived, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn send_alerts(&self, sink: &dyn AlertSink, at_once: usize) -> Result<SentAlerts, Error> {
        let store = &self.0.store;
        let begun_at = self.now();
        let mut sent = SentAlerts::default();
        loop {
            let until = self.now() + CLAIM;
            // As of the beginning: what this call claims and does not send is not its own again.
            let claiming = store.claim_alerts(until, begun_at, at_once);
            let claimed = self.in_time("claim alerts", claiming).await?;
            let all = claimed.len() < at_once;
            for alert in &claimed {
                // Whose it is by now is not known.
                if until <= self.now() {
                    break;
                }
                if sink.send(alert).await {
                    self.in_time("acknowledge an alert", store.acknowledge_alert(alert)).await?;
                    sent.arrived += 1;
                } else {
                    sent.refused += 1;
                }
            }
            if all || claimed.is_empty() {
                return Ok(sent);
            }
        }
    }
}
