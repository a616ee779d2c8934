//! Debits in one atomic step, exactly once per key.
//!
//! A debit is tried on a copy of the company, which takes the company's place only when all of it fitted. So whatever is
//! refused, or fails half way through a batch, has changed nothing.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::Amount;
use entitlements_core::id::{CompanyId, IdempotencyKey, ReceiptId};
use entitlements_core::store::{StoreError, StoreErrorKind, UsageStore};
use entitlements_core::usage::{
    Counter, Debit, DebitBucket, DebitOutcome, Receipt, RecordOutcome, Split, UsageAlert,
};

use crate::store::{Company, CounterKey, OrderedStore, Waiting, kept};

const DEBIT: &str = "debit units";
const RECORD: &str = "record usage";

#[async_trait]
impl UsageStore for OrderedStore {
    async fn debit(&self, debit: &Debit) -> Result<DebitOutcome, StoreError> {
        if !debit.is_well_formed() {
            return Err(StoreError::new(StoreErrorKind::Unsupported, DEBIT));
        }
        let mut state = self.state();
        let mut company = state.companies.get(&debit.company).cloned().unwrap_or_default();
        let outcome = take(&mut company, &to_microseconds(debit), DEBIT)?;
        if let DebitOutcome::Recorded(_) = outcome {
            state.put(&debit.company, company);
        }
        Ok(outcome)
    }

    async fn record(&self, company: &CompanyId, events: &[Debit]) -> Result<Vec<RecordOutcome>, StoreError> {
        if !events.iter().all(|event| event.is_event_of(company)) {
            return Err(StoreError::new(StoreErrorKind::Unsupported, RECORD));
        }
        let mut state = self.state();
        let mut changed = state.companies.get(company).cloned().unwrap_or_default();
        let mut outcomes = Vec::new();
        for event in events {
            outcomes.push(match take(&mut changed, &to_microseconds(event).in_full(), RECORD)? {
                DebitOutcome::Recorded(_) => RecordOutcome::Recorded,
                DebitOutcome::Duplicate(_) => RecordOutcome::Duplicate,
                DebitOutcome::Conflict => RecordOutcome::Conflict,
                // There is room for everything, but a counter ends somewhere.
                DebitOutcome::Refused => return Err(StoreError::new(StoreErrorKind::Internal, RECORD)),
            });
        }
        if outcomes.contains(&RecordOutcome::Recorded) {
            state.put(company, changed);
        }
        Ok(outcomes)
    }

    async fn refund(
        &self,
        company: &CompanyId,
        receipt: &ReceiptId,
        at: DateTime<Utc>,
    ) -> Result<Option<Receipt>, StoreError> {
        let mut state = self.state();
        let Some(company) = state.companies.get_mut(company) else { return Ok(None) };
        let Company { receipts, counters, .. } = company;
        let Some(receipt) = receipts.values_mut().find(|known| known.id == *receipt) else {
            return Ok(None);
        };
        if receipt.refunded_at.is_none() {
            receipt.refunded_at = Some(kept(at));
            for Split { meter, bucket, period_start, amount } in &receipt.split {
                let counter = (meter.clone(), bucket.clone(), *period_start);
                if let Some(count) = counters.get_mut(&counter) {
                    count.used = count.used.saturating_sub(*amount);
                }
            }
        }
        Ok(Some(receipt.clone()))
    }

    async fn receipt(
        &self,
        company: &CompanyId,
        key: &IdempotencyKey,
    ) -> Result<Option<Receipt>, StoreError> {
        let state = self.state();
        Ok(state.companies.get(company).and_then(|known| known.receipts.get(key)).cloned())
    }

    async fn pending_alerts(&self, limit: usize) -> Result<Vec<UsageAlert>, StoreError> {
        Ok(self.state().alerts.iter().take(limit).map(|waiting| waiting.alert.clone()).collect())
    }

