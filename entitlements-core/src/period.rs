//! Periods: the only calendar arithmetic of the library.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};

/// How long a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interval {
    /// 60 minutes.
    Hour,
    /// 24 hours.
    Day,
    /// Seven days; the calendar's start on Monday.
    Week,
    /// A month of the calendar.
    Month,
    /// A year of the calendar.
    Year,
    /// For ever: it never resets.
    Lifetime,
}

/// The anchor of the calendar's own periods: midnight UTC of a Monday that begins a month and a year.
pub const CALENDAR_ANCHOR: DateTime<Utc> = match DateTime::from_timestamp(978_307_200, 0) {
    Some(monday) => monday,
    None => DateTime::UNIX_EPOCH,
};

impl Interval {
    /// Every interval, shortest first.
    pub const ALL: [Self; 6] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year, Self::Lifetime];

    /// The interval's word in the catalog.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
            Self::Lifetime => "lifetime",
        }
    }

    /// The period that contains `now`.
    ///
    /// Boundaries are `anchor` plus n intervals for every integer n, negative ones too. Each is computed from the anchor
    /// and then moved to the last day of its month where the month is too short, so a short month never shifts the
    /// ones after it. Hours, days and weeks are exact lengths of time; months and years keep the anchor's day and time of
    /// day, in UTC.
    ///
    /// A lifetime begins at the Unix epoch, whatever the anchor, and never ends. Where a boundary cannot be represented,
    /// the period starts at [`DateTime::MIN_UTC`], or has no end.
    ///
    /// ```
    /// use entitlements_core::period::Interval;
    ///
    /// let period = Interval::Month.period("2026-01-31T09:00:00Z".parse()?, "2026-03-05T00:00:00Z".parse()?);
    /// assert_eq!(period.start.to_rfc3339(), "2026-02-28T09:00:00+00:00");
    /// assert_eq!(period.end.unwrap().to_rfc3339(), "2026-03-31T09:00:00+00:00");
    /// # Ok::<(), chrono::ParseError>(())
    /// ```
    #[must_use]
    pub fn period(self, anchor: DateTime<Utc>, now: DateTime<Utc>) -> Period {
        match self {
            Self::Hour => exact(3_600, anchor, now),
            Self::Day => exact(86_400, anchor, now),
            Self::Week => exact(7 * 86_400, anchor, now),
            Self::Month => months(1, now.naive_utc().month0(), anchor.naive_utc(), now),
            Self::Year => months(12, anchor.naive_utc().month0(), anchor.naive_utc(), now),
            Self::Lifetime => Period { start: DateTime::UNIX_EPOCH, end: None },
        }
    }

    /// The period of the calendar that contains `now`, in UTC: full hours, midnight, Monday, the first of the month, the
    /// first of January.
    #[must_use]
    pub fn calendar_period(self, now: DateTime<Utc>) -> Period {
        self.period(CALENDAR_ANCHOR, now)
    }

    /// The period that ends where `period` starts.
    ///
    /// `None` if there is none: for a lifetime, at the beginning of time, and for a period that does not start at a
    /// boundary because it was [clipped](Period::clipped_at).
    ///
    /// ```
    /// use entitlements_core::period::{CALENDAR_ANCHOR, Interval};
    ///
    /// let march = Interval::Month.calendar_period("2026-03-05T00:00:00Z".parse()?);
    /// let february = Interval::Month.previous(CALENDAR_ANCHOR, march).unwrap();
    /// assert_eq!(february.start.to_rfc3339(), "2026-02-01T00:00:00+00:00");
    /// assert_eq!(february.end, Some(march.start));
    /// # Ok::<(), chrono::ParseError>(())
    /// ```
    #[must_use]
    pub fn previous(self, anchor: DateTime<Utc>, period: Period) -> Option<Period> {
        let before = period.start.checked_sub_signed(TimeDelta::nanoseconds(1))?;
        Some(self.period(anchor, before)).filter(|previous| previous.end == Some(period.start))
    }
}

