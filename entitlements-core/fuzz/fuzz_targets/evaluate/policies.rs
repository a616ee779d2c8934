//! Policies by chance, those that only a broken store could hold included.

use entitlements_core::grant::ResourcePattern;
use entitlements_core::id::{CompanyId, FeatureKey, PolicyId, UserId};
use entitlements_core::policy::{Condition, Effect, Policy, Target, When};
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::facts::{FEATURES, USERS};

pub(crate) fn any(dice: &mut Dice<'_>, number: u8) -> Policy {
    Policy {
        id: PolicyId::new(format!("p{}", number ^ 5)).expect("an id"),
        name: None,
        priority: i64::from(dice.below(3)) - 1,
        effect: if dice.chance(128) { Effect::Deny } else { Effect::Allow },
        guardrail: dice.chance(50),
        enabled: !dice.chance(10),
        starts_at: dice.maybe(50, Dice::instant),
        ends_at: dice.maybe(50, Dice::instant),
        target: target(dice),
        when: when(dice),
    }
}

fn target(dice: &mut Dice<'_>) -> Target {
    let pattern = |text: &str| text.parse::<ResourcePattern>().expect("a pattern");
    Target {
        companies: dice
            .maybe(40, |dice| vec![CompanyId::new(dice.pick(&["acme", "acme", "globex"])).expect("an id")]),
        users: dice.maybe(40, |dice| vec![UserId::new(dice.pick(&USERS)).expect("an id")]),
        features: dice.maybe(180, |dice| {
            let features =
                (0..=dice.below(2)).map(|_| FeatureKey::new(dice.pick(&FEATURES)).expect("a name"));
            features.collect()
        }),
        actions: dice.maybe(60, |dice| vec![dice.action(), dice.action()]),
        resources: dice.maybe(40, |dice| vec![pattern(dice.pick(&["*", "report:*", "x"]))]),
    }
}

fn when(dice: &mut Dice<'_>) -> When {
    match dice.byte() {
        0..60 => When::Always,
        60..240 => match Condition::parse(&condition(dice, 3)) {
            Ok(condition) => When::Holds(condition),
            Err(error) => panic!("{error}"),
        },
        _ => When::Broken { stored: "{".into(), why: "cut off".into() },
    }
}

fn condition(dice: &mut Dice<'_>, depth: u8) -> Value {
    let parts =
        |dice: &mut Dice<'_>| (0..=dice.below(3)).map(|_| condition(dice, depth - 1)).collect::<Vec<_>>();
    match if depth == 0 { 255 } else { dice.byte() } {
        0..40 => json!({"all": parts(dice)}),
        40..80 => json!({"any": parts(dice)}),
        80..100 => json!({"not": condition(dice, depth - 1)}),
        _ => leaf(dice),
    }
}

fn leaf(dice: &mut Dice<'_>) -> Value {
    let order = dice.pick(&["lt", "le", "gt", "ge", "eq", "ne"]);
    match dice.below(18) {
        0 => json!({order: ["now", dice.written()]}),
        1 => json!({order: ["now", {"ref": "context.until"}]}),
        2 => json!({order: ["context.until", {"ref": "now"}]}),
        3 => {
            let start = u32::from(dice.below(24)) * 3600 + u32::from(dice.below(2)) * 1799;
            let end = (start + 1 + u32::from(dice.byte()) * 300) % 86_400;
            let text =
                |second: u32| format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
            if start == end {
                json!({"exists": "now"})
            } else {
                json!({"time_between": [text(start), text(end)]})
            }
        }
        4 => json!({order: [dice.pick(&["context.seats", "context.team"]), number(dice)]}),
        5 => json!({"eq": ["context.region", dice.pick(&["eu", "us"])]}),
        6 => json!({"in": ["context.region", ["eu", "apac"]]}),
        7 => json!({"not_in": ["plan", ["pro", "free"]]}),
        8 => json!({"eq": ["subject.user", {"ref": "resource"}]}),
        9 => json!({"exists": "context.device.trusted"}),
        10 => json!({"eq": ["plan", dice.pick(&["starter", "pro"])]}),
        11 => json!({"cidr": ["context.address", "10.0.0.0/8"]}),
        12 => json!({"semver": ["context.version", ">=1.2, <2"]}),
        13 => {
            json!({dice.pick(&["eq", "ne"]): [dice.pick(&["context.seats", "context.team"]), scalar(dice)]})
        }
        14 => json!({dice.pick(&["in", "not_in"]): ["context.team", ["eu", "us", "ann"]]}),
        15 => json!({"eq": ["subject.user", dice.pick(&USERS)]}),
        16 => json!({"contains": ["context.team", scalar(dice)]}),
        _ => json!({"starts_with": ["resource", "report:"]}),
    }
}

fn number(dice: &mut Dice<'_>) -> Value {
    match dice.below(8) {
        0..6 => json!(i64::from(dice.below(6)) - 1),
        6 => json!(dice.pick(&[i64::MIN, i64::MAX])),
        _ => json!(f64::from(dice.below(8)) / 2.0),
    }
}

fn scalar(dice: &mut Dice<'_>) -> Value {
    match dice.below(3) {
        0 => number(dice),
        1 => json!(dice.pick(&["eu", "us", "ann", ""])),
        _ => json!(dice.chance(128)),
    }
}
