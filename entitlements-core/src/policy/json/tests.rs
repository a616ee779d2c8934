use serde_json::{Value, json};

use super::super::{Effect, Policy, When};
use crate::Action;

fn full() -> Value {
    json!({
        "id": "eu-only", "name": "EU export", "priority": 10, "effect": "allow", "guardrail": false, "enabled": true,
        "startsAt": "2026-11-07T12:00:00Z", "endsAt": "2026-12-24T00:00:00.5Z",
        "target": {
            "companies": ["acme"], "users": null, "features": ["benchmarking"], "actions": ["export"],
            "resources": ["report:*", "*", "x"]
        },
        "condition": {"all": [{"eq": ["context.region", "eu"]}, {"lt": ["context.seats", 25]}]}
    })
}

/// The full policy with one field set.
fn with(field: &str, value: Value) -> Value {
    let mut policy = full();
    match field.strip_prefix("target.") {
        Some(field) => policy["target"][field] = value,
        None => policy[field] = value,
    }
    policy
}

#[test]
fn a_policy_survives_json() {
    let policy = Policy::from_json(&full()).unwrap();
    assert_eq!(policy.target.actions, Some(vec![Action::Export]));
    assert_eq!(serde_json::to_value(&policy).unwrap(), with("endsAt", json!("2026-12-24T00:00:00.500Z")));
    assert_eq!(serde_json::from_value::<Policy>(policy.to_json()).unwrap(), policy);
}

#[test]
fn absent_and_null_mean_the_same() {
    let short = Policy::from_json(&json!({"id": "x", "effect": "deny"})).unwrap();
    let nulls = json!({
        "id": "x", "effect": "deny", "name": null, "priority": null, "guardrail": null, "enabled": null, "startsAt": null,
        "endsAt": null, "target": null, "condition": null
    });
    assert_eq!(Policy::from_json(&nulls).unwrap(), short);
    assert_eq!((short.priority, short.enabled, short.guardrail), (0, true, false));
    assert_eq!((short.effect, &short.when), (Effect::Deny, &When::Always));
}

#[test]
fn instants_are_kept_to_the_microsecond() {
    let policy = Policy::from_json(&with("startsAt", json!("2026-11-07T13:00:00.123456789+01:00"))).unwrap();
    assert_eq!(policy.to_json()["startsAt"], "2026-11-07T12:00:00.123456Z");
}

#[test]
fn a_malformed_policy_is_refused_with_field_and_reason() {
    for (policy, field, message) in [
        (json!([]), "", "expected an object, found a list"),
        (json!({"effect": "deny"}), "id", "is required"),
        (with("id", json!(7)), "id", "expected text, found a number"),
        (with("id", json!("")), "id", "must not be empty"),
        (with("id", json!("a\u{0}b")), "id", "control characters"),
        (with("id", json!("x".repeat(256))), "id", "at most 255 bytes"),
        (with("name", json!(["x"])), "name", "expected text, found a list"),
        (with("name", json!("a\nb")), "name", "control characters"),
        (with("priority", json!("10")), "priority", "expected a whole number, found text"),
        (with("priority", json!(1.5)), "priority", "must be a whole number"),
        (with("priority", json!(u64::MAX)), "priority", "must be a whole number of 64 bits"),
        (json!({"id": "x"}), "effect", "is required: allow or deny"),
        (with("effect", json!("permit")), "effect", "unknown effect `permit`, expected allow or deny"),
        (with("effect", json!(true)), "effect", "expected allow or deny, found a boolean"),
        (with("guardrail", json!(true)), "guardrail", "must have the effect deny"),
        (with("guardrail", json!("yes")), "guardrail", "expected true or false, found text"),
        (with("enabled", json!(1)), "enabled", "expected true or false, found a number"),
        (with("startsAt", json!("tomorrow")), "startsAt", "must be an RFC 3339 instant"),
        (with("startsAt", json!(0)), "startsAt", "expected an RFC 3339 instant, found a number"),
        (with("endsAt", json!("2026-11-07")), "endsAt", "must be an RFC 3339 instant"),
        (with("endsAt", json!("2026-11-07T12:00:00Z")), "endsAt", "must be after startsAt"),
        (with("target", json!("acme")), "target", "expected an object, found text"),
        (with("target.companies", json!([])), "target.companies", "must not be empty; null means any"),
        (with("target.users", json!({})), "target.users", "expected a list, found an object"),
        (with("target.users", json!(["ann", ""])), "target.users[1]", "must not be empty"),
        (with("target.features", json!([null])), "target.features[0]", "expected text, found null"),
        (
            with("target.actions", json!(["look"])),
            "target.actions[0]",
            "unknown action `look`, expected one of view",
        ),
        (with("target.actions", json!([])), "target.actions", "must not be empty"),
        (with("target.resources", json!(["a*b"])), "target.resources[0]", "only be at the end"),
        (with("target.company", json!("acme")), "target.company", "did you mean `companies`?"),
        (with("starts_at", json!(null)), "starts_at", "did you mean `startsAt`?"),
        (with("zzz", json!(1)), "zzz", "unknown field, expected one of id, name"),
        (with("condition", json!([])), "condition", "expected an object with one operator"),
        (
            with("condition", json!({"all": [{"eq": ["foo", 1]}]})),
            "condition.all[0].eq[0]",
            "unknown path `foo`",
        ),
    ] {
        let error = Policy::from_json(&policy).expect_err(&policy.to_string());
        let [problem] = error.problems() else { panic!("{policy}: {error}") };
        assert_eq!(problem.field, field, "{policy}");
        assert!(problem.message.contains(message), "{policy}: {problem}");
    }
}

#[test]
fn every_problem_of_a_policy_is_reported_at_once() {
    let policy = json!({
        "nmae": "x", "effect": "permit", "priority": "1", "target": {"users": [], "actions": ["view", "look"]},
        "condition": {"any": [{"eq": ["plan"]}, {"zzz": 1}]}
    });
    let error = Policy::from_json(&policy).unwrap_err();
    let fields: Vec<_> = error.problems().iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "nmae",
            "id",
            "priority",
            "effect",
            "target.users",
            "target.actions[1]",
            "condition.any[0].eq",
            "condition.any[1]"
        ]
    );
}

#[test]
fn a_stored_condition_survives_its_text() {
    let policy = Policy::from_json(&full()).unwrap();
    assert_eq!(When::from_stored(policy.when.to_stored().as_deref()), policy.when);
    assert_eq!(When::from_stored(When::Always.to_stored().as_deref()), When::Always);
}

#[test]
fn a_broken_stored_condition_keeps_its_text_and_says_why() {
    for (text, reason) in [
        ("{\"eq\": [", "no JSON: "),
        ("null", "condition: expected an object"),
        ("{\"eq\": [\"foo\", 1]}", "condition.eq[0]: unknown path `foo`"),
        (&"[".repeat(100_000), "no JSON: recursion limit"),
    ] {
        let when = When::from_stored(Some(text));
        let When::Broken { stored, why } = &when else { panic!("{text} was read") };
        assert_eq!(stored, text);
        assert!(why.starts_with(reason), "{why}");
        assert_eq!(when.to_stored().as_deref(), Some(text));
    }
}

#[test]
fn a_broken_condition_is_shown_as_it_is_stored() {
    let mut policy = Policy::from_json(&full()).unwrap();
    for (text, shown) in [("{\"old\": 1}", json!({"old": 1})), ("{\"eq", json!("{\"eq"))] {
        policy.when = When::from_stored(Some(text));
        assert_eq!(policy.to_json()["condition"], shown);
    }
}
