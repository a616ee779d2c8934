//! Reporting: claimed records, each with what becomes of it.

use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use entitlements_core::billing::{BillingError, UsageOutcome, UsageRecord, UsageRecordState};

use futures_util::{FutureExt, StreamExt, stream};

use crate::billing::Shared;
use crate::client::{NewMeterEvent, OperationId, StripeError, StripeErrorKind};

/// How many records are reported at once: a fraction of what Stripe takes.
const AT_ONCE: usize = 8;

/// How long a batch is claimed for.
const LEASE: TimeDelta = TimeDelta::seconds(120);

/// So long before the lease ends no further record is begun: longer than a request with its retries takes.
const MARGIN: TimeDelta = TimeDelta::seconds(60);

/// Stripe takes no usage that is older; a little earlier it is not sent any more.
const OLDEST: TimeDelta = TimeDelta::minutes(35 * 24 * 60 - 5);

/// Stripe takes no usage that is more than 5 minutes ahead of its clock.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// Stripe knows an identifier again for at least a day; a little earlier it is not relied on any more.
const KNOWN_AGAIN: TimeDelta = TimeDelta::hours(23);

/// The longest wait before another attempt.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);

/// After so many attempts another idempotency key is used: under the old one Stripe may repeat a fault of its own. The
/// identifier stays, so that nothing is counted twice.
const ATTEMPTS_PER_KEY: u32 = 3;

/// What became of a batch of usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageProgress {
    /// How many records were claimed.
    pub claimed: usize,
    /// Stripe has taken the report of so many.
    pub sent: usize,
    /// So many reports were taken back.
    pub corrected: usize,
    /// So many can never be reported, or taken back.
    pub refused: usize,
    /// So many attempts failed, and are due again.
    pub failed: usize,
}

/// What is known of an attempt, and whether the next record may be begun.
struct Attempt {
    outcome: UsageOutcome,
    go_on: bool,
}

impl Attempt {
    const fn ended(outcome: UsageOutcome) -> Self {
        Self { outcome, go_on: true }
    }
}

