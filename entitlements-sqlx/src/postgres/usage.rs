//! Debits, refunds and alerts: one statement, one round trip each.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::Amount;
use entitlements_core::id::{CompanyId, IdempotencyKey, ReceiptId, UserId};
use entitlements_core::store::{GroupStore, StoreError, StoreErrorKind, UsageStore};
use entitlements_core::usage::{Counter, Debit, DebitOutcome, Receipt, RecordOutcome, UsageAlert};
use sqlx::FromRow;
use sqlx::postgres::PgRow;

use super::transaction::Run;
use super::{PostgresStore, Typed, sql};
use crate::alerts;
use crate::error::corrupt;
use crate::receipts::{self, events_json};
use crate::rows::{AlertRow, ReceiptRow, one};

const DEBIT: &str = "debit units";
const RECORD: &str = "record usage";
const REFUND: &str = "refund a receipt";
const RECEIPT: &str = "read a receipt";
const ALERTS: &str = "read the pending alerts";
const ACKNOWLEDGE: &str = "acknowledge an alert";

/// What the statement of a debit answers: units used and the split if it was made, the first receipt if its key is known.
type Answer = (Option<i64>, Option<String>, Option<String>);

/// What the statement of a plain debit answers: units used, or else the parts of an answer as texts.
type PlainAnswer = (Option<i64>, Option<Vec<Option<String>>>);

#[async_trait]
impl UsageStore for PostgresStore {
    async fn debit(&self, debit: &Debit) -> Result<DebitOutcome, StoreError> {
        let Some(counter) = receipts::only_counter(debit).filter(|_| debit.is_well_formed()) else {
            return debit_on(&mut &*self, debit).await;
        };
        match self.read(DEBIT, plain(debit, counter)).await {
            Ok(answers) => match answers.into_iter().next() {
                Some((Some(used), None)) => receipts::made_plainly(DEBIT, debit, counter, used),
                Some((None, Some(otherwise))) => outcome(debit, answer(otherwise)?),
                _ => Err(StoreError::new(StoreErrorKind::Corrupt, DEBIT)),
            },
            // Nothing has happened, and whoever was faster can now be seen.
            Err(error) if receipts::is_taken(&error) => debit_on(&mut &*self, debit).await,
            Err(error) => Err(error),
        }
    }

    async fn record(&self, company: &CompanyId, events: &[Debit]) -> Result<Vec<RecordOutcome>, StoreError> {
        let rows = events_json(RECORD, company, events)?;
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let query = sqlx::query_as(sql::RECORD).bind(company.as_str()).bind(rows);
        let answers: Vec<(bool, Option<String>)> = self.read(RECORD, query).await?;
        if answers.len() != events.len() {
            return Err(StoreError::new(StoreErrorKind::Corrupt, RECORD));
        }
        let outcomes = events.iter().zip(answers).map(|(event, answer)| match answer {
            (true, None) => Ok(RecordOutcome::Recorded),
            (false, Some(known)) => Ok(receipts::repeated(event, one::<ReceiptRow, _>(RECORD, &known)?)),
            _ => Err(StoreError::new(StoreErrorKind::Corrupt, RECORD)),
        });
        outcomes.collect()
    }

    async fn refund(
        &self,
        company: &CompanyId,
        receipt: &ReceiptId,
        at: DateTime<Utc>,
    ) -> Result<Option<Receipt>, StoreError> {
        refund_on(&mut &*self, company, receipt, at).await
    }

    async fn receipt(
        &self,
        company: &CompanyId,
        key: &IdempotencyKey,
    ) -> Result<Option<Receipt>, StoreError> {
        receipt_on(&mut &*self, company, key).await
    }