/// The period of `seconds` that contains `now`.
fn exact(seconds: i64, anchor: DateTime<Utc>, now: DateTime<Utc>) -> Period {
    let nanos = anchor.timestamp_subsec_nanos().min(LAST_NANO);
    let borrow = i64::from(now.timestamp_subsec_nanos() < nanos);
    let elapsed = now.timestamp() - anchor.timestamp() - borrow;
    let start = anchor.timestamp() + elapsed.div_euclid(seconds) * seconds;
    Period::between(DateTime::from_timestamp(start, nanos), DateTime::from_timestamp(start + seconds, nanos))
}

/// The period of `step` months that contains `now`; `month0` is the month of the boundary in the year of `now`.
fn months(step: i32, month0: u32, anchor: NaiveDateTime, now: DateTime<Utc>) -> Period {
    let time = anchor.time().with_nanosecond(anchor.nanosecond().min(LAST_NANO)).unwrap_or(NaiveTime::MIN);
    let day = anchor.day();
    let month = now.naive_utc().year() * 12 + month0.cast_signed();
    match boundary(month, day, time) {
        Some(end) if now < end => Period::between(boundary(month - step, day, time), Some(end)),
        start => Period::between(start, boundary(month + step, day, time)),
    }
}

/// The boundary in a month that is counted from January of the year 0.
fn boundary(month: i32, day: u32, time: NaiveTime) -> Option<DateTime<Utc>> {
    let (year, month) = (month.div_euclid(12), month.rem_euclid(12).cast_unsigned() + 1);
    let last = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    Some(NaiveDate::from_ymd_opt(year, month, day.min(last))?.and_time(time).and_utc())
}

/// The last nanosecond of a second. Chrono counts on through a leap second; a boundary never lies in one.
const LAST_NANO: u32 = 999_999_999;

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no interval.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown interval `{0}`, expected one of hour, day, week, month, year, lifetime")]
pub struct UnknownInterval(String);

impl FromStr for Interval {
    type Err = UnknownInterval;

    fn from_str(word: &str) -> Result<Self, UnknownInterval> {
        Self::ALL.into_iter().find(|i| i.as_str() == word).ok_or_else(|| UnknownInterval(word.into()))
    }
}

/// A half-open stretch of time: `start <= t < end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    /// The first instant.
    pub start: DateTime<Utc>,
    /// The first instant after it; `None` if it never ends.
    pub end: Option<DateTime<Utc>>,
}

impl Period {
    fn between(start: Option<DateTime<Utc>>, end: Option<DateTime<Utc>>) -> Self {
        Self { start: start.unwrap_or(DateTime::<Utc>::MIN_UTC), end }
    }

    /// Whether `instant` is in the period.
    #[must_use]
    pub fn contains(&self, instant: DateTime<Utc>) -> bool {
        self.start <= instant && self.end.is_none_or(|end| instant < end)
    }

    /// The part of the period from `start` on; the period itself if `start` is not in it.
    ///
    /// The first period of a subscription is clipped at the subscription's start.
    #[must_use]
    pub fn clipped_at(self, start: DateTime<Utc>) -> Self {
        if self.contains(start) { Self { start, ..self } } else { self }
    }
}

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidDuration {
    /// It is not a whole number with a unit.
    #[error("`{0}` is not a duration, expected a whole number and one of the units s, m, h, d, such as 7d")]
    Malformed(String),
    /// It is longer than 36,500 days.
    #[error("`{0}` is too long, expected at most 36500d")]
    TooLong(String),
}

