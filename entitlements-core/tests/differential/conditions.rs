//! Conditions, read straight from their JSON: every part is looked at, always.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Number, Value as Json};

use super::calendar::{DAY, Instant, SECOND, from_text};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Truth {
    False,
    Unknown,
    True,
}
use Truth::{False, True, Unknown};

/// How often each operator has come to each truth.
pub(crate) type Seen = RefCell<BTreeMap<(String, Truth), u64>>;

/// What a condition may look at.
pub(crate) struct Scene<'a> {
    pub(crate) context: &'a Json,
    pub(crate) company: &'a str,
    pub(crate) user: Option<&'a str>,
    pub(crate) resource: Option<&'a str>,
    pub(crate) plan: Option<&'a str>,
    pub(crate) now: Instant,
    pub(crate) seen: &'a Seen,
}

enum Attribute {
    Value(Json),
    Instant(Instant),
}

const fn truth(holds: bool) -> Truth {
    if holds { True } else { False }
}

const fn not(part: Truth) -> Truth {
    match part {
        True => False,
        Unknown => Unknown,
        False => True,
    }
}

/// The truth of a condition.
pub(crate) fn evaluate(condition: &Json, scene: &Scene<'_>) -> Truth {
    let object = condition.as_object().unwrap();
    assert_eq!(object.len(), 1, "one operator per object: {condition}");
    let (operator, argument) = object.iter().next().unwrap();
    let result = apply(operator, argument, scene);
    *scene.seen.borrow_mut().entry((operator.clone(), result)).or_default() += 1;
    result
}

fn apply(operator: &str, argument: &Json, scene: &Scene<'_>) -> Truth {
    match operator {
        "all" => parts(argument, scene).into_iter().min().unwrap(),
        "any" => parts(argument, scene).into_iter().max().unwrap(),
        "not" => not(evaluate(argument, scene)),
        "exists" => truth(attribute(argument, scene).is_some()),
        "time_between" => time_between(&argument[0], &argument[1], scene.now),
        _ => {
            let (left, right) = (attribute(&argument[0], scene), operand(&argument[1], scene));
            match (left, right) {
                (Some(left), Some(right)) => compare(operator, &left, &right),
                _ => Unknown,
            }
        }
    }
}

fn parts(argument: &Json, scene: &Scene<'_>) -> Vec<Truth> {
    argument.as_array().unwrap().iter().map(|part| evaluate(part, scene)).collect()
}

fn operand(operand: &Json, scene: &Scene<'_>) -> Option<Attribute> {
    match operand.get("ref") {
        Some(path) => attribute(path, scene),
        None => Some(Attribute::Value(operand.clone())),
    }
}

fn attribute(path: &Json, scene: &Scene<'_>) -> Option<Attribute> {
    let path = path.as_str().unwrap();
    let text = |text: &str| Attribute::Value(text.into());
    match path {
        "now" => Some(Attribute::Instant(scene.now)),
        "plan" => scene.plan.map(text),
        "resource" => scene.resource.map(text),
        "subject.company" => Some(text(scene.company)),
        "subject.user" => scene.user.map(text),
        _ => {
            let mut value = scene.context;
            for name in path.strip_prefix("context.").unwrap().split('.') {
                value = value.as_object()?.get(name)?;
            }
            if value.is_null() { None } else { Some(Attribute::Value(value.clone())) }
        }
    }
}

fn compare(operator: &str, left: &Attribute, right: &Attribute) -> Truth {
    let (Attribute::Value(left), Attribute::Value(right)) = (left, right) else {
        return by_order(operator, instant(left).zip(instant(right)).map(|(a, b)| a.cmp(&b)));
    };
    match operator {
        "eq" => equal(left, right),
        "ne" => not(equal(left, right)),
        "lt" | "le" | "gt" | "ge" => match (left, right) {
            (Json::Number(left), Json::Number(right)) => by_order(operator, Some(order(left, right))),
            _ => Unknown,
        },
        "in" => among(left, right),
        "not_in" => not(among(left, right)),
        "contains" => match (left, right) {
            (Json::Array(elements), sought) => any_equal(elements, sought),
            (Json::String(text), Json::String(sought)) => truth(text.contains(sought.as_str())),
            _ => Unknown,
        },
        "starts_with" => texts(left, right, |text, part| text.starts_with(part)),
        "ends_with" => texts(left, right, |text, part| text.ends_with(part)),
        "cidr" => texts_or_unknown(left, right, within_network),
        "semver" => texts_or_unknown(left, right, meets_requirement),
        other => panic!("no operator: {other}"),
    }
}

