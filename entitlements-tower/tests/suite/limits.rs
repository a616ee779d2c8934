//! `RateLimit-Policy`, `RateLimit` and `Retry-After`.

use entitlements_core::Catalog;
use entitlements_core::testkit::fixtures::at;
use entitlements_tower::{Denial, FailMode, ProblemJson, QUOTA_EXCEEDED_TYPE, Rule};
use http::{HeaderMap, Request, Response};
use proptest::prelude::*;
use sfv::{BareItem, List, ListEntry, Parser};
use tower::{Layer, ServiceExt};

use crate::probe::Probe;
use crate::world::{CATALOG, World, anonymous, request};

async fn ask(world: &World, inner: Probe, request: Request<String>) -> Response<String> {
    let layer = world.builder(FailMode::Closed).rate_limit_headers(true).build().unwrap();
    layer.layer(inner).oneshot(request).await.unwrap()
}

fn shown(headers: &HeaderMap) -> (Option<&str>, Option<&str>) {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
    (text("ratelimit-policy"), text("ratelimit"))
}

#[tokio::test]
async fn a_metered_response_says_what_is_left() {
    let world = World::new().await;
    for left in ["2", "1", "0"] {
        let response = ask(&world, Probe::answering(200), request("POST", "/reports/1", "starter-co")).await;
        assert_eq!(response.status(), 200);
        // From 2026-11-07T09:00:00Z to the end of the month.
        let limit = format!("\"reports\";r={left};t=2041200");
        assert_eq!(shown(response.headers()), (Some("\"reports\";q=3"), Some(limit.as_str())));
    }
    let refused = ask(&world, Probe::answering(200), request("POST", "/reports/1", "starter-co")).await;
    assert_eq!(refused.status(), 402);
    assert_eq!(shown(refused.headers()), (Some("\"reports\";q=3"), Some("\"reports\";r=0;t=2041200")));
    assert!(!refused.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn nothing_is_said_unless_it_is_asked_for_and_there_is_something_to_say() {
    let world = World::new().await;
    let silent = world.layer().layer(Probe::answering(200));
    let response = silent.oneshot(request("POST", "/reports/1", "starter-co")).await.unwrap();
    assert_eq!(shown(response.headers()), (None, None));
    let table = [
        // A flag, no rule, a denial because of the plan, and nobody.
        (request("GET", "/boardroom", "pro-co"), 200, 200),
        (request("GET", "/free", "starter-co"), 200, 200),
        (request("GET", "/boardroom", "starter-co"), 200, 402),
        (request("POST", "/reports/1", "unknown-co"), 200, 402),
        (anonymous("POST", "/reports/1"), 200, 500),
        // A client would wait before it follows.
        (request("POST", "/reports/1", "starter-co"), 303, 303),
    ];
    for (request, inner, status) in table {
        let about = format!("{} {inner}", request.uri());
        let response = ask(&world, Probe::answering(inner), request).await;
        assert_eq!(response.status(), status, "{about}");
        assert_eq!(shown(response.headers()), (None, None), "{about}");
    }
}

#[tokio::test]
async fn an_unlimited_quota_has_nothing_to_say() {
    let catalog = CATALOG.replace(
        "reports = { limit = 3, every = \"month\", anchor = \"calendar\" }",
        "reports = \"unlimited\"",
    );
    let world = World::with_catalog(Catalog::parse("catalog.toml", &catalog).unwrap()).await;
    let response = ask(&world, Probe::answering(200), request("POST", "/reports/1", "starter-co")).await;
    assert_eq!((response.status().as_u16(), shown(response.headers())), (200, (None, None)));
}

#[tokio::test]
async fn a_window_is_said_where_all_periods_are_of_one_length() {
    for (every, window) in
        [("hour", Some(3600)), ("day", Some(86400)), ("week", Some(604_800)), ("year", None)]
    {
        let catalog =
            CATALOG.replace("limit = 3, every = \"month\"", &format!("limit = 3, every = \"{every}\""));
        let world = World::with_catalog(Catalog::parse("catalog.toml", &catalog).unwrap()).await;
        let response = ask(&world, Probe::answering(200), request("POST", "/reports/1", "starter-co")).await;
        let expected = window.map_or("\"reports\";q=3".into(), |w| format!("\"reports\";q=3;w={w}"));
        assert_eq!(shown(response.headers()).0, Some(expected.as_str()), "{every}");
    }
}

#[tokio::test]
async fn the_fields_are_structured_fields() {
    let world = World::new().await;
    let rule = Rule::new("POST /two").require("tokens").consume("reports");
    let layer = world.builder(FailMode::Closed).route(rule).rate_limit_headers(true).build().unwrap();
    let response =
        layer.layer(Probe::answering(200)).oneshot(request("POST", "/two", "starter-co")).await.unwrap();
    for (field, keys) in [("ratelimit-policy", &["q"][..]), ("ratelimit", &["r", "t"])] {
        let values: Vec<_> =
            response.headers().get_all(field).iter().map(|value| value.to_str().unwrap()).collect();
        let list: List = Parser::new(&values.join(", ")).parse().unwrap();
        let mut names = Vec::new();
        for entry in list {
            let ListEntry::Item(item) = entry else { panic!("{entry:?}") };
            let BareItem::String(name) = item.bare_item else { panic!("{item:?}") };
            names.push(name.as_str().to_owned());
            let found: Vec<_> = item.params.keys().map(|key| key.as_str().to_owned()).collect();
            assert_eq!(found, keys);
            assert!(item.params.values().all(|value| matches!(value, BareItem::Integer(_))));
        }
        assert_eq!(names, ["tokens", "reports"]);
    }
}

#[tokio::test]
async fn each_quota_is_said_once_as_it_is_in_the_end() {
    let world = World::new().await;
    let rule = Rule::new("POST /left").require("reports").consume("reports");
    let builder = || world.builder(FailMode::Closed).rate_limit_headers(true);
    let layer = builder().rules([rule]).build().unwrap();
    let requiring = builder().rules([Rule::every_request().require("reports")]).build().unwrap();
    let by_one_rule = layer.layer(Probe::answering(200)).oneshot(request("POST", "/left", "starter-co"));
    let by_two_gates = requiring
        .layer(
            layer.with_rule(Rule::every_request().consume("reports")).unwrap().layer(Probe::answering(200)),
        )
        .oneshot(request("POST", "/left", "starter-co"));
    for (response, left) in [(by_one_rule.await.unwrap(), 2), (by_two_gates.await.unwrap(), 1)] {
        let said: Vec<_> = response.headers().get_all("ratelimit").iter().collect();
        assert_eq!(said, [&format!("\"reports\";r={left};t=2041200")]);
        assert_eq!(response.headers().get_all("ratelimit-policy").iter().count(), 1);
    }
}

#[tokio::test]
async fn other_proxies_announce_what_is_left_themselves() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).rate_limit_headers(true).build().unwrap();
    let (parts, _) = request("POST", "/reports/1", "starter-co").into_parts();
    let entitlements_tower::Verdict::Ask(pending) = layer.gate().begin(&parts) else { panic!() };
    let ticket = pending.await.unwrap();
    let mut headers = HeaderMap::new();
    ticket.announce(http::StatusCode::OK, &mut headers);
    assert_eq!(shown(&headers).1, Some("\"reports\";r=2;t=2041200"));
}

