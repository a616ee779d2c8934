//! Leases: units that a process takes in advance, and serves out of its memory.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt as _;
use futures_util::future::Shared as SharedFuture;

use super::{Consume, Entitlements, Reserving};
use crate::Amount;
use crate::decision::Decision;
use crate::error::Error;
use crate::id::ReceiptId;
use crate::request::Subject;
use crate::reservation::CommitOutcome;
use crate::runtime::{BoxFuture, Runtime};

/// How many units a lease takes from the store at a time, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTerms {
    units: Amount,
    ttl: Duration,
    margin: Duration,
}

impl LeaseTerms {
    /// `units` at a time, for 5 seconds, of which the last second is left unused.
    #[must_use]
    pub const fn new(units: Amount) -> Self {
        Self { units, ttl: Duration::from_secs(5), margin: Duration::from_secs(1) }
    }

    /// Units are taken for `ttl`, and are not served in the last `margin` of it: that is how much the clocks of processes may
    /// differ, and how long a settlement may take, without a unit being given twice.
    #[must_use]
    pub const fn with_ttl(self, ttl: Duration, margin: Duration) -> Self {
        Self { units: self.units, ttl, margin }
    }
}

/// What became of a consumption out of a lease.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
#[expect(clippy::large_enum_variant, reason = "an answer is looked at, not kept")]
pub enum Leased {
    /// The units were taken.
    Taken,
    /// They were not, and nothing changed. Units that other processes hold count as used.
    Refused(Decision),
}

/// A meter of one subject whose units this process serves out of its memory, for counters that are too hot for the store.
///
/// It takes units in advance, as a [reservation](Entitlements::reserve), and serves them in less than a microsecond. What was
/// used is settled when the units run out, when their time is over, and when the lease is [closed](Self::close) or dropped;
/// the rest goes back. Units are taken from the store before they are served, so that no number of processes passes the limit.
///
/// What it gives up for that:
///
/// * **No keys and no receipts of single operations.** A retry counts again, and nothing can be refunded.
/// * **No decision for each operation.** Policies, grants and the plan are asked when units are taken, without resource and
///   context; what is revoked then is still served for up to the time of the lease. Observers and the audit log see nothing
///   of single operations.
/// * **Units that another process holds count as used**, so some may be refused early.
/// * **A crash forgets what was served since the last settlement**: at most what each process holds, which comes back when the
///   lease expires.
///
/// Cloning shares the lease.
#[derive(Clone, Debug)]
pub struct LeasedMeter(Arc<Lease>);

type Settling = SharedFuture<BoxFuture<()>>;

struct Lease {
    handle: Entitlements,
    runtime: Arc<dyn Runtime>,
    subject: Subject,
    meter: Box<str>,
    terms: LeaseTerms,
    ttl: TimeDelta,
    margin: TimeDelta,
    current: ArcSwapOption<Tranche>,
    refilling: futures_util::lock::Mutex<()>,
    settling: Mutex<Vec<Settling>>,
    uncollected: Arc<AtomicU64>,
    closed: AtomicBool,
}

/// Units that were taken in advance.
struct Tranche {
    reservation: ReceiptId,
    units: Amount,
    /// Units that were not served; below zero when it has ended.
    left: AtomicI64,
    /// What was served when it ended.
    served: AtomicU64,
    usable_until: DateTime<Utc>,
}

impl Entitlements {
    /// A meter of `subject` that is served out of memory; see [`LeasedMeter`] for what that gives up.
    ///
    /// Nothing is taken before the first consumption.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) when the feature is known and no meter, no units are asked for at a time, the
    /// margin leaves no time to serve units in, or the handle has no [`Runtime`](crate::Runtime) to settle with.
    pub fn lease(&self, subject: &Subject, meter: &str, terms: LeaseTerms) -> Result<LeasedMeter, Error> {
        Consume::new(subject, meter, terms.units).check(&self.0.catalog.load())?;
        let runtime = self.0.runtime.clone();
        let runtime = runtime.ok_or_else(|| Error::invalid("runtime", "a lease needs one to settle with"))?;
        let whole = |duration| TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX);
        let (ttl, margin) = (whole(terms.ttl), whole(terms.margin));
        if margin >= ttl {
            return Err(Error::invalid("margin", "must be shorter than the time of the lease"));
        }
        Ok(LeasedMeter(Arc::new(Lease {
            handle: self.clone(),
            runtime,
            subject: subject.clone(),
            meter: meter.into(),
            terms,
            ttl,
            margin,
            current: ArcSwapOption::empty(),
            refilling: futures_util::lock::Mutex::new(()),
            settling: Mutex::default(),
            uncollected: Arc::default(),
            closed: AtomicBool::new(false),
        })))
    }
}

impl LeasedMeter {
    /// Takes units out of memory, if there are so many; never waits.
    #[must_use]
    pub fn take(&self, amount: Amount) -> bool {
        let current = self.0.current.load();
        current
            .as_ref()
            .is_some_and(|tranche| self.0.handle.now() < tranche.usable_until && tranche.take(amount))
    }

