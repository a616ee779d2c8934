//! A bus within one process, which can be cut: the reference for all others.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};

use async_trait::async_trait;

use super::{Bus, Change, Message, Subscription};

/// A subscriber that is behind by so many messages has lost them.
const CAPACITY: usize = 4096;

/// A bus within one process. Handles that share it stand for processes.
///
/// It has no clock: heartbeats are heard when a test calls [`beat`](Self::beat).
#[derive(Debug, Default)]
pub struct MemoryBus {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    cut: bool,
    subscribers: Vec<Weak<Mutex<Queue>>>,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Message>,
    waker: Option<Waker>,
    closed: bool,
}

impl Queue {
    fn push(&mut self, message: Message) {
        if self.messages.len() >= CAPACITY {
            self.messages.clear();
            self.messages.push_back(Message::Lost);
        }
        self.messages.push_back(message);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryBus {
    /// From here on nobody hears anything.
    pub fn cut(&self) {
        lock(&self.state).cut = true;
    }

    /// From here on everybody hears everything again, and that something was lost.
    pub fn heal(&self) {
        let was_cut = std::mem::take(&mut lock(&self.state).cut);
        if was_cut {
            self.tell(&Message::Lost);
        }
    }

    /// Tells everybody that the bus is alive.
    pub fn beat(&self) {
        self.tell(&Message::Heartbeat);
    }

    fn tell(&self, message: &Message) {
        let mut state = lock(&self.state);
        if state.cut {
            return;
        }
        state
            .subscribers
            .retain(|queue| queue.upgrade().inspect(|queue| lock(queue).push(message.clone())).is_some());
    }
}

#[async_trait]
impl Bus for MemoryBus {
    async fn announce(&self, change: &Change) {
        self.tell(&Message::Changed(change.clone()));
    }

    async fn subscribe(&self) -> Box<dyn Subscription> {
        let queue = Arc::default();
        lock(&self.state).subscribers.push(Arc::downgrade(&queue));
        Box::new(MemorySubscription(queue))
    }
}

impl Drop for MemoryBus {
    fn drop(&mut self) {
        for queue in lock(&self.state).subscribers.iter().filter_map(Weak::upgrade) {
            let mut queue = lock(&queue);
            queue.closed = true;
            if let Some(waker) = queue.waker.take() {
                waker.wake();
            }
        }
    }
}

#[derive(Debug)]
struct MemorySubscription(Arc<Mutex<Queue>>);

#[async_trait]
impl Subscription for MemorySubscription {
    async fn next(&mut self) -> Option<Message> {
        poll_fn(|context| {
            let mut queue = lock(&self.0);
            match queue.messages.pop_front() {
                Some(message) => Poll::Ready(Some(message)),
                None if queue.closed => Poll::Ready(None),
                None => {
                    queue.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}