    async fn pending_alerts(&self, limit: usize) -> Result<Vec<UsageAlert>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows: Vec<(String,)> = self.read(ALERTS, sqlx::query_as(sql::PENDING_ALERTS).bind(limit)).await?;
        rows.iter().map(|(json,)| one::<AlertRow, _>(ALERTS, json)).collect()
    }

    async fn claim_alerts(
        &self,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<UsageAlert>, StoreError> {
        let query = sqlx::query_as(sql::CLAIM_ALERTS)
            .bind(until.timestamp_micros())
            .bind(now.timestamp_micros())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        alerts::claimed(self.write_all(alerts::CLAIM, query).await?)
    }

    async fn acknowledge_alert(&self, alert: &UsageAlert) -> Result<(), StoreError> {
        let query = sqlx::query(sql::ACKNOWLEDGE_ALERT)
            .bind(alert.company.as_str())
            .bind(alert.meter.as_str())
            .bind(alert.bucket.to_string())
            .bind(alert.period_start.timestamp_micros())
            .bind(i64::from(alert.percent))
            .bind(alert.threshold.as_i64());
        self.execute(ACKNOWLEDGE, query).await
    }
}

#[async_trait]
impl GroupStore for PostgresStore {
    async fn debit_group(&self, debits: &[Debit]) -> Result<Vec<DebitOutcome>, StoreError> {
        let Some(first) = debits.first() else { return Ok(Vec::new()) };
        if !Debit::is_group(debits) {
            return Err(StoreError::new(StoreErrorKind::Unsupported, DEBIT));
        }
        let (Some(counter), Some(sums)) = (receipts::only_counter(first), receipts::sums(debits)) else {
            return self.debit_group_carefully(first, debits).await;
        };
        let query = bound_group(sql::DEBIT_GROUP_PLAIN, first, debits);
        let query = query
            .bind(receipts::beginning(counter))
            .bind(sums.clone())
            .bind(sums.last().copied())
            .bind(self.repeating.load(Ordering::Relaxed));
        let answers = match self.read(DEBIT, query).await {
            Ok(answers) => answers,
            // As with one debit.
            Err(error) if receipts::is_taken(&error) => {
                self.repeating.store(true, Ordering::Relaxed);
                return self.debit_group_carefully(first, debits).await;
            }
            Err(error) => return Err(error),
        };
        let [(Some(before), None, None)] = answers.as_slice() else { return outcomes(debits, answers) };
        self.repeating.store(false, Ordering::Relaxed);
        let made = |(debit, sum): (&Debit, i64)| {
            receipts::made_plainly(DEBIT, debit, counter, before.saturating_add(sum))
        };
        debits.iter().zip(sums).map(made).collect()
    }
}

impl PostgresStore {
    async fn debit_group_carefully(
        &self,
        first: &Debit,
        debits: &[Debit],
    ) -> Result<Vec<DebitOutcome>, StoreError> {
        outcomes(debits, self.read(DEBIT, bound_group(sql::DEBIT_GROUP, first, debits)).await?)
    }
}

/// What the statement's answers to a group mean.
fn outcomes(debits: &[Debit], answers: Vec<Answer>) -> Result<Vec<DebitOutcome>, StoreError> {
    if answers.len() != debits.len() {
        return Err(StoreError::new(StoreErrorKind::Corrupt, DEBIT));
    }
    debits.iter().zip(answers).map(|(debit, answer)| outcome(debit, answer)).collect()
}

/// The statement of a plain debit: everything about it and its counter, without lists.
fn plain<'q>(debit: &'q Debit, counter: &'q Counter) -> Typed<'q, PlainAnswer> {
    let percents: Vec<_> = counter.alerts.iter().map(|(percent, _)| i64::from(*percent)).collect();
    let thresholds: Vec<_> = counter.alerts.iter().map(|(_, threshold)| threshold.as_i64()).collect();
    named(sql::DEBIT_PLAIN, debit)
        .bind(counter.meter.as_str())
        .bind(counter.bucket.to_string())
        .bind(counter.period.start.timestamp_micros())
        .bind(counter.period.end.map(|end| end.timestamp_micros()))
        .bind(counter.limit.map(Amount::as_i64))
        .bind(percents)
        .bind(thresholds)
        .bind(format!("{}{},", receipts::beginning(counter), debit.amount))
}

/// An answer out of its parts.
fn answer(parts: Vec<Option<String>>) -> Result<Answer, StoreError> {
    let [used, taken, known] =
        <[_; 3]>::try_from(parts).map_err(|_| StoreError::new(StoreErrorKind::Corrupt, DEBIT))?;
    let used = used.map(|used| used.parse()).transpose().map_err(corrupt(DEBIT))?;
    Ok((used, taken, known))
}

