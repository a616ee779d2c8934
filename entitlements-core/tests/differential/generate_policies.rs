//! Policies by chance, as JSON, and contexts for their conditions.

use serde_json::{Value as Json, json};

use super::calendar::{Instant, to_text};
use super::catalog::ACTIONS;
use super::generate::{FLAGS, GAUGES, METERS, PARTS, PLANS, VALUES, near};
use super::random::Random;
use super::world::{Ask, Rule};

pub(crate) fn rules(random: &mut Random, focus: [Instant; 2]) -> Vec<Rule> {
    if random.chance(30) {
        return Vec::new();
    }
    let mut rules: Vec<Rule> = random
        .some(&["p1", "p2", "P3", "é", "p10", "a"])
        .into_iter()
        .map(|id| rule(random, id, focus))
        .collect();
    random.shuffle(&mut rules);
    rules
}

fn rule(random: &mut Random, id: &str, focus: [Instant; 2]) -> Rule {
    let guardrail = random.chance(15);
    let deny = if guardrail { random.chance(95) } else { random.chance(40) };
    let mut json = json!({"id": id, "effect": if deny { "deny" } else { "allow" }});
    if guardrail {
        json["guardrail"] = json!(true);
    }
    if random.chance(60) {
        json["priority"] =
            random.pick(&[json!(0), json!(1), json!(1), json!(-5), json!(i64::MAX), json!(i64::MIN)]).clone();
    }
    if random.chance(10) {
        json["enabled"] = json!(false);
    }
    for (key, percent) in [("startsAt", 20), ("endsAt", 20)] {
        if random.chance(percent) {
            let other = *random.pick(&focus);
            json[key] = json!(to_text(near(random, other)));
        }
    }
    if let (Some(start), Some(end)) = (json.get("startsAt").cloned(), json.get("endsAt").cloned()) {
        // The one must be before the other, and texts of one form compare like their instants.
        match start.as_str().cmp(&end.as_str()) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => json["endsAt"] = Json::Null,
            std::cmp::Ordering::Greater => (json["startsAt"], json["endsAt"]) = (end, start),
        }
    }
    json["target"] = target(random, guardrail);
    if random.chance(80) {
        json["condition"] = condition(random, focus, 3);
    }
    let broken = json.get("condition").is_some() && random.chance(5);
    Rule { json, broken }
}

fn target(random: &mut Random, narrow: bool) -> Json {
    let mut target = json!({});
    if random.chance(15) {
        target["companies"] = json!(random.some(&["acme", "Acme", "other"]));
    }
    if random.chance(20) {
        target["users"] = json!(random.some(&["u1", "u2", "u3"]));
    }
    if random.chance(if narrow { 90 } else { 60 }) {
        let all = [&FLAGS[..], &METERS, &PARTS, &GAUGES, &VALUES, &["ghost"]].concat();
        target["features"] = json!(random.some(&all));
    }
    if random.chance(30) {
        target["actions"] = json!(random.some(&ACTIONS));
    }
    if random.chance(25) {
        target["resources"] = json!(random.some(&["*", "report:*", "report:7", "doc:1", "re*"]));
    }
    target
}

pub(crate) fn condition(random: &mut Random, focus: [Instant; 2], depth: usize) -> Json {
    match random.below(if depth > 0 { 10 } else { 6 }) {
        operator @ (6 | 7) => {
            let parts: Vec<Json> =
                (0..=random.below(3)).map(|_| condition(random, focus, depth - 1)).collect();
            if operator == 6 { json!({"all": parts}) } else { json!({"any": parts}) }
        }
        8 => json!({"not": condition(random, focus, depth - 1)}),
        _ => leaf(random, focus),
    }
}

const NUMBERS: [&str; 4] = ["context.seats", "context.price", "context.device.level", "context.big"];
const TEXTS: [&str; 6] =
    ["context.region", "context.device.os", "subject.user", "subject.company", "resource", "plan"];
const OTHERS: [&str; 6] = [
    "context.flag",
    "context.tags",
    "context.nothing",
    "context.device",
    "context.region.deep",
    "context.until",
];

fn path(random: &mut Random) -> &'static str {
    let lists = [&NUMBERS[..], &TEXTS, &OTHERS].concat();
    let path: &&str = random.pick(&lists);
    path
}

fn number(random: &mut Random) -> Json {
    let numbers = [
        json!(0),
        json!(3),
        json!(25),
        json!(25.0),
        json!(2.5),
        json!(-1),
        json!(9_007_199_254_740_993_i64),
        json!(9_007_199_254_740_992.0),
        json!(i64::MAX),
        json!(9.3e18),
    ];
    random.pick(&numbers).clone()
}

fn text(random: &mut Random) -> &'static str {
    let text: &&str = random.pick(&[
        "eu", "eu-west", "us", "", "u1", "u2", "acme", "report:7", "report:", "free", "pro", "linux", "gold",
    ]);
    text
}

fn scalar(random: &mut Random) -> Json {
    match random.below(6) {
        0 | 1 => number(random),
        2 => json!(random.chance(50)),
        _ => json!(text(random)),
    }
}

