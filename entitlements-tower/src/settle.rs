//! Settlements: refunds and late charges, off the request path, through a bounded queue.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use entitlements_core::Entitlements;

use crate::job::{Job, Ran};
use crate::tab::Tabs;

/// Counts of the settlements of a layer since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettlementStats {
    /// Settlements that were queued.
    pub queued: u64,
    /// Settlements that were done.
    pub done: u64,
    /// Settlements that can never be done; each was logged.
    pub failed: u64,
    /// Settlements that were lost because the queue was full; each was logged.
    pub dropped: u64,
    /// Attempts that failed because a dependency was unavailable; they are repeated.
    pub postponed: u64,
    /// Units that were used and could not be collected.
    pub uncollected: u64,
    /// Settlements that wait; after a flush, those whose dependencies are unavailable.
    pub pending: u64,
}

/// The queue of a layer. Clones share it.
#[derive(Clone)]
pub(crate) struct Settlements(Arc<Inner>);

struct Inner {
    entitlements: Entitlements,
    capacity: usize,
    tabs: Tabs,
    queue: Mutex<Queue>,
    /// Whether jobs are parked, for those who do not want to wait for the lock.
    any_parked: AtomicBool,
    queued: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    postponed: AtomicU64,
    uncollected: AtomicU64,
    #[cfg(feature = "rt")]
    runtime: std::sync::OnceLock<tokio::runtime::Handle>,
}

#[derive(Default)]
struct Queue {
    ready: VecDeque<Job>,
    /// Jobs whose dependencies were unavailable. Each new job and each charge take one along, and its success takes all.
    parked: VecDeque<Job>,
    running: usize,
    /// Whether a task works on the queue.
    #[cfg(feature = "rt")]
    working: bool,
    waiting: Vec<Waker>,
}

impl Queue {
    fn len(&self) -> usize {
        self.ready.len() + self.parked.len() + self.running
    }
}

impl Settlements {
    pub(crate) fn new(entitlements: Entitlements, capacity: usize) -> Self {
        Self(Arc::new(Inner {
            entitlements,
            capacity,
            tabs: Tabs::default(),
            queue: Mutex::default(),
            any_parked: AtomicBool::new(false),
            queued: AtomicU64::new(0),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            postponed: AtomicU64::new(0),
            uncollected: AtomicU64::new(0),
            #[cfg(feature = "rt")]
            runtime: std::sync::OnceLock::new(),
        }))
    }

