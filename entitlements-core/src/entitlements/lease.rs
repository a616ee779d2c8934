//! Leases: units that a process takes in advance, and serves out of its memory.

mod tranche;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use chrono::TimeDelta;
use futures_util::FutureExt as _;
use futures_util::future::Shared as SharedFuture;

use super::{Consume, Entitlements, Reserving, new_id};
use crate::Amount;
use crate::decision::Decision;
use crate::error::Error;
use crate::id::IdempotencyKey;
use crate::request::Subject;
use crate::runtime::{BoxFuture, Runtime};
use crate::store::{StoreError, StoreErrorKind};
use tranche::{Tranche, settle};

/// How many units a lease takes from the store at a time, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTerms {
    units: Amount,
    ttl: Duration,
    margin: Duration,
    come_back: bool,
}

impl LeaseTerms {
    /// `units` at a time, for 5 seconds, of which the last second is left unused.
    #[must_use]
    pub const fn new(units: Amount) -> Self {
        Self { units, ttl: Duration::from_secs(5), margin: Duration::from_secs(1), come_back: true }
    }

    /// Units are served for `ttl` without its last `margin`, and then settled. The margin is how much the clocks of processes
    /// may differ, and how long a settlement may take, without a unit being given twice.
    #[must_use]
    pub const fn with_ttl(self, ttl: Duration, margin: Duration) -> Self {
        Self { ttl, margin, ..self }
    }

    /// What a process held when it crashed stays used, at most the units of one lease for each crash: so none of it is ever
    /// served twice, and the customer loses what had not been served.
    ///
    /// Otherwise it comes back when the time of the lease is over. **Nobody knows how much of it had been served, so all of it
    /// comes back.** The same holds for a process that cannot reach the store for longer than the margin.
    #[must_use]
    pub const fn kept_after_a_crash(self) -> Self {
        Self { come_back: false, ..self }
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
/// the rest goes back. Units are taken from the store before they are served: so no number of processes passes the limit.
///
/// What it gives up for that:
///
/// * **No keys and no receipts of single operations.** A retry counts again, and nothing can be refunded.
/// * **No decision for each operation.** Policies, grants and the plan are asked when units are taken, without resource and
///   context; what is revoked then is still served for up to the time of the lease. Observers and the audit log see nothing
///   of single operations.
/// * **Units that another process holds count as used**, so some may be refused early.
/// * **A crash hides what was served** of the units that the process held, at most those of one lease. They come back when the
///   time of the lease is over, also those that had been served; with [`kept_after_a_crash`](LeaseTerms::kept_after_a_crash)
///   they stay used, also those that had not.
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
    /// What was asked for and not answered, or not yet: the store may have given it.
    unanswered: Mutex<Option<Asked>>,
    settling: Mutex<Vec<Settling>>,
    uncollected: Arc<AtomicU64>,
    closed: AtomicBool,
}

/// Units that the store was asked for. Asking again with the same key gives the same units.
#[derive(Clone)]
struct Asked {
    key: IdempotencyKey,
    units: Amount,
}

/// Units that wait for their settlement, and for nothing else: nobody waits a hundred years.
const UNTIL_SETTLED: TimeDelta = TimeDelta::days(36_500);

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
            unanswered: Mutex::default(),
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
    /// Returns the units that were served and could not be counted, of all that the lease has served so far; observers were
    /// [told](crate::observer::Event::NotCounted) of each time. It is zero, unless they were settled too late and did not fit any
    /// more, as the store could not be reached for longer than the margin and the units are not
    /// [kept](LeaseTerms::kept_after_a_crash); or the company was erased meanwhile; or the store failed in a way that trying
    /// again does not help.
    pub async fn close(&self) -> Amount {
        let refilling = self.0.refilling.lock().await;
        self.0.closed.store(true, Ordering::Release);
        drop(self.0.end(None));
        self.0.give_back_unanswered().await;
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
        let unanswered = locked(&self.unanswered).clone();
        let mut asked = match unanswered {
            Some(asked) => asked,
            None => self.asking(self.terms.units.max(needed))?,
        };
        loop {
            match self.ask(&asked).await? {
                Reserving::Reserved { reservation, .. } | Reserving::Duplicate(reservation) => {
                    self.begin(Tranche::new(
                        reservation.id().clone(),
                        asked.units,
                        reservation.held.at + self.ttl - self.margin,
                    ));
                    return Ok(None);
                }
                Reserving::Refused(denial) if asked.units <= needed => return Ok(Some(denial)),
                // Few are left, and others want some, too.
                Reserving::Refused(denial) => {
                    let remaining = denial.quota.as_ref().and_then(|quota| quota.remaining);
                    let half = asked.units.get().min(remaining.map_or(u64::MAX, Amount::get)) / 2;
                    asked = self.asking(Amount::new(half).unwrap_or(Amount::ZERO).max(needed))?;
                }
            }
        }
    }

    fn asking(&self, units: Amount) -> Result<Asked, Error> {
        let key = IdempotencyKey::new(new_id(self.handle.now()))
            .map_err(|error| StoreError::new(StoreErrorKind::Internal, "name a lease").with_source(error))?;
        Ok(Asked { key, units })
    }

    /// Asks the store for units; remembers it until there is an answer, also when its caller gives up.
    async fn ask(&self, asked: &Asked) -> Result<Reserving, Error> {
        *locked(&self.unanswered) = Some(asked.clone());
        let consume = Consume::new(&self.subject, &self.meter, asked.units).with_key(asked.key.clone());
        let ttl = if self.terms.come_back { self.ttl } else { UNTIL_SETTLED };
        let answer = self.handle.reserve(&consume, ttl).await?;
        *locked(&self.unanswered) = None;
        Ok(answer)
    }

    /// Settles what the store may have given without an answer, if it can be reached.
    async fn give_back_unanswered(&self) {
        let Some(asked) = locked(&self.unanswered).clone() else { return };
        if let Ok(Reserving::Reserved { reservation, .. } | Reserving::Duplicate(reservation)) =
            self.ask(&asked).await
        {
            drop(self.settle(Arc::new(Tranche::unused(reservation.id().clone()))));
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
        Some(self.settle(ended))
    }

    /// Settles in the background.
    fn settle(&self, ended: Arc<Tranche>) -> Settling {
        let settling = settle(
            self.handle.clone(),
            Arc::clone(&self.runtime),
            self.subject.clone(),
            self.meter.clone(),
            ended,
            Arc::clone(&self.uncollected),
        )
        .shared();
        self.runtime.spawn(Box::pin(settling.clone()));
        let mut all = locked(&self.settling);
        all.retain(|one| one.peek().is_none());
        all.push(settling.clone());
        settling
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.end(None));
    }
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