    /// Takes units out of memory, and takes more from the store first when there are not so many.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) when the amount is 0 or the lease is closed;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails; then
    /// nothing was taken.
    pub async fn consume(&self, amount: Amount) -> Result<Leased, Error> {
        if amount.is_zero() {
            return Err(Error::invalid("amount", "must be at least 1"));
        }
        loop {
            if self.take(amount) {
                return Ok(Leased::Taken);
            }
            let _refilling = self.0.refilling.lock().await;
            if self.take(amount) {
                return Ok(Leased::Taken);
            }
            if self.0.closed.load(Ordering::Acquire) {
                return Err(Error::invalid("lease", "is closed"));
            }
            if let Some(denial) = self.0.refill(amount).await? {
                return Ok(Leased::Refused(denial));
            }
        }
    }

    /// Gives back what was not used, and waits until the store knows what was. Nothing is served afterwards.
    ///
    /// Returns the units that were served and could not be counted, since they were settled too late and did not fit any
    /// more; zero, unless the store could not be reached for longer than the margin.
    pub async fn close(&self) -> Amount {
        let refilling = self.0.refilling.lock().await;
        self.0.closed.store(true, Ordering::Release);
        drop(self.0.end(None));
        drop(refilling);
        let settling = std::mem::take(&mut *locked(&self.0.settling));
        for one in settling {
            one.await;
        }
        Amount::new(self.0.uncollected.load(Ordering::Acquire)).unwrap_or(Amount::MAX)
    }
}

impl Lease {
    /// Takes units from the store, at least `needed`; the denial if there are not so many.
    async fn refill(self: &Arc<Self>, needed: Amount) -> Result<Option<Decision>, Error> {
        // What is left of the last units may be what is missing.
        if let Some(settling) = self.end(None) {
            settling.await;
        }
        let mut wanted = self.terms.units.max(needed);
        loop {
            let consume = Consume::new(&self.subject, &self.meter, wanted);
            match self.handle.reserve(&consume, self.ttl).await? {
                Reserving::Reserved { reservation, .. } | Reserving::Duplicate(reservation) => {
                    self.begin(Tranche {
                        reservation: reservation.id().clone(),
                        units: wanted,
                        left: AtomicI64::new(wanted.as_i64()),
                        served: AtomicU64::new(0),
                        usable_until: reservation.expires_at - self.margin,
                    });
                    return Ok(None);
                }
                Reserving::Refused(denial) if wanted <= needed => return Ok(Some(denial)),
                // Few are left, and others want some, too.
                Reserving::Refused(denial) => {
                    let remaining = denial.quota.as_ref().and_then(|quota| quota.remaining);
                    let half = wanted.get().min(remaining.map_or(u64::MAX, Amount::get)) / 2;
                    wanted = Amount::new(half).unwrap_or(Amount::ZERO).max(needed);
                }
            }
        }
    }

    fn begin(self: &Arc<Self>, tranche: Tranche) {
        let tranche = Arc::new(tranche);
        self.current.store(Some(Arc::clone(&tranche)));
        let over = self.runtime.sleep(self.terms.ttl.saturating_sub(self.terms.margin));
        let lease = Arc::downgrade(self);
        self.runtime.spawn(Box::pin(async move {
            over.await;
            if let Some(lease) = Weak::upgrade(&lease) {
                drop(lease.end(Some(&tranche)));
            }
        }));
    }

    /// Ends what is served, or only this if it still is, and settles it in the background.
    fn end(&self, only: Option<&Arc<Tranche>>) -> Option<Settling> {
        let ended = match only {
            None => self.current.swap(None)?,
            Some(tranche) => {
                let before = self.current.compare_and_swap(tranche, None);
                before.as_ref().filter(|before| Arc::ptr_eq(before, tranche))?.clone()
            }
        };
        ended.end();
        let settling = settle(
            self.handle.clone(),
            Arc::clone(&self.runtime),
            self.subject.clone(),
            ended,
            Arc::clone(&self.uncollected),
        )
        .shared();
        self.runtime.spawn(Box::pin(settling.clone()));
        let mut all = locked(&self.settling);
        all.retain(|one| one.peek().is_none());
        all.push(settling.clone());
        Some(settling)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.end(None));
    }
}

impl Tranche {
    fn take(&self, amount: Amount) -> bool {
        let amount = amount.as_i64();
        self.left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| (amount <= left).then(|| left - amount))
            .is_ok()
    }

    /// From here on nothing is taken.
    fn end(&self) {
        if let Ok(left) = u64::try_from(self.left.swap(-1, Ordering::AcqRel)) {
            self.served.store(self.units.get().saturating_sub(left), Ordering::Release);
        }
    }
}

/// Tells the store what was served, until it has heard it.
fn settle(
    handle: Entitlements,
    runtime: Arc<dyn Runtime>,
    subject: Subject,
    tranche: Arc<Tranche>,
    uncollected: Arc<AtomicU64>,
) -> BoxFuture<()> {
    Box::pin(async move {
        let served = Amount::new(tranche.served.load(Ordering::Acquire)).unwrap_or(Amount::MAX);
        let mut pause = Duration::from_millis(20);
        loop {
            match handle.commit(&subject.company, &tranche.reservation, served).await {
                Ok(Some(CommitOutcome::Committed(settled) | CommitOutcome::Duplicate(settled))) => {
                    uncollected.fetch_add(settled.uncollected().get(), Ordering::AcqRel);
                    return;
                }
                // Somebody else has ended it, or erased the company.
                Ok(_) => {
                    uncollected.fetch_add(served.get(), Ordering::AcqRel);
                    return;
                }
                Err(_) => {
                    runtime.sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
            }
        }
    })
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("subject", &self.subject)
            .field("meter", &self.meter)
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
