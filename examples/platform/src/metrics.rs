//! Metrics: counts what the handle does, with labels that are bounded by the catalog. Never the subject.

use std::fmt::Write as _;
use std::sync::Arc;

use billing_stripe::UsageProgress;
use entitlements_core::audit::AuditStats;
use entitlements_core::bus::Change;
use entitlements_core::observer::{Event, Observer, Tier, TurnedAway};
use entitlements_core::reservation::{CommitOutcome, ReserveOutcome};
use entitlements_core::usage::{DebitOutcome, RecordOutcome};
use entitlements_core::{CacheStats, Decision, Reason};
use entitlements_redis::RedisHealth;
use entitlements_tower::SettlementStats;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder,
};

/// Seconds: from what memory answers in to what nobody waits for.
const BUCKETS: [f64; 10] = [0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.25, 1.0];

/// The metrics of a process. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    decisions: IntCounterVec,
    seconds: HistogramVec,
    shared: IntCounterVec,
    invalidations: IntCounterVec,
    store_errors: IntCounter,
    debits: IntCounterVec,
    turned_away: IntCounterVec,
    webhooks: IntCounterVec,
    notices: IntCounterVec,
    usage: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let metrics = Self {
            registry: Registry::new(),
            decisions: IntCounterVec::new(
                Opts::new("entitlements_decisions_total", "Decisions, by feature, outcome and reason."),
                &["feature", "outcome", "reason"],
            )?,
            seconds: HistogramVec::new(
                HistogramOpts::new(
                    "entitlements_decision_seconds",
                    "How long decisions took, loading included, in seconds, by where the facts came from.",
                )
                .buckets(BUCKETS.into()),
                &["tier"],
            )?,
            shared: IntCounterVec::new(
                Opts::new("entitlements_shared_cache_total", "Questions to the shared cache, by outcome."),
                &["outcome"],
            )?,
            invalidations: IntCounterVec::new(
                Opts::new("entitlements_invalidations_total", "What was forgotten because it changed."),
                &["what"],
            )?,
            store_errors: IntCounter::new(
                "entitlements_store_errors_total",
                "Loads of a company's facts that failed.",
            )?,
            debits: IntCounterVec::new(
                Opts::new("entitlements_debits_total", "Debits of meters, by outcome."),
                &["outcome"],
            )?,
            turned_away: IntCounterVec::new(
                Opts::new(
                    "entitlements_turned_away_total",
                    "Requests that were answered without a decision, by why.",
                ),
                &["why"],
            )?,
            webhooks: IntCounterVec::new(
                Opts::new("billing_webhook_events_total", "Webhooks, by what became of them."),
                &["outcome"],
            )?,
            notices: IntCounterVec::new(
                Opts::new("billing_notices_total", "What the billing provider had to tell people."),
                &["kind"],
            )?,
            usage: IntCounterVec::new(
                Opts::new("billing_usage_records_total", "Usage that Stripe was told of, by outcome."),
                &["outcome"],
            )?,
        };
        metrics.registry.register(Box::new(metrics.decisions.clone()))?;
        metrics.registry.register(Box::new(metrics.seconds.clone()))?;
        metrics.registry.register(Box::new(metrics.store_errors.clone()))?;
        metrics.registry.register(Box::new(metrics.debits.clone()))?;
        metrics.registry.register(Box::new(metrics.turned_away.clone()))?;
        metrics.registry.register(Box::new(metrics.shared.clone()))?;
        metrics.registry.register(Box::new(metrics.invalidations.clone()))?;
        metrics.registry.register(Box::new(metrics.webhooks.clone()))?;
        metrics.registry.register(Box::new(metrics.notices.clone()))?;
        metrics.registry.register(Box::new(metrics.usage.clone()))?;
        // A counter that is there from the start makes the first event visible as a change.
        for outcome in ["recorded", "duplicate", "conflict", "refused"] {
            metrics.debits.with_label_values(&[outcome]);
        }
        for why in TurnedAway::ALL {
            metrics.turned_away.with_label_values(&[why.as_str()]);
        }
        for tier in Tier::ALL {
            metrics.seconds.with_label_values(&[tier.as_str()]);
        }
        for outcome in ["hit", "miss"] {
            metrics.shared.with_label_values(&[outcome]);
        }
        for outcome in ["processed", "ignored", "duplicate", "busy", "failed", "rejected"] {
            metrics.webhooks.with_label_values(&[outcome]);
        }
        for kind in ["payment_failed", "trial_will_end", "usage_not_counted"] {
            metrics.notices.with_label_values(&[kind]);
        }
        for outcome in ["sent", "corrected", "refused", "failed"] {
            metrics.usage.with_label_values(&[outcome]);
        }
        for what in ["company", "policies", "everything"] {
            metrics.invalidations.with_label_values(&[what]);
        }
        Ok(metrics)
    }

    /// Counts a webhook.
    pub(crate) fn webhook(&self, outcome: &str) {
        self.webhooks.with_label_values(&[outcome]).inc();
    }

    /// Counts something that people should be told of.
    pub(crate) fn noticed(&self, kind: &str) {
        self.notices.with_label_values(&[kind]).inc();
    }

    /// Counts what became of a batch of usage.
    pub(crate) fn reported(&self, progress: &UsageProgress) {
        let UsageProgress { sent, corrected, refused, failed, .. } = *progress;
        for (outcome, count) in
            [("sent", sent), ("corrected", corrected), ("refused", refused), ("failed", failed)]
        {
            self.usage.with_label_values(&[outcome]).inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        }
    }

    /// Everything, as Prometheus reads it.
    pub(crate) fn text(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "the metrics cannot be written");
        }
        String::from_utf8(text).unwrap_or_default()
    }

    /// What became of the entries of the audit log, as Prometheus reads it.
    pub(crate) fn audit_text(stats: &AuditStats) -> String {
        format!(
            "# HELP entitlements_audit_entries_total Decisions to be noted, by what became of the note.\n\
             # TYPE entitlements_audit_entries_total counter\n\
             entitlements_audit_entries_total{{outcome=\"stored\"}} {}\n\
             entitlements_audit_entries_total{{outcome=\"dropped\"}} {}\n\
             entitlements_audit_entries_total{{outcome=\"refused\"}} {}\n\
             # HELP entitlements_audit_failures_total Attempts to write notes that failed; they are repeated.\n\
             # TYPE entitlements_audit_failures_total counter\n\
             entitlements_audit_failures_total {}\n\
             # HELP entitlements_audit_waiting Notes that wait to be written.\n\
             # TYPE entitlements_audit_waiting gauge\n\
             entitlements_audit_waiting {}\n",
            stats.stored, stats.dropped, stats.refused, stats.failures, stats.waiting
        )
    }

    /// What became of the refunds and late charges of the gate, as Prometheus reads it.
    pub(crate) fn settlement_text(stats: &SettlementStats) -> String {
        format!(
            "# HELP entitlements_settlements_total Refunds and late charges, by what became of them.\n\
             # TYPE entitlements_settlements_total counter\n\
             entitlements_settlements_total{{outcome=\"done\"}} {}\n\
             entitlements_settlements_total{{outcome=\"failed\"}} {}\n\
             entitlements_settlements_total{{outcome=\"dropped\"}} {}\n\
             # HELP entitlements_settlement_failures_total Attempts to settle that failed; they are repeated.\n\
             # TYPE entitlements_settlement_failures_total counter\n\
             entitlements_settlement_failures_total {}\n\
             # HELP entitlements_settlements_waiting Refunds and late charges that wait to be done.\n\
             # TYPE entitlements_settlements_waiting gauge\n\
             entitlements_settlements_waiting {}\n\
             # HELP entitlements_uncollected_units_total Units that were used and could not be charged.\n\
             # TYPE entitlements_uncollected_units_total counter\n\
             entitlements_uncollected_units_total {}\n",
            stats.done, stats.failed, stats.dropped, stats.postponed, stats.pending, stats.uncollected
        )
    }

    /// How the caches do, as Prometheus reads it.
    pub(crate) fn cache_text(process: &CacheStats, redis: Option<RedisHealth>) -> String {
        let mut text = format!(
            "# HELP entitlements_cache_entries Companies in the memory of the process.\n\
             # TYPE entitlements_cache_entries gauge\n\
             entitlements_cache_entries {}\n\
             # HELP entitlements_cache_total Look-ups in the memory of the process, by outcome.\n\
             # TYPE entitlements_cache_total counter\n\
             entitlements_cache_total{{outcome=\"hit\"}} {}\n\
             entitlements_cache_total{{outcome=\"miss\"}} {}\n",
            process.entries, process.hits, process.misses
        );
        if let Some(redis) = redis {
            let failures = redis.failures;
            // Writing to a text cannot fail.
            let _ = write!(
                text,
                "# HELP entitlements_redis_connected Whether Redis is connected.\n\
                 # TYPE entitlements_redis_connected gauge\n\
                 entitlements_redis_connected {}\n\
                 # HELP entitlements_redis_failures_total What went wrong with Redis, by kind.\n\
                 # TYPE entitlements_redis_failures_total counter\n\
                 entitlements_redis_failures_total{{kind=\"timeout\"}} {}\n\
                 entitlements_redis_failures_total{{kind=\"connection\"}} {}\n\
                 entitlements_redis_failures_total{{kind=\"refused\"}} {}\n\
                 entitlements_redis_failures_total{{kind=\"garbage\"}} {}\n",
                u8::from(redis.connected),
                failures.timeouts,
                failures.connection,
                failures.refused,
                failures.garbage
            );
        }
        text
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
            Event::Decided { decision, tier, took, .. } => {
                self.decided(decision);
                self.seconds.with_label_values(&[tier.as_str()]).observe(took.as_secs_f64());
            }
            Event::AskedShared { hit, .. } => {
                self.shared.with_label_values(&[if *hit { "hit" } else { "miss" }]).inc();
            }
            Event::Invalidated { change } => {
                let what = match change {
                    Change::Company { .. } => "company",
                    Change::Policies { .. } => "policies",
                    Change::Everything => "everything",
                };
                self.invalidations.with_label_values(&[what]).inc();
            }
            Event::Loaded { error: Some(_), .. } => self.store_errors.inc(),
            Event::TurnedAway { why, .. } => self.turned_away.with_label_values(&[why.as_str()]).inc(),
            _ => {
                if let Some(outcome) = debit(event) {
                    self.debits.with_label_values(&[outcome]).inc();
                }
            }
        }
    }
}

