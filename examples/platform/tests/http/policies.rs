//! Policies over the API.

use serde_json::{Value, json};

use crate::support::Server;

const POLICIES: &str = "/api/entitlements/policies";

fn eu_only() -> Value {
    json!({"id": "eu-only", "name": "EU export", "priority": 10, "effect": "allow", "guardrail": false,
        "enabled": true, "startsAt": null, "endsAt": null,
        "target": {"companies": ["starter-co"], "users": null, "features": ["benchmarking"],
                   "actions": ["export"], "resources": null},
        "condition": {"all": [{"eq": ["context.region", "eu"]}, {"lt": ["context.seats", 25]}]}})
}

#[tokio::test]
async fn a_policy_allows_where_its_condition_holds_and_nowhere_else() {
    let server = Server::start().await;
    let (admin, token) = (server.admin().await, server.member("starter-co").await);
    let created = server.send("POST", POLICIES, Some(&admin), Some(&eu_only())).await;
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(created.json(), eu_only());
    for (context, reason) in [
        (json!({"region": "eu", "seats": 5}), "allowed_by_policy"),
        (json!({"region": "us", "seats": 5}), "feature_not_in_plan"),
        (json!({"region": "eu", "seats": 25}), "feature_not_in_plan"),
        (json!({"region": "eu"}), "feature_not_in_plan"),
        (json!(null), "feature_not_in_plan"),
    ] {
        let body = json!({"companyId": "starter-co", "feature": "benchmarking", "action": "export", "context": context});
        let decision = server.send("POST", "/api/entitlements/check", Some(&token), Some(&body)).await.json();
        assert_eq!(decision["reason"], reason, "{context}");
    }
}

#[tokio::test]
async fn a_deny_is_403_and_a_guardrail_stands_above_the_plan() {
    let server = Server::start().await;
    let (admin, starter, pro) =
        (server.admin().await, server.member("starter-co").await, server.member("pro-co").await);
    let deny = json!({"id": "deny", "effect": "deny", "target": {"features": ["boardroom_live"]}});
    assert_eq!(server.send("POST", POLICIES, Some(&admin), Some(&deny)).await.status, 201);
    server.send("GET", "/v1/boardroom", Some(&starter), None).await.problem(403, "policy_denied");
    assert_eq!(server.send("GET", "/v1/boardroom", Some(&pro), None).await.status, 200);

    let guardrail = json!({"effect": "deny", "guardrail": true, "target": {"features": ["boardroom_live"]}});
    let replaced = server.send("PUT", &format!("{POLICIES}/deny"), Some(&admin), Some(&guardrail)).await;
    assert_eq!((replaced.status, &replaced.json()["id"]), (200, &json!("deny")));
    server.send("GET", "/v1/boardroom", Some(&pro), None).await.problem(403, "policy_denied");

    assert_eq!(server.send("DELETE", &format!("{POLICIES}/deny"), Some(&admin), None).await.status, 204);
    assert_eq!(server.send("GET", "/v1/boardroom", Some(&pro), None).await.status, 200);
}

#[tokio::test]
async fn ids_are_taken_found_and_missed() {
    let server = Server::start().await;
    let admin = server.admin().await;
    assert_eq!(server.send("POST", POLICIES, Some(&admin), Some(&eu_only())).await.status, 201);
    server.send("POST", POLICIES, Some(&admin), Some(&eu_only())).await.problem(409, "taken");
    let found = server.send("GET", &format!("{POLICIES}/eu-only"), Some(&admin), None).await;
    assert_eq!((found.status, found.json()), (200, eu_only()));
    let unknown = format!("{POLICIES}/unknown");
    let body = json!({"effect": "deny"});
    server.send("GET", &unknown, Some(&admin), None).await.problem(404, "not_found");
    server.send("PUT", &unknown, Some(&admin), Some(&body)).await.problem(404, "not_found");
    server.send("DELETE", &unknown, Some(&admin), None).await.problem(404, "not_found");
    server.send("PUT", &unknown, Some(&admin), Some(&eu_only())).await.names("id");
}

#[tokio::test]
async fn every_problem_of_a_policy_is_told() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let body = json!({"id": "p", "effect": "perhaps", "priorty": 1, "target": {"actions": ["look"], "users": []},
        "condition": {"all": [{"equals": ["context.a", 1]}]}});
    let problem =
        server.send("POST", POLICIES, Some(&admin), Some(&body)).await.problem(400, "invalid_request");
    let fields: Vec<_> =
        problem["problems"].as_array().unwrap().iter().map(|p| p["field"].as_str().unwrap()).collect();
    for field in ["effect", "priorty", "target.actions[0]", "target.users"] {
        assert!(fields.contains(&field), "{field} in {fields:?}");
    }
    assert_eq!(fields.len(), 5, "{fields:?}");

    for (field, body) in [
        ("target.features", json!({"id": "p", "effect": "deny", "target": {"features": ["teleport"]}})),
        ("endsAt", json!({"id": "p", "effect": "deny", "endsAt": "2001-01-01T00:00:00Z"})),
        ("guardrail", json!({"id": "p", "effect": "allow", "guardrail": true})),
        ("id", json!({"effect": "deny"})),
        ("target.resources[0]", json!({"id": "p", "effect": "deny", "target": {"resources": ["a*b"]}})),
    ] {
        server.send("POST", POLICIES, Some(&admin), Some(&body)).await.names(field);
    }
}
