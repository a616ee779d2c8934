//! The recorder: from the request path into the store, without ever holding up a request.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use super::entry::AuditEntry;
use super::hex::AuditSalt;
use super::queue::{Queue, Turn};
use super::row::AuditRecord;
use crate::observer::{Event, Observer};
use crate::store::{AuditStore, StoreError, StoreErrorKind};

/// A store that fails is tried again after a pause that grows up to so many intervals.
const LONGEST_PAUSE: u32 = 32;

/// How much a recorder keeps, and how often it appends.
///
/// ```
/// use std::time::Duration;
/// use entitlements_core::audit::AuditConfig;
///
/// let config = AuditConfig::default().with_capacity(10_000).with_interval(Duration::from_millis(200));
/// assert_eq!(config.capacity(), 10_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditConfig {
    capacity: usize,
    batch: usize,
    interval: Duration,
}

impl AuditConfig {
    /// At most this many entries wait in memory, about 300 bytes each; what comes beyond is dropped and counted.
    #[must_use]
    pub const fn with_capacity(mut self, entries: usize) -> Self {
        self.capacity = entries;
        self
    }

    /// As soon as this many entries wait, they are appended, and never more at once. At least 1.
    #[must_use]
    pub fn with_batch(mut self, entries: usize) -> Self {
        self.batch = entries.max(1);
        self
    }

    /// After this long they are appended, however few there are.
    #[must_use]
    pub const fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How many entries may wait.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }
}

impl Default for AuditConfig {
    /// 65,536 entries may wait; they are appended by the thousand, or after a second.
    fn default() -> Self {
        Self { capacity: 65_536, batch: 1_000, interval: Duration::from_secs(1) }
    }
}

/// What became of the entries of a recorder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditStats {
    /// Decisions that were observed and had room.
    pub accepted: u64,
    /// Entries that are stored.
    pub stored: u64,
    /// Decisions that were observed while there was no room: they are lost.
    pub dropped: u64,
    /// Entries that the store cannot keep, whenever it is asked: they are lost.
    pub refused: u64,
    /// Attempts to append that failed; what they held was kept for the next one.
    pub failures: u64,
    /// Entries that wait.
    pub waiting: u64,
}

/// Takes note of every decision, and appends the notes to an [`AuditStore`], in batches and off the request path.
///
/// It is an [`Observer`]: observing is a short critical section, and never waits for a store. A task of the application
/// [runs](Self::run) it. Clones share everything.
///
/// ```
/// use std::sync::Arc;
/// use entitlements_core::audit::Audit;
/// use entitlements_core::id::CompanyId;
/// use entitlements_core::store::{PageRequest, SharedStore};
/// use entitlements_core::{Action, Catalog, Entitlements, MemoryStore, Request, Subject};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// # let catalog = Catalog::parse("c", "schema = 1\npast_due_grace = \"7d\"\n[features]\nexport = { type = \"flag\" }")?;
/// let store: SharedStore = Arc::new(MemoryStore::default());
/// let audit = Audit::new(Arc::clone(&store));
/// let entitlements =
///     Entitlements::builder(catalog).shared_store(Arc::clone(&store)).observer(audit.clone()).build();
/// // In an application: tokio::spawn(audit.clone().run(tokio::time::sleep));
///
/// let acme = CompanyId::new("acme")?;
/// entitlements.check(&Request::new(&Subject::company(acme.clone()), "export", Action::View)).await?;
/// audit.flush().await?;
/// let page = entitlements.audit(&acme, &PageRequest::first(10)).await?;
/// assert_eq!(page.items[0].reason, "not_granted");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Audit(Arc<Inner>);

struct Inner {
    store: Box<dyn AuditStore>,
    config: AuditConfig,
    queue: Queue,
    refused: AtomicU64,
    failures: AtomicU64,
}

impl Audit {
    /// Records into `store`.
    #[must_use]
    pub fn new(store: impl AuditStore) -> Self {
        Self::with_config(store, AuditConfig::default())
    }

    /// Records into `store`, as `config` says.
    #[must_use]
    pub fn with_config(store: impl AuditStore, config: AuditConfig) -> Self {
        Self(Arc::new(Inner {
            store: Box::new(store),
            config,
            queue: Queue::new(config.capacity),
            refused: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }))
    }

    /// Takes a note, unless there is no room for it.
    pub fn record(&self, entry: AuditEntry) {
        self.0.queue.push(entry, self.0.config.batch);
    }

