use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::super::{Attributes, Effect, Policy, When};
use super::PolicySet;
use crate::evaluate::Horizon;
use crate::facts::Revision;
use crate::id::CompanyId;
use crate::store::Policies;
use crate::{Action, Catalog, Context, Request, Subject};

mod scan;

fn catalog() -> Catalog {
    let text = "
        schema = 1
        past_due_grace = \"7d\"
        [features]
        a = { type = \"flag\" }
        b = { type = \"flag\" }
        [routing]
        unmatched = \"allow\"
    ";
    Catalog::parse("test.toml", text).unwrap()
}

fn noon() -> DateTime<Utc> {
    "2026-11-07T12:00:00Z".parse().unwrap()
}

fn policies(policies: &[Value]) -> Policies {
    let policies = policies.iter().map(|policy| Policy::from_json(policy).unwrap()).collect();
    Policies { revision: Revision(1), policies }
}

/// Who decides a request, and until when.
type Answer<'p> = (Option<&'p str>, Option<DateTime<Utc>>);

fn ask<'p>(
    set: &'p PolicySet,
    guardrail: bool,
    attributes: &Attributes<'_>,
    catalog: &Catalog,
) -> Answer<'p> {
    let feature = catalog.feature_index(attributes.request.feature).unwrap();
    let mut horizon = Horizon::new(attributes.now);
    let applied = if guardrail {
        set.guardrail(feature, attributes, &mut horizon)
    } else {
        set.decide(feature, attributes, &mut horizon)
    };
    (applied.map(|applied| applied.id().as_str()), horizon.earliest())
}

fn decide(list: &[Value], context: Value) -> (Option<String>, Option<DateTime<Utc>>) {
    let catalog = catalog();
    let set = PolicySet::compile(&policies(list), &catalog);
    let subject = Subject::company(CompanyId::new("acme").unwrap());
    let context = Context::from_json(context).unwrap();
    let request = Request::new(&subject, "a", Action::View).with_context(&context);
    let attributes = Attributes { request: &request, plan: None, now: noon() };
    let guardrail = list.iter().any(|policy| policy["guardrail"] == true);
    let (applied, horizon) = ask(&set, guardrail, &attributes, &catalog);
    (applied.map(str::to_owned), horizon)
}

fn decider(list: &[Value], context: Value) -> Option<String> {
    decide(list, context).0
}

#[test]
fn the_larger_priority_decides_then_a_deny_then_the_smaller_id() {
    let policy =
        |id: &str, priority: i64, effect: &str| json!({"id": id, "priority": priority, "effect": effect});
    let mut list = vec![policy("c", 1, "allow"), policy("b", 1, "allow")];
    assert_eq!(decider(&list, json!({})).unwrap(), "b");
    list.push(policy("z", 1, "deny"));
    assert_eq!(decider(&list, json!({})).unwrap(), "z");
    list.push(policy("y", 2, "allow"));
    assert_eq!(decider(&list, json!({})).unwrap(), "y");
    list.push(policy("x", i64::MIN, "deny"));
    assert_eq!(decider(&list, json!({})).unwrap(), "y");
}

#[test]
fn guardrails_are_one_rank() {
    let guardrail = |id: &str, priority: i64| json!({"id": id, "priority": priority, "effect": "deny", "guardrail": true});
    assert_eq!(decider(&[guardrail("b", 9), guardrail("a", 1)], json!({})).unwrap(), "a");
}

#[test]
fn an_unknown_condition_stops_an_allow_and_not_a_deny() {
    let policy =
        |effect: &str| json!({"id": effect, "effect": effect, "condition": {"eq": ["context.region", "eu"]}});
    for (context, allow, deny) in [
        (json!({"region": "eu"}), true, true),
        (json!({"region": "us"}), false, false),
        (json!({"region": 5}), false, true),
        (json!({}), false, true),
    ] {
        let applies = |effect: &str| decider(&[policy(effect)], context.clone()).is_some();
        assert_eq!((applies("allow"), applies("deny")), (allow, deny), "{context}");
    }
}