/// A statement with everything about debits that are alike.
fn bound_group<'q>(statement: &'static str, first: &'q Debit, debits: &'q [Debit]) -> Typed<'q, Answer> {
    let counters = Counters::of(first);
    let each = || debits.iter();
    sqlx::query_as(statement)
        .bind(first.company.as_str())
        .bind(each().map(|debit| debit.key.as_str()).collect::<Vec<_>>())
        .bind(each().map(|debit| debit.receipt.as_str()).collect::<Vec<_>>())
        .bind(each().map(|debit| debit.user.as_ref().map(UserId::as_str)).collect::<Vec<_>>())
        .bind(first.meter.as_str())
        .bind(each().map(|debit| debit.amount.as_i64()).collect::<Vec<_>>())
        .bind(each().map(|debit| debit.at.timestamp_micros()).collect::<Vec<_>>())
        .bind(first.limit.map(Amount::as_i64))
        .bind(first.resets_at.map(|at| at.timestamp_micros()))
        .bind(counters.meters)
        .bind(counters.buckets)
        .bind(counters.starts)
        .bind(counters.ends)
        .bind(counters.limits)
        .bind(counters.numbers)
        .bind(counters.alert_places)
        .bind(counters.alert_percents)
        .bind(counters.alert_thresholds)
}

/// Takes units where the statement runs.
pub(super) async fn debit_on(run: &mut impl Run, debit: &Debit) -> Result<DebitOutcome, StoreError> {
    if !debit.is_well_formed() {
        return Err(StoreError::new(StoreErrorKind::Unsupported, DEBIT));
    }
    let query = bound(sql::DEBIT, debit);
    let answers: Vec<Answer> = run.read(DEBIT, query).await?;
    outcome(debit, answers.into_iter().next().unwrap_or((Some(0), None, None)))
}

/// What the statement's answer to a debit means.
fn outcome(debit: &Debit, answer: Answer) -> Result<DebitOutcome, StoreError> {
    match answer {
        (Some(used), Some(split), None) => receipts::recorded(DEBIT, debit, used, &split),
        (None, None, first) => {
            let first: Vec<_> = first.into_iter().map(|json| (json,)).collect();
            Ok(receipts::not_recorded(debit, receipts::known(DEBIT, &first)?))
        }
        _ => Err(StoreError::new(StoreErrorKind::Corrupt, DEBIT)),
    }
}

/// Gives a receipt back where the statement runs.
pub(super) async fn refund_on(
    run: &mut impl Run,
    company: &CompanyId,
    receipt: &ReceiptId,
    at: DateTime<Utc>,
) -> Result<Option<Receipt>, StoreError> {
    let query =
        sqlx::query_as(sql::REFUND).bind(company.as_str()).bind(receipt.as_str()).bind(at.timestamp_micros());
    let rows: Vec<(Option<String>,)> = run.read(REFUND, query).await?;
    let known: Vec<_> = rows.into_iter().filter_map(|(json,)| Some((json?,))).collect();
    receipts::receipt(REFUND, &known)
}

/// Reads a receipt where the statement runs.
pub(super) async fn receipt_on(
    run: &mut impl Run,
    company: &CompanyId,
    key: &IdempotencyKey,
) -> Result<Option<Receipt>, StoreError> {
    let query = sqlx::query_as(sql::RECEIPT_BY_KEY).bind(company.as_str()).bind(key.as_str());
    receipts::receipt(RECEIPT, &run.read(RECEIPT, query).await?)
}

/// A statement with everything about a debit.
pub(super) fn bound<'q, R>(statement: &'static str, debit: &'q Debit) -> Typed<'q, R>
where
    R: for<'r> FromRow<'r, PgRow>,
{
    let counters = Counters::of(debit);
    named(statement, debit)
        .bind(counters.meters)
        .bind(counters.buckets)
        .bind(counters.starts)
        .bind(counters.ends)
        .bind(counters.limits)
        .bind(counters.numbers)
        .bind(counters.lock_order)
        .bind(counters.alert_places)
        .bind(counters.alert_percents)
        .bind(counters.alert_thresholds)
}

