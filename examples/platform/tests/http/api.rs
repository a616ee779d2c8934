//! Checks, grants, add-ons and overrides.

use serde_json::{Value, json};

use crate::support::Server;

const CHECK: &str = "/api/entitlements/check";
const GRANTS: &str = "/api/entitlements/grants";
const OVERRIDES: &str = "/api/entitlements/overrides";

async fn check(server: &Server, token: &str, body: &Value) -> Value {
    let response = server.send("POST", CHECK, Some(token), Some(body)).await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json()
}

#[tokio::test]
async fn a_decision_has_every_member() {
    let server = Server::start().await;
    let token = server.member("starter-co").await;
    let body = json!({"companyId": "starter-co", "feature": "boardroom_live", "action": "view"});
    let decision = check(&server, &token, &body).await;
    let expected = json!({
        "allowed": false, "reason": "feature_not_in_plan", "source": {"type": "plan", "id": "starter"},
        "feature": "boardroom_live", "action": "view", "plan": "starter", "value": null, "quota": null,
        "expiresAt": null, "degraded": null, "upgrade": [{"plan": "pro"}, {"plan": "enterprise"}],
        "asOf": decision["asOf"], "catalog": decision["catalog"]
    });
    assert_eq!(decision, expected);
    assert!(decision["asOf"].as_u64().unwrap() > 0);
    assert_eq!(decision["catalog"].as_str().unwrap().len(), 8);
}

#[tokio::test]
async fn a_check_of_a_meter_asks_for_an_amount_and_takes_none() {
    let server = Server::start().await;
    let token = server.member("starter-co").await;
    for (amount, allowed) in [(json!(null), true), (json!(10), true), (json!(11), false), (json!(0), true)] {
        let body = json!({"companyId": "starter-co", "userId": null, "feature": "reports_generated",
            "action": "create", "amount": amount, "resource": null, "context": {}});
        let decision = check(&server, &token, &body).await;
        assert_eq!(decision["allowed"], allowed, "{decision}");
        assert_eq!(decision["quota"]["used"], 0);
        assert_eq!(decision["quota"]["remaining"], 10);
        assert_eq!(decision["expiresAt"], decision["quota"]["resetsAt"]);
    }
}

#[tokio::test]
async fn what_is_unknown_is_denied_and_not_an_error() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let body = json!({"companyId": "starter-co", "feature": "teleport", "action": "view"});
    let decision = check(&server, &admin, &body).await;
    assert_eq!((&decision["allowed"], &decision["reason"]), (&json!(false), &json!("unknown_feature")));
    let body = json!({"companyId": "no-such-co", "feature": "forecast", "action": "view"});
    let decision = check(&server, &admin, &body).await;
    assert_eq!(decision["reason"], "no_subscription");
    assert_eq!(decision["plan"], json!(null));
}

#[tokio::test]
async fn a_check_that_makes_no_sense_names_the_field() {
    let server = Server::start().await;
    let token = server.member("starter-co").await;
    let long = "x".repeat(256);
    for (field, value) in [
        ("companyId", json!(null)),
        ("companyId", json!("")),
        ("companyId", json!(long)),
        ("companyId", json!(7)),
        ("userId", json!("a\nb")),
        ("feature", json!(null)),
        ("feature", json!(long)),
        ("feature", json!("a\u{0}b")),
        ("action", json!("look")),
        ("action", json!(null)),
        ("action", json!(["view"])),
        ("resource", json!(long)),
        ("resource", json!("")),
        ("amount", json!(-1)),
        ("amount", json!(1.5)),
        ("amount", json!("1")),
        ("amount", json!(9_223_372_036_854_775_808_u64)),
        ("context", json!([])),
        ("region", json!("eu")),
    ] {
        let mut body = json!({"companyId": "starter-co", "feature": "forecast", "action": "view"});
        body[field] = value;
        server.send("POST", CHECK, Some(&token), Some(&body)).await.names(field);
    }
}

