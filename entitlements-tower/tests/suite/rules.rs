use entitlements_core::catalog::Charge;
use entitlements_core::{Action, Amount};
use entitlements_tower::{EntitlementLayer, FailMode, Rule, subject_extension};
use proptest::prelude::*;
use tower::{Layer, ServiceExt};

use crate::probe::Probe;
use crate::world::{World, request};

async fn problems(rules: Vec<Rule>) -> Vec<String> {
    let world = World::new().await;
    match world.builder(FailMode::Closed).rules(rules).build() {
        Ok(_) => Vec::new(),
        Err(error) => error.to_string().lines().map(String::from).collect(),
    }
}

#[tokio::test]
async fn rules_that_cannot_work_are_refused_by_name() {
    let table = [
        (
            Rule::new("boardroom").require("export"),
            "rule `boardroom`: the path `boardroom` must begin with `/`",
        ),
        (Rule::new("get /a").require("export"), "rule `get /a`: the method `get` must be in capitals"),
        (Rule::new("/a/{").require("export"), "rule `/a/{`: the path `/a/{` is malformed: "),
        (
            Rule::new("/{*rest}/a").require("export"),
            "rule `/{*rest}/a`: the path `/{*rest}/a` is malformed: ",
        ),
        (Rule::new("/a").require("exprot"), "rule `/a`: unknown feature `exprot`"),
        (Rule::new("/a").consume("report"), "rule `/a`: unknown feature `report`"),
        (Rule::new("/a").consume("export"), "rule `/a`: `export` is a flag, and only meters are consumed"),
        (
            Rule::new("/a").track_usage("boardroom", |_| 1),
            "rule `/a`: `boardroom` is a flag, and only meters are consumed",
        ),
        (
            Rule::new("/a").consume_units("reports", Amount::ZERO, Charge::Admit),
            "rule `/a`: consumes 0 units; the amount must be at least 1",
        ),
        (Rule::every_request().require("exprot"), "rule `*`: unknown feature `exprot`"),
    ];
    for (rule, expected) in table {
        let problems = problems(vec![rule]).await;
        assert!(
            problems.len() == 1 && problems[0].starts_with(expected),
            "{problems:?}, expected {expected}"
        );
    }
}

#[tokio::test]
async fn rules_that_conflict_are_refused_by_name() {
    let same =
        vec![Rule::new("GET /a/{id}").require("export"), Rule::new("GET /a/{key}").require("boardroom")];
    assert_eq!(
        problems(same).await,
        ["rule `GET /a/{key}`: matches the same requests as rule `GET /a/{id}`"]
    );
    let overlap =
        vec![Rule::new("/a/{id}").require("export"), Rule::new("GET /a/{*rest}").require("boardroom")];
    let found = problems(overlap).await;
    assert!(found.len() == 1 && found[0].contains("conflicts with"), "{found:?}");
    let every = vec![Rule::every_request().require("export"), Rule::every_request().require("boardroom")];
    assert_eq!(problems(every).await, ["rule `*`: there is another rule for every request"]);
    let fine = vec![Rule::new("GET /a").require("export"), Rule::new("/a").require("boardroom")];
    assert_eq!(problems(fine).await, [""; 0]);
}

#[tokio::test]
async fn every_problem_is_reported_at_once() {
    let rules = vec![Rule::new("/a").require("x").consume("y"), Rule::new("b").require("z")];
    let found = problems(rules).await;
    assert_eq!(found.len(), 4, "{found:?}");
}

/// Which rule a request matches, told by the feature that it is refused for.
async fn refused_for(rules: &[Rule], method: &str, uri: &str) -> String {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).rules(rules.to_vec()).build().unwrap();
    let response =
        layer.layer(Probe::answering(200)).oneshot(request(method, uri, "unknown-co")).await.unwrap();
    match serde_json::from_str::<serde_json::Value>(response.body()) {
        Ok(problem) => {
            format!("{} {}", problem["feature"].as_str().unwrap(), problem["action"].as_str().unwrap())
        }
        Err(_) => "passed".into(),
    }
}

#[tokio::test]
async fn the_rule_that_names_the_method_wins() {
    let rules = [
        Rule::new("/a").require("boardroom"),
        Rule::new("GET /a").require("export"),
        Rule::new("POST /a").require_action("export", Action::Export),
    ];
    let table = [
        ("GET", "export view"),
        ("HEAD", "export view"),
        ("CONNECT", "export view"),
        ("POST", "export export"),
        ("PUT", "boardroom update"),
        ("PATCH", "boardroom update"),
        ("DELETE", "boardroom delete"),
        ("OPTIONS", "boardroom view"),
        ("TRACE", "boardroom view"),
        ("PURGE", "boardroom view"),
        ("get", "boardroom view"),
    ];
    for (method, expected) in table {
        assert_eq!(refused_for(&rules, method, "/a").await, expected, "{method}");
    }
}

