use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::super::{Attributes, Condition, Truth};
use Truth::{False, True, Unknown};

use crate::id::{CompanyId, UserId};
use crate::{Action, Context, Request, Subject};

mod time;

const NOON: &str = "2026-11-07T12:00:00Z";

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn with_attributes<T>(context: &Value, now: DateTime<Utc>, read: impl FnOnce(&Attributes<'_>) -> T) -> T {
    let subject = Subject::user(CompanyId::new("acme").unwrap(), UserId::new("ann").unwrap());
    let context = Context::from_json(context.clone()).unwrap();
    let request =
        Request::new(&subject, "reports", Action::View).with_resource("report:7").with_context(&context);
    read(&Attributes { request: &request, plan: Some("pro"), now })
}

fn truth_at(condition: &Value, context: &Value, now: DateTime<Utc>) -> Truth {
    let condition = Condition::parse(condition).unwrap();
    with_attributes(context, now, |attributes| condition.evaluate(attributes))
}

fn truth(condition: &Value, context: &Value) -> Truth {
    truth_at(condition, context, instant(NOON))
}

/// Checks each condition over one context.
#[track_caller]
fn table<const N: usize>(context: &Value, rows: [(Value, Truth); N]) {
    for (condition, expected) in rows {
        assert_eq!(truth(&condition, context), expected, "{condition} with {context}");
    }
}

#[test]
fn eq_compares_scalars_of_one_type() {
    let context = json!({
        "text": "eu", "one": 1, "float": 1.0, "yes": true, "null": null, "list": ["eu"], "object": {"a": {"b": "x"}},
        "big": u64::MAX
    });
    table(
        &context,
        [
            (json!({"eq": ["context.text", "eu"]}), True),
            (json!({"eq": ["context.text", "EU"]}), False),
            (json!({"eq": ["context.text", 1]}), Unknown),
            (json!({"eq": ["context.one", 1]}), True),
            (json!({"eq": ["context.one", 1.0]}), True),
            (json!({"eq": ["context.float", 1]}), True),
            (json!({"eq": ["context.one", 2]}), False),
            (json!({"eq": ["context.one", "1"]}), Unknown),
            (json!({"eq": ["context.one", true]}), Unknown),
            (json!({"eq": ["context.big", 18_446_744_073_709_552_000.0]}), False),
            (json!({"eq": ["context.yes", true]}), True),
            (json!({"eq": ["context.yes", false]}), False),
            (json!({"eq": ["context.yes", "true"]}), Unknown),
            (json!({"eq": ["context.null", "eu"]}), Unknown),
            (json!({"eq": ["context.missing", "eu"]}), Unknown),
            (json!({"eq": ["context.list", "eu"]}), Unknown),
            (json!({"eq": ["context.object", "eu"]}), Unknown),
            (json!({"eq": ["context.object.a.b", "x"]}), True),
            (json!({"eq": ["context.text.a", "x"]}), Unknown),
            (json!({"eq": ["context.list.0", "eu"]}), Unknown),
            (json!({"eq": ["context.text", {"ref": "context.text"}]}), True),
            (json!({"eq": ["context.text", {"ref": "context.one"}]}), Unknown),
            (json!({"eq": ["context.text", {"ref": "context.missing"}]}), Unknown),
            (json!({"eq": ["context.list", {"ref": "context.list"}]}), Unknown),
            (json!({"eq": ["subject.company", "acme"]}), True),
            (json!({"eq": ["subject.user", "ann"]}), True),
            (json!({"eq": ["resource", "report:7"]}), True),
            (json!({"eq": ["plan", "pro"]}), True),
            (json!({"eq": ["plan", 1]}), Unknown),
        ],
    );
}

#[test]
fn ne_is_the_negation_of_eq_and_keeps_unknown() {
    table(
        &json!({"text": "eu", "null": null, "list": ["eu"]}),
        [
            (json!({"ne": ["context.text", "eu"]}), False),
            (json!({"ne": ["context.text", "us"]}), True),
            (json!({"ne": ["context.text", 1]}), Unknown),
            (json!({"ne": ["context.null", "eu"]}), Unknown),
            (json!({"ne": ["context.missing", "eu"]}), Unknown),
            (json!({"ne": ["context.list", "eu"]}), Unknown),
        ],
    );
}

#[test]
fn numbers_have_an_order_and_nothing_else_beside_instants_has() {
    table(
        &json!({"n": 5, "f": 5.5, "text": "5", "yes": true, "null": null, "list": [5], "max": i64::MAX}),
        [
            (json!({"lt": ["context.n", 6]}), True),
            (json!({"lt": ["context.n", 5]}), False),
            (json!({"le": ["context.n", 5]}), True),
            (json!({"le": ["context.n", 4.9]}), False),
            (json!({"gt": ["context.f", 5]}), True),
            (json!({"gt": ["context.n", 5]}), False),
            (json!({"ge": ["context.n", 5.0]}), True),
            (json!({"ge": ["context.n", 5.1]}), False),
            (json!({"lt": ["context.max", 9_223_372_036_854_775_808.0]}), True),
            (json!({"lt": ["context.n", {"ref": "context.f"}]}), True),
            (json!({"lt": ["context.text", 6]}), Unknown),
            (json!({"lt": ["context.text", {"ref": "context.text"}]}), Unknown),
            (json!({"lt": ["context.yes", 6]}), Unknown),
            (json!({"lt": ["context.null", 6]}), Unknown),
            (json!({"lt": ["context.missing", 6]}), Unknown),
            (json!({"lt": ["context.list", 6]}), Unknown),
            (json!({"ge": ["context.n", {"ref": "context.missing"}]}), Unknown),
        ],
    );
}

#[test]
fn now_compares_with_instants() {
    let context = json!({"at": NOON, "later": "2026-11-07T14:00:00+01:00", "text": "noon", "n": 5});
    table(
        &context,
        [
            (json!({"lt": ["now", "2026-11-07T12:00:00.001Z"]}), True),
            (json!({"lt": ["now", NOON]}), False),
            (json!({"le": ["now", NOON]}), True),
            (json!({"ge": ["now", NOON]}), True),
            (json!({"gt": ["now", NOON]}), False),
            (json!({"eq": ["now", "2026-11-07T13:00:00+01:00"]}), True),
            (json!({"ne": ["now", NOON]}), False),
            (json!({"eq": ["now", {"ref": "context.at"}]}), True),
            (json!({"lt": ["now", {"ref": "context.later"}]}), True),
            (json!({"gt": ["context.later", {"ref": "now"}]}), True),
            (json!({"eq": ["context.at", {"ref": "now"}]}), True),
            (json!({"eq": ["now", {"ref": "now"}]}), True),
            (json!({"lt": ["now", {"ref": "context.text"}]}), Unknown),
            (json!({"lt": ["now", {"ref": "context.n"}]}), Unknown),
            (json!({"lt": ["now", {"ref": "context.missing"}]}), Unknown),
            (json!({"lt": ["context.at", {"ref": "context.later"}]}), Unknown),
        ],
    );
}

#[test]
fn in_looks_for_a_scalar_in_a_list() {
    let context = json!({
        "text": "eu", "n": 1, "null": null, "list": ["eu", "us"], "mixed": ["us", 1], "empty": [], "holes": [null, "us"],
        "object": {}
    });
    table(
        &context,
        [
            (json!({"in": ["context.text", ["us", "eu"]]}), True),
            (json!({"in": ["context.text", ["us"]]}), False),
            (json!({"in": ["context.n", [0, 1.0]]}), True),
            (json!({"in": ["context.text", [1, 2]]}), Unknown),
            (json!({"in": ["context.null", ["eu"]]}), Unknown),
            (json!({"in": ["context.missing", ["eu"]]}), Unknown),
            (json!({"in": ["context.list", ["eu"]]}), Unknown),
            (json!({"in": ["context.object", ["eu"]]}), Unknown),
            (json!({"in": ["context.text", {"ref": "context.list"}]}), True),
            (json!({"in": ["plan", {"ref": "context.list"}]}), False),
            (json!({"in": ["context.text", {"ref": "context.empty"}]}), False),
            (json!({"in": ["context.list", {"ref": "context.empty"}]}), Unknown),
            (json!({"in": ["context.text", {"ref": "context.mixed"}]}), Unknown),
            (json!({"in": ["context.n", {"ref": "context.mixed"}]}), True),
            (json!({"in": ["context.text", {"ref": "context.holes"}]}), Unknown),
            (json!({"in": ["context.text", {"ref": "context.text"}]}), Unknown),
            (json!({"in": ["context.text", {"ref": "context.missing"}]}), Unknown),
        ],
    );
}

#[test]
fn not_in_is_the_negation_of_in_and_keeps_unknown() {
    table(
        &json!({"text": "eu", "null": null, "list": ["eu"]}),
        [
            (json!({"not_in": ["context.text", ["us", "eu"]]}), False),
            (json!({"not_in": ["context.text", ["us"]]}), True),
            (json!({"not_in": ["context.text", [1]]}), Unknown),
            (json!({"not_in": ["context.null", ["eu"]]}), Unknown),
            (json!({"not_in": ["context.missing", ["eu"]]}), Unknown),
            (json!({"not_in": ["context.list", ["us"]]}), Unknown),
            (json!({"not_in": ["context.text", {"ref": "context.missing"}]}), Unknown),
        ],
    );
}

#[test]
fn contains_finds_elements_and_parts_of_texts() {
    table(
        &json!({"text": "report", "list": ["a", "b"], "numbers": [1, 2], "empty": [], "mixed": [1, "a"], "n": 1, "null": null}),
        [
            (json!({"contains": ["context.text", "por"]}), True),
            (json!({"contains": ["context.text", "POR"]}), False),
            (json!({"contains": ["context.text", 1]}), Unknown),
            (json!({"contains": ["context.list", "a"]}), True),
            (json!({"contains": ["context.list", "c"]}), False),
            (json!({"contains": ["context.numbers", 2.0]}), True),
            (json!({"contains": ["context.numbers", "a"]}), Unknown),
            (json!({"contains": ["context.empty", "a"]}), False),
            (json!({"contains": ["context.mixed", "a"]}), True),
            (json!({"contains": ["context.mixed", "b"]}), Unknown),
            (json!({"contains": ["context.list", {"ref": "context.list"}]}), Unknown),
            (json!({"contains": ["context.text", {"ref": "context.text"}]}), True),
            (json!({"contains": ["context.n", 1]}), Unknown),
            (json!({"contains": ["context.null", "a"]}), Unknown),
            (json!({"contains": ["context.missing", "a"]}), Unknown),
        ],
    );
}

#[test]
fn starts_with_and_ends_with_compare_the_ends_of_texts() {
    table(
        &json!({"text": "report:7", "prefix": "rep", "n": 1, "null": null}),
        [
            (json!({"starts_with": ["context.text", "report:"]}), True),
            (json!({"starts_with": ["context.text", "7"]}), False),
            (json!({"starts_with": ["resource", {"ref": "context.prefix"}]}), True),
            (json!({"starts_with": ["context.n", "1"]}), Unknown),
            (json!({"starts_with": ["context.text", {"ref": "context.n"}]}), Unknown),
            (json!({"starts_with": ["context.missing", "1"]}), Unknown),
            (json!({"ends_with": ["context.text", ":7"]}), True),
            (json!({"ends_with": ["context.text", "report"]}), False),
            (json!({"ends_with": ["context.null", "7"]}), Unknown),
        ],
    );
}

#[test]
fn cidr_looks_for_an_address_in_a_network() {
    table(
        &json!({"ip": "10.1.2.3", "v6": "2001:db8::1", "mapped": "::ffff:10.1.2.3", "port": "10.1.2.3:80", "n": 10, "null": null}),
        [
            (json!({"cidr": ["context.ip", "10.0.0.0/8"]}), True),
            (json!({"cidr": ["context.ip", "10.2.0.0/16"]}), False),
            (json!({"cidr": ["context.ip", "10.1.2.3/32"]}), True),
            (json!({"cidr": ["context.ip", "0.0.0.0/0"]}), True),
            (json!({"cidr": ["context.ip", "2001:db8::/32"]}), False),
            (json!({"cidr": ["context.v6", "2001:db8::/32"]}), True),
            (json!({"cidr": ["context.v6", "10.0.0.0/8"]}), False),
            (json!({"cidr": ["context.mapped", "10.0.0.0/8"]}), False),
            (json!({"cidr": ["context.mapped", "::ffff:0:0/96"]}), True),
            (json!({"cidr": ["context.port", "10.0.0.0/8"]}), Unknown),
            (json!({"cidr": ["context.n", "10.0.0.0/8"]}), Unknown),
            (json!({"cidr": ["context.null", "10.0.0.0/8"]}), Unknown),
            (json!({"cidr": ["context.missing", "10.0.0.0/8"]}), Unknown),
        ],
    );
}

#[test]
fn semver_compares_full_versions() {
    table(
        &json!({"v": "1.4.2", "pre": "2.0.0-rc.1", "short": "1.4", "n": 1, "text": "one"}),
        [
            (json!({"semver": ["context.v", ">=1.2, <2"]}), True),
            (json!({"semver": ["context.v", "1.2"]}), True),
            (json!({"semver": ["context.v", "~1.3"]}), False),
            (json!({"semver": ["context.pre", ">=1.2"]}), False),
            (json!({"semver": ["context.pre", ">=2.0.0-rc.0"]}), True),
            (json!({"semver": ["context.short", ">=1.2"]}), Unknown),
            (json!({"semver": ["context.n", "*"]}), Unknown),
            (json!({"semver": ["context.text", "*"]}), Unknown),
            (json!({"semver": ["context.missing", "*"]}), Unknown),
        ],
    );
}

#[test]
fn time_between_is_half_open_and_may_pass_midnight() {
    for (start, end, now, expected) in [
        ("09:00", "17:00", "08:59:59.999Z", False),
        ("09:00", "17:00", "09:00:00Z", True),
        ("09:00", "17:00", "16:59:59.999Z", True),
        ("09:00", "17:00", "17:00:00Z", False),
        ("09:00:30", "17:00", "09:00:29Z", False),
        ("22:00", "06:00", "21:59:59Z", False),
        ("22:00", "06:00", "22:00:00Z", True),
        ("22:00", "06:00", "00:00:00Z", True),
        ("22:00", "06:00", "05:59:59Z", True),
        ("22:00", "06:00", "06:00:00Z", False),
        ("00:00", "23:59:59", "23:59:59Z", False),
    ] {
        let now = instant(&format!("2026-11-07T{now}"));
        assert_eq!(
            truth_at(&json!({"time_between": [start, end]}), &json!({}), now),
            expected,
            "{start} {end} {now}"
        );
    }
}

#[test]
fn exists_is_never_unknown() {
    table(
        &json!({"a": {"b": 0}, "null": null, "text": "x"}),
        [
            (json!({"exists": "context.a"}), True),
            (json!({"exists": "context.a.b"}), True),
            (json!({"exists": "context.a.c"}), False),
            (json!({"exists": "context.null"}), False),
            (json!({"exists": "context.text.x"}), False),
            (json!({"exists": "now"}), True),
            (json!({"exists": "plan"}), True),
            (json!({"not": {"exists": "context.missing"}}), True),
        ],
    );
    let company = Subject::company(CompanyId::new("acme").unwrap());
    let request = Request::new(&company, "reports", Action::View);
    let attributes = Attributes { request: &request, plan: None, now: instant(NOON) };
    for (path, expected) in
        [("subject.company", True), ("subject.user", False), ("resource", False), ("plan", False)]
    {
        let condition = Condition::parse(&json!({"exists": path})).unwrap();
        assert_eq!(condition.evaluate(&attributes), expected, "{path}");
    }
}

#[test]
fn a_condition_survives_json() {
    let source = json!({"all": [{"eq": ["context.region", "eu"]}, {"not": {"in": ["plan", ["a", "b"]]}}]});
    let condition: Condition = serde_json::from_value(source.clone()).unwrap();
    assert_eq!(serde_json::to_value(&condition).unwrap(), source);
    assert!(serde_json::from_value::<Condition>(json!({"eq": []})).is_err());
}

#[test]
fn a_condition_names_the_attributes_it_reads_once_each() {
    let condition = Condition::parse(&json!({"any": [
        {"eq": ["plan", {"ref": "context.b"}]},
        {"not": {"exists": "context.a"}},
        {"cidr": ["context.b", "10.0.0.0/8"]},
        {"semver": ["context.c.d", "*"]},
        {"time_between": ["09:00", "17:00"]},
    ]}))
    .unwrap();
    let paths: Vec<_> = condition.paths().iter().map(ToString::to_string).collect();
    assert_eq!(paths, ["context.a", "context.b", "context.c.d", "plan"]);
}

#[test]
fn the_first_part_that_is_not_true_is_what_is_unmet() {
    let condition = Condition::parse(&json!({"all": [
        {"eq": ["plan", "pro"]},
        {"all": [{"eq": ["context.region", "eu"]}, {"lt": ["context.seats", 25]}]},
    ]}))
    .unwrap();
    let unmet = |context: Value| {
        with_attributes(&context, instant(NOON), |attributes| condition.unmet(attributes).cloned())
    };
    assert_eq!(unmet(json!({"region": "eu", "seats": 3})), None);
    assert_eq!(unmet(json!({"region": "eu", "seats": 30})), Some(json!({"lt": ["context.seats", 25]})));
    assert_eq!(unmet(json!({"seats": 3})), Some(json!({"eq": ["context.region", "eu"]})));
}
