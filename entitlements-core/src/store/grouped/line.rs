//! Those who wait for one company. Whichever of them is polled carries on with what is to be done.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ptr;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Wake, Waker};

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

/// When the statement under way can go on, or is done, all callers are woken, and the first of them that is polled sees to it:
/// it may be that the others are held by somebody who polls them no more.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Arc<Place>>,
    /// Those whose debits are in the statement under way.
    members: Vec<Arc<Place>>,
    /// The statement under way, save while it is polled.
    running: Option<BoxFuture<()>>,
    is_polled: bool,
    /// It can go on.
    is_due: bool,
    /// How many statements have ended.
    ended: u64,
    /// The last of them made several debits, and those who made them may be about to make their next.
    is_busy: bool,
    /// What it wakes.
    bell: Option<Waker>,
}

/// Wakes all callers of a line.
struct Bell(Weak<Mutex<Queue>>);

/// One caller's debit.
pub(super) struct Place(Mutex<State>);

struct State {
    /// Until it is in a statement.
    debit: Option<Debit>,
    answer: Option<Result<DebitOutcome, StoreError>>,
    /// Of a caller that waits.
    waker: Option<Waker>,
    /// After so many statements it has let others join before it begins the next.
    turn: Option<u64>,
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

    /// What wakes those who wait.
    fn wakers(&self) -> Vec<Waker> {
        let places = self.members.iter().chain(&self.waiting);
        places.filter_map(|place| locked(&place.0).waker.take()).collect()
    }

    /// Ends the statement under way; returns what wakes those who may begin the next.
    fn end(&mut self) -> Vec<Waker> {
        self.is_polled = false;
        self.ended = self.ended.wrapping_add(1);
        self.is_busy = self.members.len() > 1;
        self.members.clear();
        self.wakers()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(queue) = self.0.upgrade() else { return };
        let wakers = {
            let mut queue = locked(&queue);
            queue.is_due = true;
            queue.wakers()
        };
        wakers.into_iter().for_each(Waker::wake);
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
        if let Some(waker) = waker {
            waker.wake();
        }
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
        let state = State { debit: Some(debit.clone()), answer: None, waker: None, turn: None };
        let place = Arc::new(Place(Mutex::new(state)));
        let mut all = locked(lines);
        let line = all.entry(debit.company.clone()).or_default();
        line.callers += 1;
        let queue = Arc::clone(&line.queue);
        drop(all);
        locked(&queue).waiting.push_back(Arc::clone(&place));
        Self { lines, company: &debit.company, queue, place }
    }

    /// The answer; on the way to it, this caller sees to what is to be done. `begin` makes the statement of a group of so many at
    /// most.
    pub(super) fn poll(
        &self,
        largest: usize,
        begin: impl Fn(Group) -> BoxFuture<()>,
        context: &mut Context<'_>,
    ) -> Poll<Result<DebitOutcome, StoreError>> {
        loop {
            if let Some(answer) = self.place.answered_or_waiting(context.waker()) {
                return Poll::Ready(answer);
            }
            let mut queue = locked(&self.queue);
            if queue.is_polled || (queue.running.is_some() && !queue.is_due) {
                return Poll::Pending;
            }
            let running = match queue.running.take() {
                Some(running) => running,
                None if queue.is_busy
                    && locked(&self.place.0).turn.replace(queue.ended) != Some(queue.ended) =>
                {
                    drop(queue);
                    // Everybody who can go on now has a turn first, and joins.
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None => begin(queue.take(largest)),
            };
            (queue.is_polled, queue.is_due) = (true, false);
            let bell =
                queue.bell.get_or_insert_with(|| Arc::new(Bell(Arc::downgrade(&self.queue))).into()).clone();
            drop(queue);
            let polling = Polling(Some(&self.queue));
            // Dropped first, so that everybody who was in it has an answer when the others are woken.
            let mut running = running;
            if running.as_mut().poll(&mut Context::from_waker(&bell)).is_ready() {
                drop(running);
                // Wakes the others.
                drop(polling);
            } else {
                polling.goes_on(running);
                let answer = self.place.answered_or_waiting(context.waker());
                return answer.map_or(Poll::Pending, Poll::Ready);
            }
        }
    }
}

/// A statement that is polled; it has ended, also by a panic, unless it is said to go on.
struct Polling<'a>(Option<&'a Mutex<Queue>>);

impl Polling<'_> {
    fn goes_on(mut self, running: BoxFuture<()>) {
        let Some(queue) = self.0.take() else { return };
        let mut queue = locked(queue);
        queue.running = Some(running);
        queue.is_polled = false;
        // Who looked while it was polled found nothing to do.
        let wakers = if queue.is_due { queue.wakers() } else { Vec::new() };
        drop(queue);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        let Some(queue) = self.0.take() else { return };
        let wakers = locked(queue).end();
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let is_waiting = locked(&self.place.0).debit.is_some();
        if is_waiting {
            locked(&self.queue).waiting.retain(|waiting| !waiting.is(&self.place));
        }
        let mut all = locked(self.lines);
        let Some(line) = all.get_mut(self.company) else { return };
        line.callers -= 1;
        if line.callers == 0 {
            all.remove(self.company);
            drop(all);
            // A statement that nobody is left for ends here, outside of every lock.
            let left = locked(&self.queue).running.take();
            drop(left);
        }
    }
}
