//! Debits, receipts and alerts in memory.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::MemoryStore;
use super::instant::{kept, kept_debit};
use super::state::{AlertKey, Company, CounterKey};
use crate::Amount;
use crate::id::{CompanyId, IdempotencyKey, ReceiptId};
use crate::store::{StoreError, StoreErrorKind, UsageStore};
use crate::usage::{Counter, Debit, DebitBucket, DebitOutcome, Receipt, Split, UsageAlert};

const DEBIT: &str = "debit units";

#[async_trait]
impl UsageStore for MemoryStore {
    async fn debit(&self, debit: &Debit) -> Result<DebitOutcome, StoreError> {
        if !debit.is_well_formed() {
            return Err(StoreError::new(StoreErrorKind::Unsupported, DEBIT));
        }
        let debit = &kept_debit(debit);
        let mut state = self.state();
        let state = &mut *state;
        let none = Company::default();
        let company = state.companies.get(&debit.company).unwrap_or(&none);
        if let Some(first) = company.receipts.get(&debit.key) {
            let same = first.is_same_call(&debit.meter, debit.amount, debit.user.as_ref());
            return Ok(if same { DebitOutcome::Duplicate(first.clone()) } else { DebitOutcome::Conflict });
        }
        if company.receipt_keys.contains_key(&debit.receipt) {
            return Err(StoreError::new(StoreErrorKind::Internal, DEBIT));
        }
        let Some(additions) = additions(company, debit) else { return Ok(DebitOutcome::Refused) };

        let company = state.companies.entry(debit.company.clone()).or_default();
        for Addition { counter, before, after, .. } in &additions {
            let count = company.counters.entry(CounterKey::from(*counter)).or_default();
            count.used = *after;
            count.period_end = counter.period.end;
            for &(percent, threshold) in &counter.alerts {
                if *before < threshold && threshold <= *after {
                    let alert = alert(debit, counter, percent, threshold, *after);
                    if state.raised.insert(AlertKey::from(&alert)) {
                        state.alerts.push(alert);
                    }
                }
            }
        }
        let receipt = receipt(debit, &additions, shown(company, &debit.buckets));
        company.receipt_keys.insert(receipt.id.clone(), receipt.key.clone());
        company.receipts.insert(receipt.key.clone(), receipt.clone());
        Ok(DebitOutcome::Recorded(receipt))
    }

    async fn refund(
        &self,
        company: &CompanyId,
        receipt: &ReceiptId,
        at: DateTime<Utc>,
    ) -> Result<Option<Receipt>, StoreError> {
        let mut state = self.state();
        let Some(company) = state.companies.get_mut(company) else { return Ok(None) };
        let Some(key) = company.receipt_keys.get(receipt) else { return Ok(None) };
        let Some(receipt) = company.receipts.get_mut(key) else { return Ok(None) };
        if receipt.refunded_at.is_none() {
            receipt.refunded_at = Some(kept(at));
            for Split { meter, bucket, period_start, amount } in &receipt.split {
                let key =
                    CounterKey { meter: meter.clone(), bucket: bucket.clone(), period_start: *period_start };
                if let Some(count) = company.counters.get_mut(&key) {
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
        Ok(state.companies.get(company).and_then(|company| company.receipts.get(key)).cloned())
    }

    async fn pending_alerts(&self, limit: usize) -> Result<Vec<UsageAlert>, StoreError> {
        Ok(self.state().alerts.iter().take(limit).cloned().collect())
    }

    async fn acknowledge_alert(&self, alert: &UsageAlert) -> Result<(), StoreError> {
        let key = AlertKey::from(alert);
        self.state().alerts.retain(|pending| AlertKey::from(pending) != key);
        Ok(())
    }
}

/// What a debit does to one counter.
struct Addition<'a> {
    counter: &'a Counter,
    units: Amount,
    before: Amount,
    after: Amount,
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
    company.counters.get(&CounterKey::from(counter)).map_or(Amount::ZERO, |count| count.used)
}

/// The units used over the first counters of all buckets.
fn shown(company: &Company, buckets: &[DebitBucket]) -> Amount {
    (buckets.iter().filter_map(|bucket| bucket.counters.first()))
        .fold(Amount::ZERO, |sum, counter| sum.saturating_add(used(company, counter)))
}

fn receipt(debit: &Debit, additions: &[Addition<'_>], used: Amount) -> Receipt {
    let split = additions.iter().map(|Addition { counter, units, .. }| Split {
        meter: counter.meter.clone(),
        bucket: counter.bucket.clone(),
        period_start: counter.period.start,
        amount: *units,
    });
    Receipt {
        id: debit.receipt.clone(),
        company: debit.company.clone(),
        user: debit.user.clone(),
        key: debit.key.clone(),
        meter: debit.meter.clone(),
        amount: debit.amount,
        at: debit.at,
        split: split.collect(),
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
