//! Identity: tokens that count, and tokens that do not.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{SECRET, Server};

fn signed(secret: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

#[tokio::test]
async fn a_request_without_a_token_is_asked_for_one() {
    let server = Server::start().await;
    for (method, path) in [
        ("GET", "/v1/boardroom"),
        ("POST", "/v1/reports/generate"),
        ("POST", "/api/entitlements/check"),
        ("GET", "/api/entitlements/usage/starter-co"),
    ] {
        let response = server.send(method, path, None, None).await;
        response.problem(401, "unauthenticated");
        assert_eq!(response.header("www-authenticate"), Some("Bearer realm=\"platform\""));
    }
}

#[tokio::test]
async fn a_token_that_does_not_count_is_refused_and_says_why() {
    let server = Server::start().await;
    let claims = json!({"sub": "ada", "company": "pro-co", "exp": now() + 600});
    let good = signed(SECRET, &claims);
    assert_eq!(server.send("GET", "/v1/forecast", Some(&good), None).await.status, 200);
    let (_, rest) = good.split_once('.').unwrap();
    let expired = signed(SECRET, &json!({"sub": "ada", "company": "pro-co", "exp": now() - 1}));
    let forged = signed("another secret of thirty-two bytes!!!", &claims);
    let no_company = signed(SECRET, &json!({"sub": "ada", "exp": now() + 600}));
    // {"alg":"none","typ":"JWT"} and {"alg":"HS512","typ":"JWT"}
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", rest.split('.').next().unwrap());
    let other_algorithm = format!("eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.{rest}");
    for token in [&expired, &forged, &no_company, &unsigned, &other_algorithm, "garbage", "a.b.c"] {
        let response = server.send("GET", "/v1/forecast", Some(token), None).await;
        response.problem(401, "unauthenticated");
        let challenge = response.header("www-authenticate").unwrap();
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    }
    for headers in [
        "authorization: Basic YTpi\r\n".to_owned(),
        "authorization: Bearer\r\n".to_owned(),
        format!("authorization: Bearer {good}\r\nauthorization: Bearer {good}\r\n"),
    ] {
        server.raw("GET", "/v1/forecast", &headers, Vec::new()).await.problem(401, "unauthenticated");
    }
    let lower =
        server.raw("GET", "/v1/forecast", &format!("authorization: bearer {good}\r\n"), Vec::new()).await;
    assert_eq!(lower.status, 200);
}

#[tokio::test]
async fn moving_the_clock_expires_no_token() {
    let server = Server::start().await;
    let token = server.member("pro-co").await;
    let moved = server.send("POST", "/dev/clock", None, Some(&json!({"advance": "400d"}))).await;
    assert_eq!(moved.status, 200);
    assert_eq!(server.send("GET", "/v1/forecast", Some(&token), None).await.status, 200);
}

#[tokio::test]
async fn another_company_is_forbidden_whether_it_exists_or_not() {
    let server = Server::start().await;
    for role in ["member", "billing", "service"] {
        let token = server.token("starter-co", "ada", role).await;
        for other in ["pro-co", "no-such-co"] {
            let check = json!({"companyId": other, "feature": "forecast", "action": "view"});
            for (method, path, body) in [
                ("GET", format!("/api/entitlements/usage/{other}"), None),
                ("GET", format!("/api/entitlements/grants?companyId={other}"), None),
                ("POST", "/api/entitlements/check".into(), Some(&check)),
            ] {
                server.send(method, &path, Some(&token), body).await.problem(403, "forbidden");
            }
        }
    }
    let admin = server.admin().await;
    let usage = server.send("GET", "/api/entitlements/usage/pro-co", Some(&admin), None).await;
    assert_eq!(usage.status, 200);
}

#[tokio::test]
async fn only_administrators_change_what_companies_may_do() {
    let server = Server::start().await;
    for role in ["member", "billing", "service"] {
        let token = server.token("starter-co", "ada", role).await;
        for (method, path) in [
            ("POST", "/api/entitlements/grants"),
            ("DELETE", "/api/entitlements/grants/g1"),
            ("POST", "/api/entitlements/policies"),
            ("GET", "/api/entitlements/policies"),
            ("GET", "/api/entitlements/policies/p1"),
            ("PUT", "/api/entitlements/policies/p1"),
            ("DELETE", "/api/entitlements/policies/p1"),
            ("PUT", "/api/entitlements/addons"),
            ("PUT", "/api/entitlements/overrides"),
            ("DELETE", "/api/entitlements/overrides?companyId=starter-co&feature=sso"),
        ] {
            server.send(method, path, Some(&token), None).await.problem(403, "forbidden");
        }
    }
}

#[tokio::test]
async fn health_and_metrics_need_no_token_and_name_no_company() {
    let server = Server::start().await;
    let token = server.member("secretive-co").await;
    server.send("GET", "/v1/forecast", Some(&token), None).await.problem(402, "no_subscription");
    let live = server.send("GET", "/healthz", None, None).await;
    assert_eq!((live.status, live.json()["status"].as_str()), (200, Some("ok")));
    let ready = server.send("GET", "/readyz", None, None).await;
    assert_eq!((ready.status, ready.json()["store"].as_str()), (200, Some("ok")));
    server.send("GET", "/v1/forecast", None, None).await.problem(401, "unauthenticated");
    let metrics = server.send("GET", "/metrics", None, None).await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let expected =
        r#"entitlements_decisions_total{feature="forecast",outcome="deny",reason="no_subscription"} 1"#;
    assert!(metrics.body.contains(expected), "{}", metrics.body);
    let expected = "entitlements_turned_away_total{why=\"unauthenticated\"} 1\n";
    assert!(metrics.body.contains(expected), "{}", metrics.body);
    assert!(!metrics.body.contains("secretive-co"), "{}", metrics.body);
}
