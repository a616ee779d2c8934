//! Usage over the API.

use serde_json::{Value, json};

use crate::support::{Response, Server};

const USAGE: &str = "/api/entitlements/usage";

async fn record(server: &Server, token: &str, meter: &str, amount: impl Into<Value>, key: &str) -> Response {
    let amount: Value = amount.into();
    let body = json!({"companyId": "starter-co", "meter": meter, "amount": amount, "idempotencyKey": key});
    server.send("POST", USAGE, Some(token), Some(&body)).await
}

#[tokio::test]
async fn a_key_counts_once() {
    let server = Server::start().await;
    let token = server.token("starter-co", "worker", "service").await;
    let first = record(&server, &token, "reports_generated", 4, "k1").await;
    assert_eq!(first.status, 200, "{first:?}");
    let first = first.json();
    let expected = json!({"outcome": "recorded", "receiptId": first["receiptId"], "meter": "reports_generated",
        "amount": 4, "used": 4, "limit": 10, "remaining": 6, "resetsAt": first["resetsAt"]});
    assert_eq!(first, expected);
    assert_eq!(record(&server, &token, "reports_generated", 5, "k2").await.json()["used"], 9);

    // The numbers of a duplicate are those of then.
    let again = record(&server, &token, "reports_generated", 4, "k1").await.json();
    assert_eq!(again["outcome"], "duplicate");
    assert_eq!((&again["used"], &again["receiptId"]), (&json!(4), &first["receiptId"]));
    record(&server, &token, "reports_generated", 1, "k1").await.problem(409, "idempotency_conflict");
}

#[tokio::test]
async fn what_does_not_fit_is_402_changes_nothing_and_keeps_no_key() {
    let server = Server::start().await;
    let token = server.token("starter-co", "worker", "service").await;
    let problem = record(&server, &token, "reports_generated", 11, "k").await.problem(402, "quota_exceeded");
    assert_eq!((&problem["limit"], &problem["used"]), (&json!(10), &json!(0)));
    assert_eq!(record(&server, &token, "reports_generated", 10, "k").await.json()["outcome"], "recorded");
    let overflow = record(&server, &token, "reports_generated", i64::MAX, "max").await;
    overflow.problem(402, "quota_exceeded");
}

#[tokio::test]
async fn an_unknown_meter_is_403_and_one_of_another_plan_402() {
    let server = Server::start().await;
    let token = server.token("starter-co", "worker", "service").await;
    record(&server, &token, "teleports", 1, "k").await.problem(403, "unknown_feature");
    record(&server, &token, "nlq_queries", 1, "k").await.problem(402, "feature_not_in_plan");
    for meter in ["forecast", "active_seats", "storage_gb"] {
        record(&server, &token, meter, 1, "k").await.names("meter");
    }
}

#[tokio::test]
async fn usage_that_makes_no_sense_names_the_field() {
    let server = Server::start().await;
    let token = server.token("starter-co", "worker", "service").await;
    for (field, value) in [
        ("companyId", json!(null)),
        ("meter", json!(null)),
        ("meter", json!("x".repeat(256))),
        ("amount", json!(null)),
        ("amount", json!(0)),
        ("amount", json!(-1)),
        ("amount", json!(2.5)),
        ("amount", json!(9_223_372_036_854_775_808_u64)),
        ("amount", json!(1e300)),
        ("idempotencyKey", json!(null)),
        ("idempotencyKey", json!("")),
        ("idempotencyKey", json!("x".repeat(256))),
        ("userId", json!("")),
        ("units", json!(1)),
    ] {
        let mut body = json!({"companyId": "starter-co", "meter": "reports_generated", "amount": 1, "idempotencyKey": "k"});
        body[field] = value;
        server.send("POST", USAGE, Some(&token), Some(&body)).await.names(field);
    }
}