#[tokio::test]
async fn a_rule_for_head_wins_over_the_one_for_get() {
    let rules = [Rule::new("GET /a").require("export"), Rule::new("HEAD /a").require("boardroom")];
    assert_eq!(refused_for(&rules, "HEAD", "/a").await, "boardroom view");
    assert_eq!(refused_for(&rules, "GET", "/a").await, "export view");
    assert_eq!(refused_for(&rules, "POST", "/a").await, "passed");
}

#[tokio::test]
async fn a_rule_for_connect_wins_over_the_one_for_get() {
    let rules = [Rule::new("GET /a").require("export"), Rule::new("CONNECT /a").require("boardroom")];
    assert_eq!(refused_for(&rules, "CONNECT", "/a").await, "boardroom view");
    assert_eq!(refused_for(&rules, "HEAD", "/a").await, "export view");
    assert_eq!(refused_for(&rules, "GET", "/a").await, "export view");
}

#[tokio::test]
async fn the_most_specific_path_among_the_rules_of_the_method_wins() {
    let rules = [
        Rule::new("GET /v1/{*rest}").require("export"),
        Rule::new("POST /v1/boardroom").require("boardroom"),
        Rule::new("/v1/{*rest}").require("unsold"),
    ];
    let table = [
        // The narrower rule is for POST alone, so it does not open the path for GET.
        ("GET", "/v1/boardroom", "export view"),
        ("POST", "/v1/boardroom", "boardroom create"),
        ("POST", "/v1/other", "unsold create"),
        ("PUT", "/v1/boardroom", "unsold update"),
    ];
    for (method, uri, expected) in table {
        assert_eq!(refused_for(&rules, method, uri).await, expected, "{method} {uri}");
    }
}

#[tokio::test]
async fn a_raw_path_is_decoded_once_and_only_where_it_finds_no_rule_of_its_own() {
    let rules =
        [Rule::new("/v1/boardroom").require("boardroom"), Rule::new("/files/{name}").require("export")];
    for uri in [
        "/v1/./boardroom",
        "/v1/x/../boardroom",
        "/v1/x/%2e%2e/boardroom",
        "/v1/%2562oardroom",
        "/V1/boardroom",
        "/v1/boardroom%20",
        "/v1/boardroom;x",
    ] {
        assert_eq!(refused_for(&rules, "GET", uri).await, "passed", "{uri}");
    }
    for uri in ["/v1/boardroom", "/v1/boardroom?x=/../", "http://example.com/v1/boardroom"] {
        assert_eq!(refused_for(&rules, "GET", uri).await, "boardroom view", "{uri}");
    }
    // Whether the handler takes these for the boardroom is not known here.
    for uri in ["/v1/%62oardroom", "/v1%2Fboardroom", "/v1//%62oardroom/"] {
        assert_eq!(refused_for(&rules, "GET", uri).await, "boardroom view", "{uri}");
    }
    assert_eq!(refused_for(&rules, "GET", "/files/a%2Fb").await, "export view");
    assert_eq!(refused_for(&rules, "GET", "/files/a/b").await, "passed");
}

#[tokio::test]
async fn slashes_too_many_or_too_few_are_no_way_around_a_rule() {
    let rules = [Rule::new("/v1/boardroom").require("boardroom"), Rule::new("/v2/").require("export")];
    for uri in ["//v1/boardroom", "/v1//boardroom", "/v1/boardroom/", "///v1///boardroom//"] {
        assert_eq!(refused_for(&rules, "GET", uri).await, "boardroom view", "{uri}");
    }
    for uri in ["/v2/", "/v2", "/v2//", "//v2"] {
        assert_eq!(refused_for(&rules, "GET", uri).await, "export view", "{uri}");
    }
}

#[tokio::test]
async fn another_spelling_finds_only_narrower_rules() {
    let rules = [Rule::new("/a%62/{*rest}").require("export"), Rule::new("/ab/c").require("boardroom")];
    for (uri, expected) in [
        // The path decoded has a rule of its own, and the raw path a wider one, which is for other paths.
        ("/a%62/c", "export view"),
        ("/%61b/c", "boardroom view"),
    ] {
        assert_eq!(refused_for(&rules, "GET", uri).await, expected, "{uri}");
    }
}

#[tokio::test]
async fn a_catch_all_needs_something_to_catch() {
    let rules =
        [Rule::new("/v1/{*rest}").require("export"), Rule::new("/v2/files/{*rest}").require("export")];
    // A nested service takes one of the slashes behind its prefix for no part of the path.
    assert_eq!(refused_for(&rules, "GET", "/v2//files//").await, "export view");
    assert_eq!(refused_for(&rules, "GET", "/v2//files/").await, "passed");
    for (uri, expected) in
        [("/v1", "passed"), ("/v1/", "passed"), ("/v1/a", "export view"), ("/v1//", "export view")]
    {
        assert_eq!(refused_for(&rules, "GET", uri).await, expected, "{uri}");
    }
}

