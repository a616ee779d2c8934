//! Debits, receipts and alerts in memory.

use std::collections::HashSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::MemoryStore;
use super::instant::{kept, kept_debit};
use super::state::{AlertKey, Company, CounterKey, State, Waiting};
use crate::Amount;
use crate::id::{CompanyId, IdempotencyKey, ReceiptId};
use crate::store::{GroupStore, StoreError, StoreErrorKind, UsageStore};
use crate::usage::{Counter, Debit, DebitBucket, DebitOutcome, Receipt, RecordOutcome, Split, UsageAlert};

const DEBIT: &str = "debit units";
const RECORD: &str = "record usage";

#[async_trait]
impl UsageStore for MemoryStore {
    async fn debit(&self, debit: &Debit) -> Result<DebitOutcome, StoreError> {
        if !debit.is_well_formed() {
            return Err(StoreError::new(StoreErrorKind::Unsupported, DEBIT));
        }
        let mut state = self.state();
        let outcome = take(&mut state, &kept_debit(debit), DEBIT)?;
        if let DebitOutcome::Recorded(receipt) = &outcome {
            state.bill([receipt])?;
        }
        Ok(outcome)
    }

    async fn record(&self, company: &CompanyId, events: &[Debit]) -> Result<Vec<RecordOutcome>, StoreError> {
        if !events.iter().all(|event| event.is_event_of(company)) {
            return Err(StoreError::new(StoreErrorKind::Unsupported, RECORD));
        }
        let mut state = self.state();
        let (alerts, mut recorded, mut outcomes) = (state.alerts.len(), Vec::new(), Vec::new());
        for event in events {
            match take(&mut state, &kept_debit(event).in_full(), RECORD) {
                Ok(DebitOutcome::Recorded(receipt)) => {
                    recorded.push(receipt);
                    outcomes.push(RecordOutcome::Recorded);
                }
                Ok(DebitOutcome::Duplicate(_)) => outcomes.push(RecordOutcome::Duplicate),
                Ok(DebitOutcome::Conflict) => outcomes.push(RecordOutcome::Conflict),
                failed @ (Ok(DebitOutcome::Refused) | Err(_)) => {
                    undo(&mut state, company, &recorded, alerts);
                    let overflow = StoreError::new(StoreErrorKind::Internal, RECORD);
                    return Err(failed.err().unwrap_or(overflow));
                }
            }
        }
        state.bill(&recorded)?;
        Ok(outcomes)
    }

