//! Entries as JSON: the overrides of one company.

use entitlements_core::catalog::{Entry, EntryKind, Overage, Value};
use entitlements_core::period::Interval;
use entitlements_core::{Action, ActionSet, Amount, Catalog};
use serde_json::{Value as Json, json};

use super::fixture::catalog;

fn features() -> Catalog {
    catalog("beta = { type = \"value\", default = true }\nratio = { type = \"value\", default = 0.5 }\n")
}

fn read(feature: &str, value: &Json) -> Option<Entry> {
    Entry::from_json(features().feature(feature).unwrap(), value).unwrap()
}

fn refused(feature: &str, value: &Json) -> String {
    Entry::from_json(features().feature(feature).unwrap(), value).unwrap_err().to_string()
}

#[test]
fn flags_are_given_whole_or_by_action() {
    assert_eq!(read("flag", &json!(true)), Some(Entry { actions: ActionSet::ALL, kind: EntryKind::Flag }));
    let some = read("flag", &json!({"actions": ["view"]})).unwrap();
    assert_eq!(some.actions, ActionSet::NONE.with(Action::View));
}

#[test]
fn false_takes_away() {
    for feature in ["flag", "meter", "gauge", "size"] {
        assert_eq!(read(feature, &json!(false)), None, "{feature}");
    }
    assert_eq!(read("beta", &json!(false)).unwrap().kind, EntryKind::Value(Value::Bool(false)));
}

#[test]
fn meters_follow_the_rules_of_plans() {
    let soft = read("meter", &json!({"limit": 5, "every": "week", "over": "allow"})).unwrap();
    let EntryKind::Meter(quotas) = &soft.kind else { panic!("{soft:?}") };
    assert_eq!((quotas[0].limit, quotas[0].every), (Some(Amount::from(5)), Interval::Week));
    assert_eq!(quotas[0].over, Overage::Allow);
    assert_eq!(read("meter", &json!("unlimited")), read("meter", &json!({"limit": "unlimited"})));
    let both = read("meter", &json!([{"limit": 5, "every": "day"}, {"limit": 9, "every": "hour"}])).unwrap();
    assert!(matches!(both.kind, EntryKind::Meter(quotas) if quotas.len() == 2));
}

#[test]
fn gauges_and_values_are_given_as_they_are() {
    assert_eq!(read("gauge", &json!(7)).unwrap().kind, EntryKind::Gauge(Some(Amount::from(7))));
    assert_eq!(read("gauge", &json!("unlimited")).unwrap().kind, EntryKind::Gauge(None));
    assert_eq!(read("size", &json!(-7)).unwrap().kind, EntryKind::Value(Value::Integer(-7)));
    assert_eq!(read("ratio", &json!(7)).unwrap().kind, EntryKind::Value(Value::Float(7.0)));
}

#[test]
fn what_is_no_entry_is_refused_with_the_reason() {
    for (feature, value, message) in [
        ("flag", json!(null), "found null"),
        ("flag", json!({"actions": ["see"]}), "actions[0]: unknown action `see`; expected `view`"),
        ("meter", json!(5), "a number alone does not say per which period"),
        ("meter", json!({"limit": 5}), "needs `every`"),
        ("meter", json!({"limit": u64::MAX, "every": "day"}), "limit: must be at most 9223372036854775807"),
        ("meter", json!({"limit": 1.5, "every": "day"}), "limit: must be a whole number"),
        ("meter", json!({"limit": 1, "evry": "day"}), "evry: unknown key `evry`; did you mean `every`?"),
        ("gauge", json!(-1), "must not be negative"),
        ("gauge", json!("plenty"), "unknown limit `plenty`; expected `unlimited`"),
        ("size", json!("10"), "expected an integer like the default, found a text"),
        ("size", json!(u64::MAX), "must be between"),
        ("ratio", json!(i64::MAX), "has too many digits for a float"),
        ("part", json!("unlimited"), "`part` shares the quota of its pool"),
    ] {
        let refusal = refused(feature, &value);
        assert!(refusal.contains(message), "{feature} {value}: {refusal}");
    }
}
