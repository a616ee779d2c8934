//! The audit log over the API, and erasure.

use serde_json::{Value, json};

use crate::support::Server;

const AUDIT: &str = "/api/entitlements/audit?companyId=starter-co";

/// The items of the audit log of `starter-co`, newest first.
async fn items(server: &Server, token: &str) -> Vec<Value> {
    let page = server.send("GET", AUDIT, Some(token), None).await;
    assert_eq!(page.status, 200, "{page:?}");
    page.json()["items"].as_array().unwrap().clone()
}

fn outcomes(items: &[Value]) -> Vec<(&str, &str)> {
    items.iter().map(|item| (item["feature"].as_str().unwrap(), item["reason"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_check_is_in_the_log_at_once_and_an_explanation_never() {
    let server = Server::start().await;
    let token = server.member("starter-co").await;
    let body = json!({"companyId": "starter-co", "userId": "bob", "feature": "forecast", "action": "view", "resource": "r:1"});
    for _ in 0..2 {
        server.send("POST", "/api/entitlements/check", Some(&token), Some(&body)).await;
    }
    server.send("POST", "/api/entitlements/explain", Some(&token), Some(&body)).await;
    server.send("GET", "/api/entitlements/usage/starter-co", Some(&token), None).await;
    let items = items(&server, &token).await;
    assert_eq!(items.len(), 2, "{items:?}");
    let first = &items[1];
    assert_eq!(
        *first,
        json!({"at": first["at"], "companyId": "starter-co", "userId": "bob", "feature": "forecast", "action": "view",
               "resource": "r:1", "allowed": false, "reason": "feature_not_in_plan",
               "source": {"type": "plan", "id": "starter"}, "tier": "store", "latencyUs": first["latencyUs"]})
    );
    assert!(first["latencyUs"].is_u64());
    assert_eq!(items[0]["tier"], "process");
    assert!(items[0]["at"].as_str() > first["at"].as_str(), "newest first: {items:?}");
}

#[tokio::test]
async fn gates_and_usage_are_in_the_log() {
    gates_and_usage(Server::start().await).await;
}

async fn gates_and_usage(server: Server) {
    let token = server.token("starter-co", "worker", "service").await;
    assert_eq!(server.send("GET", "/v1/boardroom", Some(&token), None).await.status, 402);
    assert_eq!(server.send("POST", "/v1/reports/generate", Some(&token), None).await.status, 200);
    let usage = |amount: u32, key: &str| {
        let body = json!({"companyId": "starter-co", "userId": "bob", "meter": "reports_generated", "amount": amount, "idempotencyKey": key});
        server.send("POST", "/api/entitlements/usage", Some(&token), Some(&body))
    };
    assert_eq!(usage(9, "k").await.status, 200);
    assert_eq!(usage(1, "l").await.status, 402);
    assert_eq!(usage(9, "k").await.json()["outcome"], "duplicate");
    let items = items(&server, &token).await;
    assert_eq!(
        outcomes(&items),
        [
            ("reports_generated", "quota_exceeded"),
            ("reports_generated", "allowed_by_plan"),
            ("reports_generated", "allowed_by_plan"),
            ("report_builder", "allowed_by_plan"),
            ("boardroom_live", "feature_not_in_plan"),
        ]
    );
    assert_eq!((&items[0]["userId"], &items[2]["userId"]), (&json!("bob"), &json!("worker")));
    assert_eq!((&items[0]["action"], &items[3]["action"]), (&json!("create"), &json!("create")));
}

#[tokio::test]
async fn the_log_is_paged_and_survives_a_restart() {
    let server = Server::start().await;
    let token = server.member("starter-co").await;
    for number in 0..5 {
        let body = json!({"companyId": "starter-co", "feature": format!("f{number}"), "action": "view"});
        server.send("POST", "/api/entitlements/check", Some(&token), Some(&body)).await;
    }
    // Nobody has read it: it is written when the server ends.
    let server = server.restart().await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.send("GET", &format!("{AUDIT}&limit=2{cursor}"), Some(&token), None).await.json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["feature"].clone()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["f4", "f3", "f2", "f1", "f0"]);
}

#[tokio::test]
async fn a_member_reads_the_log_of_its_own_company() {
    let server = Server::start().await;
    let foreign = server.member("pro-co").await;
    server.send("GET", AUDIT, Some(&foreign), None).await.problem(403, "forbidden");
    assert_eq!(server.send("GET", AUDIT, None, None).await.status, 401);
    assert_eq!(items(&server, &server.admin().await).await, Vec::<Value>::new());
    let admin = server.admin().await;
    server.send("GET", "/api/entitlements/audit", Some(&admin), None).await.names("companyId");
    server.send("GET", &format!("{AUDIT}&limit=0"), Some(&admin), None).await.names("limit");
    server.send("GET", &format!("{AUDIT}&cursor=00"), Some(&admin), None).await.names("cursor");
    server.send("GET", &format!("{AUDIT}&user=a"), Some(&admin), None).await.names("user");
}

#[tokio::test]
async fn an_erased_company_is_gone_and_its_log_is_nobodys() {
    erase(Server::start().await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn on_postgres_an_erased_company_is_gone_and_its_log_is_nobodys() {
    erase(Server::on_postgres(&[]).await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn on_postgres_gates_and_usage_are_in_the_log() {
    gates_and_usage(Server::on_postgres(&[]).await).await;
}

async fn erase(server: Server) {
    let (admin, member) = (server.admin().await, server.member("starter-co").await);
    assert_eq!(server.send("POST", "/v1/reports/generate", Some(&member), None).await.status, 200);
    let company = "/api/companies/starter-co";
    server.send("DELETE", company, Some(&member), None).await.problem(403, "forbidden");
    server.send("DELETE", company, None, None).await.problem(401, "unauthenticated");
    assert_eq!(server.send("DELETE", company, Some(&admin), None).await.status, 204);
    server.send("DELETE", company, Some(&admin), None).await.problem(404, "not_found");
    server.send("DELETE", "/api/companies/nobody-co", Some(&admin), None).await.problem(404, "not_found");
    assert_eq!(server.send("GET", company, Some(&admin), None).await.status, 405);

    assert_eq!(items(&server, &member).await, Vec::<Value>::new());
    let usage = server.send("GET", "/api/entitlements/usage/starter-co", Some(&member), None).await.json();
    assert_eq!(usage["items"], json!([]));
    let gate = server.send("POST", "/v1/reports/generate", Some(&member), None).await;
    gate.problem(402, "no_subscription");
    // The gate's refusal is a new trace.
    assert_eq!(server.send("DELETE", company, Some(&admin), None).await.status, 204);
    // The others are as they were.
    let other = server.member("pro-co").await;
    assert_eq!(server.send("GET", "/v1/boardroom", Some(&other), None).await.status, 200);
}

#[tokio::test]
async fn metrics_tell_what_became_of_the_notes() {
    let server = Server::start().await;
    let token = server.member("starter-co").await;
    server.send("GET", "/v1/boardroom", Some(&token), None).await;
    items(&server, &token).await;
    let text = server.send("GET", "/metrics", None, None).await.body;
    for line in [
        "entitlements_audit_entries_total{outcome=\"stored\"} 1\n",
        "entitlements_audit_entries_total{outcome=\"dropped\"} 0\n",
        "entitlements_audit_waiting 0\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}
