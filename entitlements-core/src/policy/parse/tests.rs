use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::Condition;
use super::{MAX_CONDITION_BYTES, MAX_CONDITION_DEPTH, is_larger_than};

fn problems(condition: &Value) -> Vec<(String, String)> {
    let Err(error) = Condition::parse(condition) else { panic!("{condition} was read") };
    error.problems().iter().map(|problem| (problem.place.clone(), problem.message.clone())).collect()
}

/// Checks that each condition is refused, first of all at that place for that reason.
#[track_caller]
fn refused<const N: usize>(rows: [(Value, &str, &str); N]) {
    for (condition, place, message) in rows {
        let (found_place, found_message) = problems(&condition).remove(0);
        assert_eq!(found_place, place, "{condition}");
        assert!(found_message.contains(message), "{condition}: {found_message}");
    }
}

#[test]
fn a_malformed_condition_is_refused_with_place_and_reason() {
    refused([
        (json!(null), "condition", "expected an object with one operator, found null"),
        (json!([]), "condition", "expected an object with one operator, found a list"),
        (json!({}), "condition", "expected exactly one operator, found 0"),
        (json!({"all": [], "any": []}), "condition", "expected exactly one operator, found 2"),
        (json!({"equals": ["plan", "pro"]}), "condition", "unknown operator `equals`; did you mean `eq`?"),
        (json!({"EQ": ["plan", "pro"]}), "condition", "unknown operator `EQ`; did you mean `eq`?"),
        (json!({"gte": ["context.n", 1]}), "condition", "unknown operator `gte`; did you mean `ge`?"),
        (json!({"and": []}), "condition", "unknown operator `and`; did you mean `all`?"),
        (json!({"not_inn": []}), "condition", "did you mean `not_in`?"),
        (json!({"startswith": []}), "condition", "did you mean `starts_with`?"),
        (json!({"zzz": []}), "condition", "unknown operator `zzz`, expected one of all, any, not"),
        (json!({"all": []}), "condition.all", "the list must not be empty"),
        (json!({"any": []}), "condition.any", "the list must not be empty"),
        (json!({"all": {}}), "condition.all", "expected a list of conditions, found an object"),
        (json!({"any": [5]}), "condition.any[0]", "found a number"),
        (json!({"not": []}), "condition.not", "expected an object with one operator, found a list"),
        (
            json!({"not": {"any": [{"eq": 5}]}}),
            "condition.not.any[0].eq",
            "expected a list of a path and an operand, found a number",
        ),
        (json!({"eq": ["plan"]}), "condition.eq", "found 1 elements"),
        (json!({"eq": ["plan", "a", "b"]}), "condition.eq", "found 3 elements"),
        (json!({"eq": [5, "a"]}), "condition.eq[0]", "expected a path, found a number"),
        (json!({"eq": ["contxt.a", "a"]}), "condition.eq[0]", "did you mean `context.a`?"),
        (json!({"eq": ["context", "a"]}), "condition.eq[0]", "needs the name of an attribute"),
        (json!({"eq": ["context.a..b", "a"]}), "condition.eq[0]", "empty name"),
    ]);
}

