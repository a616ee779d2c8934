//! The audit log and erasure: one statement for each change.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::audit::{AuditEntry, AuditExport, AuditHead, AuditRecord, AuditRow};
use entitlements_core::facts::Revision;
use entitlements_core::id::CompanyId;
use entitlements_core::store::{
    AuditStore, ErasureStore, MAX_PAGE, Page, PageRequest, StoreError, StoreErrorKind,
};

use super::{Store, sql};
use crate::chain::{self, APPEND, ERASE, EXPIRE, LIST, ROUNDS};
use crate::facts;
use crate::paging::{one_more, page_of};

/// How many rows retention removes with one statement: what comes between has to wait for no more than that.
const AT_ONCE: i64 = 5000;

#[async_trait]
impl AuditStore for Store {
    async fn append(&self, records: &[AuditRecord]) -> Result<(), StoreError> {
        chain::well_formed(records)?;
        let ids = chain::ids(records);
        for _ in 0..ROUNDS {
            let query = sqlx::query_as(sql::AUDIT_END).bind(ids.as_str());
            let (head, new) = chain::after(records, self.read(APPEND, query).await?)?;
            if new.is_empty() {
                return Ok(());
            }
            // What is linked to an end that has moved is not inserted.
            let query = sqlx::query_as(sql::AUDIT_APPEND)
                .bind(chain::number(APPEND, head.sequence)?)
                .bind(head.hash.to_string())
                .bind(chain::linked(head, &new)?);
            let rows: Option<(i64,)> = self.write(APPEND, query).await?;
            if rows.is_some() {
                return Ok(());
            }
        }
        Err(StoreError::new(StoreErrorKind::Contention, APPEND))
    }

    async fn audit_page(
        &self,
        company: &CompanyId,
        page: &PageRequest,
    ) -> Result<Page<AuditEntry>, StoreError> {
        let (at, sequence) = chain::before(page.cursor.as_deref())?;
        let limit = page.limit.clamp(1, MAX_PAGE);
        let query = sqlx::query_as(sql::AUDIT_PAGE)
            .bind(company.as_str())
            .bind(at)
            .bind(sequence)
            .bind(one_more(limit));
        let rows: Vec<(String,)> = self.read(LIST, query).await?;
        let rows = rows.iter().map(|(json,)| chain::row(LIST, json)).collect::<Result<Vec<AuditRow>, _>>()?;
        let Page { items, next } = page_of(rows, limit, chain::cursor);
        Ok(Page { items: items.into_iter().map(|row| row.entry).collect(), next })
    }

    async fn expire_audit(&self, before: DateTime<Utc>) -> Result<AuditHead, StoreError> {
        self.expire_audit_at(before, DateTime::<Utc>::MAX_UTC).await
    }

    async fn expire_audit_at(
        &self,
        before: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<AuditHead, StoreError> {
        let (before, now) = (before.timestamp_micros(), now.timestamp_micros());
        loop {
            let query = sqlx::query_as(sql::EXPIRE_AUDIT).bind(before).bind(AT_ONCE).bind(now);
            let moved: Option<(i64, String)> = self.write(EXPIRE, query).await?;
            if moved.is_none() {
                break;
            }
        }
        chain::only_head(EXPIRE, &self.read(EXPIRE, sqlx::query_as(sql::AUDIT_BASE)).await?)
    }

    async fn audit_rows(&self, after: u64, limit: usize) -> Result<AuditExport, StoreError> {
        let query = sqlx::query_as(sql::AUDIT_ROWS)
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        chain::export(self.read(LIST, query).await?)
    }
}

#[async_trait]
impl ErasureStore for Store {
    async fn erase(&self, company: &CompanyId, at: DateTime<Utc>) -> Result<Option<Revision>, StoreError> {
        let query = sqlx::query_as(sql::ERASE).bind(company.as_str()).bind(at.timestamp_micros());
        let row = self.write_patiently(ERASE, query).await?;
        row.map(|(revision,)| facts::revision(ERASE, revision)).transpose()
    }

    async fn expire(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let before = before.timestamp_micros();
        let receipts = self.remove_all(sql::EXPIRE_RECEIPTS, before).await?;
        self.remove_all(sql::EXPIRE_USAGE, before).await?;
        loop {
            let query = sqlx::query_as(sql::EXPIRE_QUOTAS).bind(before).bind(AT_ONCE);
            let removed: Vec<(i32,)> = self.write_all(EXPIRE, query).await?;
            if i64::try_from(removed.len()).is_ok_and(|removed| removed < AT_ONCE) {
                break;
            }
        }
        self.affect(EXPIRE, sqlx::query(sql::EXPIRE_ERASURES).bind(before)).await?;
        Ok(receipts)
    }
}

impl Store {
    /// Removes so many at once until none is left; returns how many there were.
    async fn remove_all(&self, statement: &'static str, before: i64) -> Result<u64, StoreError> {
        let mut all = 0;
        loop {
            let removed = self.affect(EXPIRE, sqlx::query(statement).bind(before).bind(AT_ONCE)).await?;
            all += removed;
            if removed < AT_ONCE.unsigned_abs() {
                return Ok(all);
            }
        }
    }
}
