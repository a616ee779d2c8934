use entitlements_core::policy::{Effect, Policy, Target};
use entitlements_core::store::StoreErrorKind;
use entitlements_core::testkit::fixtures::{feature, policy};
use entitlements_core::{Catalog, Context};
use entitlements_tower::{
    Denial, EntitlementLayer, FailMode, GrpcStatus, Problem, ProblemJson, Rule, subject_extension,
};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};

use crate::probe::Probe;
use crate::store::Weather;
use crate::world::{CATALOG, World, anonymous, request};

async fn ask(world: &World, request: Request<String>) -> Response<String> {
    world.layer().layer(Probe::answering(200)).oneshot(request).await.unwrap()
}

fn json_of(response: &Response<String>) -> Value {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    serde_json::from_str(response.body()).unwrap()
}

#[tokio::test]
async fn every_reason_has_its_exact_body() {
    let world = World::new().await;
    let deny = Policy {
        effect: Effect::Deny,
        guardrail: true,
        target: Target { features: Some(vec![feature("export")]), ..Target::default() },
        ..policy("no-export")
    };
    world.entitlements.insert_policy(&deny).await.unwrap();
    let problem = |title: &str, status: u16, detail: &str, path: &str, rest: Value| {
        let mut body = json!({
            "type": "about:blank", "title": title, "status": status, "detail": detail, "instance": path,
        });
        body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        body
    };
    let table = [
        (
            ("GET", "/boardroom", "starter-co"),
            problem(
                "Feature not in plan",
                402,
                "the plan `starter` does not include `boardroom` for `view`",
                "/boardroom",
                json!({"code": "feature_not_in_plan", "feature": "boardroom", "action": "view", "plan": "starter",
                    "upgrade": [{"plan": "pro"}]}),
            ),
        ),
        (
            ("POST", "/boardroom", "unknown-co"),
            problem(
                "No subscription",
                402,
                "`boardroom` needs a subscription, and there is none",
                "/boardroom",
                json!({"code": "no_subscription", "feature": "boardroom", "action": "create",
                    "upgrade": [{"plan": "pro"}]}),
            ),
        ),
        (
            ("GET", "/boardroom", "lapsed-co"),
            problem(
                "Subscription inactive",
                402,
                "`boardroom` needs a subscription that gives access",
                "/boardroom",
                json!({"code": "subscription_inactive", "feature": "boardroom", "action": "view",
                    "upgrade": [{"plan": "pro"}]}),
            ),
        ),
        (
            ("DELETE", "/unsold", "pro-co"),
            problem(
                "Not granted",
                403,
                "`unsold` is not granted for `delete`",
                "/unsold",
                json!({"code": "not_granted", "feature": "unsold", "action": "delete", "plan": "pro"}),
            ),
        ),
        (
            ("GET", "/export", "pro-co"),
            problem(
                "Denied by policy",
                403,
                "a policy denies `export` for `view`",
                "/export",
                json!({"code": "policy_denied", "feature": "export", "action": "view"}),
            ),
        ),
    ];
    for ((method, path, company), expected) in table {
        let response = ask(&world, request(method, path, company)).await;
        let mut body = json_of(&response);
        assert_eq!(u64::from(response.status().as_u16()), expected["status"].as_u64().unwrap());
        assert!(!response.headers().contains_key("retry-after"));
        if expected["code"] != "feature_not_in_plan" && expected.get("plan").is_none() {
            // Whether the plan of a company without access is named is the core's business.
            body.as_object_mut().unwrap().remove("plan");
        }
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn an_exhausted_quota_is_a_402_that_says_when_it_resets() {
    let world = World::new().await;
    for _ in 0..3 {
        assert_eq!(ask(&world, request("POST", "/reports/1", "starter-co")).await.status(), 200);
    }
    let response = ask(&world, request("POST", "/reports/1?draft", "starter-co")).await;
    assert_eq!(response.status(), 402);
    assert!(!response.headers().contains_key("retry-after"));
    let expected = json!({
        "type": "about:blank", "title": "Quota exceeded", "status": 402,
        "detail": "the quota of `reports` is used up", "instance": "/reports/1", "code": "quota_exceeded",
        "feature": "reports", "action": "create", "plan": "starter", "limit": 3, "used": 3,
        "resetsAt": "2026-12-01T00:00:00Z",
    });
    assert_eq!(json_of(&response), expected);
}

#[tokio::test]
async fn what_cannot_be_decided_is_no_denial() {
    let world = World::new().await;
    let table =
        [(StoreErrorKind::Unavailable, 503, "unavailable"), (StoreErrorKind::Corrupt, 500, "internal")];
    for (kind, status, code) in table {
        world.store.set(Weather::Down(kind));
        for (method, path) in [("GET", "/boardroom"), ("POST", "/reports/1")] {
            let response = ask(&world, request(method, path, "starter-co")).await;
            assert_eq!(response.status(), status);
            let retry = response.headers().get("retry-after").map(HeaderValue::as_bytes);
            assert_eq!(retry, (status == 503).then_some(&b"1"[..]));
            let body = json_of(&response);
            assert_eq!(body["code"], code);
            for secret in ["plan", "feature", "upgrade", "limit", "action"] {
                assert_eq!(body.get(secret), None, "{secret}");
            }
            assert!(!response.body().contains("store"), "{}", response.body());
        }
    }
}

#[tokio::test]
async fn a_request_without_a_rule_is_refused_if_the_catalog_says_so() {
    let catalog = CATALOG.replace("unmatched = \"allow\"", "unmatched = \"deny\"");
    let world = World::with_catalog(Catalog::parse("catalog.toml", &catalog).unwrap()).await;
    let response = ask(&world, request("GET", "/elsewhere", "pro-co")).await;
    assert_eq!(
        (response.status(), json_of(&response)["code"].as_str()),
        (StatusCode::FORBIDDEN, Some("not_granted"))
    );
    assert_eq!(ask(&world, request("GET", "/boardroom", "pro-co")).await.status(), 200);
}

#[tokio::test]
async fn grpc_calls_are_answered_with_their_status() {
    let world = World::new().await;
    for _ in 0..3 {
        ask(&world, request("POST", "/reports/1", "starter-co")).await;
    }
    let grpc = |mut request: Request<String>| {
        let kind = HeaderValue::from_static("application/grpc+proto");
        request.headers_mut().insert("content-type", kind);
        request
    };
    let table = [
        (("POST", "/reports/1", "starter-co"), "8", "quota_exceeded: the quota of `reports` is used up"),
        (
            ("POST", "/boardroom", "unknown-co"),
            "8",
            "no_subscription: `boardroom` needs a subscription, and there is none",
        ),
        (
            ("POST", "/boardroom", "lapsed-co"),
            "8",
            "subscription_inactive: `boardroom` needs a subscription that gives access",
        ),
        (
            ("POST", "/boardroom", "starter-co"),
            "7",
            "feature_not_in_plan: the plan `starter` does not include `boardroom` for `create`",
        ),
        (("POST", "/unsold", "pro-co"), "7", "not_granted: `unsold` is not granted for `create`"),
    ];
    for ((method, path, company), status, message) in table {
        let response = ask(&world, grpc(request(method, path, company))).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["grpc-status"], status);
        assert_eq!(response.headers()["grpc-message"], message);
        assert_eq!(response.headers()["content-type"], "application/grpc");
        assert_eq!(response.body(), "");
    }
    let internal = ask(&world, grpc(anonymous("POST", "/boardroom"))).await;
    assert_eq!(internal.headers()["grpc-status"], "13");
    world.store.set(Weather::Down(StoreErrorKind::Unavailable));
    let unavailable = ask(&world, grpc(request("POST", "/boardroom", "pro-co"))).await;
    assert_eq!(unavailable.headers()["grpc-status"], "14");
    let layer = EntitlementLayer::builder(
        world.entitlements.clone(),
        subject_extension().optional(),
        FailMode::Closed,
    );
    let layer = layer.deny(GrpcStatus).build().unwrap();
    let nobody = layer.layer(Probe::answering(200)).oneshot(anonymous("POST", "/boardroom")).await.unwrap();
    assert_eq!(nobody.headers()["grpc-status"], "16");
}

#[tokio::test]
async fn an_application_can_answer_denials_in_its_own_way() {
    let world = World::new().await;
    let deny = |denial: &Denial, parts: &Parts| {
        let text = format!("{} {} {}", parts.method, denial.status(), denial.code());
        Response::builder().status(429).body(text).unwrap()
    };
    let layer = world.builder(FailMode::Closed).deny(deny).build().unwrap();
    let response =
        layer.layer(Probe::answering(200)).oneshot(request("GET", "/boardroom", "starter-co")).await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.body(), "GET 402 Payment Required feature_not_in_plan");
}