/// What became of units of a meter that were asked for, as a label. What is set aside counts when it is committed, if something
/// was taken.
fn debit(event: &Event<'_>) -> Option<&'static str> {
    Some(match event {
        Event::Debited { outcome: DebitOutcome::Recorded(_), .. }
        | Event::Recorded { outcome: RecordOutcome::Recorded, .. } => "recorded",
        Event::Committed { outcome: CommitOutcome::Committed(settled), .. } if settled.receipt.is_some() => {
            "recorded"
        }
        Event::Debited { outcome: DebitOutcome::Duplicate(_), .. }
        | Event::Recorded { outcome: RecordOutcome::Duplicate, .. }
        | Event::Committed { outcome: CommitOutcome::Duplicate(_), .. } => "duplicate",
        Event::Debited { outcome: DebitOutcome::Conflict, .. }
        | Event::Recorded { outcome: RecordOutcome::Conflict, .. }
        | Event::Reserved { outcome: ReserveOutcome::Conflict, .. }
        | Event::Committed { outcome: CommitOutcome::Conflict, .. } => "conflict",
        Event::Debited { outcome: DebitOutcome::Refused, .. }
        | Event::Reserved { outcome: ReserveOutcome::Refused, .. } => "refused",
        _ => return None,
    })
}

/// The observer that the handle takes.
pub(crate) fn observer(metrics: &Metrics) -> Arc<dyn Observer> {
    Arc::new(metrics.clone())
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use entitlements_core::id::{CompanyId, IdempotencyKey};
    use entitlements_core::{
        Action, Amount, Catalog, Consume, Entitlements, Request, Reserving, Subject, UsageEvent,
    };

    use super::*;

    #[tokio::test]
    async fn units_that_are_taken_are_counted_however_they_are_taken() {
        let metrics = Metrics::new().unwrap();
        let catalog: Catalog = "schema = 1\npast_due_grace = \"7d\"\ndefault_plan = \"free\"\n\
            [features]\ntokens = { type = \"meter\" }\n[plans.free.grants]\ntokens = { limit = 10, every = \"month\" }"
            .parse()
            .unwrap();
        let handle = Entitlements::builder(catalog).observer(observer(&metrics)).build();
        let acme = Subject::company(CompanyId::new("acme").unwrap());
        let units = |units: u32| Consume::new(&acme, "tokens", units.into());
        let counted = |outcome: &str| {
            let name = format!("entitlements_debits_total{{outcome=\"{outcome}\"}} ");
            let text = metrics.text();
            text.lines().find_map(|line| line.strip_prefix(&name)).unwrap().to_owned()
        };
        let _ = handle.consume(&units(1)).await.unwrap();
        assert_eq!(counted("recorded"), "1");
        let Reserving::Reserved { reservation, .. } =
            handle.reserve(&units(5), TimeDelta::minutes(1)).await.unwrap()
        else {
            panic!("refused")
        };
        assert_eq!(counted("recorded"), "1");
        for _ in 0..2 {
            handle.commit(&acme.company, reservation.id(), Amount::from(3)).await.unwrap().unwrap();
        }
        assert_eq!((counted("recorded"), counted("duplicate")), ("2".to_owned(), "1".to_owned()));
        let key = |key: &str| IdempotencyKey::new(key).unwrap();
        let events = [("a", 2), ("b", 2), ("a", 2), ("a", 1)];
        let events =
            events.map(|(name, units)| UsageEvent::new(&acme, "tokens", Amount::from(units), key(name)));
        handle.record(&events).await.unwrap();
        assert_eq!(["recorded", "duplicate", "conflict", "refused"].map(counted), ["4", "2", "1", "0"]);
    }

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
        assert!(text.contains("entitlements_decision_seconds_count{tier=\"store\"} 1"), "{text}");
        assert!(text.contains("entitlements_decision_seconds_count{tier=\"process\"} 2"), "{text}");
        assert!(!text.contains("acme") && !text.contains("9f2c"), "{text}");
    }
}
