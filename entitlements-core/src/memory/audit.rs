//! The audit log in memory, and erasure.

use std::collections::{HashSet, VecDeque};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::MemoryStore;
use super::instant::kept;
use super::state::{AlertKey, Company, Count, CounterKey, State};
use crate::audit::{AuditEntry, AuditExport, AuditHead, AuditRecord, AuditRow, PSEUDONYM, link};
use crate::billing::BillingEvent;
use crate::facts::Revision;
use crate::id::{CompanyId, ReceiptId};
use crate::store::{AuditStore, ErasureStore, MAX_PAGE, Page, PageRequest, StoreError, StoreErrorKind};
use crate::usage::Receipt;

const ERASE: &str = "erase a company";

/// The chain.
pub(super) struct Log {
    base: AuditHead,
    rows: VecDeque<AuditRow>,
    ids: HashSet<String>,
}

impl Default for Log {
    fn default() -> Self {
        Self { base: AuditHead::START, rows: VecDeque::new(), ids: HashSet::new() }
    }
}

impl Log {
    fn head(&self) -> AuditHead {
        self.rows.back().map_or(self.base, place)
    }

    fn names(&self, company: &CompanyId) -> bool {
        self.rows.iter().any(|row| row.entry.company == *company)
    }
}

const fn place(row: &AuditRow) -> AuditHead {
    AuditHead { sequence: row.sequence, hash: row.hash }
}

#[async_trait]
impl AuditStore for MemoryStore {
    async fn append(&self, records: &[AuditRecord]) -> Result<(), StoreError> {
        if !records.iter().all(AuditRecord::is_well_formed) {
            return Err(StoreError::new(StoreErrorKind::Unsupported, "append to the audit log"));
        }
        let mut state = self.state();
        let State { companies, log, .. } = &mut *state;
        let mut new = Vec::new();
        for record in records {
            if log.ids.insert(record.id.clone()) {
                new.push(record.clone());
            }
        }
        for mut row in link(log.head(), &new) {
            // Another process may still have had entries of what was before an erasure.
            let erased_at = companies.get(&row.entry.company).and_then(|company| company.erased_at);
            if erased_at.is_some_and(|erased| row.entry.at < erased) {
                take_name(&mut row, &pseudonym()?);
            }
            log.rows.push_back(row);
        }
        Ok(())
    }

    async fn audit_page(
        &self,
        company: &CompanyId,
        page: &PageRequest,
    ) -> Result<Page<AuditEntry>, StoreError> {
        let before = page.cursor.as_deref().map(parse_cursor).transpose()?;
        let limit = page.limit.clamp(1, MAX_PAGE);
        let state = self.state();
        let rank = |row: &AuditRow| (row.entry.at.timestamp_micros(), row.sequence);
        let mut rows: Vec<_> = (state.log.rows.iter())
            .filter(|row| row.entry.company == *company && before.is_none_or(|before| rank(row) < before))
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(rank(row)));
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| {
            let (at, sequence) = rank(row);
            format!("{at}:{sequence}")
        });
        Ok(Page { items: rows.into_iter().map(|row| row.entry.clone()).collect(), next })
    }

    async fn expire_audit(&self, before: DateTime<Utc>) -> Result<AuditHead, StoreError> {
        self.expire_audit_at(before, DateTime::<Utc>::MAX_UTC).await
    }

    async fn expire_audit_at(
        &self,
        before: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<AuditHead, StoreError> {
        let (before, now) = (kept(before), kept(now));
        let log = &mut self.state().log;
        let stays = |row: &AuditRow| row.entry.at >= before && row.entry.at <= now;
        let end = log.rows.iter().position(stays).unwrap_or(log.rows.len());
        let last = log.rows.iter().take(end).rposition(|row| row.entry.at < before);
        for row in log.rows.drain(..last.map_or(0, |last| last + 1)) {
            log.ids.remove(&row.id);
            log.base = place(&row);
        }
        Ok(log.base)
    }

    async fn audit_rows(&self, after: u64, limit: usize) -> Result<AuditExport, StoreError> {
        let log = &self.state().log;
        let rows = log.rows.iter().filter(|row| row.sequence > after).take(limit).cloned().collect();
        Ok(AuditExport { base: log.base, head: log.head(), rows })
    }
}

#[async_trait]
impl ErasureStore for MemoryStore {
    async fn erase(&self, company: &CompanyId, at: DateTime<Utc>) -> Result<Option<Revision>, StoreError> {
        let pseudonym = pseudonym()?;
        let mut state = self.state();
        let known = state.companies.get(company).is_some_and(|known| !known.is_erased());
        if !known
            && !state.log.names(company)
            && !state.billing.names(company)
            && !state.outbox.names(company)
        {
            return Ok(None);
        }
        for row in state.log.rows.iter_mut().filter(|row| row.entry.company == *company) {
            take_name(row, &pseudonym);
        }
        state.forget(company, &pseudonym, kept(at));
        state.outbox.forget(company);
        let revision = state.change(company, |_| {});
        if let Some(company) = state.companies.get_mut(company) {
            (company.erased_at, company.erased_revision) = (Some(kept(at)), Some(revision));
        }
        Ok(Some(revision))
    }