    async fn claim_alerts(
        &self,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<UsageAlert>, StoreError> {
        let (until, now) = (kept(until), kept(now));
        let mut state = self.state();
        let is_free = |waiting: &Waiting| waiting.claimed_until.is_none_or(|until| until <= now);
        let mut free: Vec<_> =
            state.alerts.iter_mut().enumerate().filter(|(_, waiting)| is_free(waiting)).collect();
        // Without a claim it comes before all that had one.
        free.sort_by_key(|(place, waiting)| (waiting.claimed_until, *place));
        free.truncate(limit);
        free.sort_by_key(|(place, _)| *place);
        let claimed = free.into_iter().map(|(_, waiting)| {
            waiting.claimed_until = Some(until);
            waiting.alert.clone()
        });
        Ok(claimed.collect())
    }

    async fn acknowledge_alert(&self, alert: &UsageAlert) -> Result<(), StoreError> {
        self.state().alerts.retain(|waiting| waiting.alert != *alert);
        Ok(())
    }
}

/// Takes the units of a debit from a company. Unless it is recorded, what becomes of the company is of no use.
fn take(company: &mut Company, debit: &Debit, operation: &'static str) -> Result<DebitOutcome, StoreError> {
    if let Some(first) = company.receipts.get(&debit.key) {
        let again = first.is_same_call(&debit.meter, debit.amount, debit.user.as_ref());
        return Ok(if again { DebitOutcome::Duplicate(first.clone()) } else { DebitOutcome::Conflict });
    }
    let (mut split, mut left) = (Vec::new(), debit.amount);
    for bucket in &debit.buckets {
        let units = room(company, bucket).map_or(left, |room| room.min(left));
        left = left.saturating_sub(units);
        for counter in &bucket.counters {
            let Some(part) = add(company, debit, counter, units) else { return Ok(DebitOutcome::Refused) };
            split.push(part);
        }
    }
    if !left.is_zero() {
        return Ok(DebitOutcome::Refused);
    }
    for tally in &debit.tallies {
        let Some(part) = add(company, debit, tally, debit.amount) else { return Ok(DebitOutcome::Refused) };
        split.push(part);
    }
    if company.receipts.values().any(|known| known.id == debit.receipt) {
        return Err(StoreError::new(StoreErrorKind::Internal, operation));
    }
    split.retain(|part| !part.amount.is_zero());
    let receipt = Receipt {
        id: debit.receipt.clone(),
        company: debit.company.clone(),
        user: debit.user.clone(),
        key: debit.key.clone(),
        meter: debit.meter.clone(),
        amount: debit.amount,
        at: debit.at,
        split,
        used: shown(company, debit),
        limit: debit.limit,
        resets_at: debit.resets_at,
        refunded_at: None,
    };
    company.receipts.insert(receipt.key.clone(), receipt.clone());
    Ok(DebitOutcome::Recorded(receipt))
}

/// The units for which every counter of a bucket has room; `None` if none of them has a limit.
fn room(company: &Company, bucket: &DebitBucket) -> Option<Amount> {
    let limited = bucket.counters.iter().filter_map(|counter| Some((counter, counter.limit?)));
    limited.map(|(counter, limit)| limit.saturating_sub(used(company, counter))).min()
}

/// Adds units to a counter, and raises the alerts that this crosses for the first time; `None` if the counter overflows.
fn add(company: &mut Company, debit: &Debit, counter: &Counter, units: Amount) -> Option<Split> {
    let Counter { meter, bucket, period, .. } = counter;
    let before = used(company, counter);
    let after = before.checked_add(units)?;
    if !units.is_zero() {
        let count = company.counters.entry(key_of(counter)).or_default();
        count.used = after;
        count.period_end = period.end;
    }
    for &(percent, threshold) in &counter.alerts {
        let crosses = before < threshold && threshold <= after;
        if crosses && company.raised.insert((key_of(counter), percent, threshold)) {
            company.alerts.push(UsageAlert {
                company: debit.company.clone(),
                meter: meter.clone(),
                bucket: bucket.clone(),
                period_start: period.start,
                percent,
                threshold,
                used: after,
                at: debit.at,
            });
        }
    }
    Some(Split { meter: meter.clone(), bucket: bucket.clone(), period_start: period.start, amount: units })
}

/// The number on a receipt: what is now in the first counters of all buckets.
fn shown(company: &Company, debit: &Debit) -> Amount {
    let first = debit.buckets.iter().filter_map(|bucket| bucket.counters.first());
    first.fold(Amount::ZERO, |sum, counter| sum.saturating_add(used(company, counter)))
}

fn used(company: &Company, counter: &Counter) -> Amount {
    company.counters.get(&key_of(counter)).map_or(Amount::ZERO, |count| count.used)
}

fn key_of(counter: &Counter) -> CounterKey {
    (counter.meter.clone(), counter.bucket.clone(), counter.period.start)
}

fn to_microseconds(debit: &Debit) -> Debit {
    let mut debit = debit.clone();
    debit.at = kept(debit.at);
    debit.resets_at = debit.resets_at.map(kept);
    let counters = debit.buckets.iter_mut().flat_map(|bucket| &mut bucket.counters);
    for counter in counters.chain(&mut debit.tallies) {
        counter.period.start = kept(counter.period.start);
        counter.period.end = counter.period.end.map(kept);
    }
    debit
}