#[tokio::test]
async fn a_trial_counts_until_it_is_voided() {
    let server = Server::start().await;
    let (admin, token) = (server.admin().await, server.member("starter-co").await);
    let grant = json!({"companyId": "starter-co", "userId": null, "feature": "boardroom_live", "actions": ["view"],
        "resource": null, "amount": null, "kind": "trial", "startsAt": null, "endsAt": "2999-12-24T01:00:00+01:00",
        "reason": "ticket 812"});
    let created = server.send("POST", GRANTS, Some(&admin), Some(&grant)).await;
    assert_eq!(created.status, 201, "{created:?}");
    let created = created.json();
    let id = created["id"].as_str().unwrap();
    assert_eq!(created["actions"], json!(["view"]));
    assert_eq!(created["endsAt"], "2999-12-24T00:00:00Z");
    assert_eq!((&created["voidedAt"], &created["userId"]), (&json!(null), &json!(null)));

    assert_eq!(server.send("GET", "/v1/boardroom", Some(&token), None).await.status, 200);
    server.send("POST", "/v1/boardroom", Some(&token), None).await.problem(402, "feature_not_in_plan");
    let body = json!({"companyId": "starter-co", "feature": "boardroom_live", "action": "view"});
    let decision = check(&server, &token, &body).await;
    assert_eq!(decision["source"], json!({"type": "grant", "id": id}));
    assert_eq!(decision["expiresAt"], "2999-12-24T00:00:00Z");

    let path = format!("{GRANTS}/{id}");
    let voided = server.send("DELETE", &path, Some(&admin), None).await;
    assert_eq!((voided.status, voided.body.as_str()), (204, ""));
    server.send("GET", "/v1/boardroom", Some(&token), None).await.problem(402, "feature_not_in_plan");
    server.send("DELETE", &path, Some(&admin), None).await.problem(404, "not_found");
    let list = server.send("GET", &format!("{GRANTS}?companyId=starter-co"), Some(&token), None).await.json();
    let mut expected = created.clone();
    expected["voidedAt"] = list["items"][0]["voidedAt"].clone();
    assert!(expected["voidedAt"].is_string(), "{list}");
    assert_eq!(list["items"], json!([expected]));
    assert_eq!(list["next"], json!(null));
}

#[tokio::test]
async fn a_grant_that_makes_no_sense_names_the_field() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for (field, value) in [
        ("feature", json!("teleport")),
        ("feature", json!(null)),
        ("companyId", json!(null)),
        ("actions", json!([])),
        ("actions", json!(["look"])),
        ("resource", json!("re*port")),
        ("amount", json!(5)),
        ("amount", json!(0)),
        ("amount", json!(-1)),
        ("kind", json!("gift")),
        ("startsAt", json!("tomorrow")),
        ("endsAt", json!("2001-01-01T00:00:00Z")),
        ("reason", json!("x".repeat(1001))),
        ("end", json!("2999-01-01T00:00:00Z")),
    ] {
        let mut body = json!({"companyId": "acme", "feature": "forecast", "kind": "trial"});
        body[field] = value;
        server.send("POST", GRANTS, Some(&admin), Some(&body)).await.names(field);
    }
    let backwards = json!({"companyId": "acme", "feature": "forecast", "startsAt": "2999-01-02T00:00:00Z",
        "endsAt": "2999-01-01T00:00:00Z"});
    server.send("POST", GRANTS, Some(&admin), Some(&backwards)).await.names("endsAt");
}

#[tokio::test]
async fn an_id_of_a_grant_is_taken_once() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let grant = json!({"id": "g/1", "companyId": "acme", "feature": "forecast"});
    assert_eq!(server.send("POST", GRANTS, Some(&admin), Some(&grant)).await.status, 201);
    server.send("POST", GRANTS, Some(&admin), Some(&grant)).await.problem(409, "taken");
    assert_eq!(server.send("DELETE", &format!("{GRANTS}/g%2F1"), Some(&admin), None).await.status, 204);
    server.send("DELETE", &format!("{GRANTS}/nothing"), Some(&admin), None).await.problem(404, "not_found");
    server.send("DELETE", &format!("{GRANTS}/{}", "x".repeat(256)), Some(&admin), None).await.names("id");
    server.send("DELETE", &format!("{GRANTS}/%FF"), Some(&admin), None).await.problem(400, "invalid_request");
}