#[tokio::test]
async fn each_problem_can_have_a_type_of_its_own() {
    let world = World::new().await;
    let deny = ProblemJson::new().type_base("https://docs.example.com/");
    let layer = world.builder(FailMode::Closed).deny(deny).build().unwrap();
    let response =
        layer.layer(Probe::answering(200)).oneshot(request("GET", "/boardroom", "starter-co")).await.unwrap();
    assert_eq!(json_of(&response)["type"], "https://docs.example.com/feature_not_in_plan");
}

#[tokio::test]
async fn bodies_may_be_of_any_type() {
    let world = World::new().await;
    // What comes in has another type than what goes out, and neither is text.
    let inner = service_fn(async |_: Request<Vec<u8>>| {
        Ok::<_, std::convert::Infallible>(Response::new(Full::new(axum::body::Bytes::from("handled"))))
    });
    let service = world.layer().layer(inner);
    for (company, status) in [("pro-co", 200), ("starter-co", 402)] {
        let request = request("GET", "/boardroom", company).map(String::into_bytes);
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
        let bytes: Vec<u8> = response.into_body().collect().await.unwrap().to_bytes().into();
        assert!(!bytes.is_empty());
    }
}

#[tokio::test]
async fn a_very_long_path_is_answered_like_any_other() {
    let world = World::new().await;
    let path = format!("/reports/{}", "x".repeat(60 * 1024));
    assert_eq!(ask(&world, request("POST", &path, "pro-co")).await.status(), 200);
    let refused = ask(&world, request("POST", &path, "unknown-co")).await;
    assert_eq!(refused.status(), 402);
    assert_eq!(json_of(&refused)["instance"], path);
    let other = format!("/{}", "a/".repeat(30 * 1024));
    assert_eq!(ask(&world, request("POST", &other, "unknown-co")).await.status(), 200);
}

