//! What waits to be appended: bounded, and worked on by one flush at a time.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::entry::AuditEntry;
use super::row::AuditRecord;

/// The entries of one recorder, from the moment they are observed until they are stored or lost.
#[derive(Debug)]
pub(super) struct Queue {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<AuditEntry>,
    /// What is being appended. It stays until that has succeeded, under the same ids, so that trying again is safe.
    batch: Option<Arc<Vec<AuditRecord>>>,
    /// Entries that were accepted so far, and those that are stored or lost.
    accepted: u64,
    finished: u64,
    dropped: u64,
    closed: bool,
    /// Whether somebody flushes.
    busy: bool,
    waiting_for_turn: Vec<Waker>,
    /// Whoever wants to know when a batch is full, or the queue is closed.
    attentive: Option<Waker>,
}

impl State {
    fn len(&self) -> usize {
        self.waiting.len() + self.batch.as_ref().map_or(0, |batch| batch.len())
    }
}

/// Numbers of a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub(super) accepted: u64,
    pub(super) finished: u64,
    pub(super) dropped: u64,
    pub(super) waiting: usize,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts an entry, or drops it when there is no room. Never waits.
    pub(super) fn push(&self, entry: AuditEntry, batch: usize) {
        let mut state = self.lock();
        if state.len() >= self.capacity {
            state.dropped += 1;
            return;
        }
        state.accepted += 1;
        state.waiting.push_back(entry);
        let full = state.waiting.len() >= batch;
        let attentive = if full { state.attentive.take() } else { None };
        drop(state);
        if let Some(waker) = attentive {
            waker.wake();
        }
    }

    pub(super) fn numbers(&self) -> Numbers {
        let state = self.lock();
        Numbers {
            accepted: state.accepted,
            finished: state.finished,
            dropped: state.dropped,
            waiting: state.len(),
        }
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let attentive = state.attentive.take();
        drop(state);
        if let Some(waker) = attentive {
            waker.wake();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Whether a batch is full, or the queue closed; otherwise the task is woken when that becomes so.
    pub(super) fn poll_wanted(&self, batch: usize, context: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.closed || state.waiting.len() >= batch {
            return Poll::Ready(());
        }
        state.attentive = Some(context.waker().clone());
        Poll::Pending
    }

    /// Waits until nobody else flushes.
    pub(super) async fn turn(&self) -> Turn<'_> {
        poll_fn(|context| {
            let mut state = self.lock();
            if state.busy {
                state.waiting_for_turn.push(context.waker().clone());
                return Poll::Pending;
            }
            state.busy = true;
            Poll::Ready(())
        })
        .await;
        Turn { queue: self }
    }
}

/// The right to flush. It ends when it is dropped, also half-way.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    queue: &'a Queue,
}

impl Turn<'_> {
    /// The batch that is to be appended next: the one that was not appended last time, or else one that `seal` makes out of
    /// up to `size` entries.
    pub(super) fn batch<E>(
        &self,
        size: usize,
        seal: impl FnOnce(&[AuditEntry]) -> Result<Vec<AuditRecord>, E>,
    ) -> Result<Option<Arc<Vec<AuditRecord>>>, E> {
        let mut entries: Vec<AuditEntry> = {
            let mut state = self.queue.lock();
            if let Some(batch) = &state.batch {
                return Ok(Some(Arc::clone(batch)));
            }
            let size = size.min(state.waiting.len());
            state.waiting.drain(..size).collect()
        };
        if entries.is_empty() {
            return Ok(None);
        }
        match seal(&entries) {
            Ok(records) => {
                let batch = Arc::new(records);
                self.queue.lock().batch = Some(Arc::clone(&batch));
                Ok(Some(batch))
            }
            Err(error) => {
                let mut state = self.queue.lock();
                while let Some(entry) = entries.pop() {
                    state.waiting.push_front(entry);
                }
                Err(error)
            }
        }
    }

    /// The batch is stored, or what is not is lost.
    pub(super) fn finish(&self) {
        let mut state = self.queue.lock();
        if let Some(batch) = state.batch.take() {
            state.finished += u64::try_from(batch.len()).unwrap_or(u64::MAX);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.busy = false;
        let waiting = std::mem::take(&mut state.waiting_for_turn);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}
