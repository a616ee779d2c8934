//! Gauges over the API: holders and levels.

use serde_json::{Value, json};

use crate::support::{Response, Server};

const HOLDERS: &str = "/api/entitlements/holders";
const LEVELS: &str = "/api/entitlements/levels";

async fn acquire(server: &Server, token: &str, company: &str, holder: &str) -> Response {
    let body = json!({"companyId": company, "gauge": "active_seats", "holder": holder});
    server.send("POST", HOLDERS, Some(token), Some(&body)).await
}

async fn release(server: &Server, token: &str, company: &str, holder: &str) -> Response {
    let path = format!("{HOLDERS}?companyId={company}&gauge=active_seats&holder={holder}");
    server.send("DELETE", &path, Some(token), None).await
}

async fn set_level(server: &Server, token: &str, level: impl Into<Value>) -> Response {
    let level: Value = level.into();
    let body = json!({"companyId": "starter-co", "gauge": "storage_gb", "level": level});
    server.send("PUT", LEVELS, Some(token), Some(&body)).await
}

/// Used and remaining of a gauge, as the list of usage shows them.
async fn usage(server: &Server, gauge: &str) -> (Value, Value) {
    let token = server.member("starter-co").await;
    let list = server.send("GET", "/api/entitlements/usage/starter-co", Some(&token), None).await.json();
    let items = list["items"].as_array().unwrap();
    let item = items.iter().find(|item| item["meter"] == gauge).unwrap();
    (item["used"].clone(), item["remaining"].clone())
}

