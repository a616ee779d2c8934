//! Those who wait for one company, and who of them drives.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem;
use std::ptr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::locked;
use crate::id::CompanyId;
use crate::runtime::BoxFuture;
use crate::store::{StoreError, StoreErrorKind};
use crate::usage::{Debit, DebitOutcome};

/// What an answer is of that was lost.
const DEBIT: &str = "debit units";

/// Those who wait for one company.
#[derive(Default)]
pub(super) struct Line {
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
pub(super) struct Place(Mutex<State>);

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
pub(super) struct Group {
    pub(super) debits: Vec<Debit>,
    pub(super) places: VecDeque<Arc<Place>>,
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

    pub(super) fn answer(&self, answer: Result<DebitOutcome, StoreError>) {
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
pub(super) struct Visit<'a> {
    lines: &'a Mutex<HashMap<CompanyId, Line>>,
    company: &'a CompanyId,
    queue: Arc<Mutex<Queue>>,
    place: Arc<Place>,
}

impl<'a> Visit<'a> {
    pub(super) fn new(lines: &'a Mutex<HashMap<CompanyId, Line>>, debit: &'a Debit) -> Self {
        let state = State { debit: Some(debit.clone()), answer: None, waker: None, is_gone: false };
        let place = Arc::new(Place(Mutex::new(state)));
        let mut all = locked(lines);
        let line = all.entry(debit.company.clone()).or_default();
        line.callers += 1;
        let queue = Arc::clone(&line.queue);
        drop(all);
        locked(&queue).waiting.push_back(Arc::clone(&place));
        Self { lines, company: &debit.company, queue, place }
    }

    /// The answer of a caller that drives if nobody else does; `begin` makes the statement of a group of so many at most.
    pub(super) fn poll(
        &self,
        largest: usize,
        begin: impl Fn(Group) -> BoxFuture<()>,
        context: &mut Context<'_>,
    ) -> Poll<Result<DebitOutcome, StoreError>> {
        let place = &self.place;
        loop {
            if let Some(answer) = place.answered_or_waiting(context.waker()) {
                return Poll::Ready(answer);
            }
            let mut queue = locked(&self.queue);
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
                None => begin(queue.take(largest)),
            };
            drop(queue);
            locked(&place.0).waker = None;
            let polled = running.as_mut().poll(context);
            let mut queue = locked(&self.queue);
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
