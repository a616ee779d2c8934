//! Any JSON is a condition or a list of problems; a condition has a truth that does not depend on the order of its
//! parts, and keeps it until its next flip.
#![no_main]

use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta, Utc};
use entitlements_core::id::{CompanyId, UserId};
use entitlements_core::policy::{Attributes, Condition, Truth};
use entitlements_core::{Action, Context, Request, Subject};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|text: &[u8]| {
    // Before the condition stands which instant it is.
    let Some((first, text)) = text.split_first() else { return };
    let Ok(value) = serde_json::from_slice::<Value>(text) else { return };
    let condition = match Condition::parse(&value) {
        Ok(condition) => condition,
        Err(error) => {
            assert!(!error.problems().is_empty());
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(condition.to_json(), &value);
    let reversed = Condition::parse(&reverse(&value)).expect("the same parts");
    let negated = Condition::parse(&json!({"not": value}));
    for world in WORLDS.iter() {
        let request = world.request();
        for now in instants(*first) {
            let attributes = Attributes { request: &request, plan: world.plan, now };
            let truth = condition.evaluate(&attributes);
            assert_eq!(reversed.evaluate(&attributes), truth, "reversed");
            if let Ok(negated) = &negated {
                assert_eq!(negated.evaluate(&attributes), !truth, "negated");
            }
            assert_eq!(condition.unmet(&attributes).is_none(), truth == Truth::True, "unmet");
            keeps(&condition, &attributes, truth);
        }
    }
});

/// Until the next flip, the truth is the same.
fn keeps(condition: &Condition, attributes: &Attributes<'_>, truth: Truth) {
    let now = attributes.now;
    let flip = condition.next_flip(attributes);
    assert!(flip.is_none() || condition.is_time_dependent());
    assert!(flip.is_none_or(|flip| flip > now), "{flip:?} is not after {now:?}");
    let last = match flip {
        Some(flip) => flip.checked_sub_signed(TimeDelta::nanoseconds(1)),
        None => Some(DateTime::<Utc>::MAX_UTC),
    };
    let steps = [1, 1_000_000_000, 3_600_000_000_000, 86_400_000_000_000, 400 * 86_400_000_000_000];
    let later = steps.into_iter().filter_map(|step| now.checked_add_signed(TimeDelta::nanoseconds(step)));
    for at in later.chain(last).filter(|at| *at >= now && last.is_none_or(|last| *at <= last)) {
        let then = condition.evaluate(&Attributes { now: at, ..*attributes });
        assert_eq!(then, truth, "at {at:?}, next flip after {now:?} is {flip:?}");
    }
}

/// The same with the parts of every `all` and `any` in the opposite order.
fn reverse(value: &Value) -> Value {
    let Some((operator, parts)) = value.as_object().and_then(|object| object.iter().next()) else {
        return value.clone();
    };
    match (operator.as_str(), parts) {
        ("all" | "any", Value::Array(parts)) => {
            json!({operator: parts.iter().rev().map(reverse).collect::<Vec<_>>()})
        }
        ("not", part) => json!({"not": reverse(part)}),
        _ => value.clone(),
    }
}

/// Moments: a usual one, the ends of time, midnight, and within a leap second.
fn instants(first: u8) -> [DateTime<Utc>; 3] {
    let seconds = 1_795_000_000 + i64::from(first) * 677;
    let usual = DateTime::from_timestamp(seconds, u32::from(first) * 3_921_568).expect("in range");
    let leap = DateTime::from_timestamp(1_483_228_799, 1_500_000_000).expect("a leap second");
    let midnight = DateTime::from_timestamp(1_796_083_200, 0).expect("in range");
    let edge = match first % 4 {
        0 => DateTime::<Utc>::MIN_UTC,
        1 => DateTime::<Utc>::MAX_UTC,
        2 => leap,
        _ => midnight,
    };
    [usual, usual + TimeDelta::hours(11), edge]
}

struct World {
    subject: Subject,
    context: Context,
    resource: Option<&'static str>,
    plan: Option<&'static str>,
}

impl World {
    fn request(&self) -> Request<'_> {
        Request {
            resource: self.resource,
            context: &self.context,
            ..Request::new(&self.subject, "reports", Action::Create)
        }
    }
}

static WORLDS: LazyLock<[World; 2]> = LazyLock::new(|| {
    let acme = || CompanyId::new("acme").expect("an id");
    let user = UserId::new("ann").expect("an id");
    let context = json!({
        "a": 1, "b": 1.5, "c": "eu", "d": true, "e": [1, 2.0, "x", null, [1]], "f": {"a": {"b": "deep"}},
        "g": null, "h": "10.1.2.3", "i": "2001:db8::1", "j": "1.4.2-rc.1", "k": "2026-11-24T12:00:00Z",
        "l": u64::MAX, "m": i64::MIN, "n": 9_007_199_254_740_993_u64, "o": 1e300, "p": "",
        "q": "2016-12-31T23:59:60.5Z", "r": ["eu", "us"], "s": "-262143-01-01T00:00:00Z",
    });
    [
        World { subject: Subject::company(acme()), context: Context::default(), resource: None, plan: None },
        World {
            subject: Subject::user(acme(), user),
            context: Context::from_json(context).expect("an object"),
            resource: Some("report:7"),
            plan: Some("pro"),
        },
    ]
});
