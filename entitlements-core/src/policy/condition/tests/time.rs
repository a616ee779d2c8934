use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::Condition;
use super::{NOON, instant, truth, with_attributes};

#[test]
fn only_questions_about_the_time_are_time_dependent() {
    for (condition, expected) in [
        (json!({"time_between": ["09:00", "17:00"]}), true),
        (json!({"not": {"any": [{"eq": ["plan", "pro"]}, {"lt": ["now", NOON]}]}}), true),
        (json!({"gt": ["context.at", {"ref": "now"}]}), true),
        (json!({"all": [{"eq": ["plan", "pro"]}, {"lt": ["context.n", 5]}]}), false),
    ] {
        assert_eq!(Condition::parse(&condition).unwrap().is_time_dependent(), expected, "{condition}");
    }
}

#[test]
fn a_flip_is_the_next_instant_at_which_the_truth_could_change() {
    let (second, nano) = (TimeDelta::seconds(1), TimeDelta::nanoseconds(1));
    let noon = instant(NOON);
    let tomorrow = |time: &str| Some(instant(&format!("2026-11-08T{time}Z")));
    let today = |time: &str| Some(instant(&format!("2026-11-07T{time}Z")));
    let at = |at: DateTime<Utc>| at.to_rfc3339();
    for (condition, expected) in [
        (json!({"eq": ["plan", "pro"]}), None),
        (json!({"time_between": ["09:00", "17:00"]}), today("17:00:00")),
        (json!({"time_between": ["13:00", "17:00"]}), today("13:00:00")),
        (json!({"time_between": ["12:00", "11:00"]}), tomorrow("11:00:00")),
        (json!({"time_between": ["22:00", "12:00"]}), today("22:00:00")),
        (json!({"lt": ["now", at(noon + second)]}), Some(noon + second)),
        (json!({"ge": ["now", at(noon + second)]}), Some(noon + second)),
        (json!({"lt": ["now", at(noon)]}), None),
        (json!({"le": ["now", at(noon)]}), Some(noon + nano)),
        (json!({"gt": ["now", at(noon)]}), Some(noon + nano)),
        (json!({"gt": ["now", at(noon - second)]}), None),
        (json!({"eq": ["now", at(noon + second)]}), Some(noon + second)),
        (json!({"ne": ["now", at(noon)]}), Some(noon + nano)),
        (json!({"ge": ["now", {"ref": "context.at"}]}), Some(noon + second)),
        (json!({"le": ["context.at", {"ref": "now"}]}), Some(noon + second)),
        (json!({"lt": ["now", {"ref": "context.missing"}]}), None),
        (json!({"le": ["now", {"ref": "now"}]}), None),
        // A part that is settled settles the whole.
        (json!({"all": [{"eq": ["plan", "free"]}, {"time_between": ["09:00", "17:00"]}]}), None),
        (json!({"any": [{"time_between": ["09:00", "17:00"]}, {"eq": ["plan", "pro"]}]}), None),
        (json!({"all": [{"lt": ["now", at(noon)]}, {"time_between": ["09:00", "17:00"]}]}), None),
        (json!({"any": [{"eq": ["plan", "free"]}, {"time_between": ["09:00", "17:00"]}]}), today("17:00:00")),
        (
            json!({"not": {"all": [{"lt": ["now", at(noon + second)]}, {"time_between": ["09:00", "17:00"]}]}}),
            Some(noon + second),
        ),
    ] {
        let parsed = Condition::parse(&condition).unwrap();
        let context = json!({"at": at(noon + second)});
        let flip = with_attributes(&context, noon, |attributes| parsed.next_flip(attributes));
        assert_eq!(flip, expected, "{condition}");
    }
}

