//! Responses to writes carry a revision, and requests may.

use serde_json::{Value, json};

use crate::support::{Response, Server};

const HEADER: &str = "entitlements-revision";

/// A request that carries a revision, or something else.
async fn carrying(
    server: &Server,
    path: &str,
    token: &str,
    revision: &str,
    body: Option<&Value>,
) -> Response {
    let headers = format!(
        "authorization: Bearer {token}\r\n{HEADER}: {revision}\r\ncontent-type: application/json\r\n"
    );
    let method = if body.is_some() { "POST" } else { "GET" };
    server.raw(method, path, &headers, body.map(Value::to_string).unwrap_or_default().into_bytes()).await
}

fn revision(response: &Response) -> u64 {
    assert!((200..300).contains(&response.status), "{response:?}");
    response.header(HEADER).unwrap_or_else(|| panic!("{response:?}")).parse().unwrap()
}

#[tokio::test]
async fn every_write_tells_its_revision_and_reads_tell_none() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let mut last = 0;
    let grant = json!({"id": "g", "companyId": "starter-co", "feature": "boardroom_live", "kind": "trial",
                       "endsAt": "2999-01-01T00:00:00Z"});
    let policy = json!({"id": "p", "effect": "deny", "target": {"features": ["forecast"]}});
    let pack = json!({"companyId": "starter-co", "feature": "forecast", "value": true});
    for (method, path, body) in [
        ("POST", "/api/entitlements/grants", Some(&grant)),
        ("DELETE", "/api/entitlements/grants/g", None),
        ("POST", "/api/entitlements/policies", Some(&policy)),
        ("PUT", "/api/entitlements/policies/p", Some(&policy)),
        ("DELETE", "/api/entitlements/policies/p", None),
        ("PUT", "/api/entitlements/overrides", Some(&pack)),
        ("DELETE", "/api/entitlements/overrides?companyId=starter-co&feature=forecast", None),
    ] {
        let written = revision(&server.send(method, path, Some(&admin), body).await);
        assert!(last < written, "{method} {path}: {written} after {last}");
        last = written;
    }
    let read = server.send("GET", "/api/entitlements/grants?companyId=starter-co", Some(&admin), None).await;
    assert_eq!((read.status, read.header(HEADER)), (200, None));
}

#[tokio::test]
async fn changes_of_a_subscription_tell_their_revision() {
    let server = Server::start().await;
    let buyer = server.token("new-co", "ben", "billing").await;
    let body = json!({"companyId": "new-co", "plan": "pro", "trialDays": 7});
    let made = server.send("POST", "/api/billing/subscriptions", Some(&buyer), Some(&body)).await;
    let first = revision(&made);
    let path = format!("/api/billing/subscriptions/{}", made.json()["id"].as_str().unwrap());
    let changed = server.send("PATCH", &path, Some(&buyer), Some(&json!({"plan": "starter"}))).await;
    assert!(first < revision(&changed));
    let path = format!("{path}/cancel");
    let ended = server.send("POST", &path, Some(&buyer), Some(&json!({"atPeriodEnd": false}))).await;
    assert!(revision(&changed) < revision(&ended));
}

#[tokio::test]
async fn a_revision_that_is_none_or_does_not_exist_changes_no_answer() {
    let server = Server::start().await;
    let (admin, member) = (server.admin().await, server.member("starter-co").await);
    let check = json!({"companyId": "starter-co", "feature": "boardroom_live", "action": "view"});
    for value in ["0", "1", "18446744073709551615", "18446744073709551616", "-1", "later", ""] {
        let gate = carrying(&server, "/v1/boardroom", &member, value, None).await;
        assert_eq!(gate.status, 402, "{value}: {gate:?}");
        for token in [&admin, &member] {
            let asked = carrying(&server, "/api/entitlements/check", token, value, Some(&check)).await;
            assert_eq!((asked.status, &asked.json()["allowed"]), (200, &json!(false)), "{value}: {asked:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn who_carries_the_revision_reads_its_write_at_once_at_another_platform() {
    let url = crate::two_processes::database("token");
    let variables = [("DATABASE_URL", url.as_str())];
    let (here, there) = (Server::with(&variables).await, Server::with(&variables).await);
    let (admin, member) = (here.admin().await, there.member("starter-co").await);
    let grant = json!({"companyId": "starter-co", "feature": "boardroom_live", "kind": "trial",
                       "endsAt": "2999-01-01T00:00:00Z"});
    let check = json!({"companyId": "starter-co", "feature": "boardroom_live", "action": "view"});
    for round in 0..10 {
        let granted = here.send("POST", "/api/entitlements/grants", Some(&admin), Some(&grant)).await;
        let token = revision(&granted).to_string();
        assert_eq!(carrying(&there, "/v1/boardroom", &member, &token, None).await.status, 200, "{round}");
        let path = format!("/api/entitlements/grants/{}", granted.json()["id"].as_str().unwrap());
        let token = revision(&here.send("DELETE", &path, Some(&admin), None).await).to_string();
        // Of another company than the caller's: an administrator asks.
        let asked = carrying(&there, "/api/entitlements/check", &admin, &token, Some(&check)).await;
        assert_eq!(asked.json()["allowed"], false, "{round}: {asked:?}");
        assert_eq!(carrying(&there, "/v1/boardroom", &member, &token, None).await.status, 402, "{round}");
    }
}
