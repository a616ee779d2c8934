//! A plain calendar: whole microseconds, days of a year counted, nothing clever.

/// Microseconds since 1970-01-01T00:00:00Z.
pub(crate) type Instant = i64;

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const HOUR: i64 = 3600 * SECOND;
pub(crate) const DAY: i64 = 24 * HOUR;
pub(crate) const WEEK: i64 = 7 * DAY;

/// The lengths of quotas that begin again.
pub(crate) const RECURRING: [&str; 5] = ["hour", "day", "week", "month", "year"];

/// From the start to the end, which does not belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: Instant,
    pub(crate) end: Option<Instant>,
}

const fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

pub(crate) const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the first day of year 1 to the first day of `year`.
const fn days_before_year(year: i64) -> i64 {
    let past = year - 1;
    365 * past + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400)
}

/// Midnight of a day.
pub(crate) fn midnight(year: i64, month: i64, day: i64) -> Instant {
    let months: i64 = (1..month).map(|earlier| days_in_month(year, earlier)).sum();
    (days_before_year(year) + months + day - 1 - days_before_year(1970)) * DAY
}

/// Year, month, day and the microseconds since midnight.
pub(crate) const fn civil(instant: Instant) -> (i64, i64, i64, i64) {
    let days = instant.div_euclid(DAY) + days_before_year(1970);
    let mut year = (days * 400).div_euclid(146_097) + 1;
    while days_before_year(year + 1) <= days {
        year += 1;
    }
    while days_before_year(year) > days {
        year -= 1;
    }
    let mut left = days - days_before_year(year);
    let mut month = 1;
    while left >= days_in_month(year, month) {
        left -= days_in_month(year, month);
        month += 1;
    }
    (year, month, left + 1, instant.rem_euclid(DAY))
}

/// The boundary that is `n` intervals after the anchor; a day that its month does not have becomes the last one.
pub(crate) fn boundary(anchor: Instant, every: &str, n: i64) -> Instant {
    let months = match every {
        "hour" => return anchor + n * HOUR,
        "day" => return anchor + n * DAY,
        "week" => return anchor + n * WEEK,
        "month" => n,
        "year" => 12 * n,
        other => panic!("no interval: {other}"),
    };
    let (year, month, day, rest) = civil(anchor);
    let all = year * 12 + month - 1 + months;
    let (year, month) = (all.div_euclid(12), all.rem_euclid(12) + 1);
    midnight(year, month, day.min(days_in_month(year, month))) + rest
}

/// The period that holds `now`. A lifetime begins in 1970 and never ends.
pub(crate) fn period(anchor: Instant, every: &str, now: Instant) -> Span {
    let mut n = match every {
        "lifetime" => return Span { start: 0, end: None },
        "hour" => (now - anchor) / HOUR,
        "day" => (now - anchor) / DAY,
        "week" => (now - anchor) / WEEK,
        // 400 years have 146,097 days, so these are close.
        "month" => (now - anchor) / (146_097 * DAY / 4800),
        _ => (now - anchor) / (146_097 * DAY / 400),
    };
    while boundary(anchor, every, n) > now {
        n -= 1;
    }
    while boundary(anchor, every, n + 1) <= now {
        n += 1;
    }
    Span { start: boundary(anchor, every, n), end: Some(boundary(anchor, every, n + 1)) }
}

/// The period of the calendar that holds `now`. 2001 began on a Monday.
pub(crate) fn calendar_period(every: &str, now: Instant) -> Span {
    period(midnight(2001, 1, 1), every, now)
}

/// As `2024-02-29T23:59:59.999999Z`, for the years 1 to 9999.
pub(crate) fn to_text(instant: Instant) -> String {
    let (year, month, day, rest) = civil(instant);
    let (seconds, micros) = (rest / SECOND, rest % SECOND);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Reads what [`to_text`] writes; also an offset instead of the `Z`, and no fraction.
pub(crate) fn from_text(text: &str) -> Option<Instant> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let mark = |at: usize, wanted: char| text.get(at..=at).filter(|found| found.contains(wanted));
    (mark(4, '-').and(mark(7, '-')).and(mark(10, 'T')).and(mark(13, ':')).and(mark(16, ':')))?;
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) || hour > 23 {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut micros = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        micros = fraction.get(..6)?.parse().ok()?;
        rest = fraction.get(6..)?;
    }
    let offset = match rest {
        "Z" => 0,
        other => {
            let sign = if other.starts_with('-') { -1 } else { 1 };
            sign * (other.get(1..3)?.parse::<i64>().ok()? * 60 + other.get(4..6)?.parse::<i64>().ok()?)
        }
    };
    let seconds = (hour * 60 + minute - offset) * 60 + second;
    Some(midnight(year, month, day) + seconds * SECOND + micros)
}
