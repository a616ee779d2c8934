//! Worlds by chance: the catalog, and instants that are close to something.

use std::rc::Rc;

use serde_json::{Value as Json, json};

use super::boundaries::ends_of_time;
use super::calendar::{DAY, HOUR, Instant, SECOND, days_in_month, midnight};
use super::catalog::{ACTIONS, AddOn, Catalog, Feature, Kind, Plan};
use super::random::Random;
use super::world::MAX;

pub(crate) const FLAGS: [&str; 2] = ["export", "sso"];
pub(crate) const METERS: [&str; 3] = ["reports", "calls", "tokens"];
pub(crate) const GAUGES: [&str; 2] = ["seats", "storage"];
pub(crate) const VALUES: [&str; 4] = ["size", "beta", "tier", "ratio"];
pub(crate) const PARTS: [&str; 2] = ["tokens_in", "tokens_out"];
pub(crate) const PLANS: [&str; 4] = ["free", "starter", "pro", "max"];
pub(crate) const ADDONS: [&str; 3] = ["pack", "boost", "extra"];

/// A year of every sort, and a day that is the last of its month, or the first, or any.
pub(crate) fn instant(random: &mut Random) -> Instant {
    let year = match random.below(100) {
        0..70 => random.between(2023, 2028),
        70..76 => 1,
        76..82 => 9999,
        82..86 => 1969,
        86..90 => 1970,
        _ => *random.pick(&[1900, 2000, 2100, 1582, 400]),
    };
    let month = if random.chance(30) { 2 } else { random.between(1, 12) };
    let last = days_in_month(year, month);
    let any = random.between(1, 28);
    let day = *random.pick(&[last, last, 1, 28, any]);
    let time = match random.below(4) {
        0 => 0,
        1 => DAY - 1,
        2 => random.between(0, 23) * HOUR,
        _ => random.between(0, DAY - 1),
    };
    clamp(midnight(year, month, day) + time)
}

/// An instant that is close to another one, or at least not far.
pub(crate) fn near(random: &mut Random, other: Instant) -> Instant {
    let distance = match random.below(10) {
        0 => 0,
        1 => 1,
        2 => SECOND,
        3 => random.between(0, HOUR),
        4 => random.between(0, 23) * HOUR,
        5 => DAY,
        6 => 7 * DAY,
        7 => random.between(0, 60) * DAY,
        8 => random.between(0, 60 * DAY),
        _ => random.between(0, 800 * DAY),
    };
    clamp(if random.chance(50) { other + distance } else { other - distance })
}

pub(crate) fn clamp(instant: Instant) -> Instant {
    let (first, last) = ends_of_time();
    instant.clamp(first, last)
}

pub(crate) fn units(random: &mut Random) -> i128 {
    match random.below(20) {
        0 => 0,
        1..5 => 1,
        5..9 => 2,
        9..16 => random.between(3, 12).into(),
        16..18 => 100,
        18 => MAX,
        _ => MAX - 1,
    }
}

pub(crate) fn some_actions(random: &mut Random) -> Vec<String> {
    let common = ["view", "create", "create"];
    let words = if random.chance(70) { random.some(&common) } else { random.some(&ACTIONS) };
    let mut words: Vec<String> = words.into_iter().map(String::from).collect();
    words.dedup();
    words
}

fn json_units(units: i128) -> Json {
    u64::try_from(units).unwrap().into()
}

pub(crate) fn catalog(random: &mut Random) -> Rc<Catalog> {
    let features = features(random);
    let mut names = PLANS;
    random.shuffle(&mut names);
    let names = &names[..=random.below(PLANS.len())];
    let mut plans: Vec<Plan> = Vec::new();
    for key in names {
        let extends = (!plans.is_empty() && random.chance(40)).then(|| random.pick(&plans).key.clone());
        let removes = extends.is_some();
        plans.push(Plan { key: (*key).into(), extends, grants: entries(random, &features, removes, 45) });
    }
    random.shuffle(&mut plans);
    let addons = ADDONS[..random.below(4)]
        .iter()
        .map(|key| AddOn { key: (*key).into(), grants: additions(random, &features) })
        .collect();
    let default_plan = random.chance(40).then(|| random.pick(&plans).key.clone());
    Rc::new(Catalog {
        default_plan,
        grace_hours: *random.pick(&[0, 1, 24, 72, 168]),
        features,
        plans,
        addons,
    })
}

