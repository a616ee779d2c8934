//! Metrics: counts what the handle does, with labels that are bounded by the catalog. Never the subject.

use std::sync::Arc;

use entitlements_core::observer::{Event, Observer};
use entitlements_core::usage::DebitOutcome;
use entitlements_core::{Decision, Reason};
use prometheus::{Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry, TextEncoder};

/// Seconds: from what memory answers in to what nobody waits for.
const BUCKETS: [f64; 10] = [0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.25, 1.0];

/// The metrics of a process. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    decisions: IntCounterVec,
    seconds: Histogram,
    store_errors: IntCounter,
    debits: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let metrics = Self {
            registry: Registry::new(),
            decisions: IntCounterVec::new(
                Opts::new("entitlements_decisions_total", "Decisions, by feature, outcome and reason."),
                &["feature", "outcome", "reason"],
            )?,
            seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "entitlements_decision_seconds",
                    "How long checks took, loading included, in seconds.",
                )
                .buckets(BUCKETS.into()),
            )?,
            store_errors: IntCounter::new(
                "entitlements_store_errors_total",
                "Loads of a company's facts that failed.",
            )?,
            debits: IntCounterVec::new(
                Opts::new("entitlements_debits_total", "Debits of meters, by outcome."),
                &["outcome"],
            )?,
        };
        metrics.registry.register(Box::new(metrics.decisions.clone()))?;
        metrics.registry.register(Box::new(metrics.seconds.clone()))?;
        metrics.registry.register(Box::new(metrics.store_errors.clone()))?;
        metrics.registry.register(Box::new(metrics.debits.clone()))?;
        // A counter that is there from the start makes the first event visible as a change.
        for outcome in ["recorded", "duplicate", "conflict", "refused"] {
            metrics.debits.with_label_values(&[outcome]);
        }
        Ok(metrics)
    }

    /// Everything, as Prometheus reads it.
    pub(crate) fn text(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "the metrics cannot be written");
        }
        String::from_utf8(text).unwrap_or_default()
    }

    fn decided(&self, decision: &Decision) {
        let feature = match decision.reason {
            Reason::UnknownFeature => "unknown",
            _ => &decision.feature,
        };
        let outcome = if decision.is_allowed() { "allow" } else { "deny" };
        self.decisions.with_label_values(&[feature, outcome, decision.reason.code()]).inc();
    }
}

impl Observer for Metrics {
    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::Decided { decision, took, .. } => {
                self.decided(decision);
                self.seconds.observe(took.as_secs_f64());
            }
            Event::Loaded { error: Some(_), .. } => self.store_errors.inc(),
            Event::Debited { outcome, .. } => {
                let outcome = match outcome {
                    DebitOutcome::Recorded(_) => "recorded",
                    DebitOutcome::Duplicate(_) => "duplicate",
                    DebitOutcome::Conflict => "conflict",
                    DebitOutcome::Refused => "refused",
                };
                self.debits.with_label_values(&[outcome]).inc();
            }
            _ => {}
        }
    }
}

/// The observer that the handle takes.
pub(crate) fn observer(metrics: &Metrics) -> Arc<dyn Observer> {
    Arc::new(metrics.clone())
}

#[cfg(test)]
mod tests {
    use entitlements_core::id::CompanyId;
    use entitlements_core::{Action, Catalog, Entitlements, Request, Subject};

    use super::*;

    #[tokio::test]
    async fn a_feature_that_the_catalog_does_not_know_is_no_label() {
        let metrics = Metrics::new().unwrap();
        let catalog: Catalog =
            "schema = 1\npast_due_grace = \"7d\"\n[features]\nexport = { type = \"flag\" }".parse().unwrap();
        let handle = Entitlements::builder(catalog).observer(observer(&metrics)).build();
        let acme = Subject::company(CompanyId::new("acme").unwrap());
        for feature in ["export", "x-9f2c", "x-41ab"] {
            handle.check(&Request::new(&acme, feature, Action::View)).await.unwrap();
        }
        let text = metrics.text();
        assert!(
            text.contains(
                r#"entitlements_decisions_total{feature="unknown",outcome="deny",reason="unknown_feature"} 2"#
            ),
            "{text}"
        );
        assert!(text.contains(r#"feature="export",outcome="deny""#), "{text}");
        assert!(text.contains("entitlements_decision_seconds_count 3"), "{text}");
        assert!(!text.contains("acme") && !text.contains("9f2c"), "{text}");
    }
}