#[test]
fn many_denials_apply_when_the_attribute_they_are_kept_under_is_missing() {
    let policy = |n: u32| {
        let condition =
            json!({"all": [{"eq": ["context.tenant", format!("t{n}")]}, {"exists": "subject.company"}]});
        json!({"id": format!("p{n:02}"), "effect": "deny", "condition": condition})
    };
    let list: Vec<_> = (0..50).map(policy).collect();
    assert_eq!(decider(&list, json!({"tenant": "t7"})).unwrap(), "p07");
    assert_eq!(decider(&list, json!({"tenant": "none"})), None);
    assert_eq!(decider(&list, json!({})).unwrap(), "p00");
    assert_eq!(decider(&list, json!({"tenant": ["t7"]})).unwrap(), "p00");
}

#[test]
fn a_broken_deny_applies_and_a_broken_allow_does_not() {
    let broken = |effect: Effect, guardrail: bool| {
        let mut policy = Policy::from_json(&json!({"id": "x", "effect": "deny"})).unwrap();
        (policy.effect, policy.guardrail, policy.when) = (effect, guardrail, When::from_stored(Some("{")));
        Policies { revision: Revision(1), policies: vec![policy] }
    };
    let catalog = catalog();
    let subject = Subject::company(CompanyId::new("acme").unwrap());
    let request = Request::new(&subject, "a", Action::View);
    let attributes = Attributes { request: &request, plan: None, now: noon() };
    for (effect, guardrail, expected) in
        [(Effect::Deny, false, Some("x")), (Effect::Deny, true, Some("x")), (Effect::Allow, false, None)]
    {
        let set = PolicySet::compile(&broken(effect, guardrail), &catalog);
        assert_eq!(ask(&set, guardrail, &attributes, &catalog).0, expected, "{effect:?} {guardrail}");
    }
}

#[test]
fn a_stored_guardrail_that_allows_never_applies() {
    let mut policy = Policy::from_json(&json!({"id": "x", "effect": "deny", "guardrail": true})).unwrap();
    policy.effect = Effect::Allow;
    let catalog = catalog();
    let policies = Policies { revision: Revision(1), policies: vec![policy] };
    let set = PolicySet::compile(&policies, &catalog);
    let subject = Subject::company(CompanyId::new("acme").unwrap());
    let request = Request::new(&subject, "a", Action::View);
    let attributes = Attributes { request: &request, plan: None, now: noon() };
    assert_eq!(ask(&set, true, &attributes, &catalog), (None, None));
    assert_eq!(ask(&set, false, &attributes, &catalog), (None, None));
    assert_eq!(policies.policies[0].applies(&attributes), None);
}

#[test]
fn the_horizon_shows_starts_ends_and_flips_that_matter() {
    let hours = |n: i64| (noon() + TimeDelta::hours(n)).to_rfc3339();
    let at = |n: i64| Some(noon() + TimeDelta::hours(n));
    let office = json!({"time_between": ["09:00", "17:00"]});
    let night = json!({"time_between": ["22:00", "06:00"]});
    let settled = json!({"eq": ["context.a", "no"]});
    for (policy, applies, horizon) in [
        (json!({"effect": "deny"}), true, None),
        (json!({"effect": "deny", "endsAt": hours(2)}), true, at(2)),
        (json!({"effect": "deny", "startsAt": hours(1), "endsAt": hours(2)}), false, at(1)),
        (json!({"effect": "deny", "startsAt": hours(-2), "endsAt": hours(-1)}), false, None),
        (json!({"effect": "deny", "startsAt": hours(-2)}), true, None),
        (json!({"effect": "deny", "condition": office}), true, at(5)),
        (json!({"effect": "deny", "condition": office, "endsAt": hours(2)}), true, at(2)),
        (json!({"effect": "deny", "condition": office, "endsAt": hours(6)}), true, at(5)),
        (json!({"effect": "deny", "condition": night}), false, at(10)),
        (json!({"effect": "deny", "condition": night, "endsAt": hours(2)}), false, None),
        (json!({"effect": "deny", "condition": night, "startsAt": hours(2)}), false, at(2)),
        (json!({"effect": "deny", "condition": settled, "endsAt": hours(2)}), false, None),
        (json!({"effect": "deny", "condition": settled, "startsAt": hours(2)}), false, None),
        (json!({"effect": "deny", "enabled": false, "startsAt": hours(2)}), false, None),
        (json!({"effect": "deny", "target": {"companies": ["other"]}, "endsAt": hours(2)}), false, None),
    ] {
        let mut policy = policy;
        policy["id"] = json!("x");
        let (applied, found) = decide(&[policy.clone()], json!({"a": "yes"}));
        assert_eq!((applied.is_some(), found), (applies, horizon), "{policy}");
    }
}

