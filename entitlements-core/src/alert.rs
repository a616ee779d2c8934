//! Alerts: usage that reached a threshold is told to a sink, once.
//!
//! The store keeps each alert from the step that crosses the threshold until it was acknowledged.
//! [`Entitlements::send_alerts`](crate::Entitlements::send_alerts) claims what waits, gives it to an [`AlertSink`] and
//! acknowledges it: so of the processes that do so one sends each alert. What calls it, and how often, is up to the
//! application; a timer of a second will do.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::usage::UsageAlert;

/// Where alerts go: mail, a chat, a queue.
///
/// # Contract
///
/// * An alert that arrived is sent once, with two exceptions, in which it is sent again: its acknowledgement was lost, or
///   sending it took longer than [a claim](crate::Entitlements::send_alerts). A sink to which that matters knows an alert again
///   by its company, meter, bucket, start of the period, percentage and threshold.
/// * One that did not arrive stays, and is sent again when its claim is over. It holds up none of those behind it.
#[async_trait]
pub trait AlertSink: Debug + Send + Sync + 'static {
    /// Sends an alert; whether it arrived.
    async fn send(&self, alert: &UsageAlert) -> bool;
}

#[async_trait]
impl<S: AlertSink + ?Sized> AlertSink for Arc<S> {
    async fn send(&self, alert: &UsageAlert) -> bool {
        (**self).send(alert).await
    }
}

/// What became of the alerts that waited.
///
/// ```
/// let nothing = entitlements_core::alert::SentAlerts::default();
/// assert_eq!((nothing.arrived, nothing.refused), (0, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentAlerts {
    /// How many arrived.
    pub arrived: usize,
    /// How many did not: they are sent again later.
    pub refused: usize,
}