/// Tests that are true, false and unknown, and some that ask for the time.
fn any_leaf() -> impl Strategy<Value = Value> {
    let time = || (0..24_u32, 0..60_u32).prop_map(|(hour, minute)| format!("{hour:02}:{minute:02}"));
    let moment = || (0..2 * 24 * 60_i64).prop_map(|m| (instant(NOON) + TimeDelta::minutes(m)).to_rfc3339());
    let order = prop::sample::select(vec!["lt", "le", "gt", "ge", "eq", "ne"]);
    prop_oneof![
        Just(json!({"eq": ["context.one", 1]})),
        Just(json!({"eq": ["context.one", 2]})),
        Just(json!({"eq": ["context.missing", 1]})),
        Just(json!({"exists": "context.one"})),
        (time(), time())
            .prop_filter("ends differ", |(a, b)| a != b)
            .prop_map(|(start, end)| json!({"time_between": [start, end]})),
        (order.clone(), moment()).prop_map(|(order, at)| json!({order: ["now", at]})),
        order.clone().prop_map(|order| json!({order: ["now", {"ref": "context.at"}]})),
        order.prop_map(|order| json!({order: ["context.at", {"ref": "now"}]})),
    ]
}

fn any_condition() -> impl Strategy<Value = Value> {
    any_leaf().prop_recursive(4, 24, 4, |part| {
        prop_oneof![
            prop::collection::vec(part.clone(), 1..4).prop_map(|parts| json!({"all": parts})),
            prop::collection::vec(part.clone(), 1..4).prop_map(|parts| json!({"any": parts})),
            part.prop_map(|part| json!({"not": part})),
        ]
    })
}

/// The condition with the parts of every `all` and `any` in the opposite order.
fn reversed(condition: &Value) -> Value {
    let (name, argument) = condition.as_object().unwrap().iter().next().unwrap();
    match name.as_str() {
        "all" | "any" => {
            let parts: Vec<_> = argument.as_array().unwrap().iter().rev().map(reversed).collect();
            json!({name: parts})
        }
        "not" => json!({name: reversed(argument)}),
        _ => condition.clone(),
    }
}

/// The negation, moved inwards to the leaves.
fn negated(condition: &Value) -> Value {
    let (name, argument) = condition.as_object().unwrap().iter().next().unwrap();
    let parts = || argument.as_array().unwrap().iter().map(negated).collect::<Vec<_>>();
    match name.as_str() {
        "all" => json!({"any": parts()}),
        "any" => json!({"all": parts()}),
        "not" => argument.clone(),
        _ => json!({"not": condition}),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_order_of_parts_never_matters(condition in any_condition()) {
        let context = json!({"one": 1, "at": "2026-11-08T00:00:00Z"});
        let expected = truth(&condition, &context);
        prop_assert_eq!(truth(&reversed(&condition), &context), expected);
        prop_assert_eq!(truth(&negated(&condition), &context), !expected);
    }

    #[test]
    fn nothing_changes_before_the_flip(condition in any_condition(), minute in 0..2 * 24 * 60_i64) {
        let now = instant(NOON) + TimeDelta::minutes(minute);
        let parsed = Condition::parse(&condition).unwrap();
        let context = json!({"one": 1, "at": "2026-11-08T00:00:00Z"});
        let ask = |at| with_attributes(&context, at, |attributes| (parsed.evaluate(attributes), parsed.next_flip(attributes)));
        let (truth, flip) = ask(now);
        prop_assert!(flip.is_none_or(|flip| flip > now));
        prop_assert!(flip.is_none() || parsed.is_time_dependent());
        // Every change is at a whole minute, or the smallest step after one.
        let until = flip.unwrap_or(now + TimeDelta::days(3));
        let mut at = now;
        while at < until {
            for at in [at, at + TimeDelta::nanoseconds(1), at + TimeDelta::seconds(30)] {
                prop_assert!(at >= until || ask(at).0 == truth, "{} at {}", condition, at);
            }
            at += TimeDelta::minutes(1);
        }
    }

    #[test]
    fn a_single_test_changes_at_its_flip(leaf in any_leaf(), minute in 0..2 * 24 * 60_i64) {
        let now = instant(NOON) + TimeDelta::minutes(minute);
        let parsed = Condition::parse(&leaf).unwrap();
        let context = json!({"one": 1, "at": "2026-11-08T00:00:00Z"});
        let ask = |at| with_attributes(&context, at, |attributes| (parsed.evaluate(attributes), parsed.next_flip(attributes)));
        let (truth, flip) = ask(now);
        if let Some(flip) = flip {
            prop_assert_ne!(ask(flip).0, truth);
        }
    }
}