/// A statement with everything about a debit but its counters.
fn named<'q, R>(statement: &'static str, debit: &'q Debit) -> Typed<'q, R>
where
    R: for<'r> FromRow<'r, PgRow>,
{
    sqlx::query_as(statement)
        .bind(debit.company.as_str())
        .bind(debit.key.as_str())
        .bind(debit.receipt.as_str())
        .bind(debit.user.as_ref().map(UserId::as_str))
        .bind(debit.meter.as_str())
        .bind(debit.amount.as_i64())
        .bind(debit.at.timestamp_micros())
        .bind(debit.limit.map(Amount::as_i64))
        .bind(debit.resets_at.map(|at| at.timestamp_micros()))
}

/// The counters of a debit as the database takes them: an array for each property, tallies last. Places count from 1.
#[derive(Default)]
struct Counters<'a> {
    meters: Vec<&'a str>,
    buckets: Vec<String>,
    starts: Vec<i64>,
    ends: Vec<Option<i64>>,
    limits: Vec<Option<i64>>,
    /// The number of the bucket that a counter belongs to; tallies have none.
    numbers: Vec<Option<i64>>,
    /// The places in ascending order of meter, bucket and start: the order in which everybody locks.
    lock_order: Vec<i64>,
    alert_places: Vec<i64>,
    alert_percents: Vec<i64>,
    alert_thresholds: Vec<i64>,
}

impl<'a> Counters<'a> {
    fn of(debit: &'a Debit) -> Self {
        let mut all = Self::default();
        for (number, bucket) in (1..).zip(&debit.buckets) {
            for counter in &bucket.counters {
                all.push(Some(number), counter);
            }
        }
        for tally in &debit.tallies {
            all.push(None, tally);
        }
        let mut keys: Vec<_> = (1..)
            .zip(all.meters.iter().zip(&all.buckets).zip(&all.starts))
            .map(|(p, key)| (key, p))
            .collect();
        keys.sort_unstable();
        let lock_order = keys.into_iter().map(|(_, place)| place).collect();
        Self { lock_order, ..all }
    }

    fn push(&mut self, number: Option<i64>, counter: &'a Counter) {
        self.meters.push(counter.meter.as_str());
        self.buckets.push(counter.bucket.to_string());
        self.starts.push(counter.period.start.timestamp_micros());
        self.ends.push(counter.period.end.map(|end| end.timestamp_micros()));
        self.limits.push(counter.limit.map(Amount::as_i64));
        self.numbers.push(number);
        let place = i64::try_from(self.meters.len()).unwrap_or(i64::MAX);
        for (percent, threshold) in &counter.alerts {
            self.alert_places.push(place);
            self.alert_percents.push(i64::from(*percent));
            self.alert_thresholds.push(threshold.as_i64());
        }
    }
}

#[cfg(test)]
mod tests {
    use entitlements_core::testkit::fixtures::{bucket, debit, granted, monthly, part, units, yearly};

    use super::*;

    #[test]
    fn counters_keep_the_order_of_the_buckets_and_are_locked_in_one_order() {
        let alerting = Counter { alerts: vec![(80, units(8)), (100, units(10))], ..monthly(10) };
        let debit = Debit {
            buckets: vec![bucket([yearly(5), alerting]), bucket([granted("g", None)])],
            tallies: vec![part("a")],
            ..debit("acme", "k", 1, [])
        };
        let counters = Counters::of(&debit);
        assert_eq!(counters.buckets, ["plan/year/calendar", "plan/month/calendar", "grant/g", "part"]);
        assert_eq!(counters.numbers, [Some(1), Some(1), Some(2), None]);
        assert_eq!(counters.limits, [Some(5), Some(10), None, None]);
        assert_eq!(counters.lock_order, [4, 3, 2, 1]);
        assert_eq!(counters.alert_places, [2, 2]);
        assert_eq!(counters.alert_thresholds, [8, 10]);
    }
}
