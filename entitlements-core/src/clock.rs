//! Clocks: where "now" comes from.
//!
//! Pure code takes `now` as a parameter. Only the [`Entitlements`](crate::Entitlements) handle asks a clock, once per
//! call, and the application decides which.

use std::cell::Cell;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
#[cfg(target_os = "linux")]
use nix::time::ClockId;

/// Says what time it is.
///
/// # Contract
///
/// `now` neither blocks nor panics. Two calls may return the same instant; a later call should not return an earlier one.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> DateTime<Utc>;

    /// The present instant, as exactly as it can be had for next to nothing. What is decided at a glance holds at each
    /// instant between its ends; where they would differ, [`now`](Self::now) is asked.
    fn glance(&self) -> Glance {
        Glance::at(self.now())
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> DateTime<Utc> {
        (**self).now()
    }

    fn glance(&self) -> Glance {
        (**self).glance()
    }
}

/// Two instants with the present one between them, or the present one twice.
///
/// In whole microseconds since 1970, rounded outwards, so that a comparison is one of two numbers.
///
/// ```
/// use chrono::TimeDelta;
/// use entitlements_core::{Clock, Glance, ManualClock, SystemClock};
///
/// let now = "2026-11-07T09:00:00Z".parse()?;
/// assert_eq!(ManualClock::at(now).glance(), Glance::at(now));
///
/// let glance = Glance::between(now, now + TimeDelta::milliseconds(100));
/// assert_eq!((glance.earliest(), glance.is_exact()), (now, false));
///
/// let glance = SystemClock.glance();
/// assert!(glance.earliest() <= glance.latest());
/// # Ok::<(), chrono::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance {
    earliest: i64,
    latest: i64,
}

impl Glance {
    /// It is `now`, to the microsecond.
    #[must_use]
    pub const fn at(now: DateTime<Utc>) -> Self {
        Self::between(now, now)
    }

    /// It is not earlier than `earliest` and not later than `latest`.
    #[must_use]
    pub const fn between(earliest: DateTime<Utc>, latest: DateTime<Utc>) -> Self {
        Self { earliest: micros_before(earliest), latest: micros_after(latest) }
    }

    /// It is not earlier than this.
    #[must_use]
    pub fn earliest(&self) -> DateTime<Utc> {
        instant_at(self.earliest)
    }

    /// It is not later than this.
    #[must_use]
    pub fn latest(&self) -> DateTime<Utc> {
        instant_at(self.latest)
    }

    /// Whether the present instant is known.
    #[must_use]
    #[inline]
    pub const fn is_exact(&self) -> bool {
        self.earliest == self.latest
    }

    /// Whether it is certainly not earlier than `micros`.
    #[inline]
    pub(crate) const fn is_from(&self, micros: i64) -> bool {
        self.earliest >= micros
    }

    /// Whether it is certainly earlier than `micros`.
    #[inline]
    pub(crate) const fn is_before(&self, micros: i64) -> bool {
        self.latest < micros
    }
}

/// The last whole microsecond that is not after the instant.
pub(crate) const fn micros_before(instant: DateTime<Utc>) -> i64 {
    instant.timestamp_micros()
}

/// The first whole microsecond that is not before the instant.
const fn micros_after(instant: DateTime<Utc>) -> i64 {
    let rest = instant.timestamp_subsec_nanos() % 1_000;
    instant.timestamp_micros() + if rest == 0 { 0 } else { 1 }
}

/// Numbers of microseconds come from instants, so there is one for each, but where a tick is added at the end of the calendar.
fn instant_at(micros: i64) -> DateTime<Utc> {
    u64::try_from(micros)
        .ok()
        .and_then(|micros| since_the_epoch(Duration::from_micros(micros)))
        .or_else(|| DateTime::from_timestamp_micros(micros))
        .unwrap_or(if micros < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC })
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the core may read the machine's clock"
    )]
    fn now(&self) -> DateTime<Utc> {
        let now = SystemTime::now();
        now.duration_since(SystemTime::UNIX_EPOCH)
            .ok()
            .and_then(since_the_epoch)
            .unwrap_or_else(|| now.into())
    }

    #[cfg(target_os = "linux")]
    fn glance(&self) -> Glance {
        at_the_last_tick().unwrap_or_else(|| Glance::at(self.now()))
    }
}

/// The kernel takes note of the time at every tick: a hundred to a thousand times a second, `CONFIG_HZ`. To read that is
/// several times faster than to read the counter of the processor, see `CLOCK_REALTIME_COARSE` in `clock_getres(2)`. Ticks
/// may be late where the machine is a guest that has to wait. In microseconds.
#[cfg(target_os = "linux")]
const TICKS_AT_LEAST: i64 = 100_000;

#[cfg(target_os = "linux")]
#[inline]
fn at_the_last_tick() -> Option<Glance> {
    let tick = ClockId::CLOCK_REALTIME_COARSE.now().ok()?;
    let earliest = tick.tv_sec().checked_mul(1_000_000)?.checked_add(tick.tv_nsec() / 1_000)?;
    Some(Glance { earliest, latest: earliest.checked_add(TICKS_AT_LEAST)? })
}

/// Seconds of a day without a leap second, as machines count them.
const DAY: u64 = 86_400;

thread_local! {
    /// The last day that a clock showed, as days since the epoch and as a date: the calendar is asked once a day.
    static TODAY: Cell<(u64, NaiveDate)> = const { Cell::new((u64::MAX, NaiveDate::MIN)) };
}