#[tokio::test]
async fn context_and_resource_reach_the_policies() {
    let world = World::new().await;
    let condition = json!({"all": [{"eq": ["context.region", "eu"]}, {"eq": ["resource", "report:7"]}]});
    let allow = Policy {
        when: entitlements_core::testkit::fixtures::condition(&condition),
        target: Target { features: Some(vec![feature("unsold")]), ..Target::default() },
        ..policy("eu-only")
    };
    world.entitlements.insert_policy(&allow).await.unwrap();
    let layer = world.builder(FailMode::Closed).rules([Rule::new("/x/{id}").require("unsold")]);
    let layer = layer.resource(|_, params| Some(format!("report:{}", params.get("id")?)));
    let service = layer.build().unwrap().layer(Probe::answering(200));
    for (path, region, status) in
        [("/x/7", "eu", 200), ("/x/7", "us", 403), ("/x/8", "eu", 403), ("/x/%37", "eu", 403)]
    {
        let mut request = request("GET", path, "pro-co");
        request.extensions_mut().insert(Context::default().with("region", region));
        assert_eq!(service.clone().oneshot(request).await.unwrap().status(), status, "{path} {region}");
    }
}

#[test]
fn a_denial_has_the_status_of_its_answer() {
    let table = [
        (Denial::Unauthenticated { challenge: HeaderValue::from_static("Bearer") }, 401, "unauthenticated"),
        (Denial::NoRule, 403, "not_granted"),
        (Denial::IdempotencyConflict, 409, "idempotency_conflict"),
        (Denial::IdempotencyKeyWornOut, 409, "idempotency_conflict"),
        (Denial::InvalidIdempotencyKey, 400, "invalid"),
        (Denial::Invalid { detail: "what is wrong".into() }, 400, "invalid"),
        (Denial::Unavailable, 503, "unavailable"),
        (Denial::Internal, 500, "internal"),
    ];
    for (denial, status, code) in table {
        assert_eq!((denial.status().as_u16(), denial.code()), (status, code));
        assert_eq!((denial.problem().status().as_u16(), denial.problem().code()), (status, code));
    }
}

#[test]
fn an_application_gets_problems_from_errors() {
    let problem =
        Problem::new(StatusCode::NOT_FOUND, "unknown_report", "No such report").detail("there is no `7`");
    let response: Response<String> = problem.into_response();
    assert_eq!(response.status(), 404);
    assert_eq!(json_of(&response)["detail"], "there is no `7`");
}