fn by_order(operator: &str, order: Option<Ordering>) -> Truth {
    let Some(order) = order else { return Unknown };
    match operator {
        "eq" => truth(order == Ordering::Equal),
        "ne" => truth(order != Ordering::Equal),
        "lt" => truth(order == Ordering::Less),
        "le" => truth(order != Ordering::Greater),
        "gt" => truth(order == Ordering::Greater),
        "ge" => truth(order != Ordering::Less),
        _ => Unknown,
    }
}

fn instant(attribute: &Attribute) -> Option<Instant> {
    match attribute {
        Attribute::Instant(instant) => Some(*instant),
        Attribute::Value(value) => from_text(value.as_str()?),
    }
}

fn equal(left: &Json, right: &Json) -> Truth {
    match (left, right) {
        (Json::Bool(left), Json::Bool(right)) => truth(left == right),
        (Json::String(left), Json::String(right)) => truth(left == right),
        (Json::Number(left), Json::Number(right)) => truth(order(left, right) == Ordering::Equal),
        _ => Unknown,
    }
}

fn among(value: &Json, list: &Json) -> Truth {
    list.as_array().map_or(Unknown, |elements| any_equal(elements, value))
}

/// A list or an object is never what is looked for.
fn any_equal(elements: &[Json], sought: &Json) -> Truth {
    if sought.is_array() || sought.is_object() {
        return Unknown;
    }
    elements.iter().map(|element| equal(element, sought)).max().unwrap_or(False)
}

fn texts(left: &Json, right: &Json, test: impl Fn(&str, &str) -> bool) -> Truth {
    texts_or_unknown(left, right, |left, right| Some(test(left, right)))
}

fn texts_or_unknown(left: &Json, right: &Json, test: impl Fn(&str, &str) -> Option<bool>) -> Truth {
    left.as_str().zip(right.as_str()).and_then(|(left, right)| test(left, right)).map_or(Unknown, truth)
}

/// The order of two numbers as the mathematical numbers they are.
fn order(left: &Number, right: &Number) -> Ordering {
    let whole = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (Some(left), None) => whole_to_float(left, right.as_f64().unwrap()),
        (None, Some(right)) => whole_to_float(right, left.as_f64().unwrap()).reverse(),
        (None, None) => left.as_f64().unwrap().partial_cmp(&right.as_f64().unwrap()).unwrap(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the float is between -1e30 and 1e30, and whole")]
fn whole_to_float(whole: i128, float: f64) -> Ordering {
    if float > 1e30 {
        return Ordering::Less;
    }
    if float < -1e30 {
        return Ordering::Greater;
    }
    let below = float.floor() as i128;
    match whole.cmp(&below) {
        Ordering::Equal if float > float.floor() => Ordering::Less,
        order => order,
    }
}

/// Whether an address is in a network; `None` if it is no address.
fn within_network(address: &str, network: &str) -> Option<bool> {
    let (base, bits) = network.split_once('/').unwrap();
    let bits: u32 = bits.parse().unwrap();
    let keep = |width: u32| if bits == 0 { 0 } else { u128::MAX << (width - bits) };
    match (address.parse().ok()?, base.parse().unwrap()) {
        (IpAddr::V4(address), IpAddr::V4(base)) => {
            let mask = keep(32);
            Some(u128::from(address.to_bits()) & mask == u128::from(base.to_bits()) & mask)
        }
        (IpAddr::V6(address), IpAddr::V6(base)) => {
            Some(address.to_bits() & keep(128) == base.to_bits() & keep(128))
        }
        _ => Some(false),
    }
}

fn meets_requirement(version: &str, requirement: &str) -> Option<bool> {
    let requirement = semver::VersionReq::parse(requirement).unwrap();
    Some(requirement.matches(&semver::Version::parse(version).ok()?))
}

/// Microseconds since midnight of `HH:MM` or `HH:MM:SS`.
pub(crate) fn time_of_day(text: &str) -> i64 {
    let mut parts = text.split(':').map(|part| part.parse::<i64>().unwrap());
    let (hour, minute, second) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap_or(0));
    (hour * 3600 + minute * 60 + second) * SECOND
}

fn time_between(from: &Json, to: &Json, now: Instant) -> Truth {
    let (from, to) = (time_of_day(from.as_str().unwrap()), time_of_day(to.as_str().unwrap()));
    let time = now.rem_euclid(DAY);
    if from < to { truth(from <= time && time < to) } else { truth(time >= from || time < to) }
}
