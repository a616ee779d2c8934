//! What is kept about decisions, and what is forgotten about companies.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Page, PageRequest, StoreError};
use crate::audit::{AuditEntry, AuditExport, AuditHead, AuditRecord};
use crate::facts::Revision;
use crate::id::CompanyId;

/// Keeps the audit log: one chain over everything in the store.
///
/// # Contract
///
/// * `append` is one atomic step: all records are linked after the last row, in their order, as [`link`](crate::audit::link)
///   does it, or none is. A record whose id is in the log is left out. However many append at once, the chain has no gap and
///   no fork.
/// * A record that is not [well formed](AuditRecord::is_well_formed) is
///   [`Unsupported`](super::StoreErrorKind::Unsupported), and nothing is appended.
/// * `audit_page` lists the entries of a company from the newest to the oldest: by instant, then by place in the chain. New
///   entries do not move the next page. A cursor that no page gave is refused as
///   [`Unsupported`](super::StoreErrorKind::Unsupported).
/// * `expire_audit` removes the beginning of the chain, up to the first entry that is not older than `before`; the rest still
///   verifies, from the base that it returns.
/// * `expire_audit_at` does the same as one who knows that it is `now`. What says that it is of later comes from a clock that
///   was wrong, and tells nothing about its age: it is as old as the first entry behind it that is not of later, and stays if
///   there is none.
/// * `audit_rows` returns up to `limit` rows after number `after`, with the ends of the chain, as one consistent view. Rows
///   that were removed are left out.
#[async_trait]
pub trait AuditStore: Debug + Send + Sync + 'static {
    /// Appends entries.
    async fn append(&self, records: &[AuditRecord]) -> Result<(), StoreError>;

    /// The entries of a company, newest first.
    async fn audit_page(
        &self,
        company: &CompanyId,
        page: &PageRequest,
    ) -> Result<Page<AuditEntry>, StoreError>;

    /// Removes what is older than `before` from the beginning of the chain; returns where it begins now.
    async fn expire_audit(&self, before: DateTime<Utc>) -> Result<AuditHead, StoreError>;

    /// Removes what is older than `before` from the beginning of the chain, past entries that say that they are of after `now`;
    /// returns where it begins now.
    ///
    /// By default it does not go past them.
    async fn expire_audit_at(
        &self,
        before: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<AuditHead, StoreError> {
        let _ = now;
        self.expire_audit(before).await
    }

    /// A part of the chain, for a [`Verifier`](crate::audit::Verifier).
    async fn audit_rows(&self, after: u64, limit: usize) -> Result<AuditExport, StoreError>;
}

/// Forgets.
///
/// # Contract
///
/// * `erase` is one atomic step. It removes every fact about a company, the history included: subscriptions, grants, add-ons,
///   overrides, counters, receipts, alerts, gauges; locks and operations of billing. Entries of the audit log, invoices
///   and, as deleted ones, customers stay, under one new random [pseudonym](crate::audit::PSEUDONYM): user, resource, id of
///   the grant and salt are gone from them, and the chain still verifies. Events of billing stay without what they say.
/// * What comes later of before goes the same way: entries older than the erasure, and events about its customers.
/// * It takes the next revision, which the company then has, so that whoever keeps its facts notices. A company that comes
///   back starts with nothing.
/// * It returns `None`, and changes nothing, when nothing is known about the company: neither facts nor entries. So a second
///   erasure is `None`, unless something was written in between.
/// * `expire` removes receipts that were made before `before`, with their refunds, and the revision that is left of companies
///   that were erased before it and have not come back. What a reservation came to is as old as its end, and a reservation
///   whose units the counters still hold stays. So does what has usage with which
///   [something is left to do](crate::billing::UsageOutbox): its key and its id stay taken, and it can be given back.
/// * It also removes counters whose period ended before `before`, with the acknowledged alerts that they have raised: nobody
///   loads them any more. All counters of a company stay while a receipt or reservation of it from before `before` does; a
///   counter stays while an alert of it is not acknowledged, and as long as its period has no end. A debit of such a period
///   that comes after all finds its counter at zero, and can raise the same alerts again: keep for longer than usage comes late.
#[async_trait]
pub trait ErasureStore: Debug + Send + Sync + 'static {
    /// Erases a company.
    async fn erase(&self, company: &CompanyId, at: DateTime<Utc>) -> Result<Option<Revision>, StoreError>;

    /// Removes what was only kept for a time; returns how many receipts and reservations that were. It may take several steps,
    /// each whole.
    async fn expire(&self, before: DateTime<Utc>) -> Result<u64, StoreError>;
}