impl Shared {
    /// Reports what is due.
    pub(super) async fn report(&self, limit: usize) -> Result<UsageProgress, BillingError> {
        let now = self.clock.now();
        let until = now + LEASE;
        let claimed = self.store.claim_usage(until, now, limit).await?;
        let mut progress = UsageProgress { claimed: claimed.len(), ..UsageProgress::default() };
        let going = AtomicBool::new(true);
        let work = claimed.iter().map(|record| self.report_one(record, now, until, &going).boxed());
        let mut work = stream::iter(work.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        while let Some(outcome) = work.next().await {
            match outcome? {
                Some(UsageOutcome::Sent) => progress.sent += 1,
                Some(UsageOutcome::Corrected) => progress.corrected += 1,
                Some(UsageOutcome::Refused { .. } | UsageOutcome::Uncorrected(_)) => progress.refused += 1,
                Some(UsageOutcome::Failed { .. }) => progress.failed += 1,
                None => {}
            }
        }
        Ok(progress)
    }

    /// One record, unless the batch has to end. `None` if somebody else has claimed it since, or it is gone.
    async fn report_one(
        &self,
        record: &UsageRecord,
        claimed_at: DateTime<Utc>,
        until: DateTime<Utc>,
        going: &AtomicBool,
    ) -> Result<Option<UsageOutcome>, BillingError> {
        // Since when Stripe may have it, apart from this attempt.
        let before = |tried: &DateTime<Utc>| tried.timestamp_micros() < claimed_at.timestamp_micros();
        let tried_at = record.tried_at.filter(before);
        let outcome = if going.load(Ordering::Relaxed) && self.clock.now() + MARGIN < until {
            let attempt = self.attempt(record, tried_at, claimed_at).await?;
            going.fetch_and(attempt.go_on, Ordering::Relaxed);
            attempt.outcome
        } else {
            let (error, retry_at) = ("it was not begun".to_owned(), self.retry_at(record));
            UsageOutcome::Failed { error, retry_at, tried_at }
        };
        let counted = self.store.finish_usage(&record.id, record.attempts, &outcome).await?;
        Ok(counted.then_some(outcome))
    }

    async fn attempt(
        &self,
        record: &UsageRecord,
        tried_at: Option<DateTime<Utc>>,
        claimed_at: DateTime<Utc>,
    ) -> Result<Attempt, BillingError> {
        let failed = |error: &str, retry_at| {
            Attempt::ended(UsageOutcome::Failed { error: error.to_owned(), retry_at, tried_at })
        };
        let refused = |why: &str| Attempt::ended(UsageOutcome::Refused { why: why.to_owned(), tried_at });
        let Some(event_name) = self.meters.event_name(record.meter.as_str()) else {
            return Ok(failed("the meter is not billed any more", self.clock.now() + LONGEST_WAIT));
        };
        let operation = operation(record)?;
        if record.state == UsageRecordState::Correcting {
            let answer = self.client.cancel_meter_event(event_name, record.id.as_str(), &operation).await;
            return Ok(self.corrected(record, answer.map(drop)));
        }
        let now = self.entitlements.now();
        if record.at + OLDEST <= now {
            return Ok(refused("it was used more than 35 days ago, and Stripe takes no such usage"));
        }
        if tried_at.is_some_and(|tried| tried + KNOWN_AGAIN <= self.clock.now()) {
            return Ok(refused("Stripe may have counted it: the answer was lost, more than a day ago"));
        }
        if record.at > now + AHEAD {
            return Ok(failed("it was used in the future", self.clock.now() + (record.at - now - AHEAD)));
        }
        let Some(customer) = self.store.customer_of(&record.company).await? else {
            return Ok(failed("the company is no customer", self.retry_at(record)));
        };
        let event = NewMeterEvent {
            event_name: event_name.to_owned(),
            customer: customer.id.as_str().to_owned(),
            value: record.amount.get(),
            identifier: record.id.as_str().to_owned(),
            timestamp: record.at,
        };
        let answer = self.client.create_meter_event(&event, &operation).await;
        Ok(self.sent(record, answer.map(drop), tried_at, claimed_at))
    }

    fn sent(
        &self,
        record: &UsageRecord,
        answer: Result<(), StripeError>,
        tried_at: Option<DateTime<Utc>>,
        claimed_at: DateTime<Utc>,
    ) -> Attempt {
        let error = match answer {
            Ok(()) => return Attempt::ended(UsageOutcome::Sent),
            Err(error) if is_known(&error) => return Attempt::ended(UsageOutcome::Sent),
            Err(error) => error,
        };
        if is_final(&error) {
            return Attempt::ended(UsageOutcome::Refused { why: error.to_string(), tried_at });
        }
        let tried_at = if error.may_have_had_effect() { tried_at.or(Some(claimed_at)) } else { tried_at };
        let outcome =
            UsageOutcome::Failed { error: error.to_string(), retry_at: self.retry_at(record), tried_at };
        Attempt { outcome, go_on: false }
    }

    fn corrected(&self, record: &UsageRecord, answer: Result<(), StripeError>) -> Attempt {
        match answer {
            Ok(()) => Attempt::ended(UsageOutcome::Corrected),
            Err(error) if is_final(&error) => {
                Attempt::ended(UsageOutcome::Uncorrected(format!("it was given back: {error}")))
            }
            Err(error) => {
                let (retry_at, tried_at) = (self.retry_at(record), record.tried_at);
                let outcome = UsageOutcome::Failed { error: error.to_string(), retry_at, tried_at };
                Attempt { outcome, go_on: false }
            }
        }
    }

    fn retry_at(&self, record: &UsageRecord) -> DateTime<Utc> {
        let seconds = 2_i64.saturating_pow(record.attempts.min(16));
        self.clock.now() + TimeDelta::seconds(seconds).min(LONGEST_WAIT)
    }
}

/// The key of a request: the same for the attempts that follow each other closely.
fn operation(record: &UsageRecord) -> Result<OperationId, BillingError> {
    let number = record.attempts.saturating_sub(1) / ATTEMPTS_PER_KEY;
    let word = record.state.as_str();
    OperationId::new(format!("{}:{word}:{number}", record.id)).map_err(crate::billing::unusable)
}

/// Whether Stripe refuses a report because it has it: by its code, or by its words, as the two interfaces do.
fn is_known(error: &StripeError) -> bool {
    error.code() == Some("duplicate_meter_event")
        || (error.kind() == StripeErrorKind::InvalidRequest
            && error.message().is_some_and(|text| text.contains("already exists with identifier")))
}

/// Whether asking again is of no use.
fn is_final(error: &StripeError) -> bool {
    matches!(error.kind(), StripeErrorKind::InvalidRequest | StripeErrorKind::NotFound)
}
