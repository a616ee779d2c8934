//! Grouping: concurrent debits of one company in one statement.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use futures_util::future::{Shared, WeakShared};

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
/// A debit that finds nothing under way begins at once, by itself; those that come while it runs make the next statement
/// together, in the order in which they came. There is no timer, so nobody waits longer than for the statement under way and
/// for their own. Each caller gets the exact outcome of its own debit, and one who gives up harms nobody else. Everything
/// else goes to the inner store.
#[derive(Clone)]
pub struct Grouped<S> {
    pub(super) inner: Arc<S>,
    lines: Arc<Mutex<HashMap<CompanyId, Line>>>,
    largest: usize,
}

/// How many debits a statement makes at most, unless told otherwise.
const LARGEST: usize = 256;

type Running = Shared<BoxFuture<()>>;

/// Those who wait for one company.
#[derive(Default)]
struct Line {
    /// Alive as long as one of its callers is.
    running: Option<WeakShared<BoxFuture<()>>>,
    waiting: VecDeque<Arc<Place>>,
    callers: usize,
}

/// One caller's debit.
struct Place {
    debit: Debit,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The statement that this debit is a part of.
    running: Option<Running>,
    answer: Option<Result<DebitOutcome, StoreError>>,
}

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

impl<S: GroupStore> Grouped<S> {
    /// The statement to wait for: the one that has the debit, or the one under way, or else the next.
    fn next(&self, place: &Place) -> Option<Running> {
        let mut lines = locked(&self.lines);
        if let Some(running) = &locked(&place.state).running {
            return Some(running.clone());
        }
        let line = lines.get_mut(&place.debit.company)?;
        if let Some(running) = line.running.as_ref().and_then(WeakShared::upgrade)
            && running.peek().is_none()
        {
            return Some(running);
        }
        let group = line.take(self.largest);
        let running = run(Arc::clone(&self.inner), group.clone()).shared();
        for place in &group {
            locked(&place.state).running = Some(running.clone());
        }
        line.running = running.downgrade();
        Some(running)
    }
}

impl Line {
    /// Who waits longest, and whoever makes a group with it.
    fn take(&mut self, largest: usize) -> Vec<Arc<Place>> {
        let mut group: Vec<Arc<Place>> = Vec::new();
        let mut keys = HashSet::new();
        let mut others = VecDeque::new();
        while group.len() < largest {
            let Some(place) = self.waiting.pop_front() else { break };
            let fits = group.first().is_none_or(|first| first.debit.is_like(&place.debit))
                && keys.insert(place.debit.key.clone());
            if fits { group.push(place) } else { others.push_back(place) }
        }
        others.append(&mut self.waiting);
        self.waiting = others;
        group
    }
}

/// Makes the debits of a group, and answers each.
fn run<S: GroupStore>(store: Arc<S>, group: Vec<Arc<Place>>) -> BoxFuture<()> {
    Box::pin(async move {
        let debits: Vec<Debit> = group.iter().map(|place| place.debit.clone()).collect();
        let grouped = if debits.len() > 1 { Some(store.debit_group(&debits).await) } else { None };
        match grouped {
            Some(Ok(outcomes)) if outcomes.len() == group.len() => {
                for (place, outcome) in group.iter().zip(outcomes) {
                    place.answer(Ok(outcome));
                }
            }
            Some(Err(error)) if error.kind() == StoreErrorKind::Unavailable => {
                let (operation, error) = (error.operation(), Arc::new(error));
                for place in &group {
                    let copy = StoreError::new(StoreErrorKind::Unavailable, operation);
                    place.answer(Err(copy.with_source(Arc::clone(&error))));
                }
            }
            // Nothing has happened. One of them may be to blame: by itself each gets what is its own.
            _ => {
                for place in &group {
                    place.answer(store.debit(&place.debit).await);
                }
            }
        }
    })
}

impl Place {
    fn answer(&self, answer: Result<DebitOutcome, StoreError>) {
        let mut state = locked(&self.state);
        state.answer = Some(answer);
    }
}

/// A caller in the line; leaves it when it is dropped.
struct Visit<'a> {
    lines: &'a Mutex<HashMap<CompanyId, Line>>,
    place: Arc<Place>,
}

impl<'a> Visit<'a> {
    fn new(lines: &'a Mutex<HashMap<CompanyId, Line>>, debit: &Debit) -> Self {
        let place = Arc::new(Place { debit: debit.clone(), state: Mutex::default() });
        let mut all = locked(lines);
        let line = all.entry(debit.company.clone()).or_default();
        line.callers += 1;
        line.waiting.push_back(Arc::clone(&place));
        drop(all);
        Self { lines, place }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let mut all = locked(self.lines);
        let company = &self.place.debit.company;
        if let Some(line) = all.get_mut(company) {
            line.callers -= 1;
            line.waiting.retain(|waiting| !Arc::ptr_eq(waiting, &self.place));
            if line.callers == 0 {
                all.remove(company);
            }
        }
        drop(all);
        // The last caller of a statement drops it here, outside of every lock.
        let running = locked(&self.place.state).running.take();
        drop(running);
    }
}

#[async_trait]
impl<S: GroupStore> UsageStore for Grouped<S> {
    async fn debit(&self, debit: &Debit) -> Result<DebitOutcome, StoreError> {
        if !debit.is_well_formed() {
            return self.inner.debit(debit).await;
        }
        let visit = Visit::new(&self.lines, debit);
        loop {
            if let Some(answer) = locked(&visit.place.state).answer.take() {
                return answer;
            }
            match self.next(&visit.place) {
                Some(running) => running.await,
                None => return self.inner.debit(debit).await,
            }
        }
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