#[tokio::test]
async fn an_override_replaces_what_the_plan_gives() {
    overrides(Server::start().await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn on_postgres_an_override_replaces_what_the_plan_gives() {
    overrides(Server::on_postgres(&[]).await).await;
}

async fn overrides(server: Server) {
    let (admin, token) = (server.admin().await, server.member("starter-co").await);
    let body = json!({"companyId": "starter-co", "feature": "sso", "value": true});
    let put = server.send("PUT", OVERRIDES, Some(&admin), Some(&body)).await;
    assert_eq!((put.status, put.body.as_str()), (204, ""));
    let ask = json!({"companyId": "starter-co", "feature": "sso", "action": "view"});
    assert_eq!(check(&server, &token, &ask).await["allowed"], true);

    let path = format!("{OVERRIDES}?companyId=starter-co&feature=sso");
    assert_eq!(server.send("DELETE", &path, Some(&admin), None).await.status, 204);
    server.send("DELETE", &path, Some(&admin), None).await.problem(404, "not_found");
    assert_eq!(check(&server, &token, &ask).await["allowed"], false);

    for (field, body) in [
        ("feature", json!({"companyId": "starter-co", "feature": "teleport", "value": true})),
        ("value", json!({"companyId": "starter-co", "feature": "sso", "value": 7})),
        ("value", json!({"companyId": "starter-co", "feature": "sso", "value": null})),
        ("value", json!({"companyId": "starter-co", "feature": "reports_generated", "value": {"limit": 5}})),
        ("value", json!({"companyId": "starter-co", "feature": "ai_tokens_input", "value": "unlimited"})),
    ] {
        server.send("PUT", OVERRIDES, Some(&admin), Some(&body)).await.names(field);
    }
    server.send("DELETE", OVERRIDES, Some(&admin), None).await.names("companyId");
}

/// A catalog with an add-on, in a folder of its own.
fn with_an_addon() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("catalog.toml");
    let text = include_str!("../../catalog.toml")
        .replace("[routing]", "[addons.report_pack.grants]\nreports_generated = { add = 50 }\n\n[routing]");
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap().to_owned();
    (folder, path)
}

#[tokio::test]
async fn an_addon_adds_its_units_times_the_quantity() {
    let (_folder, catalog) = with_an_addon();
    addons(Server::with(&[("CATALOG_PATH", &catalog)]).await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn on_postgres_an_addon_adds_its_units_times_the_quantity() {
    let (_folder, catalog) = with_an_addon();
    addons(Server::on_postgres(&[("CATALOG_PATH", &catalog)]).await).await;
}

async fn addons(server: Server) {
    let (admin, token) = (server.admin().await, server.member("starter-co").await);
    let put = async |addon: &str, quantity: Value| {
        let body = json!({"companyId": "starter-co", "addon": addon, "quantity": quantity});
        server.send("PUT", "/api/entitlements/addons", Some(&admin), Some(&body)).await
    };
    let ask = json!({"companyId": "starter-co", "feature": "reports_generated", "action": "create"});
    for (quantity, limit) in [(2, 110), (0, 10)] {
        assert_eq!(put("report_pack", json!(quantity)).await.status, 204);
        assert_eq!(check(&server, &token, &ask).await["quota"]["limit"], limit);
    }
    put("seat_pack", json!(1)).await.names("addon");
    put("report_pack", json!(-1)).await.names("quantity");
    put("report_pack", json!(4_294_967_296_u64)).await.names("quantity");
}

#[tokio::test]
async fn a_wrong_method_is_405_and_names_the_right_ones() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for (method, path, allow) in [
        ("GET", CHECK, "POST"),
        ("PUT", GRANTS, "POST,GET,HEAD"),
        ("GET", "/api/entitlements/grants/g1", "DELETE"),
        ("POST", "/api/entitlements/usage/starter-co", "GET,HEAD"),
        ("POST", "/healthz", "GET,HEAD"),
        ("GET", "/dev/tokens", "POST"),
    ] {
        let response = server.send(method, path, Some(&admin), None).await;
        response.problem(405, "method_not_allowed");
        assert_eq!(response.header("allow"), Some(allow), "{method} {path}");
    }
}
