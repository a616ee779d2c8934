//! Mistakes about units: taking them, giving them back, and what is said of it.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use entitlements_core::Amount;
use entitlements_core::id::{CompanyId, IdempotencyKey, ReceiptId};
use entitlements_core::store::{SnapshotStore, UsageStore};
use entitlements_core::usage::{Debit, DebitOutcome, Receipt, RecordOutcome, UsageAlert};

use super::{Result, Store, Wrong};

#[async_trait]
impl UsageStore for Store {
    async fn debit(&self, debit: &Debit) -> Result<DebitOutcome> {
        let mut debit = debit.clone();
        match self.wrong {
            Wrong::ReadsThenWrites => return self.read_then_write(debit).await,
            Wrong::LooksUpThenWrites => return self.look_up_then_write(debit).await,
            Wrong::TurnsBuckets => debit.buckets.reverse(),
            Wrong::ForgetsTallies => debit.tallies.clear(),
            Wrong::ChecksOneQuota => {
                for bucket in &mut debit.buckets {
                    bucket.counters.iter_mut().skip(1).for_each(|counter| counter.limit = None);
                }
            }
            Wrong::TakesLate => {
                let ends =
                    debit.buckets.iter().flat_map(|bucket| &bucket.counters).filter_map(|it| it.period.end);
                let last = ends.min().map(|end| end - TimeDelta::microseconds(1));
                debit.at = last.map_or(debit.at, |last| last.min(debit.at));
            }
            Wrong::KeepsRefusedKeys if self.notes.lock().unwrap().refused.contains(&debit.key) => {
                return Ok(DebitOutcome::Conflict);
            }
            Wrong::SharesKeys => {
                if let Some(first) = self.notes.lock().unwrap().seen.get(&debit.key) {
                    let same = first.is_same_call(&debit.meter, debit.amount, debit.user.as_ref());
                    let first = first.clone();
                    return Ok(if same { DebitOutcome::Duplicate(first) } else { DebitOutcome::Conflict });
                }
            }
            Wrong::IgnoresUsers => {
                if let Some(first) = self.memory.receipt(&debit.company, &debit.key).await? {
                    debit.user = first.user;
                }
            }
            _ => {}
        }
        let mut outcome = self.memory.debit(&debit).await?;
        self.note(&debit, &mut outcome).await?;
        Ok(outcome)
    }

    async fn record(&self, company: &CompanyId, events: &[Debit]) -> Result<Vec<RecordOutcome>> {
        if self.is(Wrong::RecordsOneByOne) || self.is(Wrong::RecordsUpToTheLimit) {
            let mut outcomes = Vec::new();
            for event in events {
                let limited = self.is(Wrong::RecordsUpToTheLimit);
                let event = if limited { event.clone() } else { event.clone().in_full() };
                outcomes.push(match self.memory.debit(&event).await? {
                    DebitOutcome::Duplicate(_) => RecordOutcome::Duplicate,
                    DebitOutcome::Conflict => RecordOutcome::Conflict,
                    DebitOutcome::Recorded(_) | DebitOutcome::Refused => RecordOutcome::Recorded,
                });
            }
            return Ok(outcomes);
        }
        self.memory.record(company, events).await
    }

    async fn refund(
        &self,
        company: &CompanyId,
        receipt: &ReceiptId,
        at: DateTime<Utc>,
    ) -> Result<Option<Receipt>> {
        let answer = self.memory.refund(company, receipt, at).await?;
        let again = answer.as_ref().is_some_and(|receipt| receipt.refunded_at != Some(at));
        if let Some(receipt) = answer.as_ref().filter(|_| again && self.is(Wrong::RefundsTwice)) {
            let mut notes = self.notes.lock().unwrap();
            let extra = notes.extra_refunds.entry(company.clone()).or_default();
            *extra = extra.saturating_add(receipt.amount);
        }
        Ok(answer)
    }

    async fn receipt(&self, company: &CompanyId, key: &IdempotencyKey) -> Result<Option<Receipt>> {
        let known = self.memory.receipt(company, key).await?;
        let left =
            self.notes.lock().unwrap().seen.get(key).filter(|_| self.is(Wrong::LeavesReceipts)).cloned();
        Ok(known.or(left))
    }

