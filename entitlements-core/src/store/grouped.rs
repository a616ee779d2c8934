//! Grouping: concurrent debits of one company in one statement.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

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
/// for their own, which lets every task that can go on have one turn before it begins, so that they join. Each caller gets the exact outcome of its own debit, and one who gives up harms nobody else. Everything
/// else goes to the inner store.
#[derive(Clone)]
pub struct Grouped<S> {
    pub(super) inner: Arc<S>,
    lines: Arc<Mutex<HashMap<CompanyId, Line>>>,
    largest: usize,
}

/// How many debits a statement makes at most, unless told otherwise.
const LARGEST: usize = 256;

/// What an answer is of that was lost.
const DEBIT: &str = "debit units";

/// Those who wait for one company.
struct Line {
    queue: Arc<Mutex<Queue>>,
    callers: usize,
}

/// One of the callers is the driver: it alone is woken when the statement under way goes on, and the others when they have
/// their answers. Who drives and gives up hands over to another.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Arc<Place>>,
    driver: Option<Arc<Place>>,
    /// The statement under way, save while it is polled.
    running: Option<BoxFuture<()>>,
    /// Those whose debits are in it.
    members: Vec<Arc<Place>>,
    /// The statement before made several debits, and those who made them may be about to make their next.
    is_busy: bool,
}

/// One caller's debit.
struct Place(Mutex<State>);

struct State {
    /// Until it is in a statement.
    debit: Option<Debit>,
    answer: Option<Result<DebitOutcome, StoreError>>,
    /// Of a caller that waits for its answer, or to drive.
    waker: Option<Waker>,
    is_gone: bool,
}

/// The debits of a statement and those who wait for them. Whoever is left when it is dropped does not know.
#[derive(Default)]
struct Group {
    debits: Vec<Debit>,
    places: VecDeque<Arc<Place>>,
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
    /// The answer of a caller that drives if nobody else does.
    fn poll(&self, visit: &Visit<'_>, context: &mut Context<'_>) -> Poll<Result<DebitOutcome, StoreError>> {
        let place = &visit.place;
        loop {
            if let Some(answer) = place.answered_or_waiting(context.waker()) {
                return Poll::Ready(answer);
            }
            let mut queue = locked(&visit.queue);
            if !queue.driver.get_or_insert_with(|| Arc::clone(place)).is(place) {
                return Poll::Pending;
            }
            let mut running = match queue.running.take() {
                Some(running) => running,
                None if mem::take(&mut queue.is_busy) => {
                    drop(queue);
                    // Everybody who can go on now has a turn first, and joins.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None => {
                    let group = queue.take(self.largest);
                    run(Arc::clone(&self.inner), group)
                }
            };
            drop(queue);
            locked(&place.0).waker = None;
            let polled = running.as_mut().poll(context);
            let mut queue = locked(&visit.queue);
            if polled.is_pending() {
                queue.running = Some(running);
                drop(queue);
                return locked(&place.0).answer.take().map_or(Poll::Pending, Poll::Ready);
            }
            queue.is_busy = queue.members.len() > 1;
            let next = queue.hand_over();
            drop(queue);
            wake(next);
        }
    }
}

impl Queue {
    /// Who waits longest, and whoever makes a group with it.
    fn take(&mut self, largest: usize) -> Group {
        let mut group = Group::default();
        let mut keys = HashSet::new();
        let mut others = VecDeque::new();
        while group.debits.len() < largest {
            let Some(place) = self.waiting.pop_front() else { break };
            let mut state = locked(&place.0);
            let fits = |debit: &mut Debit| {
                group.debits.first().is_none_or(|first| first.is_like(debit))
                    && keys.insert(debit.key.clone())
            };
            let debit = state.debit.take_if(fits);
            drop(state);
            match debit {
                Some(debit) => {
                    group.debits.push(debit);
                    self.members.push(Arc::clone(&place));
                    group.places.push_back(place);
                }
                None => others.push_back(place),
            }
        }
        others.append(&mut self.waiting);
        self.waiting = others;
        group
    }

    /// Makes another the driver, if anybody is left, and returns what wakes it.
    fn hand_over(&mut self) -> Option<Waker> {
        if self.running.is_none() {
            self.members.clear();
        }
        let next = self.members.iter().chain(&self.waiting).find(|place| !locked(&place.0).is_gone);
        self.driver = next.cloned();
        locked(&self.driver.as_ref()?.0).waker.take()
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

impl Drop for Group {
    fn drop(&mut self) {
        for place in &self.places {
            place.answer(Err(StoreError::new(StoreErrorKind::Unavailable, DEBIT)));
        }
    }
}

impl Place {
    fn is(&self, other: &Self) -> bool {
        ptr::eq(self, other)
    }

    /// The answer, or from now on its caller is woken for it.
    fn answered_or_waiting(&self, waker: &Waker) -> Option<Result<DebitOutcome, StoreError>> {
        let mut state = locked(&self.0);
        let answer = state.answer.take();
        if answer.is_none() {
            match &mut state.waker {
                Some(known) => known.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
        answer
    }

    fn answer(&self, answer: Result<DebitOutcome, StoreError>) {
        let mut state = locked(&self.0);
        state.answer = Some(answer);
        let waker = state.waker.take();
        drop(state);
        wake(waker);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// A caller in the line; leaves it when it is dropped.
struct Visit<'a> {
    lines: &'a Mutex<HashMap<CompanyId, Line>>,
    company: &'a CompanyId,
    queue: Arc<Mutex<Queue>>,
    place: Arc<Place>,
}

impl<'a> Visit<'a> {
    fn new(lines: &'a Mutex<HashMap<CompanyId, Line>>, debit: &'a Debit) -> Self {
        let state = State { debit: Some(debit.clone()), answer: None, waker: None, is_gone: false };
        let place = Arc::new(Place(Mutex::new(state)));
        let mut all = locked(lines);
        let queue = match all.get_mut(&debit.company) {
            Some(line) => {
                line.callers += 1;
                Arc::clone(&line.queue)
            }
            None => {
                let queue = Arc::default();
                all.insert(debit.company.clone(), Line { queue: Arc::clone(&queue), callers: 1 });
                queue
            }
        };
        drop(all);
        locked(&queue).waiting.push_back(Arc::clone(&place));
        Self { lines, company: &debit.company, queue, place }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let is_waiting = {
            let mut state = locked(&self.place.0);
            state.is_gone = true;
            state.debit.is_some()
        };
        let mut queue = locked(&self.queue);
        if is_waiting {
            queue.waiting.retain(|waiting| !waiting.is(&self.place));
        }
        let is_driver = queue.driver.as_ref().is_some_and(|driver| driver.is(&self.place));
        let next = if is_driver { queue.hand_over() } else { None };
        // A statement that nobody is left for ends here, outside of every lock.
        let left = if queue.driver.is_none() { queue.running.take() } else { None };
        drop(queue);
        drop(left);
        wake(next);
        let mut all = locked(self.lines);
        if let Some(line) = all.get_mut(self.company) {
            line.callers -= 1;
            if line.callers == 0 {
                all.remove(self.company);
            }
        }
    }
}

#[async_trait]
impl<S: GroupStore> UsageStore for Grouped<S> {
    async fn debit(&self, debit: &Debit) -> Result<DebitOutcome, StoreError> {
        if !debit.is_well_formed() {
            return self.inner.debit(debit).await;
        }
        let visit = Visit::new(&self.lines, debit);
        poll_fn(|context| self.poll(&visit, context)).await
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
