use chrono::TimeDelta;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::super::{Attributes, Effect, When};
use super::super::PolicySet;
use super::{Answer, ask, catalog, noon, policies};
use crate::evaluate::Horizon;
use crate::id::{CompanyId, UserId};
use crate::store::Policies;
use crate::{Action, Context, Request, Subject};

/// The same by looking at every policy in the order of ranks. The horizon is the next instant at which a policy that was
/// looked at starts, ends or could change its truth.
fn scan<'p>(policies: &'p Policies, guardrail: bool, attributes: &Attributes<'_>) -> Answer<'p> {
    let mut ranked: Vec<_> =
        policies.policies.iter().filter(|policy| policy.guardrail == guardrail).collect();
    ranked.sort_by_key(|policy| {
        let priority = if guardrail { 0 } else { -i128::from(policy.priority) };
        (priority, policy.effect == Effect::Allow, policy.id.clone())
    });
    let mut horizon = Horizon::new(attributes.now);
    for policy in ranked {
        if policy.enabled && policy.target.matches(attributes.request) {
            let flip = match &policy.when {
                When::Holds(condition) => condition.next_flip(attributes),
                _ => None,
            };
            [policy.starts_at, policy.ends_at, flip].into_iter().flatten().for_each(|at| horizon.at(at));
        }
        if policy.applies(attributes).is_some() {
            return (Some(policy.id.as_str()), horizon.earliest());
        }
    }
    (None, horizon.earliest())
}

/// `null`, or a list out of a few words.
fn some_of(words: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let list = prop::collection::vec(prop::sample::select(words), 1..3).prop_map(|list| json!(list));
    prop_oneof![2 => Just(Value::Null), 1 => list]
}

/// Short ones, and one that is compared as a whole.
const WORDS: [&str; 4] = ["x", "y", "zone", "a text of more than sixteen bytes"];

fn any_test() -> impl Strategy<Value = Value> {
    let word = || prop::sample::select(&WORDS[..]);
    let path = || {
        prop::sample::select(
            &[
                "context.p",
                "context.q",
                "context.r",
                "context.s",
                "context.t",
                "context.u.v",
                "subject.company",
                "subject.user",
                "plan",
                "resource",
            ][..],
        )
    };
    prop_oneof![
        6 => (path(), word()).prop_map(|(path, word)| json!({"eq": [path, word]})),
        2 => (path(), prop::collection::vec(word(), 1..3)).prop_map(|(path, words)| json!({"in": [path, words]})),
        1 => (path(), word()).prop_map(|(path, word)| json!({"ne": [path, word]})),
        3 => (path(), prop::sample::select(&["eq", "ne", "lt", "le", "gt", "ge"][..]), -1..3_i64)
            .prop_map(|(path, operator, number)| json!({operator: [path, number]})),
        1 => (path(), prop::sample::select(&["eq", "ne"][..]), any::<bool>())
            .prop_map(|(path, operator, flag)| json!({operator: [path, flag]})),
        1 => (0..24_u32, 1..24_u32).prop_map(|(start, length)| {
            json!({"time_between": [format!("{start:02}:00"), format!("{:02}:00", (start + length) % 24)]})
        }),
        1 => any_instant().prop_map(|at| json!({"lt": ["now", at]})),
    ]
}

fn any_instant() -> impl Strategy<Value = String> {
    (-48..48_i64).prop_map(|hours| (noon() + TimeDelta::hours(hours)).to_rfc3339())
}