fn leaf(random: &mut Random, focus: [Instant; 2]) -> Json {
    let reference = |random: &mut Random| json!({"ref": path(random)});
    match random.below(20) {
        0 => {
            let any = path(random);
            json!({"exists": *random.pick(&[any, "subject.user", "now"])})
        }
        1..4 => {
            let (path, operand) = match random.below(4) {
                0 => (path(random), reference(random)),
                1 => (*random.pick(&NUMBERS), number(random)),
                2 => (*random.pick(&TEXTS), json!(text(random))),
                _ => ("plan", json!(*random.pick(&PLANS))),
            };
            let operand = if random.chance(15) { scalar(random) } else { operand };
            json!({ *random.pick(&["eq", "ne"]): [path, operand] })
        }
        4..7 => {
            let operand = if random.chance(20) { reference(random) } else { number(random) };
            let path = if random.chance(50) { path(random) } else { "context.seats" };
            json!({ *random.pick(&["lt", "le", "gt", "ge"]): [path, operand] })
        }
        7..10 => {
            let list = match random.below(6) {
                0 => reference(random),
                1 => json!({"ref": "context.tags"}),
                2 => json!([number(random), number(random)]),
                3 => json!([random.chance(50)]),
                _ => json!([text(random), text(random), text(random)]),
            };
            let path = if random.chance(50) { *random.pick(&TEXTS) } else { path(random) };
            json!({ *random.pick(&["in", "not_in"]): [path, list] })
        }
        10 => {
            let path = if random.chance(50) { "context.tags" } else { path(random) };
            let operand = if random.chance(20) { reference(random) } else { scalar(random) };
            let operand = if path == "context.tags" || operand.is_string() || operand.is_object() {
                operand
            } else {
                json!("e")
            };
            json!({"contains": [path, operand]})
        }
        11 | 12 => {
            let operand = if random.chance(20) {
                reference(random)
            } else {
                json!(*random.pick(&["eu", "u", "report:", "7", "o", ""]))
            };
            let path = if random.chance(60) { *random.pick(&TEXTS) } else { path(random) };
            json!({ *random.pick(&["starts_with", "ends_with"]): [path, operand] })
        }
        13 => {
            let networks = [
                "10.0.0.0/8",
                "10.1.0.0/16",
                "0.0.0.0/0",
                "10.1.2.3/32",
                "2001:db8::/32",
                "::/0",
                "::ffff:10.0.0.0/104",
            ];
            let path = if random.chance(80) { "context.ip" } else { path(random) };
            json!({"cidr": [path, *random.pick(&networks)]})
        }
        14 => {
            let requirements = [">=1.2, <2", "1.2.3", "=1.4.0", "^0.3", "~1.4", "*", ">1.0.0-beta", "1.*"];
            let path = if random.chance(80) { "context.version" } else { path(random) };
            json!({"semver": [path, *random.pick(&requirements)]})
        }
        15 | 16 => {
            let times = ["00:00", "00:00:01", "09:00", "12:30", "17:00", "23:00", "23:59", "23:59:59"];
            let from = *random.pick(&times);
            let mut to = *random.pick(&times);
            while to == from {
                to = *random.pick(&times);
            }
            json!({"time_between": [from, to]})
        }
        _ => {
            let other = *random.pick(&focus);
            let other = to_text(near(random, other));
            let operators = ["lt", "le", "gt", "ge", "eq", "ne"];
            match random.below(5) {
                0 => {
                    json!({ *random.pick(&operators): ["now", {"ref": *random.pick(&["context.until", "context.region", "now"])}] })
                }
                1 => json!({ *random.pick(&operators): ["context.until", {"ref": "now"}] }),
                _ => json!({ *random.pick(&operators): ["now", other] }),
            }
        }
    }
}

/// Attributes of all types; each may be missing, or something unexpected.
pub(crate) fn context(random: &mut Random, focus: [Instant; 2]) -> Json {
    let other = *random.pick(&focus);
    let zone: &&str = random.pick(&["Z", "+00:00", "+02:00", "-00:30", "?"]);
    let until = to_text(near(random, other)).replace('Z', zone);
    let tags = [
        json!(["eu", "gold"]),
        json!([]),
        json!([25, 3]),
        json!(["eu", 25, true]),
        json!("eu"),
        json!([["eu"]]),
    ];
    let ips = ["10.1.2.3", "10.200.0.1", "192.168.0.1", "2001:db8::1", "::ffff:10.1.2.3", "nowhere"];
    let versions = ["1.2.3", "1.4.0", "2.0.0", "1.9.9-beta.1", "0.3.7", "1.2", "1.4.0+build"];
    let device = json!({"os": *random.pick(&["linux", "eu"]), "level": number(random)});
    let mut context = json!({});
    for (name, value) in [
        ("region", json!(text(random))),
        ("seats", number(random)),
        ("price", number(random)),
        ("big", number(random)),
        ("device", device),
        ("flag", json!(random.chance(50))),
        ("tags", random.pick(&tags).clone()),
        ("until", json!(until)),
        ("ip", json!(*random.pick(&ips))),
        ("version", json!(*random.pick(&versions))),
        ("nothing", Json::Null),
    ] {
        match random.below(20) {
            0..3 => {}
            3 => context[name] = scalar(random),
            _ => context[name] = value,
        }
    }
    context
}

/// A request by chance; how much it asks for is still open.
pub(crate) fn ask(random: &mut Random, focus: [Instant; 2]) -> Ask {
    let all = [&FLAGS[..], &METERS, &METERS, &METERS, &PARTS, &GAUGES, &VALUES[..2]].concat();
    let feature = match random.below(40) {
        0 => "ghost",
        1 => *random.pick(&VALUES),
        _ => *random.pick(&all),
    };
    Ask {
        user: random.chance(60).then(|| (*random.pick(&["u1", "u2"])).into()),
        feature: feature.into(),
        action: if random.chance(80) { *random.pick(&["view", "create"]) } else { *random.pick(&ACTIONS) }
            .into(),
        resource: random.chance(50).then(|| (*random.pick(&["report:7", "report:", "doc:1"])).into()),
        amount: 1,
        context: context(random, focus),
    }
}