    async fn expire(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let before = kept(before);
        let mut state = self.state();
        let mut removed = 0;
        let open = state.outbox.open();
        for (name, company) in &mut state.companies {
            // What has to be reported can still be given back.
            let is_open = |id: &ReceiptId| open.contains(&(name.clone(), id.clone()));
            let is_old = |receipt: &Receipt| receipt.at < before && !is_open(&receipt.id);
            removed += company.receipts.extract_if(|_, receipt| is_old(receipt)).count();
            removed += company.expire_reservations(before, is_open);
            // What is only held keeps its id for the receipt of its commit.
            let Company { receipts, receipt_keys, reservation_keys, .. } = company;
            receipt_keys.retain(|_, key| receipts.contains_key(key) || reservation_keys.contains_key(key));
        }
        state.expire_counters(before);
        state.outbox.expire(before);
        let State { companies, billing, outbox, log, .. } = &mut *state;
        companies.retain(|name, company| {
            let is_old = company.erased_at.is_some_and(|erased| erased < before);
            let is_named = billing.names(name) || outbox.names(name) || log.names(name);
            !(company.is_erased() && is_old) || is_named
        });
        Ok(u64::try_from(removed).unwrap_or(u64::MAX))
    }
}

impl State {
    /// Forgets counters whose period is long over, and what they have raised.
    fn expire_counters(&mut self, before: DateTime<Utc>) {
        let Self { companies, alerts, raised, .. } = self;
        let waiting: HashSet<_> =
            alerts.iter().map(|waiting| AlertKey::from(&waiting.alert).counter()).collect();
        let mut gone = HashSet::new();
        for (name, company) in companies {
            let held = company.reservations.values().map(|known| &known.reservation.held);
            if company.receipts.values().chain(held).any(|receipt| receipt.at < before) {
                continue;
            }
            let is_over = |key: &CounterKey, count: &Count| {
                count.period_end.is_some_and(|end| end < before)
                    && !waiting.contains(&(name.clone(), key.clone()))
            };
            let counters = company.counters.extract_if(.., |key, count| is_over(key, count));
            gone.extend(counters.map(|(key, _)| (name.clone(), key)));
        }
        raised.retain(|key| !gone.contains(&key.counter()));
    }

    /// Removes every fact about a company; what the law keeps stays under the pseudonym.
    fn forget(&mut self, company: &CompanyId, pseudonym: &CompanyId, at: DateTime<Utc>) {
        self.companies.remove(company);
        self.grants.retain(|_, place| place.company != *company);
        let history = &mut self.history;
        self.subscriptions.retain(|id, owner| {
            let stays = owner != company;
            if !stays {
                history.remove(id);
            }
            stays
        });
        self.alerts.retain(|waiting| waiting.alert.company != *company);
        self.raised.retain(|key| !key.is_of(company));
        let billing = &mut self.billing;
        billing.locks.remove(company);
        billing.operations.retain(|_, (operation, _)| operation.company != *company);
        for customer in billing.customers.values_mut().filter(|customer| customer.company == *company) {
            customer.company = pseudonym.clone();
            customer.deleted_at = customer.deleted_at.or(Some(at));
            let its =
                |known: &&mut BillingEvent| known.event.customer.as_deref() == Some(customer.id.as_str());
            for known in billing.events.iter_mut().filter(its) {
                known.event.payload.clear();
                known.note = None;
            }
        }
        for invoice in billing.invoices.values_mut().filter(|invoice| invoice.company == *company) {
            invoice.company = pseudonym.clone();
            invoice.hosted_url = None;
        }
    }
}

/// A name that tells nothing.
fn pseudonym() -> Result<CompanyId, StoreError> {
    let failed = || StoreError::new(StoreErrorKind::Internal, ERASE);
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| failed().with_source(error.to_string()))?;
    CompanyId::new(format!("{PSEUDONYM}{:032x}", u128::from_be_bytes(bytes)))
        .map_err(|error| failed().with_source(error))
}

/// Takes out of an entry whom it is about.
fn take_name(row: &mut AuditRow, pseudonym: &CompanyId) {
    row.entry.company = pseudonym.clone();
    row.entry.user = None;
    row.entry.resource = None;
    if row.entry.source.is_of_the_company() {
        row.entry.source.id = None;
    }
    row.salt = None;
}

/// The place after which a page begins.
fn parse_cursor(cursor: &str) -> Result<(i64, u64), StoreError> {
    (cursor.split_once(':'))
        .and_then(|(at, sequence)| Some((at.parse().ok()?, sequence.parse().ok()?)))
        .ok_or(StoreError::new(StoreErrorKind::Unsupported, "list audit entries from such a cursor"))
}
