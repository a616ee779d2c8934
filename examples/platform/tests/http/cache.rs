//! What is remembered, and forgetting it.

use serde_json::json;

use crate::support::Server;

#[tokio::test]
async fn an_administrator_sees_how_the_caches_do() {
    let server = Server::start().await;
    let (admin, member) = (server.admin().await, server.member("pro-co").await);
    let check = json!({"companyId": "pro-co", "feature": "forecast", "action": "view"});
    for _ in 0..3 {
        server.send("POST", "/api/entitlements/check", Some(&member), Some(&check)).await;
    }
    let stats = server.send("GET", "/api/entitlements/cache", Some(&admin), None).await;
    assert_eq!(stats.status, 200, "{stats:?}");
    let stats = stats.json();
    assert!(stats["shared"].is_null(), "{stats}");
    assert_eq!(stats["process"]["entries"], 1, "{stats}");
    assert_eq!(stats["process"]["hits"], 2, "{stats}");
    assert_eq!(stats["process"]["misses"], 1, "{stats}");
    server.send("GET", "/api/entitlements/cache", Some(&member), None).await.problem(403, "forbidden");
}

#[tokio::test]
async fn an_administrator_makes_everybody_forget() {
    let server = Server::start().await;
    let (admin, member) = (server.admin().await, server.member("pro-co").await);
    let path = "/api/entitlements/invalidate";
    let check = json!({"companyId": "pro-co", "feature": "forecast", "action": "view"});
    for scope in [
        json!({}),
        json!({"companyId": "pro-co"}),
        json!({"companyId": "pro-co", "userId": "ann"}),
        json!({"companyId": "pro-co", "feature": "forecast"}),
        json!({"feature": "forecast"}),
    ] {
        server.send("POST", "/api/entitlements/check", Some(&member), Some(&check)).await;
        assert_eq!(server.send("POST", path, Some(&admin), Some(&scope)).await.status, 204, "{scope}");
        let stats = server.send("GET", "/api/entitlements/cache", Some(&admin), None).await.json();
        assert_eq!(stats["process"]["entries"], 0, "{scope} {stats}");
    }
    let alone = json!({"userId": "ann"});
    assert_eq!(server.send("POST", path, Some(&admin), Some(&alone)).await.status, 400);
    assert_eq!(server.send("POST", path, Some(&admin), Some(&json!({"company": "x"}))).await.status, 400);
    server.send("POST", path, Some(&member), Some(&json!({}))).await.problem(403, "forbidden");
}

#[tokio::test]
async fn a_redis_that_is_not_there_is_shown_and_harms_nobody() {
    let server = Server::with(&[("REDIS_URL", "redis://127.0.0.1:1")]).await;
    let member = server.member("pro-co").await;
    let ready = server.send("GET", "/readyz", None, None).await;
    assert_eq!((ready.status, ready.json()["redis"].as_str()), (200, Some("unavailable")));
    let check = json!({"companyId": "pro-co", "feature": "forecast", "action": "view"});
    let answer = server.send("POST", "/api/entitlements/check", Some(&member), Some(&check)).await;
    assert_eq!((answer.status, answer.json()["allowed"].as_bool()), (200, Some(true)));
    let metrics = server.send("GET", "/metrics", None, None).await.body;
    assert!(metrics.contains("entitlements_redis_connected 0"), "{metrics}");
}