/// The instant at that time since the epoch; `None` if the calendar does not reach that far.
#[inline]
fn since_the_epoch(time: Duration) -> Option<DateTime<Utc>> {
    let (day, second) = (time.as_secs() / DAY, u32::try_from(time.as_secs() % DAY).ok()?);
    let known = TODAY.try_with(Cell::get).ok().filter(|(known, _)| *known == day);
    let date = match known {
        Some((_, date)) => date,
        None => turn_over(day)?,
    };
    let time = NaiveTime::from_num_seconds_from_midnight_opt(second, time.subsec_nanos())?;
    Some(NaiveDateTime::new(date, time).and_utc())
}

#[cold]
fn turn_over(day: u64) -> Option<NaiveDate> {
    let date = DateTime::UNIX_EPOCH.date_naive().checked_add_days(Days::new(day))?;
    // A thread that ends has no memory any more.
    let _ = TODAY.try_with(|today| today.set((day, date)));
    Some(date)
}

/// Another clock, moved by an amount that can be changed at any time.
///
/// Made for demonstrations and tests: a monthly quota resets in a minute when the clock is moved by a month.
///
/// ```
/// use chrono::TimeDelta;
/// use entitlements_core::{Clock, ManualClock, OffsetClock};
///
/// let clock = OffsetClock::new(ManualClock::at("2026-11-07T09:00:00Z".parse()?));
/// clock.advance(TimeDelta::days(31));
/// assert_eq!(clock.now().to_rfc3339(), "2026-12-08T09:00:00+00:00");
/// # Ok::<(), chrono::ParseError>(())
/// ```
#[derive(Debug, Default)]
pub struct OffsetClock<C = SystemClock> {
    base: C,
    offset_micros: AtomicI64,
}

impl<C: Clock> OffsetClock<C> {
    /// A clock that agrees with `base` until it is moved.
    pub const fn new(base: C) -> Self {
        Self { base, offset_micros: AtomicI64::new(0) }
    }

    /// Moves the clock by `by`, forwards or backwards.
    pub fn advance(&self, by: TimeDelta) {
        let micros = by.num_microseconds().unwrap_or(i64::MAX);
        let moved = |offset: i64| Some(offset.saturating_add(micros));
        // The closure never returns `None`, so the update cannot fail.
        let _ = self.offset_micros.fetch_update(Ordering::SeqCst, Ordering::SeqCst, moved);
    }

    fn moved(&self, instant: DateTime<Utc>) -> DateTime<Utc> {
        instant.checked_add_signed(self.offset()).unwrap_or(instant)
    }

    /// How far the clock is from its base.
    pub fn offset(&self) -> TimeDelta {
        TimeDelta::microseconds(self.offset_micros.load(Ordering::SeqCst))
    }
}

impl<C: Clock> Clock for OffsetClock<C> {
    fn now(&self) -> DateTime<Utc> {
        self.moved(self.base.now())
    }

    fn glance(&self) -> Glance {
        let glance = self.base.glance();
        if self.offset().is_zero() {
            return glance;
        }
        Glance::between(self.moved(glance.earliest()), self.moved(glance.latest()))
    }
}

/// A clock that stands still until it is set.
///
/// ```
/// use chrono::TimeDelta;
/// use entitlements_core::{Clock, ManualClock};
///
/// let clock = ManualClock::at("2026-11-07T09:00:00Z".parse()?);
/// clock.advance(TimeDelta::seconds(1));
/// assert_eq!(clock.now().to_rfc3339(), "2026-11-07T09:00:01+00:00");
/// # Ok::<(), chrono::ParseError>(())
/// ```
#[derive(Debug)]
pub struct ManualClock {
    micros: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `now`, to the microsecond.
    #[must_use]
    pub const fn at(now: DateTime<Utc>) -> Self {
        Self { micros: AtomicI64::new(now.timestamp_micros()) }
    }

    /// Shows `now` from here on.
    pub fn set(&self, now: DateTime<Utc>) {
        self.micros.store(now.timestamp_micros(), Ordering::SeqCst);
    }

    /// Moves the clock by `by`, forwards or backwards.
    pub fn advance(&self, by: TimeDelta) {
        self.set(self.now().checked_add_signed(by).unwrap_or(DateTime::<Utc>::MAX_UTC));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.micros.load(Ordering::SeqCst)).unwrap_or(DateTime::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Around the ends of days, of leap years and of a century, forwards and back: the remembered day is never another's.
    #[test]
    fn the_remembered_day_is_the_day_of_the_calendar() {
        let days = [0, 1, 59, 60, 789, 10_956, 11_016, 11_017, 20_786, 20_787, 47_541];
        let seconds = [0, 1, 43_200, DAY - 1];
        let nanos = [0, 1, 999_999_999];
        let times = || days.iter().flat_map(|day| seconds.iter().map(move |second| day * DAY + second));
        for second in times().chain(times().rev()) {
            for nanos in nanos {
                let time = Duration::new(second, nanos);
                let expected = DateTime::<Utc>::from(SystemTime::UNIX_EPOCH + time);
                assert_eq!(since_the_epoch(time), Some(expected), "{second} {nanos}");
            }
        }
    }

    #[test]
    fn a_time_beyond_the_calendar_is_none() {
        assert_eq!(since_the_epoch(Duration::MAX), None);
    }
}
