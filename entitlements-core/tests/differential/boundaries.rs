//! The instants of a world at which something may change.

use serde_json::Value as Json;

use super::calendar::{DAY, Instant, RECURRING, calendar_period, from_text, midnight, period};
use super::conditions::time_of_day;
use super::in_effect::access_ends;
use super::world::World;

/// The instants that facts and policies name, each with its kind.
pub(crate) fn fixed(world: &World) -> Vec<(&'static str, Instant)> {
    let mut all = Vec::new();
    let mut add = |kind: &'static str, instant: Option<Instant>| all.extend(instant.map(|at| (kind, at)));
    for grant in &world.awards {
        add("grant starts", Some(grant.starts_at));
        add("grant ends", grant.ends_at);
    }
    for sub in &world.subs {
        add("subscription starts", Some(sub.started_at));
        add("trial ends", sub.trial_end);
        add("paid period ends", Some(sub.period_end));
        add("cancelled", sub.cancel_at);
        let grace = access_ends(sub, &world.catalog).filter(|_| sub.status == "past_due");
        add("grace ends", grace);
    }
    for change in &world.changes {
        add("plan changed", Some(change.at));
    }
    for rule in &world.rules {
        let bound = |key: &str| rule.json.get(key).and_then(Json::as_str).and_then(from_text);
        add("policy starts", bound("startsAt"));
        add("policy ends", bound("endsAt"));
        let mut texts = Vec::new();
        collect_texts(&rule.json["condition"], &mut texts);
        for text in texts {
            add("instant of a condition", from_text(text));
        }
    }
    all
}

/// The instants that come again and again: the next ends of periods, and times of day in conditions.
pub(crate) fn recurring(world: &World, now: Instant) -> Vec<(&'static str, Instant)> {
    let mut all = Vec::new();
    for every in RECURRING {
        let end = calendar_period(every, now).end.unwrap();
        all.push(("calendar period ends", end));
        all.push(("calendar period ends", calendar_period(every, end).end.unwrap()));
        for sub in &world.subs {
            let end = period(sub.anchor, every, now).end.unwrap();
            all.push(("subscription period ends", end));
            all.push(("subscription period ends", period(sub.anchor, every, end).end.unwrap()));
        }
    }
    for rule in &world.rules {
        let mut times = Vec::new();
        collect_times(&rule.json["condition"], &mut times);
        for time in times {
            let today = now.div_euclid(DAY) * DAY + time_of_day(time);
            all.extend([("time of day", today), ("time of day", today + DAY)]);
        }
    }
    all
}

pub(crate) fn collect_texts<'j>(json: &'j Json, texts: &mut Vec<&'j str>) {
    match json {
        Json::String(text) => texts.push(text),
        Json::Array(parts) => parts.iter().for_each(|part| collect_texts(part, texts)),
        Json::Object(parts) => parts.values().for_each(|part| collect_texts(part, texts)),
        _ => {}
    }
}

pub(crate) fn collect_times<'j>(json: &'j Json, times: &mut Vec<&'j str>) {
    match json {
        Json::Array(parts) => parts.iter().for_each(|part| collect_times(part, times)),
        Json::Object(parts) => {
            for (operator, argument) in parts {
                match argument.as_array() {
                    Some(pair) if operator == "time_between" => {
                        times.extend(pair.iter().filter_map(Json::as_str));
                    }
                    _ => collect_times(argument, times),
                }
            }
        }
        _ => {}
    }
}

/// The first and the last instant that a text can name.
pub(crate) fn ends_of_time() -> (Instant, Instant) {
    (midnight(1, 1, 1), midnight(10_000, 1, 1) - 1)
}