    /// Appends what is noted, each time that a batch is full or the interval is over, until it is [closed](Self::close);
    /// then once more. `sleep` waits for as long as it is told: `tokio::time::sleep`, or what a test moves.
    ///
    /// A store that fails is asked again, after pauses that grow. Dropping the future loses nothing that was noted.
    pub async fn run<S, F>(self, sleep: S)
    where
        S: Fn(Duration) -> F,
        F: Future<Output = ()>,
    {
        let Inner { queue, config, .. } = &*self.0;
        let mut pause = config.interval;
        let mut failed = false;
        loop {
            let mut slept = pin!(sleep(pause));
            poll_fn(|context| {
                // After a failure a full batch is no reason to hurry.
                let wanted = if failed { usize::MAX } else { config.batch };
                if queue.poll_wanted(wanted, context).is_ready() {
                    return Poll::Ready(());
                }
                slept.as_mut().poll(context)
            })
            .await;
            failed = self.flush().await.is_err();
            if queue.is_closed() {
                return;
            }
            let longest = config.interval.saturating_mul(LONGEST_PAUSE);
            pause = if failed { pause.saturating_mul(2).min(longest) } else { config.interval };
        }
    }

    /// Lets [`run`](Self::run) append what is noted, and end. What is noted afterwards waits for a
    /// [`flush`](Self::flush).
    pub fn close(&self) {
        self.0.queue.close();
    }

    /// Appends everything that was noted before this call, and says so when it is stored.
    ///
    /// # Errors
    ///
    /// The error of the store; what is not stored yet is kept for the next attempt.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let inner = &*self.0;
        let noted = inner.queue.numbers().accepted;
        while inner.queue.numbers().finished < noted {
            let turn = inner.queue.turn().await;
            if let Err(error) = inner.append(&turn).await {
                inner.failures.fetch_add(1, Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    }

    /// What became of the entries so far.
    #[must_use]
    pub fn stats(&self) -> AuditStats {
        let numbers = self.0.queue.numbers();
        let refused = self.0.refused.load(Ordering::Relaxed);
        AuditStats {
            accepted: numbers.accepted,
            stored: numbers.finished.saturating_sub(refused),
            dropped: numbers.dropped,
            refused,
            failures: self.0.failures.load(Ordering::Relaxed),
            waiting: u64::try_from(numbers.waiting).unwrap_or(u64::MAX),
        }
    }
}

impl Inner {
    async fn append(&self, turn: &Turn<'_>) -> Result<(), StoreError> {
        let Some(batch) = turn.batch(self.config.batch, seal)? else { return Ok(()) };
        match self.store.append(&batch).await {
            Ok(()) => {}
            // One of them cannot be kept. The others can.
            Err(error) if error.kind() == StoreErrorKind::Unsupported => {
                let mut refused = 0;
                for record in batch.iter() {
                    match self.store.append(std::slice::from_ref(record)).await {
                        Ok(()) => {}
                        Err(error) if error.kind() == StoreErrorKind::Unsupported => refused += 1,
                        Err(error) => return Err(error),
                    }
                }
                self.refused.fetch_add(refused, Ordering::Relaxed);
            }
            Err(error) => return Err(error),
        }
        turn.finish();
        Ok(())
    }
}

impl Observer for Audit {
    fn observe(&self, event: &Event<'_>) {
        if let Event::Decided { request, decision, tier, at, took } = event {
            self.record(AuditEntry::new(request, decision, *tier, *at, *took));
        }
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Audit").field(&self.stats()).finish()
    }
}

/// Gives each entry an id, which begins with its instant, and a salt.
fn seal(entries: &[AuditEntry]) -> Result<Vec<AuditRecord>, StoreError> {
    let (own, salts) = (random::<8>(entries.len())?, random::<16>(entries.len())?);
    let sealed = |((entry, own), salt): ((&AuditEntry, [u8; 8]), [u8; 16])| {
        let id = format!("{:016x}{:016x}", entry.at.timestamp_micros(), u64::from_be_bytes(own));
        AuditRecord { id, salt: AuditSalt::new(salt), entry: entry.clone() }
    };
    Ok(entries.iter().zip(own).zip(salts).map(sealed).collect())
}

/// For all entries at once: the operating system is called each time.
fn random<const N: usize>(count: usize) -> Result<Vec<[u8; N]>, StoreError> {
    let mut random = vec![[0; N]; count];
    getrandom::fill(random.as_flattened_mut()).map_err(|error| {
        StoreError::new(StoreErrorKind::Internal, "name an audit entry").with_source(error.to_string())
    })?;
    Ok(random)
}