#[tokio::test]
async fn seats_are_held_by_name_up_to_the_limit() {
    seats(Server::start().await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn on_postgres_seats_are_held_by_name_up_to_the_limit() {
    seats(Server::on_postgres(&[]).await).await;
}

async fn seats(server: Server) {
    let token = server.token("starter-co", "worker", "service").await;
    for (number, name) in (1..).zip(["ada", "bob", "cid", "dan", "eve"]) {
        let response = acquire(&server, &token, "starter-co", name).await;
        assert_eq!(response.status, 201, "{response:?}");
        let expected =
            json!({"companyId": "starter-co", "gauge": "active_seats", "holder": name, "used": number});
        assert_eq!(response.json(), expected);
    }
    let problem = acquire(&server, &token, "starter-co", "fay").await.problem(402, "quota_exceeded");
    assert_eq!(
        (&problem["limit"], &problem["used"], &problem["feature"]),
        (&json!(5), &json!(5), &json!("active_seats"))
    );
    assert!(problem["upgrade"].to_string().contains("pro"), "{problem}");
    assert_eq!(usage(&server, "active_seats").await, (json!(5), json!(0)));
    // Who has a seat keeps it.
    let again = acquire(&server, &token, "starter-co", "ada").await;
    assert_eq!((again.status, &again.json()["used"]), (200, &json!(5)));
    assert_eq!(usage(&server, "active_seats").await, (json!(5), json!(0)));

    assert_eq!(release(&server, &token, "starter-co", "ada").await.status, 204);
    assert_eq!(usage(&server, "active_seats").await, (json!(4), json!(1)));
    release(&server, &token, "starter-co", "ada").await.problem(404, "not_found");
    assert_eq!(acquire(&server, &token, "starter-co", "fay").await.status, 201);
}

#[tokio::test]
async fn forty_at_once_get_five_seats() {
    let server = Server::start().await;
    let token = server.token("starter-co", "worker", "service").await;
    let asking: Vec<_> = (0..40)
        .map(|number| {
            let body =
                json!({"companyId": "starter-co", "gauge": "active_seats", "holder": format!("h{number}")});
            tokio::spawn(server.send("POST", HOLDERS, Some(&token), Some(&body)))
        })
        .collect();
    let mut statuses = Vec::new();
    for asked in asking {
        statuses.push(asked.await.unwrap().status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [[201; 5].as_slice(), [402; 35].as_slice()].concat());
    assert_eq!(usage(&server, "active_seats").await, (json!(5), json!(0)));
}

#[tokio::test]
async fn holders_are_listed_page_by_page() {
    let server = Server::start().await;
    let token = server.token("starter-co", "worker", "service").await;
    for name in ["cid", "ada", "bob"] {
        assert_eq!(acquire(&server, &token, "starter-co", name).await.status, 201);
    }
    let list = format!("{HOLDERS}?companyId=starter-co&gauge=active_seats&limit=2");
    let first = server.send("GET", &list, Some(&token), None).await.json();
    let names = |page: &Value| {
        let items = page["items"].as_array().unwrap();
        items.iter().map(|item| item["holder"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&first), ["ada", "bob"]);
    assert!(first["items"][0]["since"].is_string(), "{first}");
    let next = format!("{list}&cursor={}", first["next"].as_str().unwrap());
    let second = server.send("GET", &next, Some(&token), None).await.json();
    assert_eq!((names(&second), &second["next"]), (vec!["cid".into()], &json!(null)));
}

#[tokio::test]
async fn a_level_is_taken_up_to_the_limit_and_a_lower_one_always() {
    levels(Server::start().await).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn on_postgres_a_level_is_taken_up_to_the_limit_and_a_lower_one_always() {
    levels(Server::on_postgres(&[]).await).await;
}

async fn levels(server: Server) {
    let token = server.token("starter-co", "worker", "service").await;
    assert_eq!(set_level(&server, &token, 10).await.status, 204);
    assert_eq!(usage(&server, "storage_gb").await, (json!(10), json!(0)));
    let problem = set_level(&server, &token, 11).await.problem(402, "quota_exceeded");
    assert_eq!((&problem["limit"], &problem["used"]), (&json!(10), &json!(10)));
    assert_eq!(usage(&server, "storage_gb").await, (json!(10), json!(0)));

    // The limit falls below the level: a lower level is taken, a higher one is not.
    let admin = server.admin().await;
    let lower = json!({"companyId": "starter-co", "feature": "storage_gb", "value": 4});
    let response = server.send("PUT", "/api/entitlements/overrides", Some(&admin), Some(&lower)).await;
    assert_eq!(response.status, 204);
    assert_eq!(set_level(&server, &token, 7).await.status, 204);
    set_level(&server, &token, 8).await.problem(402, "quota_exceeded");
    assert_eq!(usage(&server, "storage_gb").await, (json!(7), json!(0)));
    assert_eq!(set_level(&server, &token, 0).await.status, 204);
    assert_eq!(usage(&server, "storage_gb").await, (json!(0), json!(4)));
}

#[tokio::test]
async fn what_is_no_such_gauge_is_refused() {
    let server = Server::start().await;
    let token = server.token("starter-co", "worker", "service").await;
    for gauge in ["storage_gb", "forecast", "reports_generated"] {
        let body = json!({"companyId": "starter-co", "gauge": gauge, "holder": "ada"});
        server.send("POST", HOLDERS, Some(&token), Some(&body)).await.names("gauge");
        let path = format!("{HOLDERS}?companyId=starter-co&gauge={gauge}&holder=ada");
        server.send("DELETE", &path, Some(&token), None).await.names("gauge");
    }
    for gauge in ["active_seats", "forecast", "reports_generated"] {
        let body = json!({"companyId": "starter-co", "gauge": gauge, "level": 0});
        server.send("PUT", LEVELS, Some(&token), Some(&body)).await.names("gauge");
    }
    let unknown = json!({"companyId": "starter-co", "gauge": "teleports", "holder": "ada"});
    server.send("POST", HOLDERS, Some(&token), Some(&unknown)).await.problem(403, "unknown_feature");
    let unknown = json!({"companyId": "starter-co", "gauge": "teleports", "level": 0});
    server.send("PUT", LEVELS, Some(&token), Some(&unknown)).await.problem(403, "unknown_feature");
    let path = format!("{HOLDERS}?companyId=starter-co&gauge=teleports&holder=ada");
    server.send("DELETE", &path, Some(&token), None).await.problem(404, "not_found");
    // A company without a plan.
    let admin = server.admin().await;
    acquire(&server, &admin, "nobody-co", "ada").await.problem(402, "no_subscription");
}

#[tokio::test]
async fn what_makes_no_sense_is_named() {
    let server = Server::start().await;
    let token = server.token("starter-co", "worker", "service").await;
    for (field, value) in [
        ("companyId", json!(null)),
        ("gauge", json!("")),
        ("gauge", json!("x".repeat(256))),
        ("holder", json!(null)),
        ("holder", json!("")),
        ("holder", json!("a\u{0}")),
        ("seat", json!(1)),
    ] {
        let mut body = json!({"companyId": "starter-co", "gauge": "active_seats", "holder": "ada"});
        body[field] = value;
        server.send("POST", HOLDERS, Some(&token), Some(&body)).await.names(field);
    }
    for level in [json!(null), json!(-1), json!(1.5), json!("7"), json!(9_223_372_036_854_775_808_u64)] {
        set_level(&server, &token, level).await.names("level");
    }
    let path = format!("{HOLDERS}?companyId=starter-co&gauge=active_seats");
    server.send("DELETE", &path, Some(&token), None).await.names("holder");
    server.send("GET", &format!("{path}&limit=0"), Some(&token), None).await.names("limit");
}

#[tokio::test]
async fn only_services_and_administrators_change_what_is_held() {
    let server = Server::start().await;
    for role in ["member", "billing"] {
        let token = server.token("starter-co", "ada", role).await;
        acquire(&server, &token, "starter-co", "ada").await.problem(403, "forbidden");
        release(&server, &token, "starter-co", "ada").await.problem(403, "forbidden");
        set_level(&server, &token, 1).await.problem(403, "forbidden");
    }
    let other = server.token("pro-co", "worker", "service").await;
    acquire(&server, &other, "starter-co", "ada").await.problem(403, "forbidden");
    release(&server, &other, "starter-co", "ada").await.problem(403, "forbidden");
    set_level(&server, &other, 1).await.problem(403, "forbidden");
    let list = format!("{HOLDERS}?companyId=starter-co&gauge=active_seats");
    server.send("GET", &list, Some(&other), None).await.problem(403, "forbidden");
    let admin = server.admin().await;
    assert_eq!(acquire(&server, &admin, "starter-co", "ada").await.status, 201);
    assert_eq!(set_level(&server, &admin, 1).await.status, 204);
}

#[tokio::test]
async fn what_is_held_survives_a_restart() {
    let server = Server::start().await;
    let token = server.token("starter-co", "worker", "service").await;
    acquire(&server, &token, "starter-co", "ada").await;
    set_level(&server, &token, 3).await;
    let server = server.restart().await;
    assert_eq!(usage(&server, "active_seats").await, (json!(1), json!(4)));
    assert_eq!(usage(&server, "storage_gb").await, (json!(3), json!(7)));
}