    async fn pending_alerts(&self, limit: usize) -> Result<Vec<UsageAlert>> {
        let mut alerts = self.memory.pending_alerts(limit).await?;
        alerts.extend(self.notes.lock().unwrap().repeated_alerts.iter().cloned());
        Ok(alerts)
    }

    async fn claim_alerts(
        &self,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<UsageAlert>> {
        if self.is(Wrong::ClaimsAlertsAgain) {
            return self.memory.pending_alerts(limit).await;
        }
        self.memory.claim_alerts(until, now, limit).await
    }

    async fn acknowledge_alert(&self, alert: &UsageAlert) -> Result<()> {
        self.memory.acknowledge_alert(alert).await
    }
}

impl Store {
    /// Asks whether there is room, and takes the units later.
    async fn read_then_write(&self, mut debit: Debit) -> Result<DebitOutcome> {
        let facts = self.memory.load(&debit.company, debit.at).await?;
        for counter in debit.buckets.iter_mut().flat_map(|bucket| &mut bucket.counters) {
            let known = facts.usage.iter().find(|c| c.meter == counter.meter && c.bucket == counter.bucket);
            let used = known.map_or(Amount::ZERO, |known| known.used);
            if counter.limit.is_some_and(|limit| limit.saturating_sub(used) < debit.amount) {
                return Ok(DebitOutcome::Refused);
            }
            counter.limit = None;
        }
        self.give_way().await;
        self.memory.debit(&debit).await
    }

    /// Asks whether the key is known, and takes the units later, under a key of its own.
    async fn look_up_then_write(&self, mut debit: Debit) -> Result<DebitOutcome> {
        if let Some(first) = self.notes.lock().unwrap().seen.get(&debit.key) {
            return Ok(DebitOutcome::Duplicate(first.clone()));
        }
        self.give_way().await;
        let key = debit.key.clone();
        debit.key = IdempotencyKey::new(debit.receipt.as_str()).unwrap();
        let outcome = self.memory.debit(&debit).await?;
        if let DebitOutcome::Recorded(receipt) = &outcome {
            self.notes.lock().unwrap().seen.insert(key, receipt.clone());
        }
        Ok(outcome)
    }

    async fn note(&self, debit: &Debit, outcome: &mut DebitOutcome) -> Result<()> {
        match outcome {
            DebitOutcome::Refused => {
                self.notes.lock().unwrap().refused.insert(debit.key.clone());
            }
            DebitOutcome::Recorded(receipt) => {
                let mut notes = self.notes.lock().unwrap();
                notes.seen.insert(debit.key.clone(), receipt.clone());
                if self.is(Wrong::AlertsAgain) {
                    notes.repeated_alerts.extend(crossed_again(debit, receipt));
                }
            }
            DebitOutcome::Duplicate(receipt) if self.is(Wrong::ShowsNumbersOfNow) => {
                let facts = self.memory.load(&debit.company, debit.at).await?;
                receipt.used = facts.usage.first().map_or(Amount::ZERO, |counter| counter.used);
            }
            _ => {}
        }
        Ok(())
    }
}

/// The alerts that a debit crosses when nobody remembers which were raised before: all but the first time.
fn crossed_again(debit: &Debit, receipt: &Receipt) -> Vec<UsageAlert> {
    let first_time = debit.key.as_str() == "k0";
    let counters = debit.buckets.iter().flat_map(|bucket| &bucket.counters);
    let alerts = counters.flat_map(|counter| counter.alerts.iter().map(move |alert| (counter, *alert)));
    alerts
        .filter(|(_, (_, threshold))| !first_time && *threshold <= receipt.used)
        .map(|(counter, (percent, threshold))| UsageAlert {
            company: debit.company.clone(),
            meter: counter.meter.clone(),
            bucket: counter.bucket.clone(),
            period_start: counter.period.start,
            percent,
            threshold,
            used: receipt.used,
            at: debit.at,
        })
        .collect()
}
