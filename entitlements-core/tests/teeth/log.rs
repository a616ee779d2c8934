//! What is wrong with the audit log, or with forgetting.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::audit::{AuditEntry, AuditExport, AuditHead, AuditRecord, AuditSalt};
use entitlements_core::facts::Revision;
use entitlements_core::id::CompanyId;
use entitlements_core::store::{AuditStore, ErasureStore, Page, PageRequest, SnapshotStore};

use super::{Result, Store, Wrong};

#[derive(Debug, Default)]
pub(super) struct Notes(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    appended: usize,
    salts: HashMap<String, AuditSalt>,
    expired: Option<DateTime<Utc>>,
}

#[async_trait]
impl AuditStore for Store {
    async fn append(&self, records: &[AuditRecord]) -> Result<()> {
        let mut records = records.to_vec();
        {
            let mut notes = self.log.0.lock().unwrap();
            for record in &mut records {
                notes.salts.insert(record.id.clone(), record.salt);
                if self.is(Wrong::AppendsAgain) {
                    notes.appended += 1;
                    record.id = format!("{} {}", record.id, notes.appended);
                }
            }
        }
        self.memory.append(&records).await
    }

    async fn audit_page(&self, company: &CompanyId, page: &PageRequest) -> Result<Page<AuditEntry>> {
        if !self.is(Wrong::ListsByPlace) {
            return self.memory.audit_page(company, page).await;
        }
        let rows = self.memory.audit_rows(0, 1_000).await?.rows.into_iter().rev();
        let items = rows.map(|row| row.entry).filter(|entry| entry.company == *company).collect();
        Ok(Page { items, next: None })
    }

    async fn expire_audit(&self, before: DateTime<Utc>) -> Result<AuditHead> {
        self.log.0.lock().unwrap().expired = Some(before);
        self.memory.expire_audit(before).await
    }

    async fn expire_audit_at(&self, before: DateTime<Utc>, now: DateTime<Utc>) -> Result<AuditHead> {
        self.log.0.lock().unwrap().expired = Some(before);
        if self.is(Wrong::StopsAtTheFuture) {
            return self.memory.expire_audit(before).await;
        }
        self.memory.expire_audit_at(before, now).await
    }

    async fn audit_rows(&self, after: u64, limit: usize) -> Result<AuditExport> {
        let mut export = self.memory.audit_rows(after, limit).await?;
        let notes = self.log.0.lock().unwrap();
        if self.is(Wrong::LeavesHoles) {
            export.rows.retain(|row| notes.expired.is_none_or(|before| row.entry.at >= before));
        }
        if self.is(Wrong::KeepsSalts) {
            export.rows.iter_mut().for_each(|row| row.salt = notes.salts.get(&row.id).copied());
        }
        Ok(export)
    }
}

#[async_trait]
impl ErasureStore for Store {
    async fn erase(&self, company: &CompanyId, at: DateTime<Utc>) -> Result<Option<Revision>> {
        let erased = self.memory.erase(company, at).await?;
        match erased {
            None if self.is(Wrong::ErasesAgain) => Ok(Some(self.memory.load(company, at).await?.revision)),
            Some(Revision(number)) if self.is(Wrong::ErasesSilently) => Ok(Some(Revision(number + 1))),
            other => Ok(other),
        }
    }

    async fn expire(&self, before: DateTime<Utc>) -> Result<u64> {
        self.memory.expire(before).await
    }
}