#[test]
fn an_operand_that_the_operator_cannot_use_is_refused() {
    let at = "2026-11-07T12:00:00Z";
    refused([
        (json!({"eq": ["context.a", null]}), "condition.eq[1]", "null is no operand"),
        (json!({"eq": ["context.a", ["x"]]}), "condition.eq[1]", "expected one value, found a list"),
        (json!({"ne": ["context.a", []]}), "condition.ne[1]", "expected one value, found a list"),
        (json!({"eq": ["context.a", {}]}), "condition.eq[1]", "must be a reference"),
        (json!({"eq": ["context.a", {"ref": "plan", "or": 1}]}), "condition.eq[1]", "must be a reference"),
        (json!({"eq": ["context.a", {"ref": 5}]}), "condition.eq[1].ref", "expected a path, found a number"),
        (json!({"eq": ["context.a", {"ref": "foo"}]}), "condition.eq[1].ref", "unknown path `foo`"),
        (json!({"eq": ["context.a", u64::MAX]}), "condition.eq[1]", "too large"),
        (
            json!({"eq": ["now", "noon"]}),
            "condition.eq[1]",
            "expected an RFC 3339 instant beside `now`, found `noon`",
        ),
        (
            json!({"lt": ["now", 5]}),
            "condition.lt[1]",
            "expected an RFC 3339 instant beside `now`, found a number",
        ),
        (json!({"lt": ["context.n", "5"]}), "condition.lt[1]", "expected a number, found `5`"),
        (json!({"ge": ["context.n", at]}), "condition.ge[1]", "instants stand beside `now` only"),
        (json!({"lt": ["context.n", true]}), "condition.lt[1]", "expected a number, found a boolean"),
        (json!({"gt": ["context.n", [1]]}), "condition.gt[1]", "expected one value, found a list"),
        (json!({"in": ["context.a", "x"]}), "condition.in[1]", "expected a list, found text"),
        (json!({"in": ["context.a", []]}), "condition.in[1]", "the list must not be empty"),
        (
            json!({"in": ["context.a", ["x", 1]]}),
            "condition.in[1][1]",
            "expected text like the first element, found a number",
        ),
        (
            json!({"not_in": ["context.a", [1, 1.5, true]]}),
            "condition.not_in[1][2]",
            "expected a number like the first element",
        ),
        (json!({"in": ["context.a", [["x"]]]}), "condition.in[1][0]", "found a list"),
        (json!({"in": ["context.a", [null]]}), "condition.in[1][0]", "null is no operand"),
        (json!({"in": ["now", [at]]}), "condition.in[0]", "`now` is an instant"),
        (json!({"in": ["context.a", {"ref": "now"}]}), "condition.in[1].ref", "`now` is an instant"),
        (json!({"contains": ["now", "x"]}), "condition.contains[0]", "`now` is an instant"),
        (
            json!({"contains": ["context.a", ["x"]]}),
            "condition.contains[1]",
            "expected one value, found a list",
        ),
        (
            json!({"starts_with": ["context.a", 5]}),
            "condition.starts_with[1]",
            "expected text, found a number",
        ),
        (
            json!({"ends_with": ["context.a", true]}),
            "condition.ends_with[1]",
            "expected text, found a boolean",
        ),
    ]);
}

#[test]
fn a_network_a_requirement_and_a_time_are_checked() {
    refused([
        (
            json!({"cidr": ["context.ip", "10.0.0.1/8"]}),
            "condition.cidr[1]",
            "host bits set; did you mean `10.0.0.0/8`?",
        ),
        (json!({"cidr": ["context.ip", "10.0.0.1"]}), "condition.cidr[1]", "`10.0.0.1` is no network"),
        (json!({"cidr": ["context.ip", "10.0.0.0/33"]}), "condition.cidr[1]", "is no network"),
        (json!({"cidr": ["context.ip", {"ref": "context.net"}]}), "condition.cidr[1]", "expected a network"),
        (json!({"cidr": ["now", "10.0.0.0/8"]}), "condition.cidr[0]", "`now` is an instant"),
        (json!({"semver": ["context.v", "latest"]}), "condition.semver[1]", "no version requirement"),
        (json!({"semver": ["context.v", 1]}), "condition.semver[1]", "expected a requirement"),
        (json!({"time_between": ["09:00"]}), "condition.time_between", "expected a list of two times of day"),
        (json!({"time_between": ["09:00", "09:00:00"]}), "condition.time_between", "must differ"),
        (json!({"time_between": ["09:00", "24:00"]}), "condition.time_between[1]", "expected a time of day"),
        (json!({"time_between": ["9:00", "17:00"]}), "condition.time_between[0]", "expected a time of day"),
        (json!({"time_between": ["09:00", "17:60"]}), "condition.time_between[1]", "expected a time of day"),
        (
            json!({"time_between": ["+9:00", "17:00:00.5"]}),
            "condition.time_between[0]",
            "expected a time of day",
        ),
        (json!({"time_between": [9, "17:00"]}), "condition.time_between[0]", "expected a time of day"),
        (json!({"exists": ["context.a"]}), "condition.exists", "expected a path, found a list"),
        (json!({"exists": "subject.usr"}), "condition.exists", "did you mean `subject.user`?"),
    ]);
}