fn features(random: &mut Random) -> Vec<Feature> {
    let mut all: Vec<(&str, Kind)> = FLAGS.map(|key| (key, Kind::Flag)).into();
    let mut meter = |pool: Option<&str>| {
        let change = *random.pick(&["carry", "carry", "reset", "prorate"]);
        Kind::Meter { pool: pool.map(String::from), change: change.into() }
    };
    all.extend(METERS.map(|key| (key, meter(None))));
    all.extend(PARTS.map(|key| (key, meter(Some("tokens")))));
    all.extend(GAUGES.map(|key| (key, Kind::Gauge { level: key == "storage", seats: random.chance(40) })));
    let defaults = [json!(10), json!(false), json!("basic"), json!(0.5)];
    all.extend(VALUES.into_iter().zip(defaults).map(|(key, default)| (key, Kind::Value { default })));
    all.into_iter().map(|(key, kind)| Feature { key: key.into(), kind }).collect()
}

/// What a plan gives, or a company instead of it.
pub(crate) fn entries(
    random: &mut Random,
    features: &[Feature],
    removes: bool,
    percent: usize,
) -> Vec<(String, Json)> {
    let mut entries = Vec::new();
    for feature in features {
        let shares = matches!(feature.kind, Kind::Meter { pool: Some(_), .. });
        if !shares && random.chance(percent) {
            let value = if removes && random.chance(20) { json!(false) } else { entry(random, feature) };
            entries.push((feature.key.clone(), value));
        }
    }
    entries
}

fn entry(random: &mut Random, feature: &Feature) -> Json {
    match (feature.key.as_str(), &feature.kind) {
        (_, Kind::Flag) if random.chance(50) => json!(true),
        (_, Kind::Flag) => json!({"actions": some_actions(random)}),
        (_, Kind::Gauge { .. }) => match random.below(4) {
            0 => json!("unlimited"),
            1 => json!({"limit": json_units(units(random)), "actions": some_actions(random)}),
            _ => json_units(units(random)),
        },
        (_, Kind::Meter { .. }) if random.chance(15) => json!("unlimited"),
        ("calls", Kind::Meter { .. }) => {
            let mut lengths = random.some(&["hour", "day", "week", "month", "year", "lifetime"]);
            random.shuffle(&mut lengths);
            let mut quotas: Vec<Json> = lengths.into_iter().map(|every| quota(random, every)).collect();
            if random.chance(15) {
                quotas[0]["actions"] = json!(some_actions(random));
            }
            Json::Array(quotas)
        }
        (_, Kind::Meter { .. }) => {
            let every = *random.pick(&["hour", "day", "week", "month", "month", "month", "year", "lifetime"]);
            let mut quota = quota(random, every);
            if random.chance(15) {
                quota["actions"] = json!(some_actions(random));
            }
            quota
        }
        ("size", _) => json!(random.between(-3, 50)),
        ("beta", _) => json!(random.chance(50)),
        ("tier", _) => json!(*random.pick(&["", "basic", "gold \"plus\""])),
        _ => random.pick(&[json!(2), json!(0.25), json!(-1.5)]).clone(),
    }
}

fn quota(random: &mut Random, every: &str) -> Json {
    let mut quota = json!({"limit": json_units(units(random)), "every": every});
    if random.chance(15) {
        quota["limit"] = json!("unlimited");
    } else if every != "lifetime" && random.chance(25) {
        quota["rollover"] = json_units(units(random));
    }
    if every != "lifetime" && random.chance(50) {
        quota["anchor"] = json!(*random.pick(&["calendar", "subscription"]));
    }
    if random.chance(25) {
        quota["over"] = json!("allow");
    }
    quota
}

fn additions(random: &mut Random, features: &[Feature]) -> Vec<(String, Json)> {
    let mut entries = Vec::new();
    for feature in features {
        let value = match &feature.kind {
            Kind::Flag if random.chance(50) => json!(true),
            Kind::Flag => json!({"actions": some_actions(random)}),
            Kind::Meter { pool: None, .. } => {
                let mut value = json!({"add": json_units(units(random).max(1))});
                if random.chance(60) {
                    value["every"] = json!(*random.pick(&["hour", "week", "month", "month", "lifetime"]));
                }
                value
            }
            Kind::Gauge { .. } => json!({"add": json_units(units(random).max(1))}),
            Kind::Meter { .. } | Kind::Value { .. } => continue,
        };
        if random.chance(30) {
            entries.push((feature.key.clone(), value));
        }
    }
    entries
}
