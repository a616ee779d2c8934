//! Explanations over the API.

use serde_json::{Value, json};

use crate::support::Server;

async fn explained(server: &Server, token: &str, body: &Value) -> Value {
    let response = server.send("POST", "/api/entitlements/explain", Some(token), Some(body)).await;
    assert_eq!(response.status, 200, "{response:?}");
    let checked = server.send("POST", "/api/entitlements/check", Some(token), Some(body)).await;
    assert_eq!(response.json()["decision"], checked.json());
    response.json()
}

#[tokio::test]
async fn a_denial_shows_six_steps_and_what_would_change_it() {
    let server = Server::start().await;
    let token = server.member("starter-co").await;
    let body = json!({"companyId": "starter-co", "feature": "boardroom_live", "action": "view"});
    let explanation = explained(&server, &token, &body).await;
    let steps = explanation["steps"].as_array().unwrap();
    let words: Vec<_> = steps.iter().map(|step| (&step["step"], &step["outcome"])).collect();
    assert_eq!(
        json!(words),
        json!([
            ["known", "next"],
            ["guardrails", "next"],
            ["grants", "next"],
            ["plan", "next"],
            ["policies", "next"],
            ["default", "deny"]
        ])
    );
    let last = steps[3]["candidates"].as_array().unwrap().last().unwrap();
    assert_eq!(
        last,
        &json!({"id": "starter", "applies": false, "why": "does not include view boardroom_live"})
    );
    let changes: Vec<_> =
        explanation["counterfactual"].as_array().unwrap().iter().map(|c| (&c["kind"], &c["value"])).collect();
    assert_eq!(json!(changes), json!([["plan", "pro"], ["plan", "enterprise"], ["grant", "boardroom_live"]]));
}

#[tokio::test]
async fn an_allow_ends_at_the_step_that_decides() {
    let server = Server::start().await;
    let token = server.member("pro-co").await;
    let body =
        json!({"companyId": "pro-co", "feature": "reports_generated", "action": "create", "amount": 3});
    let explanation = explained(&server, &token, &body).await;
    assert_eq!(explanation["steps"][3]["outcome"], "allow");
    assert_eq!(explanation["steps"][4], json!({"step": "policies", "outcome": "next", "candidates": []}));
    assert_eq!(explanation["counterfactual"], json!([]));
}

#[tokio::test]
async fn another_company_and_a_malformed_question_are_refused() {
    let server = Server::start().await;
    let token = server.member("starter-co").await;
    let body = json!({"companyId": "pro-co", "feature": "forecast", "action": "view"});
    server
        .send("POST", "/api/entitlements/explain", Some(&token), Some(&body))
        .await
        .problem(403, "forbidden");
    let body = json!({"companyId": "starter-co", "feature": "forecast", "action": "look"});
    server
        .send("POST", "/api/entitlements/explain", Some(&token), Some(&body))
        .await
        .problem(400, "invalid_request");
}
