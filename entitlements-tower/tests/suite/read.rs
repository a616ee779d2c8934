//! Rules that read how many units, and which resource, a request is about.

use entitlements_core::catalog::Charge;
use entitlements_core::policy::{Effect, Policy, Target};
use entitlements_core::testkit::fixtures::{feature, policy};
use entitlements_tower::{FailMode, Rule};
use http::HeaderValue;
use tower::{Layer, ServiceExt};

use crate::probe::Probe;
use crate::world::{World, request};

fn rules() -> [Rule; 4] {
    [
        Rule::new("POST /header").consume_from_header("tokens", Charge::Admit, "x-tokens"),
        Rule::new("POST /batch/{count}").consume_from_param("tokens", Charge::Admit, "count"),
        Rule::new("POST /by").consume_by("tokens", Charge::Admit, |parts, _| parts.uri.query()?.parse().ok()),
        Rule::new("/reports/{id}").require("export").resource_from_param("id"),
    ]
}

/// The status of a request, how many units of tokens it cost, and whether it reached the handler.
async fn asked(method: &str, uri: &str, headers: &[(&'static str, &[u8])]) -> (u16, u64, bool) {
    let world = World::new().await;
    let probe = Probe::answering(200);
    let calls = probe.calls();
    let service = world.builder(FailMode::Closed).rules(rules()).build().unwrap().layer(probe);
    let mut request = request(method, uri, "starter-co");
    for (name, value) in headers {
        request.headers_mut().append(*name, HeaderValue::from_bytes(value).unwrap());
    }
    let status = service.oneshot(request).await.unwrap().status().as_u16();
    let reached = calls.load(std::sync::atomic::Ordering::SeqCst) > 0;
    (status, world.used("starter-co", "tokens").await, reached)
}

#[tokio::test]
async fn a_request_pays_what_it_asks_for() {
    assert_eq!(asked("POST", "/header", &[("x-tokens", b"7")]).await, (200, 7, true));
    assert_eq!(asked("POST", "/header", &[("x-tokens", b"100")]).await, (200, 100, true));
    assert_eq!(asked("POST", "/header", &[("x-tokens", b"101")]).await, (402, 0, false));
    assert_eq!(asked("POST", "/header", &[("x-tokens", b"9223372036854775807")]).await, (402, 0, false));
    assert_eq!(asked("POST", "/batch/12", &[]).await, (200, 12, true));
    assert_eq!(asked("POST", "/by?9", &[]).await, (200, 9, true));
}

#[tokio::test]
async fn an_absurd_amount_is_a_mistake_of_the_caller_and_costs_nothing() {
    for value in [
        &b"0"[..],
        b"-1",
        b"+1",
        b"",
        b" ",
        b"1.5",
        b"1e3",
        b"ten",
        b"\xff\xfe",
        b"9223372036854775808",
        b"0x10",
        b"1,2",
    ] {
        assert_eq!(asked("POST", "/header", &[("x-tokens", value)]).await, (400, 0, false), "{value:?}");
    }
    assert_eq!(asked("POST", "/header", &[("x-tokens", &b"9".repeat(60_000))]).await, (400, 0, false));
    assert_eq!(asked("POST", "/header", &[]).await, (400, 0, false));
    assert_eq!(asked("POST", "/header", &[("x-tokens", b"1"), ("x-tokens", b"1")]).await, (400, 0, false));
    for path in ["/batch/0", "/batch/-1", "/batch/x", "/batch/%31", "/batch/9223372036854775808"] {
        assert_eq!(asked("POST", path, &[]).await, (400, 0, false), "{path}");
    }
    for query in ["0", "-1", "-9223372036854775808", ""] {
        assert_eq!(asked("POST", &format!("/by?{query}"), &[]).await, (400, 0, false), "{query}");
    }
}

#[tokio::test]
async fn a_resource_has_one_name_however_it_is_spelt() {
    let world = World::new().await;
    let deny = Policy {
        effect: Effect::Deny,
        guardrail: true,
        target: Target {
            features: Some(vec![feature("export")]),
            resources: Some(vec!["secret".parse().unwrap()]),
            ..Target::default()
        },
        ..policy("no-secrets")
    };
    world.entitlements.insert_policy(&deny).await.unwrap();
    let service =
        world.builder(FailMode::Closed).rules(rules()).build().unwrap().layer(Probe::answering(200));
    for (path, status) in [
        ("/reports/open", 200),
        ("/reports/secret", 403),
        ("/reports/%73ecret", 403),
        ("/reports/%73%65%63%72%65%74", 403),
        // Decoded once, as the handler's router does.
        ("/reports/%2573ecret", 200),
        ("/reports/%ff", 400),
        ("/reports/%00", 400),
        // An odd spelling that finds the rule names the resource, too.
        ("/reports//secret", 403),
        ("/reports//open", 200),
    ] {
        let response = service.clone().oneshot(request("GET", path, "pro-co")).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
    }
    let long = format!("/reports/{}", "x".repeat(60_000));
    assert_eq!(service.oneshot(request("GET", &long, "pro-co")).await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_resource_can_come_from_a_header_or_a_closure() {
    let world = World::new().await;
    let rules = [
        Rule::new("/header").require("export").resource_from_header("x-report"),
        Rule::new("/by").require("export").resource_by(|parts, _| parts.uri.query().map(str::to_owned)),
    ];
    let service = world.builder(FailMode::Closed).rules(rules).build().unwrap().layer(Probe::answering(200));
    let long = "x".repeat(256);
    for (uri, header, status) in [
        ("/header", Some("r-1"), 200),
        ("/header", None, 400),
        ("/header", Some(""), 400),
        ("/header", Some(long.as_str()), 400),
        ("/by?r-1", None, 200),
        ("/by", None, 200),
        ("/by?", None, 400),
    ] {
        let mut request = request("GET", uri, "pro-co");
        if let Some(value) = header {
            request.headers_mut().insert("x-report", value.parse().unwrap());
        }
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{uri} {header:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_from_any_request_is_refused_at_the_start() {
    let world = World::new().await;
    for (rule, expected) in [
        (
            Rule::new("/a/{id}").consume_from_param("tokens", Charge::Admit, "count"),
            "rule `/a/{id}`: its path has no parameter `count`",
        ),
        (
            Rule::every_request().require("export").resource_from_param("id"),
            "rule `*`: its path has no parameter `id`",
        ),
        (
            Rule::new("/a").consume_from_header("tokens", Charge::Admit, "x tokens"),
            "rule `/a`: `x tokens` is no name of a header",
        ),
    ] {
        let error = world.builder(FailMode::Closed).rules([rule]).build().unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
