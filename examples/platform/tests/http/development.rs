//! Development mode over HTTP, and that it is gone without it.

use serde_json::json;

use crate::support::Server;

#[tokio::test]
async fn the_clock_stays_moved_after_a_restart_and_the_demo_companies_go_on() {
    let server = Server::start().await;
    let token = server.member("starter-co").await;
    let before = server.send("POST", "/dev/clock", None, Some(&json!({"advance": "0s"}))).await.json();
    let after = server.send("POST", "/dev/clock", None, Some(&json!({"advance": "40d"}))).await.json();
    assert!(after["now"].as_str().unwrap() > before["now"].as_str().unwrap(), "{before} {after}");
    assert!(after["now"].as_str().unwrap().ends_with('Z'), "{after}");
    assert_eq!(server.send("POST", "/v1/reports/generate", Some(&token), None).await.status, 200);

    let server = server.restart().await;
    let again = server.send("POST", "/dev/clock", None, Some(&json!({"advance": "0s"}))).await.json();
    assert!(again["now"].as_str().unwrap() >= after["now"].as_str().unwrap(), "{after} {again}");
    let response = server.send("POST", "/v1/reports/generate", Some(&token), None).await.json();
    assert_eq!(response["quota"]["used"], 2);
}

#[tokio::test]
async fn the_clock_moves_by_units_and_forwards_only() {
    let server = Server::start().await;
    for by in ["90s", "5m", "24h", "31d"] {
        let response = server.send("POST", "/dev/clock", None, Some(&json!({"advance": by}))).await;
        assert_eq!(response.status, 200, "{by}: {response:?}");
    }
    for by in
        [json!("-1d"), json!("1w"), json!("1.5h"), json!("d"), json!(31), json!(null), json!("99999999d")]
    {
        server.send("POST", "/dev/clock", None, Some(&json!({"advance": by}))).await.names("advance");
    }
    server.send("POST", "/dev/clock", None, Some(&json!({"by": "1d"}))).await.names("by");
}

#[tokio::test]
async fn a_token_is_made_for_a_known_role_and_valid_ids() {
    let server = Server::start().await;
    for (field, body) in [
        ("company", json!({"user": "ada"})),
        ("user", json!({"company": "acme"})),
        ("company", json!({"company": "a\nb", "user": "ada"})),
        ("role", json!({"company": "acme", "user": "ada", "role": "root"})),
    ] {
        server.send("POST", "/dev/tokens", None, Some(&body)).await.names(field);
    }
}

#[tokio::test]
async fn without_development_mode_there_is_none_of_it() {
    let server = Server::with(&[("PLATFORM_DEV", "0")]).await;
    for path in ["/dev/tokens", "/dev/clock"] {
        server.send("POST", path, None, Some(&json!({}))).await.problem(404, "not_found");
    }
    let key = jsonwebtoken::EncodingKey::from_secret(crate::support::SECRET.as_bytes());
    let claims =
        json!({"sub": "ada", "company": "starter-co", "exp": jsonwebtoken::get_current_timestamp() + 60});
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
    server.send("GET", "/v1/forecast", Some(&token), None).await.problem(402, "no_subscription");
}
