//! Periods tile all of time, and their boundaries are those of a calendar that is walked day by day.

use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use entitlements_core::period::{Interval, Period};
use proptest::prelude::*;

/// A day of the oracle: days since 1970-01-01, then year, month and day.
type Day = (i64, i32, u32, u32);

/// Every day from 1890 to 2249, found by stepping from one to the next.
static DAYS: LazyLock<Vec<Day>> = LazyLock::new(|| {
    let mut day: Day = (-29_219, 1890, 1, 1);
    std::iter::from_fn(|| {
        let (number, y, m, d) = day;
        let leap = y % 400 == 0 || (y % 4 == 0 && y % 100 != 0);
        let length = match m {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        day = match (m, d) {
            (12, 31) => (number + 1, y + 1, 1, 1),
            (m, d) if d == length => (number + 1, y, m + 1, 1),
            (m, d) => (number + 1, y, m, d + 1),
        };
        (y < 2250).then_some((number, y, m, d))
    })
    .collect()
});

/// The boundaries of months or years, in days since 1970-01-01: in each, the last day that is not after the
/// anchor's.
fn oracle((_, _, month, day): Day, every: Interval) -> Vec<i64> {
    let same = |a: &Day, b: &Day| (a.1, a.2) == (b.1, b.2);
    let boundaries = DAYS.chunk_by(same).filter_map(|days| days.iter().rfind(|d| d.3 <= day));
    boundaries.filter(|d| every == Interval::Month || d.2 == month).map(|d| d.0).collect()
}

fn instants() -> impl Strategy<Value = DateTime<Utc>> {
    let edges = [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC];
    let all = edges[0].timestamp()..=edges[1].timestamp();
    let near = -9_000_000_000..9_000_000_000_i64;
    let anywhere = (prop_oneof![all, near], 0..2_000_000_000_u32).prop_filter_map("leap", |(s, n)| {
        DateTime::from_timestamp(s, n).or_else(|| DateTime::from_timestamp(s, n / 2))
    });
    prop_oneof![1 => prop::sample::select(edges.to_vec()), 9 => anywhere]
}

proptest! {
    #[test]
    fn boundaries_are_those_of_a_calendar_walked_day_by_day(
        day in prop::sample::select(DAYS.clone()),
        second in 0..86_400_i64,
        nanos in 0..1_000_000_000_u32,
        every in prop::sample::select(vec![Interval::Month, Interval::Year]),
    ) {
        let instant = |day: i64| DateTime::from_timestamp(day * 86_400 + second, nanos).unwrap();
        for pair in oracle(day, every).windows(2) {
            let expected = Period { start: instant(pair[0]), end: Some(instant(pair[1])) };
            prop_assert_eq!(every.period(instant(day.0), expected.start), expected);
            let last = instant(pair[1]) - TimeDelta::nanoseconds(1);
            prop_assert_eq!(every.period(instant(day.0), last), expected);
        }
    }

    #[test]
    fn periods_tile_all_of_time(anchor in instants(), now in instants(), every in 0..5_usize) {
        let every = Interval::ALL[every];
        let period = every.period(anchor, now);
        prop_assert!(period.contains(now));
        if let Some(previous) = every.previous(anchor, period) {
            prop_assert_eq!(previous.end, Some(period.start));
            prop_assert!(previous.start < period.start);
        } else {
            prop_assert_eq!(period.start, DateTime::<Utc>::MIN_UTC);
        }
        if let Some(end) = period.end {
            prop_assert!(period.start < end);
            prop_assert_eq!(every.period(anchor, end).start, end);
        }
    }

    #[test]
    fn exact_periods_do_not_drift(anchor in instants(), n in -400..400_i64, every in 0..3_usize) {
        let (every, length) = [
            (Interval::Hour, TimeDelta::hours(1)),
            (Interval::Day, TimeDelta::days(1)),
            (Interval::Week, TimeDelta::weeks(1)),
        ][every];
        let anchor = anchor.with_nanosecond(anchor.nanosecond().min(999_999_999)).unwrap();
        let boundary = |n: i64| anchor.checked_add_signed(length * i32::try_from(n).unwrap());
        if let Some(start) = boundary(n) {
            prop_assert_eq!(every.period(anchor, start), Period { start, end: boundary(n + 1) });
        }
    }
}
