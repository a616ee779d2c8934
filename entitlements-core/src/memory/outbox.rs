//! Usage that is billed, in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::MemoryStore;
use super::instant::kept;
use super::state::State;
use crate::Amount;
use crate::billing::{UnsettledUsage, UsageOutbox, UsageOutcome, UsageRecord, UsageRecordState};
use crate::id::{CompanyId, FeatureKey, ReceiptId, UsageRecordId};
use crate::store::{StoreError, StoreErrorKind};
use crate::usage::Receipt;

/// The records, and which meters have any.
#[derive(Default)]
pub(super) struct Outbox {
    meters: BTreeSet<FeatureKey>,
    /// In the order of their making.
    records: BTreeMap<u64, Kept>,
    places: HashMap<UsageRecordId, u64>,
    last: u64,
}

struct Kept {
    record: UsageRecord,
    /// From when on it can be claimed; `None` once nothing is left to do.
    due_at: Option<DateTime<Utc>>,
    refunded: bool,
}

impl Outbox {
    /// Writes down a receipt of a meter that is billed. The id says nothing of the company, and no other store has it.
    pub(super) fn bill(&mut self, receipt: &Receipt) -> Result<(), StoreError> {
        if !self.meters.contains(&receipt.meter) {
            return Ok(());
        }
        let failed = StoreError::new(StoreErrorKind::Internal, "write usage down");
        let mut bytes = [0; 16];
        if let Err(error) = getrandom::fill(&mut bytes) {
            return Err(failed.with_source(error.to_string()));
        }
        let id = match UsageRecordId::new(format!("use_{:032x}", u128::from_be_bytes(bytes))) {
            Ok(id) => id,
            Err(error) => return Err(failed.with_source(error)),
        };
        let record = UsageRecord {
            id: id.clone(),
            company: receipt.company.clone(),
            receipt: receipt.id.clone(),
            meter: receipt.meter.clone(),
            amount: receipt.amount,
            at: receipt.at,
            state: UsageRecordState::Pending,
            attempts: 0,
            tried_at: None,
            note: None,
        };
        self.last += 1;
        self.places.insert(id, self.last);
        self.records.insert(self.last, Kept { record, due_at: Some(DateTime::UNIX_EPOCH), refunded: false });
        Ok(())
    }

    /// The receipt was given back.
    pub(super) fn refund(&mut self, company: &CompanyId, receipt: &ReceiptId) {
        let is_its = |kept: &&mut Kept| kept.record.company == *company && kept.record.receipt == *receipt;
        let Some(kept) = self.records.values_mut().find(is_its) else { return };
        kept.refunded = true;
        match (kept.record.state, kept.record.tried_at) {
            (UsageRecordState::Pending, _) if kept.record.attempts > 0 => {}
            (UsageRecordState::Pending, _) | (UsageRecordState::Refused, None) => {
                kept.record.state = UsageRecordState::Canceled;
                kept.due_at = None;
            }
            (UsageRecordState::Sent, _) | (UsageRecordState::Refused, Some(_)) => kept.correct(),
            _ => {}
        }
    }

    /// Forgets a company.
    pub(super) fn forget(&mut self, company: &CompanyId) {
        self.retain(|kept| kept.record.company != *company);
    }

    /// Receipts of which something is left to report.
    pub(super) fn open(&self) -> HashSet<(CompanyId, ReceiptId)> {
        let open = self.records.values().filter(|kept| kept.due_at.is_some());
        open.map(|kept| (kept.record.company.clone(), kept.record.receipt.clone())).collect()
    }

    /// Forgets what is done with, of receipts from before an instant.
    pub(super) fn expire(&mut self, before: DateTime<Utc>) {
        self.retain(|kept| kept.due_at.is_some() || kept.record.at >= before);
    }

    pub(super) fn names(&self, company: &CompanyId) -> bool {
        self.records.values().any(|kept| kept.record.company == *company)
    }

    fn retain(&mut self, keep: impl Fn(&Kept) -> bool) {
        self.records.retain(|_, kept| keep(kept));
        self.places.retain(|_, place| self.records.contains_key(place));
    }

    fn find(&mut self, id: &UsageRecordId) -> Option<&mut Kept> {
        self.places.get(id).and_then(|place| self.records.get_mut(place))
    }
}

impl Kept {
    fn end(&mut self, state: UsageRecordState, note: Option<&str>) {
        self.record.state = state;
        self.record.note = note.map(str::to_owned);
        self.due_at = None;
    }