#[tokio::test]
async fn only_services_and_administrators_count_usage() {
    let server = Server::start().await;
    for role in ["member", "billing"] {
        let token = server.token("starter-co", "ada", role).await;
        record(&server, &token, "reports_generated", 1, "k").await.problem(403, "forbidden");
    }
    let other = server.token("pro-co", "worker", "service").await;
    record(&server, &other, "reports_generated", 1, "k").await.problem(403, "forbidden");
    let admin = server.admin().await;
    assert_eq!(record(&server, &admin, "reports_generated", 1, "k").await.status, 200);
}

#[tokio::test]
async fn every_quota_is_listed() {
    let server = Server::start().await;
    let token = server.token("starter-co", "worker", "service").await;
    assert_eq!(record(&server, &token, "ai_tokens_input", 12, "k").await.status, 200);
    let list = server.send("GET", &format!("{USAGE}/starter-co"), Some(&token), None).await.json();
    let items = list["items"].as_array().unwrap();
    let meters: Vec<_> = items.iter().map(|item| item["meter"].as_str().unwrap()).collect();
    assert_eq!(meters, ["active_seats", "ai_tokens", "reports_generated", "storage_gb"]);
    let resets_at = &items[1]["resetsAt"];
    assert_eq!(
        items[1],
        json!({"meter": "ai_tokens", "limit": 100_000, "used": 12, "remaining": 99_988, "overage": 0, "soft": false,
               "resetsAt": resets_at, "parts": {"ai_tokens_input": 12, "ai_tokens_output": 0}})
    );
    assert_eq!((&items[0]["limit"], &items[0]["resetsAt"]), (&json!(5), &json!(null)));
    let enterprise = server.member("enterprise-co").await;
    let list = server.send("GET", &format!("{USAGE}/enterprise-co"), Some(&enterprise), None).await.json();
    assert!(list["items"].as_array().unwrap().iter().all(|item| item["limit"].is_null()), "{list}");
}

#[tokio::test]
async fn what_another_process_has_counted_is_listed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", folder.path().join("shared.db").display());
    let variables = [("DATABASE_URL", database.as_str())];
    let (here, there) = (Server::with(&variables).await, Server::with(&variables).await);
    let token = here.token("starter-co", "worker", "service").await;
    let reports = async |server: &Server| {
        let list = server.send("GET", &format!("{USAGE}/starter-co"), Some(&token), None).await.json();
        let items = list["items"].as_array().unwrap();
        items.iter().find(|item| item["meter"] == "reports_generated").unwrap()["used"].clone()
    };
    assert_eq!(reports(&there).await, 0);
    for used in 1..=3 {
        let key = format!("k{used}");
        assert_eq!(record(&here, &token, "reports_generated", 1, &key).await.status, 200);
        assert_eq!(reports(&there).await, used);
    }
}

#[tokio::test]
async fn a_company_without_facts_has_an_empty_list() {
    let server = Server::start().await;
    let token = server.member("nobody-co").await;
    let list = server.send("GET", &format!("{USAGE}/nobody-co"), Some(&token), None).await;
    assert_eq!((list.status, list.json()), (200, json!({"items": [], "next": null})));
}

#[tokio::test]
async fn metrics_tell_what_became_of_late_charges() {
    let server = Server::start().await;
    let token = server.member("pro-co").await;
    let metrics = async || server.send("GET", "/metrics", None, None).await.body;
    let before = metrics().await;
    for line in ["{outcome=\"done\"} 0\n", "{outcome=\"failed\"} 0\n", "{outcome=\"dropped\"} 0\n"] {
        assert!(before.contains(&format!("entitlements_settlements_total{line}")), "{line} in {before}");
    }
    for name in ["entitlements_settlement_failures_total", "entitlements_uncollected_units_total"] {
        assert!(before.contains(&format!("{name} 0\n")), "{name} in {before}");
    }
    let response = server.send("POST", "/v1/gen-ai", Some(&token), Some(&json!({"inputTokens": 7}))).await;
    assert_eq!(response.status, 200, "{response:?}");
    // It is settled off the request path.
    let mut text = String::new();
    for _ in 0..1000 {
        text = metrics().await;
        if text.contains("entitlements_settlements_waiting 0\n") {
            break;
        }
    }
    assert!(text.contains("entitlements_settlements_total{outcome=\"done\"} 1\n"), "{text}");
}