#[tokio::test]
async fn an_exhausted_quota_can_have_the_type_of_the_draft() {
    let world = World::new().await;
    let deny = ProblemJson::new()
        .type_base("https://docs.example.com/")
        .type_for("quota_exceeded", QUOTA_EXCEEDED_TYPE);
    let service = world.builder(FailMode::Closed).deny(deny).build().unwrap().layer(Probe::answering(200));
    for _ in 0..3 {
        service.clone().oneshot(request("POST", "/reports/1", "starter-co")).await.unwrap();
    }
    let body =
        |response: Response<String>| serde_json::from_str::<serde_json::Value>(response.body()).unwrap();
    let exhausted = body(service.clone().oneshot(request("POST", "/reports/1", "starter-co")).await.unwrap());
    assert_eq!(exhausted["type"], QUOTA_EXCEEDED_TYPE);
    assert_eq!(exhausted["violated-policies"], serde_json::json!(["reports"]));
    assert_eq!(exhausted["code"], "quota_exceeded");
    let unpaid = body(service.oneshot(request("GET", "/boardroom", "starter-co")).await.unwrap());
    assert_eq!(unpaid["type"], "https://docs.example.com/feature_not_in_plan");
}

#[tokio::test]
async fn waiting_is_advised_only_when_it_is_short() {
    let world = World::new().await;
    for _ in 0..3 {
        ask(&world, Probe::answering(200), request("POST", "/reports/1", "starter-co")).await;
    }
    for (now, advice, left) in [
        ("2026-11-30T23:58:59.999Z", None, "61"),
        ("2026-11-30T23:59:00Z", Some("60"), "60"),
        ("2026-11-30T23:59:30.5Z", Some("30"), "30"),
        ("2026-11-30T23:59:59.9Z", Some("1"), "1"),
    ] {
        world.clock.set(at(now));
        let refused = ask(&world, Probe::answering(200), request("POST", "/reports/1", "starter-co")).await;
        assert_eq!(refused.status(), 402);
        assert_eq!(
            refused.headers().get("retry-after").map(|value| value.to_str().unwrap()),
            advice,
            "{now}"
        );
        assert_eq!(shown(refused.headers()).1, Some(format!("\"reports\";r=0;t={left}").as_str()));
    }
}

#[tokio::test]
async fn advice_to_wait_is_never_too_short_nor_longer_than_a_minute() {
    let world = World::new().await;
    for _ in 0..3 {
        ask(&world, Probe::answering(200), request("POST", "/reports/1", "starter-co")).await;
    }
    let response = ask(&world, Probe::answering(200), request("POST", "/reports/1", "starter-co")).await;
    assert_eq!(response.status(), 402);
    let gate = world.layer().gate().clone();
    let (parts, _) = request("POST", "/reports/1", "starter-co").into_parts();
    let entitlements_tower::Verdict::Ask(pending) = gate.begin(&parts) else { panic!() };
    let Err(Denial::NotEntitled { decision, .. }) = pending.await else { panic!() };
    let end = decision.quota.as_ref().unwrap().resets_at.unwrap();
    proptest!(|(before in 0_i64..90_000_000_000)| {
        let wait = chrono::TimeDelta::nanoseconds(before);
        let denial = Denial::NotEntitled { decision: decision.clone(), at: end - wait };
        match denial.retry_after() {
            None => prop_assert!(wait > chrono::TimeDelta::minutes(1)),
            Some(seconds) => {
                let advice = chrono::TimeDelta::seconds(i64::try_from(seconds).unwrap());
                prop_assert!((1..=60).contains(&seconds) && advice >= wait);
                prop_assert!(seconds == 1 || advice < wait + chrono::TimeDelta::seconds(1));
            }
        }
    });
}