/// Reads a duration: a whole number and one of the units `s`, `m`, `h` and `d`, at most 36,500 days.
///
/// # Errors
///
/// Says what is wrong with the text.
///
/// ```
/// use chrono::TimeDelta;
/// use entitlements_core::period::parse_duration;
///
/// assert_eq!(parse_duration("7d"), Ok(TimeDelta::days(7)));
/// assert_eq!(parse_duration("90s"), Ok(TimeDelta::seconds(90)));
/// assert!(parse_duration("1 week").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<TimeDelta, InvalidDuration> {
    let seconds = |unit| match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3_600),
        'd' => Some(86_400),
        _ => None,
    };
    let mut number = text.chars();
    let unit = number.next_back().and_then(seconds);
    let number = number.as_str();
    let (Some(unit), false, true) = (unit, number.is_empty(), number.bytes().all(|b| b.is_ascii_digit()))
    else {
        return Err(InvalidDuration::Malformed(text.into()));
    };
    // Only digits are left, so a number that cannot be read is too large.
    let seconds = number.parse::<i64>().ok().and_then(|number| number.checked_mul(unit));
    match seconds.and_then(TimeDelta::try_seconds) {
        Some(duration) if duration <= TimeDelta::days(36_500) => Ok(duration),
        _ => Err(InvalidDuration::TooLong(text.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn period(start: &str, end: &str) -> Period {
        Period { start: at(start), end: Some(at(end)) }
    }

    #[test]
    fn a_short_month_clamps_its_own_boundary_only() {
        let anchor = at("2026-01-31T09:30:00Z");
        for (now, start, end) in [
            ("2026-02-28T09:29:59Z", "2026-01-31T09:30:00Z", "2026-02-28T09:30:00Z"),
            ("2026-02-28T09:30:00Z", "2026-02-28T09:30:00Z", "2026-03-31T09:30:00Z"),
            ("2026-04-15T00:00:00Z", "2026-03-31T09:30:00Z", "2026-04-30T09:30:00Z"),
            ("2027-01-01T00:00:00Z", "2026-12-31T09:30:00Z", "2027-01-31T09:30:00Z"),
            ("2028-02-29T12:00:00Z", "2028-02-29T09:30:00Z", "2028-03-31T09:30:00Z"),
            ("2000-02-29T09:29:00Z", "2000-01-31T09:30:00Z", "2000-02-29T09:30:00Z"),
            ("2100-02-28T09:30:00Z", "2100-02-28T09:30:00Z", "2100-03-31T09:30:00Z"),
            ("1999-12-31T23:00:00Z", "1999-12-31T09:30:00Z", "2000-01-31T09:30:00Z"),
        ] {
            assert_eq!(Interval::Month.period(anchor, at(now)), period(start, end), "{now}");
        }
    }

    #[test]
    fn a_year_from_a_leap_day_falls_on_the_last_day_of_february() {
        let anchor = at("2024-02-29T12:00:00Z");
        for (now, start, end) in [
            ("2024-02-29T12:00:00Z", "2024-02-29T12:00:00Z", "2025-02-28T12:00:00Z"),
            ("2025-02-28T11:59:59Z", "2024-02-29T12:00:00Z", "2025-02-28T12:00:00Z"),
            ("2027-06-01T00:00:00Z", "2027-02-28T12:00:00Z", "2028-02-29T12:00:00Z"),
            ("2100-02-28T12:00:00Z", "2100-02-28T12:00:00Z", "2101-02-28T12:00:00Z"),
            ("2000-03-01T00:00:00Z", "2000-02-29T12:00:00Z", "2001-02-28T12:00:00Z"),
        ] {
            assert_eq!(Interval::Year.period(anchor, at(now)), period(start, end), "{now}");
        }
    }

    #[test]
    fn exact_intervals_are_counted_from_the_anchor_in_both_directions() {
        let anchor = at("2026-11-07T09:41:07.25Z");
        for (every, now, start, end) in [
            (Interval::Hour, "2026-11-07T10:00:00Z", "2026-11-07T09:41:07.25Z", "2026-11-07T10:41:07.25Z"),
            (Interval::Day, "2026-11-07T09:41:07.24Z", "2026-11-06T09:41:07.25Z", "2026-11-07T09:41:07.25Z"),
            (Interval::Week, "2026-11-01T00:00:00Z", "2026-10-31T09:41:07.25Z", "2026-11-07T09:41:07.25Z"),
        ] {
            assert_eq!(every.period(anchor, at(now)), period(start, end), "{every}");
        }
    }

    #[test]
    fn the_calendar_starts_hours_days_weeks_months_and_years_where_people_expect_it() {
        let now = at("2026-11-07T09:41:07Z"); // a Saturday
        for (every, start, end) in [
            (Interval::Hour, "2026-11-07T09:00:00Z", "2026-11-07T10:00:00Z"),
            (Interval::Day, "2026-11-07T00:00:00Z", "2026-11-08T00:00:00Z"),
            (Interval::Week, "2026-11-02T00:00:00Z", "2026-11-09T00:00:00Z"),
            (Interval::Month, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
            (Interval::Year, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(every.calendar_period(now), period(start, end), "{every}");
        }
        let monday = at("1969-12-29T00:00:00Z");
        assert_eq!(Interval::Week.calendar_period(DateTime::UNIX_EPOCH).start, monday);
    }

    #[test]
    fn a_lifetime_never_ends() {
        let period = Interval::Lifetime.period(at("2026-01-31T09:30:00Z"), at("2300-01-01T00:00:00Z"));
        assert_eq!(period, Period { start: DateTime::UNIX_EPOCH, end: None });
        assert_eq!(Interval::Lifetime.previous(DateTime::UNIX_EPOCH, period), None);
    }

    #[test]
    fn beyond_the_range_the_start_saturates_and_the_end_is_open() {
        let (min, max) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
        let anchor = at("2026-01-31T09:30:00Z");
        for every in [Interval::Hour, Interval::Day, Interval::Week, Interval::Month, Interval::Year] {
            let first = every.period(anchor, min);
            assert_eq!((first.start, first.contains(min)), (min, true), "{every}");
            assert_eq!(every.previous(anchor, first), None, "{every}");
            let last = every.period(anchor, max);
            assert_eq!((last.end, last.contains(max)), (None, true), "{every}");
            assert!(every.period(max, min).contains(min) && every.period(min, max).contains(max), "{every}");
        }
    }

    #[test]
    fn clipping_moves_the_start_only_within_the_period() {
        let march = period("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z");
        let inside = at("2026-03-07T00:00:00Z");
        assert_eq!(march.clipped_at(inside), Period { start: inside, ..march });
        assert_eq!(march.clipped_at(at("2026-02-07T00:00:00Z")), march);
        assert_eq!(march.clipped_at(at("2026-04-01T00:00:00Z")), march);
        assert_eq!(Interval::Month.previous(CALENDAR_ANCHOR, march.clipped_at(inside)), None);
    }

    #[test]
    fn an_interval_is_read_from_its_word() {
        for every in Interval::ALL {
            assert_eq!(every.as_str().parse(), Ok(every));
        }
        let message = "Month".parse::<Interval>().unwrap_err().to_string();
        assert_eq!(
            message,
            "unknown interval `Month`, expected one of hour, day, week, month, year, lifetime"
        );
    }

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        for (text, seconds) in [("0s", 0), ("5m", 300), ("24h", 86_400), ("036500d", 36_500 * 86_400)] {
            assert_eq!(parse_duration(text), Ok(TimeDelta::seconds(seconds)), "{text}");
        }
        for text in ["", "d", "7", "7D", "+7d", "-7d", "7.5d", " 7d", "7 d", "7w", "7µ", "٧d"] {
            assert_eq!(parse_duration(text), Err(InvalidDuration::Malformed(text.into())), "{text}");
        }
        for text in ["36501d", "876001h", "9223372036854775807d", "99999999999999999999s"] {
            assert_eq!(parse_duration(text), Err(InvalidDuration::TooLong(text.into())), "{text}");
        }
    }
}
