//! Grouping: concurrent debits of one company in one statement.

mod line;

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use self::line::{Group, Line, Visit};
use super::{StoreError, StoreErrorKind, UsageStore};
use crate::id::{CompanyId, IdempotencyKey, ReceiptId};
use crate::runtime::BoxFuture;
use crate::usage::{Debit, DebitOutcome, Receipt, RecordOutcome, UsageAlert};

/// Makes several debits in one step.
///
/// # Contract
///
/// * `debit_group` comes to what the [debits](UsageStore::debit) one after the other come to, in their order, with the latest
///   of their instants deciding what has expired. The outcomes are in the order of the debits.
/// * It is one atomic step: after an error nothing has changed, save that after
///   [`Unavailable`](StoreErrorKind::Unavailable) it is unknown whether all or nothing has.
/// * Debits that are no [group](Debit::is_group) are [`StoreErrorKind::Unsupported`].
#[async_trait]
pub trait GroupStore: UsageStore {
    /// Takes the units of each debit, or refuses it.
    async fn debit_group(&self, debits: &[Debit]) -> Result<Vec<DebitOutcome>, StoreError>;
}

/// A store that makes concurrent debits of one company in one statement, for companies that consume more often than their
/// counters can be locked one by one.
///
/// A debit that finds an idle line begins at once, by itself; those that come while it runs make the next statement
/// together, in the order in which they came. There is no timer, so nobody waits longer than for the statement under way and
/// for their own; after a group, that one lets every task that can go on have a turn before it begins, so that they join.
/// Each caller gets the exact outcome of its own debit. One who gives up harms nobody else, nor one that is held and polled no
/// more. Everything else goes to the inner store.
#[derive(Clone)]
pub struct Grouped<S> {
    pub(super) inner: Arc<S>,
    lines: Arc<Mutex<HashMap<CompanyId, Line>>>,
    largest: usize,
}

/// How many debits a statement makes at most, unless told otherwise.
const LARGEST: usize = 256;

impl<S> Grouped<S> {
    /// Groups the debits of `inner`, up to 256 in a statement.
    pub fn new(inner: S) -> Self {
        Self { inner: Arc::new(inner), lines: Arc::default(), largest: LARGEST }
    }

    /// Makes at most so many debits in a statement, and at least one.
    #[must_use]
    pub fn with_largest(mut self, debits: usize) -> Self {
        self.largest = debits.max(1);
        self
    }
}

/// Makes the debits of a group, and answers each.
fn run<S: GroupStore>(store: Arc<S>, mut group: Group) -> BoxFuture<()> {
    Box::pin(async move {
        let grouped =
            if group.debits.len() > 1 { Some(store.debit_group(&group.debits).await) } else { None };
        match grouped {
            Some(Ok(outcomes)) if outcomes.len() == group.places.len() => {
                for (place, outcome) in mem::take(&mut group.places).iter().zip(outcomes) {
                    place.answer(Ok(outcome));
                }
            }
            Some(Err(error)) if error.kind() == StoreErrorKind::Unavailable => {
                let (operation, error) = (error.operation(), Arc::new(error));
                for place in mem::take(&mut group.places) {
                    let copy = StoreError::new(StoreErrorKind::Unavailable, operation);
                    place.answer(Err(copy.with_source(Arc::clone(&error))));
                }
            }
            // Nothing has happened. One of them may be to blame: by itself each gets what is its own.
            _ => {
                for debit in mem::take(&mut group.debits) {
                    let answer = store.debit(&debit).await;
                    if let Some(place) = group.places.pop_front() {
                        place.answer(answer);
                    }
                }
            }
        }
    })
}

#[async_trait]
impl<S: GroupStore> UsageStore for Grouped<S> {
    async fn debit(&self, debit: &Debit) -> Result<DebitOutcome, StoreError> {
        if !debit.is_well_formed() {
            return self.inner.debit(debit).await;
        }
        let visit = Visit::new(&self.lines, debit);
        let begin = |group| run(Arc::clone(&self.inner), group);
        poll_fn(|context| visit.poll(self.largest, begin, context)).await
    }

    async fn record(&self, company: &CompanyId, events: &[Debit]) -> Result<Vec<RecordOutcome>, StoreError> {
        self.inner.record(company, events).await
    }

    async fn refund(
        &self,
        company: &CompanyId,
        receipt: &ReceiptId,
        at: DateTime<Utc>,
    ) -> Result<Option<Receipt>, StoreError> {
        self.inner.refund(company, receipt, at).await
    }

    async fn receipt(
        &self,
        company: &CompanyId,
        key: &IdempotencyKey,
    ) -> Result<Option<Receipt>, StoreError> {
        self.inner.receipt(company, key).await
    }

    async fn pending_alerts(&self, limit: usize) -> Result<Vec<UsageAlert>, StoreError> {
        self.inner.pending_alerts(limit).await
    }

    async fn claim_alerts(
        &self,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<UsageAlert>, StoreError> {
        self.inner.claim_alerts(until, now, limit).await
    }

    async fn acknowledge_alert(&self, alert: &UsageAlert) -> Result<(), StoreError> {
        self.inner.acknowledge_alert(alert).await
    }
}

impl<S: fmt::Debug> fmt::Debug for Grouped<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grouped")
            .field("inner", &self.inner)
            .field("largest", &self.largest)
            .finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