    fn correct(&mut self) {
        self.record.state = UsageRecordState::Correcting;
        self.due_at = Some(DateTime::UNIX_EPOCH);
    }

    fn finish(&mut self, outcome: &UsageOutcome) {
        self.record.note = None;
        match outcome {
            UsageOutcome::Sent if self.refunded => self.correct(),
            UsageOutcome::Sent => self.end(UsageRecordState::Sent, None),
            UsageOutcome::Refused { why, tried_at } => {
                self.record.tried_at = tried_at.map(kept);
                self.record.note = Some(why.clone());
                match (self.refunded, tried_at) {
                    (false, _) => self.end(UsageRecordState::Refused, Some(why)),
                    (true, None) => self.end(UsageRecordState::Canceled, Some(why)),
                    (true, Some(_)) => self.correct(),
                }
            }
            UsageOutcome::Corrected => self.end(UsageRecordState::Corrected, None),
            UsageOutcome::Uncorrected(why) => self.end(UsageRecordState::Uncorrected, Some(why)),
            UsageOutcome::Failed { error, retry_at, tried_at } => {
                self.record.note = Some(error.clone());
                self.record.tried_at = tried_at.map(kept);
                self.due_at = Some(kept(*retry_at));
            }
        }
    }
}

impl State {
    /// Writes receipts down, as far as their meters are billed.
    pub(super) fn bill<'a>(
        &mut self,
        receipts: impl IntoIterator<Item = &'a Receipt>,
    ) -> Result<(), StoreError> {
        receipts.into_iter().try_for_each(|receipt| self.outbox.bill(receipt))
    }
}

#[async_trait]
impl UsageOutbox for MemoryStore {
    async fn bill_meters(&self, meters: &[FeatureKey]) -> Result<(), StoreError> {
        self.state().outbox.meters = meters.iter().cloned().collect();
        Ok(())
    }

    async fn claim_usage(
        &self,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<UsageRecord>, StoreError> {
        let (until, now) = (kept(until), kept(now));
        let mut state = self.state();
        let records = &mut state.outbox.records;
        let mut due: Vec<_> = (records.iter())
            .filter_map(|(place, kept)| Some((kept.due_at?, *place)))
            .filter(|(due, _)| *due <= now)
            .collect();
        due.sort_unstable();
        let claimed = due.into_iter().take(limit).filter_map(|(_, place)| {
            let kept = records.get_mut(&place)?;
            kept.due_at = Some(until);
            kept.record.attempts = kept.record.attempts.saturating_add(1);
            if kept.record.state == UsageRecordState::Pending {
                kept.record.tried_at.get_or_insert(now);
            }
            Some(kept.record.clone())
        });
        Ok(claimed.collect())
    }

    async fn finish_usage(
        &self,
        id: &UsageRecordId,
        attempt: u32,
        outcome: &UsageOutcome,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        let kept = state.outbox.find(id).filter(|kept| {
            kept.due_at.is_some() && kept.record.attempts == attempt && outcome.fits(kept.record.state)
        });
        Ok(kept.map(|kept| kept.finish(outcome)).is_some())
    }

    async fn refuse_usage(&self, id: &UsageRecordId, why: &str) -> Result<bool, StoreError> {
        let mut state = self.state();
        let kept = state.outbox.find(id).filter(|kept| kept.record.state == UsageRecordState::Sent);
        Ok(kept.map(|kept| kept.end(UsageRecordState::Refused, Some(why))).is_some())
    }

    async fn usage_record(&self, id: &UsageRecordId) -> Result<Option<UsageRecord>, StoreError> {
        Ok(self.state().outbox.find(id).map(|kept| kept.record.clone()))
    }

    async fn unsettled_usage(&self) -> Result<Vec<UnsettledUsage>, StoreError> {
        let state = self.state();
        let mut sums = BTreeMap::<_, UnsettledUsage>::new();
        let unsettled = state.outbox.records.values().map(|kept| &kept.record);
        for record in unsettled.filter(|record| record.state.is_unsettled()) {
            let sum = sums.entry((&record.meter, record.state.as_str())).or_insert_with(|| UnsettledUsage {
                meter: record.meter.clone(),
                state: record.state,
                records: 0,
                amount: Amount::ZERO,
                oldest: record.at,
            });
            sum.records += 1;
            sum.amount = sum.amount.saturating_add(record.amount);
            sum.oldest = sum.oldest.min(record.at);
        }
        Ok(sums.into_values().collect())
    }
}
