//! Usage that Stripe bills: reported by itself, and what is not settled is shown to operators.

use serde_json::{Value, json};

use crate::support::Server;

const METERS: (&str, &str) = ("STRIPE_METERS", "reports_generated=reports, nlq_queries");

async fn unsettled(server: &Server) -> Value {
    let shown = server.send("GET", "/api/billing/usage", Some(&server.admin().await), None).await;
    assert_eq!(shown.status, 200, "{shown:?}");
    shown.json()
}

/// Moves the clock a little: what is due is reported first.
async fn report(server: &Server) {
    let moved = server.send("POST", "/dev/clock", None, Some(&json!({"advance": "10s"}))).await;
    assert_eq!(moved.status, 200, "{moved:?}");
}

async fn sent(server: &Server) -> u64 {
    let metrics = server.send("GET", "/metrics", None, None).await.body;
    let line = metrics.lines().find(|it| it.starts_with("billing_usage_records_total{outcome=\"sent\"}"));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn usage_of_named_meters_is_reported_once() {
    let server = Server::with(&[METERS]).await;
    let (member, service) =
        (server.member("pro-co").await, server.token("pro-co", "worker", "service").await);
    for _ in 0..3 {
        assert_eq!(server.send("POST", "/v1/reports/generate", Some(&member), None).await.status, 200);
    }
    let usage = json!({"companyId": "pro-co", "meter": "compute_hours", "amount": 5, "idempotencyKey": "k"});
    let path = "/api/entitlements/usage";
    assert_eq!(server.send("POST", path, Some(&service), Some(&usage)).await.status, 200);
    report(&server).await;
    // Another one may have been at it.
    while sent(&server).await < 3 {
        report(&server).await;
    }
    assert_eq!(unsettled(&server).await, json!({"items": []}));

    let server = server.restart().await;
    report(&server).await;
    assert_eq!(sent(&server).await, 0, "nothing is reported again");
}

#[tokio::test]
async fn usage_without_a_customer_is_shown() {
    let server = Server::with(&[METERS]).await;
    let admin = server.admin().await;
    let grant = json!({"companyId": "guests", "feature": "nlq_queries", "amount": 9, "kind": "manual"});
    let made = server.send("POST", "/api/entitlements/grants", Some(&admin), Some(&grant)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let usage = json!({"companyId": "guests", "meter": "nlq_queries", "amount": 4, "idempotencyKey": "k"});
    let used = server.send("POST", "/api/entitlements/usage", Some(&admin), Some(&usage)).await;
    assert_eq!(used.status, 200, "{used:?}");
    report(&server).await;
    let shown = unsettled(&server).await;
    let item = &shown["items"][0];
    assert_eq!((&item["meter"], &item["state"]), (&json!("nlq_queries"), &json!("pending")), "{shown}");
    assert_eq!((&item["records"], &item["amount"]), (&json!(1), &json!(4)), "{shown}");
    let member = server.member("guests").await;
    server.send("GET", "/api/billing/usage", Some(&member), None).await.problem(403, "forbidden");
}