    async fn refund(
        &self,
        company: &CompanyId,
        receipt: &ReceiptId,
        at: DateTime<Utc>,
    ) -> Result<Option<Receipt>, StoreError> {
        let mut state = self.state();
        let State { companies, outbox, .. } = &mut *state;
        let Some(company) = companies.get_mut(company) else { return Ok(None) };
        let Some(key) = company.receipt_keys.get(receipt) else { return Ok(None) };
        let Some(receipt) = company.receipts.get_mut(key) else { return Ok(None) };
        if receipt.refunded_at.is_none() {
            receipt.refunded_at = Some(kept(at));
            outbox.refund(&receipt.company, &receipt.id);
            for split in &receipt.split {
                if let Some(count) = company.counters.get_mut(&CounterKey::from(split)) {
                    count.used = count.used.saturating_sub(split.amount);
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
        Ok(state.companies.get(company).and_then(|company| company.receipts.get(key)).cloned())
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
        let mut free: Vec<_> = (state.alerts.iter_mut().enumerate())
            .filter(|(_, waiting)| waiting.claimed_until.is_none_or(|until| until <= now))
            .collect();
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
        let key = AlertKey::from(alert);
        self.state().alerts.retain(|waiting| AlertKey::from(&waiting.alert) != key);
        Ok(())
    }
}

#[async_trait]
impl GroupStore for MemoryStore {
    async fn debit_group(&self, debits: &[Debit]) -> Result<Vec<DebitOutcome>, StoreError> {
        let Some(first) = debits.first() else { return Ok(Vec::new()) };
        if !Debit::is_group(debits) {
            return Err(StoreError::new(StoreErrorKind::Unsupported, DEBIT));
        }
        let mut state = self.state();
        let latest = debits.iter().map(|debit| kept(debit.at)).max();
        if let (Some(company), Some(latest)) = (state.companies.get_mut(&first.company), latest) {
            company.free_expired(latest);
        }
        let (alerts, mut recorded, mut outcomes) = (state.alerts.len(), Vec::new(), Vec::new());
        for debit in debits {
            match take(&mut state, &kept_debit(debit), DEBIT) {
                Ok(outcome) => {
                    if let DebitOutcome::Recorded(receipt) = &outcome {
                        recorded.push(receipt.clone());
                    }
                    outcomes.push(outcome);
                }
                Err(error) => {
                    undo(&mut state, &first.company, &recorded, alerts);
                    return Err(error);
                }
            }
        }
        state.bill(&recorded)?;
        Ok(outcomes)
    }
}

/// Takes back what a batch recorded that cannot be recorded as a whole.
fn undo(state: &mut State, company: &CompanyId, recorded: &[Receipt], alerts: usize) {
    for waiting in state.alerts.drain(alerts..) {
        state.raised.remove(&AlertKey::from(&waiting.alert));
    }
    let Some(company) = state.companies.get_mut(company) else { return };
    for receipt in recorded {
        company.receipts.remove(&receipt.key);
        company.receipt_keys.remove(&receipt.id);
        for split in &receipt.split {
            if let Some(count) = company.counters.get_mut(&CounterKey::from(split)) {
                count.used = count.used.saturating_sub(split.amount);
            }
        }
    }
}

/// Takes the units of a debit, exactly once per key.
pub(super) fn take(
    state: &mut State,
    debit: &Debit,
    operation: &'static str,
) -> Result<DebitOutcome, StoreError> {
    let none = Company::default();
    let company = state.companies.get(&debit.company).unwrap_or(&none);
    if let Some(first) = company.receipts.get(&debit.key) {
        let same = first.is_same_call(&debit.meter, debit.amount, debit.user.as_ref());
        return Ok(if same { DebitOutcome::Duplicate(first.clone()) } else { DebitOutcome::Conflict });
    }
    if company.reservation_keys.contains_key(&debit.key) {
        return Ok(DebitOutcome::Conflict);
    }
    if let Some(company) = state.companies.get_mut(&debit.company) {
        company.free_expired(debit.at);
    }
    let company = state.companies.get(&debit.company).unwrap_or(&none);
    let Some(additions) = additions(company, debit) else { return Ok(DebitOutcome::Refused) };
    if company.receipt_keys.contains_key(&debit.receipt) {
        return Err(StoreError::new(StoreErrorKind::Internal, operation));
    }

    let company = state.companies.entry(debit.company.clone()).or_default();
    for addition in &additions {
        let count = company.counters.entry(CounterKey::from(addition.counter)).or_default();
        count.used = addition.after;
        count.period_end = addition.counter.period.end;
        alert_crossed(&mut state.alerts, &mut state.raised, debit, debit.at, addition);
    }
    let receipt = receipt(debit, &additions, shown(company, &debit.buckets));
    company.receipt_keys.insert(receipt.id.clone(), receipt.key.clone());
    company.receipts.insert(receipt.key.clone(), receipt.clone());
    Ok(DebitOutcome::Recorded(receipt))
}

/// What a debit does to one counter.
pub(super) struct Addition<'a> {
    pub(super) counter: &'a Counter,
    pub(super) units: Amount,
    pub(super) before: Amount,
    pub(super) after: Amount,
}

/// The alerts that a change of a counter raises for the first time.
pub(super) fn alert_crossed(
    alerts: &mut Vec<Waiting>,
    raised: &mut HashSet<AlertKey>,
    debit: &Debit,
    at: DateTime<Utc>,
    addition: &Addition<'_>,
) {
    for &(percent, threshold) in &addition.counter.alerts {
        if addition.before < threshold && threshold <= addition.after {
            let alert =
                UsageAlert { at, ..alert(debit, addition.counter, percent, threshold, addition.after) };
            if raised.insert(AlertKey::from(&alert)) {
                alerts.push(Waiting { alert, claimed_until: None });
            }
        }
    }
}

/// What each counter receives.
pub(super) fn split_of(additions: &[Addition<'_>]) -> Vec<Split> {
    let split = additions.iter().map(|Addition { counter, units, .. }| Split {
        meter: counter.meter.clone(),
        bucket: counter.bucket.clone(),
        period_start: counter.period.start,
        amount: *units,
    });
    split.collect()
}

/// What the debit does to every counter that receives something; `None` if it does not fit.
fn additions<'a>(company: &Company, debit: &'a Debit) -> Option<Vec<Addition<'a>>> {
    let add = |counter: &'a Counter, units: Amount| {
        let before = used(company, counter);
        Some(Addition { counter, units, before, after: before.checked_add(units)? })
    };
    let mut additions = Vec::new();
    let mut left = debit.amount;
    for bucket in &debit.buckets {
        let room = bucket
            .counters
            .iter()
            .filter_map(|counter| counter.limit.map(|limit| limit.saturating_sub(used(company, counter))));
        let gives = room.min().unwrap_or(left).min(left);
        left = left.saturating_sub(gives);
        if !gives.is_zero() {
            for counter in &bucket.counters {
                additions.push(add(counter, gives)?);
            }
        }
    }
    if !left.is_zero() {
        return None;
    }
    for tally in &debit.tallies {
        additions.push(add(tally, debit.amount)?);
    }
    Some(additions)
}

fn used(company: &Company, counter: &Counter) -> Amount {
    company.used(&CounterKey::from(counter))
}

/// The units used over the first counters of all buckets.
pub(super) fn shown(company: &Company, buckets: &[DebitBucket]) -> Amount {
    (buckets.iter().filter_map(|bucket| bucket.counters.first()))
        .fold(Amount::ZERO, |sum, counter| sum.saturating_add(used(company, counter)))
}

fn receipt(debit: &Debit, additions: &[Addition<'_>], used: Amount) -> Receipt {
    Receipt {
        id: debit.receipt.clone(),
        company: debit.company.clone(),
        user: debit.user.clone(),
        key: debit.key.clone(),
        meter: debit.meter.clone(),
        amount: debit.amount,
        at: debit.at,
        split: split_of(additions),
        used,
        limit: debit.limit,
        resets_at: debit.resets_at,
        refunded_at: None,
    }
}

fn alert(debit: &Debit, counter: &Counter, percent: u16, threshold: Amount, used: Amount) -> UsageAlert {
    UsageAlert {
        company: debit.company.clone(),
        meter: counter.meter.clone(),
        bucket: counter.bucket.clone(),
        period_start: counter.period.start,
        percent,
        threshold,
        used,
        at: debit.at,
    }
}
