//! Retention: what is removed when it is old enough, if the operator says when that is.

use std::time::Duration;

use chrono::TimeDelta;
use entitlements_core::{Entitlements, Error};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::start_error::chain;

/// How often old things are looked for.
const PERIOD: Duration = Duration::from_hours(1);

/// How long things are kept; `None` is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retention {
    pub(crate) audit: Option<TimeDelta>,
    pub(crate) receipts: Option<TimeDelta>,
}

/// Removes what is old, until `stopped`.
pub(crate) async fn run(
    entitlements: Entitlements,
    retention: Retention,
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
        if let Err(error) = remove(&entitlements, retention).await {
            tracing::warn!(error = chain(&error), "what is old cannot be removed");
        }
    }
}

async fn remove(entitlements: &Entitlements, retention: Retention) -> Result<(), Error> {
    if let Some(age) = retention.audit {
        let base = entitlements.expire_audit(age).await?;
        // Whoever keeps it can prove later that the log was not changed from here on.
        tracing::info!(sequence = base.sequence, hash = %base.hash, "the audit log begins after");
    }
    if let Some(age) = retention.receipts {
        let receipts = entitlements.expire_receipts(age).await?;
        tracing::info!(receipts, "old receipts are removed");
    }
    Ok(())
}