    /// Remembers the runtime of the caller, for jobs that are queued outside of one.
    #[cfg(feature = "rt")]
    pub(crate) fn remember_runtime(&self) {
        if self.0.runtime.get().is_none()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // Another request may have been faster.
            let _ = self.0.runtime.set(runtime);
        }
    }

    pub(crate) fn tabs(&self) -> &Tabs {
        &self.0.tabs
    }

    /// Queues a job; never waits.
    pub(crate) fn push(&self, job: Job) {
        let mut queue = self.0.lock();
        if queue.len() >= self.0.capacity {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            tracing::error!(job = job.name(), "the queue of settlements is full; one is lost");
            return;
        }
        self.0.queued.fetch_add(1, Ordering::Relaxed);
        queue.ready.push_back(job);
        if let Some(parked) = queue.parked.pop_front() {
            queue.ready.push_back(parked);
        }
        #[cfg(feature = "rt")]
        self.start_work(queue);
    }

    /// The store has answered, so it is asked for what waits for it. That is one job at first: it may fail again.
    pub(crate) fn resume(&self) {
        if !self.0.any_parked.load(Ordering::Relaxed) {
            return;
        }
        let mut queue = self.0.lock();
        let parked = queue.parked.pop_front();
        queue.ready.extend(parked);
        self.0.any_parked.store(!queue.parked.is_empty(), Ordering::Relaxed);
        #[cfg(feature = "rt")]
        self.start_work(queue);
    }

    #[cfg(feature = "rt")]
    fn start_work(&self, mut queue: MutexGuard<'_, Queue>) {
        let current = tokio::runtime::Handle::try_current().ok();
        let Some(runtime) = current.as_ref().or_else(|| self.0.runtime.get()) else { return };
        if !std::mem::replace(&mut queue.working, true) {
            drop(queue);
            runtime.spawn(work(Worker { queue: self.clone(), ended: false }));
        }
    }

    /// Does what can be done now, and waits for what is under way.
    pub(crate) async fn flush(&self) -> SettlementStats {
        self.0.unpark();
        loop {
            while let Some(running) = self.next() {
                running.run().await;
            }
            self.idle().await;
            if self.0.lock().ready.is_empty() {
                return self.stats();
            }
        }
    }

    pub(crate) fn stats(&self) -> SettlementStats {
        let pending = self.0.lock().len();
        SettlementStats {
            queued: self.0.queued.load(Ordering::Relaxed),
            done: self.0.done.load(Ordering::Relaxed),
            failed: self.0.failed.load(Ordering::Relaxed),
            dropped: self.0.dropped.load(Ordering::Relaxed),
            postponed: self.0.postponed.load(Ordering::Relaxed),
            uncollected: self.0.uncollected.load(Ordering::Relaxed),
            pending: u64::try_from(pending).unwrap_or(u64::MAX),
        }
    }

    fn next(&self) -> Option<Running> {
        let mut queue = self.0.lock();
        let job = queue.ready.pop_front()?;
        queue.running += 1;
        Some(Running { queue: self.clone(), job: Some(job) })
    }

    /// Waits until no job is running.
    async fn idle(&self) {
        poll_fn(|context| {
            let mut queue = self.0.lock();
            if queue.running == 0 {
                return Poll::Ready(());
            }
            queue.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn park(&self, job: Option<Job>) {
        let mut queue = self.lock();
        queue.parked.extend(job);
        self.any_parked.store(true, Ordering::Relaxed);
    }

    fn unpark(&self) {
        let mut queue = self.lock();
        let mut parked = std::mem::take(&mut queue.parked);
        queue.ready.append(&mut parked);
        self.any_parked.store(false, Ordering::Relaxed);
    }
}

impl fmt::Debug for Settlements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Settlements").field(&self.stats()).finish()
    }
}

/// A job that somebody works on. If the work is dropped, the job goes back into the queue.
struct Running {
    queue: Settlements,
    job: Option<Job>,
}

impl Running {
    async fn run(mut self) {
        let Some(job) = &self.job else { return };
        let inner = &self.queue.0;
        let ran = job.run(&inner.entitlements, &inner.tabs).await;
        let job = self.job.take();
        match ran {
            Ran::Done { uncollected } => {
                inner.done.fetch_add(1, Ordering::Relaxed);
                inner.uncollected.fetch_add(uncollected, Ordering::Relaxed);
                inner.unpark();
            }
            Ran::Later => {
                inner.postponed.fetch_add(1, Ordering::Relaxed);
                inner.park(job);
            }
            Ran::Failed => {
                inner.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let job = self.job.take();
        let mut queue = self.queue.0.lock();
        queue.running -= 1;
        if std::thread::panicking() && job.is_some() {
            self.queue.0.failed.fetch_add(1, Ordering::Relaxed);
        } else if let Some(job) = job {
            queue.ready.push_front(job);
        }
        let waiting = std::mem::take(&mut queue.waiting);
        drop(queue);
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// The one task that works on a queue; the next job starts another when it ends.
#[cfg(feature = "rt")]
struct Worker {
    queue: Settlements,
    ended: bool,
}

#[cfg(feature = "rt")]
impl Worker {
    /// The next job, or the end of the work: decided under one lock, so that no job is left behind.
    fn next(&mut self) -> Option<Running> {
        let mut queue = self.queue.0.lock();
        let Some(job) = queue.ready.pop_front() else {
            queue.working = false;
            self.ended = true;
            return None;
        };
        queue.running += 1;
        Some(Running { queue: self.queue.clone(), job: Some(job) })
    }
}

#[cfg(feature = "rt")]
async fn work(mut worker: Worker) {
    while let Some(running) = worker.next() {
        running.run().await;
    }
}

#[cfg(feature = "rt")]
impl Drop for Worker {
    fn drop(&mut self) {
        // A worker that was cut off leaves its place; one that has ended may have a successor.
        if !self.ended {
            self.queue.0.lock().working = false;
        }
    }
}