fn any_policy() -> impl Strategy<Value = Value> {
    let target = (
        some_of(&["acme", "bolt"]),
        some_of(&["x", "y"]),
        some_of(&["a", "b", "unknown"]),
        some_of(&["view", "export"]),
        some_of(&["*", "x", "y*"]),
    )
        .prop_map(|(companies, users, features, actions, resources)| {
            json!({"companies": companies, "users": users, "features": features, "actions": actions, "resources": resources})
        });
    let condition = prop_oneof![
        1 => Just(Value::Null),
        3 => any_test(),
        3 => prop::collection::vec(any_test(), 1..4).prop_map(|parts| json!({"all": parts})),
        1 => prop::collection::vec(any_test(), 1..4).prop_map(|parts| json!({"any": parts})),
    ];
    let window = prop_oneof![
        3 => Just((Value::Null, Value::Null)),
        1 => (-48..48_i64, 1..48_i64).prop_map(|(start, length)| {
            let at = |hours| json!((noon() + TimeDelta::hours(hours)).to_rfc3339());
            (at(start), at(start + length))
        }),
    ];
    (target, condition, window, -2..3_i64, 0..5_u8, prop::bool::weighted(0.9)).prop_map(
        |(target, condition, (start, end), priority, kind, enabled)| {
            json!({
                "priority": priority, "effect": if kind < 2 { "allow" } else { "deny" }, "guardrail": kind == 4,
                "enabled": enabled, "startsAt": start, "endsAt": end, "target": target, "condition": condition
            })
        },
    )
}

fn any_policies() -> impl Strategy<Value = Policies> {
    prop::collection::vec(any_policy(), 0..60).prop_map(|mut list| {
        for (n, policy) in list.iter_mut().enumerate() {
            policy["id"] = json!(format!("p{:02}", (n * 37) % 60));
        }
        let mut policies = policies(&list);
        for policy in policies.policies.iter_mut().step_by(17) {
            policy.when = When::from_stored(Some("{"));
        }
        policies
    })
}

fn any_context() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        4 => prop::sample::select(&WORDS[..]).prop_map(Value::from),
        1 => Just(Value::Null),
        3 => (-1..3_i64).prop_map(Value::from),
        1 => prop::sample::select(vec![json!(1.5), json!(2.0), json!(u64::MAX), json!(i64::MIN), json!(["x"])]),
        1 => any::<bool>().prop_map(Value::from),
    ];
    // With many names, and with few.
    (prop::collection::vec(value, 6), 0..8_usize).prop_map(|(v, more)| {
        let mut context = json!({"p": v[0], "q": v[1], "r": v[2], "s": v[3], "t": v[4], "u": {"v": v[5]}});
        for n in 0..more {
            context[format!("more{n}")] = json!("x");
        }
        context
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn the_set_answers_as_looking_at_every_policy_does(
        policies in any_policies(),
        context in any_context(),
        (company, user) in (prop::sample::select(&["acme", "bolt"][..]), prop::option::of(prop::sample::select(&["x", "y"][..]))),
        resource in prop::option::of(prop::sample::select(&["x", "y", "z"][..])),
        plan in prop::option::of(prop::sample::select(&["x", "y"][..])),
        minutes in 0..24 * 60_i64,
    ) {
        let catalog = catalog();
        let set = PolicySet::compile(&policies, &catalog);
        let subject = Subject {
            company: CompanyId::new(company).unwrap(),
            user: user.map(|user| UserId::new(user).unwrap()),
        };
        let context = Context::from_json(context).unwrap();
        for (feature, action, guardrail) in [
            ("a", Action::View, false),
            ("b", Action::Export, false),
            ("b", Action::Create, false),
            ("a", Action::View, true),
            ("b", Action::Create, true),
        ] {
            let mut request = Request::new(&subject, feature, action).with_context(&context);
            request.resource = resource;
            let now = noon() + TimeDelta::minutes(minutes);
            let at = |now| Attributes { request: &request, plan, now };
            let (answer, horizon) = ask(&set, guardrail, &at(now), &catalog);
            let (expected, earliest) = scan(&policies, guardrail, &at(now));
            prop_assert_eq!(answer, expected);
            // Never earlier than what a scan notices, and nothing changes before.
            if let Some(horizon) = horizon {
                prop_assert!(earliest.is_some_and(|earliest| horizon >= earliest));
            }
            let until = horizon.unwrap_or(now + TimeDelta::days(4));
            // Policies start, end and flip at full hours.
            let full_hours = (0..96).map(|hour| noon() + TimeDelta::hours(hour));
            for later in full_hours.filter(|later| *later > now && *later < until) {
                prop_assert_eq!(scan(&policies, guardrail, &at(later)).0, expected, "at {}", later);
            }
        }
    }
}