#[tokio::test]
async fn an_open_rule_lets_pass_where_the_rest_is_closed() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).route(Rule::new("/healthz"));
    let layer = layer.unmatched(entitlements_core::catalog::Unmatched::Deny).build().unwrap();
    let service = layer.layer(Probe::answering(200));
    // A rule that opens a path opens that path alone.
    for (uri, status) in [("/healthz", 200), ("/healthz/", 403), ("//healthz", 403), ("/other", 403)] {
        let response = service.clone().oneshot(request("GET", uri, "unknown-co")).await.unwrap();
        assert_eq!(response.status(), status, "{uri}");
    }
}

#[tokio::test]
async fn a_layer_for_one_route_asks_whatever_the_path() {
    let world = World::new().await;
    let layer = |action: Option<Action>| {
        EntitlementLayer::require(
            world.entitlements.clone(),
            subject_extension(),
            FailMode::Closed,
            "export",
            action,
        )
        .unwrap()
        .layer(Probe::answering(200))
    };
    // The starter plan may look at exports, and no more.
    for (action, method, status) in [
        (None, "GET", 200),
        (None, "POST", 402),
        (Some(Action::View), "POST", 200),
        (Some(Action::Export), "GET", 402),
    ] {
        let response = layer(action).oneshot(request(method, "/any/where", "starter-co")).await.unwrap();
        assert_eq!(response.status(), status, "{action:?} {method}");
    }
    assert!(world.layer().require_feature("exprot", None).is_err());
}

#[tokio::test]
async fn a_rule_for_every_request_leaves_the_others_their_paths() {
    let rules = [Rule::every_request().require("export"), Rule::new("POST /a").require("boardroom")];
    for (method, uri, expected) in
        [("POST", "/a", "boardroom create"), ("GET", "/a", "export view"), ("GET", "/b", "export view")]
    {
        assert_eq!(refused_for(&rules, method, uri).await, expected, "{method} {uri}");
    }
}

#[tokio::test]
async fn the_action_of_a_method_is_a_setting() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).rules([Rule::new("/a").require("export")]);
    let layer = layer.action(|method| (method.as_str() == "QUERY").then_some(Action::Query)).build().unwrap();
    let service = layer.layer(Probe::answering(200));
    for (method, status) in [("QUERY", 402), ("GET", 200)] {
        let response = service.clone().oneshot(request(method, "/a", "starter-co")).await.unwrap();
        assert_eq!(response.status(), status, "{method}");
    }
}

async fn forgotten(declared: &[&str]) -> Vec<String> {
    let world = World::new().await;
    match world
        .builder(FailMode::Closed)
        .route(Rule::new("GET /healthz"))
        .declared(declared.iter().copied())
        .build()
    {
        Ok(_) => Vec::new(),
        Err(error) => error.problems().iter().map(|problem| problem.rule.clone()).collect(),
    }
}

#[tokio::test]
async fn a_declared_route_without_a_rule_is_refused_at_the_start() {
    let fine = [
        "/boardroom",
        "GET /export",
        "HEAD /export",
        "CONNECT /export",
        "POST /reports/{other}",
        "GET /healthz",
    ];
    assert_eq!(forgotten(&fine).await, [""; 0]);
    let wrong = ["GET /free", "PUT /export", "/export", "/reports/{id}", "GET /reports/{id}", "healthz"];
    assert_eq!(forgotten(&wrong).await, wrong);
}

#[tokio::test]
async fn a_catalog_that_forgets_a_declared_route_is_not_put_in_force() {
    let world = World::new().await;
    let layer = world.builder(FailMode::Closed).declared(["/boardroom"]).build().unwrap();
    let service = layer.layer(Probe::answering(200));
    let without = crate::world::CATALOG.replace("match = \"/boardroom\"", "match = \"/elsewhere\"");
    world.entitlements.set_catalog(without.parse().unwrap());
    let response = service.oneshot(request("GET", "/boardroom", "starter-co")).await.unwrap();
    assert_eq!(response.status(), 402);
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 1000, failure_persistence: None, ..Default::default() })]

    /// Whatever stands in a rule, building says yes or no, and asking answers; neither panics.
    #[test]
    fn no_pattern_and_no_path_makes_anything_panic(
        patterns in prop::collection::vec("(GET |POST |g |)(/|/a|/\\{[a-z*]{0,3}\\}|/\\{\\{|\\}|[ -~é\n]){0,6}", 1..4),
        path in "(/|/a|/%[0-9a-f]{0,2}|[!-~&&[^?#]]){1,12}",
    ) {
        let entitlements = entitlements_core::Entitlements::builder(crate::world::catalog()).build();
        let rules = patterns.iter().map(|pattern| Rule::new(pattern).require("export"));
        let layer = EntitlementLayer::builder(entitlements, subject_extension(), FailMode::Closed).rules(rules).build();
        let uri = format!("/{path}").parse::<http::Uri>();
        if let (Ok(layer), Ok(uri)) = (layer, uri) {
            let (mut parts, ()) = http::Request::new(()).into_parts();
            parts.uri = uri;
            let verdict = layer.gate().begin(&parts);
            // Nobody is known, so a rule that is hit never lets pass.
            prop_assert_eq!(
                matches!(verdict, entitlements_tower::Verdict::Pass),
                layer.coverage().rules.iter().all(|rule| rule.hits == 0)
            );
        }
    }
}