#[test]
fn every_problem_is_reported_at_once() {
    let condition = json!({"all": [
        {"eq": ["contxt.a", null]},
        {"any": []},
        {"time_between": ["x", "y"]},
        {"eq": ["plan", "pro"]},
        {"in": ["context.a", [1, "x", true]]},
        {"frobnicate": 1},
    ]});
    let places: Vec<_> = problems(&condition).into_iter().map(|(place, _)| place).collect();
    assert_eq!(
        places,
        [
            "condition.all[0].eq[0]",
            "condition.all[0].eq[1]",
            "condition.all[1].any",
            "condition.all[2].time_between[0]",
            "condition.all[2].time_between[1]",
            "condition.all[4].in[1][1]",
            "condition.all[4].in[1][2]",
            "condition.all[5]",
        ]
    );
    let message = Condition::parse(&condition).unwrap_err().to_string();
    assert!(message.starts_with("condition.all[0].eq[0]: unknown path"), "{message}");
}

#[test]
fn an_instant_beside_a_wrong_path_is_no_second_problem() {
    assert_eq!(problems(&json!({"lt": ["nwo", "2026-11-07T12:00:00Z"]})).len(), 1);
}

/// Built without `json!`, which would copy the whole on every level.
fn nested(levels: usize) -> Value {
    (1..levels).fold(json!({"exists": "plan"}), |condition, _| {
        Value::Object(std::iter::once(("not".to_owned(), condition)).collect())
    })
}

#[test]
fn a_condition_may_be_32_levels_deep_and_not_deeper() {
    assert!(Condition::parse(&nested(MAX_CONDITION_DEPTH)).is_ok());
    let (place, message) = problems(&nested(MAX_CONDITION_DEPTH + 1)).remove(0);
    assert_eq!(place.matches(".not").count(), MAX_CONDITION_DEPTH);
    assert_eq!(message, "deeper than 32 levels");
}

#[test]
fn a_hostile_depth_is_refused_without_following_it() {
    assert_eq!(problems(&nested(2000)).len(), 1);
    let list = (0..2000).fold(json!(1), |inner, _| Value::Array(vec![inner]));
    let condition = [("in".to_owned(), Value::Array(vec![json!("context.a"), list]))];
    assert_eq!(problems(&Value::Object(condition.into_iter().collect())).len(), 1);
}

#[test]
fn a_condition_may_be_16_kibibytes_and_not_larger() {
    let of_size = |bytes: usize| {
        let frame = json!({"eq": ["context.a", ""]}).to_string().len();
        json!({"eq": ["context.a", "x".repeat(bytes - frame)]})
    };
    assert_eq!(of_size(MAX_CONDITION_BYTES).to_string().len(), MAX_CONDITION_BYTES);
    assert!(Condition::parse(&of_size(MAX_CONDITION_BYTES)).is_ok());
    let larger = problems(&of_size(MAX_CONDITION_BYTES + 1));
    assert_eq!(larger, [("condition".into(), "larger than 16384 bytes of compact JSON".into())]);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[\u{0}-\u{7f}]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |part| {
        let word = prop_oneof![
            any::<String>(),
            prop::sample::select(vec!["all", "any", "not", "eq", "in", "lt", "cidr", "ref"])
                .prop_map(String::from)
        ];
        prop_oneof![
            prop::collection::vec(part.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(word, part, 0..3)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_size_is_that_of_compact_json(value in any_json()) {
        let bytes = value.to_string().len();
        prop_assert!(!is_larger_than(&value, bytes));
        prop_assert!(is_larger_than(&value, bytes - 1));
    }

    #[test]
    fn any_json_is_either_a_condition_or_refused_with_a_reason(value in any_json()) {
        if let Err(error) = Condition::parse(&value) {
            prop_assert!(!error.problems().is_empty());
        }
    }
}
