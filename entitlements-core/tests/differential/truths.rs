//! The library's conditions against the plain reading: the truth, and until when it stays.

use chrono::TimeDelta;
use entitlements_core::policy::{self, Attributes, Condition};
use serde_json::Value as Json;

use super::boundaries::{collect_texts, collect_times};
use super::calendar::{DAY, Instant, from_text};
use super::conditions::{Scene, Seen, Truth, evaluate, time_of_day};
use super::engine::{at, with_request};
use super::generate::{PLANS, instant, near};
use super::generate_policies::{ask, condition};
use super::random::Random;
use super::world::Ask;

const COMPANY: &str = "acme";

const fn plain(truth: policy::Truth) -> Truth {
    match truth {
        policy::Truth::True => Truth::True,
        policy::Truth::False => Truth::False,
        policy::Truth::Unknown => Truth::Unknown,
    }
}

fn truth(condition: &Json, ask: &Ask, plan: Option<&str>, now: Instant, seen: &Seen) -> Truth {
    let (user, resource) = (ask.user.as_deref(), ask.resource.as_deref());
    evaluate(condition, &Scene { context: &ask.context, company: COMPANY, user, resource, plan, now, seen })
}

/// The instants at which the truth may change: those that are named, and those of the clock on two days.
fn candidates(condition: &Json, ask: &Ask, now: Instant) -> Vec<Instant> {
    let (mut texts, mut times) = (Vec::new(), Vec::new());
    collect_texts(condition, &mut texts);
    collect_texts(&ask.context, &mut texts);
    collect_times(condition, &mut times);
    let mut all: Vec<Instant> =
        texts.into_iter().filter_map(from_text).flat_map(|at| [at - 1, at, at + 1]).collect();
    for day in [0, DAY, 146_097 * DAY] {
        let midnight = now.div_euclid(DAY) * DAY + day;
        all.extend(
            times.iter().flat_map(|time| [midnight + time_of_day(time) - 1, midnight + time_of_day(time)]),
        );
    }
    all.retain(|at| *at > now);
    all
}

#[test]
fn conditions_are_as_true_as_the_plain_reading_says_until_they_flip() {
    let seen = Seen::default();
    let (mut flips, mut kept) = (0, 0);
    for seed in 0..20_000 {
        let mut random = Random::new(seed);
        let first = instant(&mut random);
        let focus = [first, near(&mut random, first)];
        let json = condition(&mut random, focus, 4);
        let loaded = Condition::parse(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
        for _ in 0..4 {
            let ask = ask(&mut random, focus);
            let plan = random.chance(70).then(|| *random.pick(&PLANS));
            let mut now = if random.chance(50) { focus[0] } else { near(&mut random, focus[1]) };
            let all = candidates(&json, &ask, now);
            if !all.is_empty() && random.chance(50) {
                now = *random.pick(&all);
            }
            let ours = truth(&json, &ask, plan, now, &seen);
            let (theirs, flip) = with_request(&ask, COMPANY, |request| {
                let attributes = Attributes { request, plan, now: at(now) };
                (plain(loaded.evaluate(&attributes)), loaded.next_flip(&attributes))
            });
            assert_eq!(theirs, ours, "seed {seed}, now {now}, plan {plan:?}\n{json}\n{ask:?}");
            let flip = flip.map(|flip| (flip + TimeDelta::nanoseconds(999)).timestamp_micros());
            for later in all.into_iter().chain(flip.map(|flip| flip - 1)) {
                if later > now && flip.is_none_or(|flip| later < flip) {
                    kept += 1;
                    let then = truth(&json, &ask, plan, later, &seen);
                    assert_eq!(
                        then, ours,
                        "seed {seed}, now {now}, later {later}, flip {flip:?}\n{json}\n{ask:?}"
                    );
                }
            }
            if let Some(flip) = flip {
                flips += u64::from(truth(&json, &ask, plan, flip, &seen) != ours);
            }
        }
    }
    println!("{kept} later instants, {flips} flips");
    assert!(kept > 0 && flips > 0);
}