#[test]
fn what_ranks_below_the_decider_does_not_matter_yet() {
    let soon = (noon() + TimeDelta::hours(1)).to_rfc3339();
    let list = [
        json!({"id": "a", "priority": 2, "effect": "allow"}),
        json!({"id": "b", "priority": 1, "effect": "deny", "startsAt": soon}),
        json!({"id": "c", "priority": 3, "effect": "deny", "startsAt": soon}),
    ];
    assert_eq!(decide(&list[..2], json!({})).1, None);
    assert_eq!(decide(&list, json!({})).1, Some(noon() + TimeDelta::hours(1)));
}

#[test]
fn candidates_are_all_policies_about_the_pair_in_order() {
    let catalog = catalog();
    let list: Vec<_> = (0..9)
        .map(|n| {
            let target = match n % 3 {
                0 => json!({"features": ["a"], "actions": ["view"], "companies": [format!("c{n}"), "acme"]}),
                1 => json!({"features": ["b", "unknown"]}),
                _ => Value::Null,
            };
            json!({"id": format!("p{n}"), "priority": n, "effect": "deny", "guardrail": n > 6, "target": target})
        })
        .collect();
    let set = PolicySet::compile(&policies(&list), &catalog);
    let ids =
        |policies: Vec<&Policy>| policies.iter().map(|policy| policy.id.to_string()).collect::<Vec<_>>();
    let (a, b) = (catalog.feature_index("a").unwrap(), catalog.feature_index("b").unwrap());
    assert_eq!(ids(set.policies_of(a, Action::View)), ["p6", "p5", "p3", "p2", "p0"]);
    assert_eq!(ids(set.policies_of(a, Action::Create)), ["p5", "p2"]);
    assert_eq!(ids(set.policies_of(b, Action::View)), ["p5", "p4", "p2", "p1"]);
    assert_eq!(ids(set.guardrails_of(b, Action::View)), ["p7", "p8"]);
    assert_eq!(ids(set.guardrails_of(a, Action::View)), ["p8"]);
}

#[test]
fn a_set_that_is_bound_to_another_catalog_answers_for_that() {
    let (small, list) = (catalog(), [json!({"id": "x", "effect": "deny", "target": {"features": ["b"]}})]);
    let text = "
        schema = 1
        past_due_grace = \"7d\"
        [features]
        b = { type = \"flag\" }
        [routing]
        unmatched = \"allow\"
    ";
    let other = Catalog::parse("other.toml", text).unwrap();
    let set = PolicySet::compile(&policies(&list), &small).rebind(&other);
    assert!(set.is_bound_to(&other) && !set.is_bound_to(&small));
    assert!(PolicySet::empty().is_bound_to(&small));
    let subject = Subject::company(CompanyId::new("acme").unwrap());
    let request = Request::new(&subject, "b", Action::View);
    let attributes = Attributes { request: &request, plan: None, now: noon() };
    assert_eq!(ask(&set, false, &attributes, &other).0, Some("x"));
}
