//! What is noted about decisions, and forgetting.

use chrono::{DateTime, TimeDelta, Utc};

use super::Entitlements;
use crate::audit::{AuditEntry, AuditHead};
use crate::error::Error;
use crate::facts::Revision;
use crate::id::CompanyId;
use crate::store::{Page, PageRequest};

/// How long an idempotency key is remembered at least.
const KEYS_KEPT: TimeDelta = TimeDelta::days(35);

impl Entitlements {
    /// What is noted about the decisions of a company, newest first. What a recorder has not
    /// [flushed](crate::audit::Audit::flush) yet is not among it.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    pub async fn audit(&self, company: &CompanyId, page: &PageRequest) -> Result<Page<AuditEntry>, Error> {
        Ok(self.0.store.audit_page(company, page).await?)
    }

    /// Erases a company: every fact about it goes, and what is noted about its decisions stays under a pseudonym. `None` if
    /// nothing is known about it.
    ///
    /// Flush the recorders first: notes that reach the store later need another erasure.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    pub async fn erase(&self, company: &CompanyId) -> Result<Option<Revision>, Error> {
        let writing = self.writing(company);
        let erased = self.0.store.erase(company, self.now()).await;
        writing.end(erased.as_ref().ok().copied().flatten()).await;
        Ok(erased?)
    }

    /// Removes notes about decisions that are older than `age`, from the beginning of the log; returns where it begins now. A note
    /// of a process whose clock was ahead goes with those behind it.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    pub async fn expire_audit(&self, age: TimeDelta) -> Result<AuditHead, Error> {
        let now = self.now();
        let before = now.checked_sub_signed(age).unwrap_or(DateTime::<Utc>::MIN_UTC);
        Ok(self.0.store.expire_audit_at(before, now).await?)
    }

    /// Removes receipts that are older than `age`, and with them their idempotency keys; returns how many. Those of which the
    /// billing provider has still to be told stay until it was. Counters whose period has been over for as long go, too, with
    /// the alerts that they have raised.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) when `age` is less than 35 days: a retry must find its key.
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    pub async fn expire_receipts(&self, age: TimeDelta) -> Result<u64, Error> {
        if age < KEYS_KEPT {
            return Err(Error::invalid("age", "must be at least 35 days"));
        }
        let now = self.now();
        Ok(self.0.store.expire(now.checked_sub_signed(age).unwrap_or(DateTime::<Utc>::MIN_UTC)).await?)
    }
}
