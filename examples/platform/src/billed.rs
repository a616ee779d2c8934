//! Usage that Stripe bills: the task that reports it.

use std::time::Duration;

use billing_stripe::{MeterBook, StripeBilling};
use entitlements_core::Catalog;
use entitlements_core::catalog::FeatureKind;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::metrics::Metrics;
use crate::start_error::{StartError, chain};

/// How often usage that is due is looked for.
const PERIOD: Duration = Duration::from_secs(5);

/// How many records are claimed at once.
const BATCH: usize = 200;

/// Sees that every meter that is billed is one of the catalog.
pub(crate) fn check(meters: &MeterBook, catalog: &Catalog) -> Result<(), StartError> {
    let is_meter = |name: &str| catalog.feature(name).is_some_and(|known| known.kind() == FeatureKind::Meter);
    let unknown: Vec<_> = meters
        .meters()
        .filter(|meter| !is_meter(meter.as_str()))
        .map(|meter| format!("STRIPE_METERS: the catalog has no meter `{meter}`"))
        .collect();
    if unknown.is_empty() { Ok(()) } else { Err(StartError::all(unknown)) }
}

/// Reports what is due now, in batches until little is left.
pub(crate) async fn report(provider: &StripeBilling, metrics: &Metrics) {
    loop {
        match provider.report_usage(BATCH).await {
            Ok(progress) => {
                metrics.reported(&progress);
                if progress.refused > 0 {
                    tracing::warn!(?progress, "some usage cannot be reported to Stripe");
                }
                if progress.claimed < BATCH || progress.failed > 0 {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "usage cannot be reported to Stripe");
                return;
            }
        }
    }
}

/// Reports what is due every few seconds, until `stopped`.
pub(crate) async fn run(provider: StripeBilling, metrics: Metrics, mut stopped: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // Also when the sender is gone.
            _ = stopped.changed() => return,
        }
        report(&provider, &metrics).await;
    }
}
