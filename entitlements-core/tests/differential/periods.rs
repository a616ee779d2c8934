//! The library's calendar against the plain one.

use entitlements_core::period::{Interval, Period};

use super::calendar::{DAY, Instant, RECURRING, Span, calendar_period, period};
use super::engine::at;
use super::generate::{instant, near};
use super::random::Random;

fn span(period: Period) -> Span {
    Span { start: period.start.timestamp_micros(), end: period.end.map(|end| end.timestamp_micros()) }
}

fn interval(every: &str) -> Interval {
    Interval::ALL.into_iter().find(|interval| interval.as_str() == every).unwrap()
}

/// Mostly near to each other, sometimes thousands of years apart.
fn pair(random: &mut Random) -> (Instant, Instant) {
    let anchor = instant(random);
    match random.below(4) {
        0 => (anchor, near(random, anchor)),
        1 => (anchor, instant(random)),
        2 => (anchor, anchor + random.between(-50, 50) * 365 * DAY + random.between(-1, 1)),
        _ => (anchor, random.between(-3_000_000, 4_000_000) * DAY + random.between(0, DAY - 1)),
    }
}

#[test]
fn periods_are_those_of_the_plain_calendar() {
    let mut random = Random::new(7);
    for _ in 0..20_000 {
        let (anchor, now) = pair(&mut random);
        for every in RECURRING {
            let (ours, length) = (period(anchor, every, now), interval(every));
            assert_eq!(span(length.period(at(anchor), at(now))), ours, "anchor {anchor}, {every}, now {now}");
            // The boundaries themselves are the hard cases.
            let end = ours.end.unwrap();
            for now in [ours.start, end - 1, end] {
                let theirs = span(length.period(at(anchor), at(now)));
                assert_eq!(theirs, period(anchor, every, now), "anchor {anchor}, {every}, now {now}");
            }
            let before = length.previous(at(anchor), length.period(at(anchor), at(now))).map(span);
            let plain = period(anchor, every, ours.start - 1);
            assert_eq!(before, Some(plain), "before: anchor {anchor}, {every}, now {now}");
            assert_eq!(
                span(length.calendar_period(at(now))),
                calendar_period(every, now),
                "{every}, now {now}"
            );
        }
    }
}

#[test]
fn a_lifetime_begins_in_1970_and_never_ends() {
    let mut random = Random::new(8);
    for _ in 0..1000 {
        let (anchor, now) = pair(&mut random);
        let theirs =
            [Interval::Lifetime.period(at(anchor), at(now)), Interval::Lifetime.calendar_period(at(now))];
        assert_eq!(theirs.map(span), [Span { start: 0, end: None }; 2]);
    }
}
