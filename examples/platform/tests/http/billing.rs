//! Buying over HTTP: what is bought, changed, unpaid or cancelled is what the next request sees.

use serde_json::{Value, json};

use crate::support::{Response, Server, fetch};

const SUBSCRIPTIONS: &str = "/api/billing/subscriptions";

async fn buyer(server: &Server) -> String {
    server.token("acme", "bea", "billing").await
}

async fn subscribe(server: &Server, token: &str, order: Value) -> Response {
    server.send("POST", SUBSCRIPTIONS, Some(token), Some(&order)).await
}

/// The paid subscription of `acme` to a plan, and the token of who bought it.
async fn subscribed(server: &Server, plan: &str) -> (String, String) {
    let token = buyer(server).await;
    let order = json!({"companyId": "acme", "plan": plan, "trialDays": 0, "paymentMethodId": "pm_card_visa"});
    let made = subscribe(server, &token, order).await;
    assert_eq!(made.status, 201, "{made:?}");
    (made.json()["id"].as_str().unwrap().to_owned(), token)
}

async fn advance(server: &Server, by: &str) {
    let moved = server.send("POST", "/dev/clock", None, Some(&json!({ "advance": by }))).await;
    assert_eq!(moved.status, 200, "{moved:?}");
}

async fn current(server: &Server, token: &str) -> Value {
    let shown = server.send("GET", &format!("{SUBSCRIPTIONS}/acme"), Some(token), None).await;
    assert_eq!(shown.status, 200, "{shown:?}");
    shown.json()
}

#[tokio::test]
async fn a_company_that_subscribes_has_access_at_the_next_request() {
    let server = Server::start().await;
    let (token, member) = (buyer(&server).await, server.member("acme").await);
    server.send("GET", "/v1/forecast", Some(&member), None).await.problem(402, "no_subscription");
    let path = format!("{SUBSCRIPTIONS}/acme");
    server.send("GET", &path, Some(&member), None).await.problem(404, "not_found");

    let order = json!({"companyId": "acme", "plan": "pro", "seats": 3, "paymentMethodId": "pm_card_visa"});
    let made = subscribe(&server, &token, order).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    assert_eq!(made["companyId"], "acme", "{made}");
    assert_eq!((&made["plan"], &made["status"]), (&json!("pro"), &json!("trialing")), "{made}");
    assert_eq!((&made["seats"], &made["cancelAtPeriodEnd"]), (&json!(3), &json!(false)), "{made}");
    assert!(made["trialEnd"].is_string() && made["currentPeriodEnd"].is_string(), "{made}");
    assert_eq!(made.as_object().unwrap().len(), 10, "{made}");
    assert_eq!(server.send("GET", "/v1/forecast", Some(&member), None).await.status, 200);
    assert_eq!(current(&server, &member).await["id"], made["id"]);
}

#[tokio::test]
async fn whoever_upgrades_goes_on_at_once() {
    let server = Server::start().await;
    let (id, token) = subscribed(&server, "starter").await;
    for _ in 0..10 {
        assert_eq!(server.send("POST", "/v1/reports/generate", Some(&token), None).await.status, 200);
    }
    let refused = server.send("POST", "/v1/reports/generate", Some(&token), None).await;
    refused.problem(402, "quota_exceeded");
    let path = format!("{SUBSCRIPTIONS}/{id}");
    let changed = server.send("PATCH", &path, Some(&token), Some(&json!({"plan": "pro", "seats": 7}))).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let changed = changed.json();
    assert_eq!((&changed["plan"], &changed["seats"]), (&json!("pro"), &json!(7)), "{changed}");
    assert_eq!(server.send("POST", "/v1/reports/generate", Some(&token), None).await.status, 200);
    assert_eq!(server.send("GET", "/v1/forecast", Some(&token), None).await.status, 200);
}

#[tokio::test]
async fn a_cancelled_subscription_gives_access_until_the_period_ends_and_none_after() {
    let server = Server::start().await;
    let (id, token) = subscribed(&server, "pro").await;
    let path = format!("{SUBSCRIPTIONS}/{id}");
    let cancel = format!("{path}/cancel");
    let cancelled = server.send("POST", &cancel, Some(&token), None).await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    let shown = cancelled.json();
    assert_eq!((&shown["status"], &shown["cancelAtPeriodEnd"]), (&json!("active"), &json!(true)), "{shown}");

    advance(&server, "20d").await;
    assert_eq!(server.send("GET", "/v1/forecast", Some(&token), None).await.status, 200);
    let keep = json!({"cancelAtPeriodEnd": false});
    let kept = server.send("PATCH", &path, Some(&token), Some(&keep)).await.json();
    assert_eq!(kept["cancelAtPeriodEnd"], false, "{kept}");
    let again = server.send("POST", &cancel, Some(&token), Some(&json!({"atPeriodEnd": true}))).await;
    assert_eq!(again.json()["cancelAtPeriodEnd"], true, "{again:?}");

    advance(&server, "12d").await;
    server.send("GET", "/v1/forecast", Some(&token), None).await.problem(402, "subscription_inactive");
    assert_eq!(current(&server, &token).await["status"], "canceled");
    server.send("PATCH", &path, Some(&token), Some(&json!({"seats": 2}))).await.problem(409, "conflict");
    let again = server.send("POST", &cancel, Some(&token), None).await;
    assert_eq!((again.status, &again.json()["status"]), (200, &json!("canceled")), "{again:?}");
    // A company may come back.
    assert_ne!(subscribed(&server, "starter").await.0, id);
    assert_eq!(current(&server, &token).await["plan"], "starter");
}

#[tokio::test]
async fn a_subscription_that_is_cancelled_now_gives_no_access_at_the_next_request() {
    let server = Server::start().await;
    let (id, token) = subscribed(&server, "pro").await;
    assert_eq!(server.send("GET", "/v1/forecast", Some(&token), None).await.status, 200);
    let cancel = format!("{SUBSCRIPTIONS}/{id}/cancel");
    let ended = server.send("POST", &cancel, Some(&token), Some(&json!({"atPeriodEnd": false}))).await;
    assert_eq!(ended.json()["status"], "canceled", "{ended:?}");
    server.send("GET", "/v1/forecast", Some(&token), None).await.problem(402, "subscription_inactive");
}

#[tokio::test]
async fn a_payment_that_fails_leads_to_grace_and_then_to_no_access() {
    let server = Server::start().await;
    let token = buyer(&server).await;
    let order = json!({"companyId": "acme", "plan": "pro", "trialDays": 14,
        "paymentMethodId": "pm_card_chargeCustomerFail"});
    let made = subscribe(&server, &token, order).await;
    assert_eq!(made.json()["status"], "trialing", "{made:?}");
    advance(&server, "15d").await;
    assert_eq!(current(&server, &token).await["status"], "past_due");
    assert_eq!(server.send("GET", "/v1/forecast", Some(&token), None).await.status, 200);
    advance(&server, "8d").await;
    server.send("GET", "/v1/forecast", Some(&token), None).await.problem(402, "subscription_inactive");
    let metrics = server.send("GET", "/metrics", None, None).await.body;
    assert!(!metrics.contains("billing_notices_total{kind=\"payment_failed\"} 0"), "{metrics}");
    assert!(!metrics.contains("billing_webhook_events_total{outcome=\"processed\"} 0"), "{metrics}");
}

#[tokio::test]
async fn a_declined_card_buys_nothing() {
    let server = Server::start().await;
    let token = buyer(&server).await;
    for card in ["pm_card_chargeDeclined", "pm_card_chargeCustomerFail"] {
        let order = json!({"companyId": "acme", "plan": "pro", "trialDays": 0, "paymentMethodId": card});
        let problem = subscribe(&server, &token, order).await.problem(402, "card_declined");
        assert!(problem["detail"].as_str().unwrap().contains("declined"), "{problem}");
    }
    let path = format!("{SUBSCRIPTIONS}/acme");
    server.send("GET", &path, Some(&token), None).await.problem(404, "not_found");
    subscribed(&server, "pro").await;
}

#[tokio::test]
async fn a_double_click_buys_once_and_the_refusal_names_what_was_bought() {
    let server = Server::start().await;
    let token = buyer(&server).await;
    let order = json!({"companyId": "acme", "plan": "pro", "paymentMethodId": "pm_card_visa"});
    let (a, b) = tokio::join!(
        server.send("POST", SUBSCRIPTIONS, Some(&token), Some(&order)),
        server.send("POST", SUBSCRIPTIONS, Some(&token), Some(&order)),
    );
    let (made, refused) = if a.status == 201 { (a, b) } else { (b, a) };
    assert_eq!(made.status, 201, "{made:?}");
    let problem = refused.problem(409, "conflict");
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert!(problem["detail"].as_str().unwrap().contains(&id), "{problem}");
    assert_eq!(current(&server, &token).await["id"], id);
}

#[tokio::test]
async fn a_subscription_that_nobody_pays_for_is_incomplete_and_gives_nothing() {
    let server = Server::start().await;
    let token = buyer(&server).await;
    let order = json!({"companyId": "acme", "plan": "pro", "trialDays": 0});
    let made = subscribe(&server, &token, order.clone()).await;
    assert_eq!((made.status, &made.json()["status"]), (201, &json!("incomplete")), "{made:?}");
    server.send("GET", "/v1/forecast", Some(&token), None).await.problem(402, "subscription_inactive");
    subscribe(&server, &token, order).await.problem(409, "conflict");
}

#[tokio::test]
async fn the_portal_is_a_page_that_leads_back() {
    let server = Server::with(&[("APP_URL", "https://app.example/billing")]).await;
    let token = buyer(&server).await;
    let path = "/api/billing/portal/acme";
    server.send("POST", path, Some(&token), None).await.problem(404, "not_found");
    subscribed(&server, "pro").await;
    for (body, back) in [
        (None, "https://app.example/billing"),
        (Some(json!({"returnUrl": "https://other.example/"})), "https://other.example/"),
    ] {
        let opened = server.send("POST", path, Some(&token), body.as_ref()).await;
        assert_eq!(opened.status, 200, "{opened:?}");
        let page = fetch(opened.json()["url"].as_str().unwrap()).await;
        assert_eq!(page.status, 200, "{page:?}");
        assert!(page.body.contains(back), "{page:?}");
    }
    let wrong = json!({"returnUrl": "javascript:alert(1)"});
    server.send("POST", path, Some(&token), Some(&wrong)).await.names("returnUrl");
}

#[tokio::test]
async fn invoices_are_listed_page_by_page() {
    let server = Server::start().await;
    let (_, token) = subscribed(&server, "pro").await;
    advance(&server, "32d").await;
    let path = "/api/billing/invoices/acme";
    let all = server.send("GET", path, Some(&token), None).await.json();
    let items = all["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{all}");
    assert!(items.iter().all(|item| item["status"] == "paid" && item["companyId"] == "acme"), "{all}");
    let first = server.send("GET", &format!("{path}?limit=1"), Some(&token), None).await.json();
    assert_eq!(first["items"][0]["id"], items[0]["id"], "{first}");
    let next = format!("{path}?limit=1&cursor={}", first["next"].as_str().unwrap());
    let second = server.send("GET", &next, Some(&token), None).await.json();
    assert_eq!(second["items"][0]["id"], items[1]["id"], "{second}");
    server.send("GET", &format!("{path}?cursor=zz"), Some(&token), None).await.names("cursor");
    let other = server.member("globex").await;
    server.send("GET", path, Some(&other), None).await.problem(403, "forbidden");
}

#[tokio::test]
async fn what_is_wrong_with_an_order_is_named() {
    let server = Server::start().await;
    let token = buyer(&server).await;
    for (field, order) in [
        ("companyId", json!({"plan": "pro"})),
        ("plan", json!({"companyId": "acme"})),
        ("plan", json!({"companyId": "acme", "plan": "platinum"})),
        ("trialDays", json!({"companyId": "acme", "plan": "pro", "trialDays": 31})),
        ("trialDays", json!({"companyId": "acme", "plan": "pro", "trialDays": -1})),
        ("seats", json!({"companyId": "acme", "plan": "pro", "seats": 0})),
        ("seats", json!({"companyId": "acme", "plan": "pro", "seats": i64::MAX})),
        ("coupon", json!({"companyId": "acme", "plan": "pro", "coupon": "x"})),
        ("paymentMethodId", json!({"companyId": "acme", "plan": "pro", "paymentMethodId": "pm_nobody"})),
    ] {
        subscribe(&server, &token, order).await.names(field);
    }
    let (id, _) = subscribed(&server, "pro").await;
    let path = format!("{SUBSCRIPTIONS}/{id}");
    for (field, change) in [
        ("plan", json!({"plan": "platinum"})),
        ("seats", json!({"seats": "many"})),
        ("cancelAtPeriodEnd", json!({"cancelAtPeriodEnd": 1})),
        ("trialDays", json!({"trialDays": 3})),
    ] {
        server.send("PATCH", &path, Some(&token), Some(&change)).await.names(field);
    }
    server.send("PATCH", &path, Some(&token), Some(&json!({}))).await.problem(400, "invalid_request");
    let cancel = format!("{path}/cancel");
    server.send("POST", &cancel, Some(&token), Some(&json!({"now": true}))).await.names("now");
    let text = server
        .raw(
            "POST",
            &cancel,
            &format!("authorization: Bearer {token}\r\n"),
            b"{\"atPeriodEnd\":false}".into(),
        )
        .await;
    text.problem(415, "unsupported_media_type");
    assert_eq!(current(&server, &token).await["status"], "active");
}

#[tokio::test]
async fn nobody_changes_what_is_not_theirs() {
    let server = Server::start().await;
    let (id, token) = subscribed(&server, "pro").await;
    let (path, cancel) = (format!("{SUBSCRIPTIONS}/{id}"), format!("{SUBSCRIPTIONS}/{id}/cancel"));
    let order = json!({"companyId": "acme", "plan": "pro"});
    let change = json!({"seats": 9});
    let strangers = [
        server.token("globex", "eve", "billing").await,
        server.token("acme", "ada", "member").await,
        server.token("acme", "job", "service").await,
    ];
    for stranger in &strangers {
        for (method, path, body) in [
            ("POST", SUBSCRIPTIONS, Some(&order)),
            ("PATCH", path.as_str(), Some(&change)),
            ("POST", cancel.as_str(), None),
            ("POST", "/api/billing/portal/acme", None),
        ] {
            server.send(method, path, Some(stranger), body).await.problem(403, "forbidden");
        }
    }
    let of_acme = format!("{SUBSCRIPTIONS}/acme");
    server.send("GET", &of_acme, Some(&strangers[0]), None).await.problem(403, "forbidden");
    server.send("GET", &of_acme, None, None).await.problem(401, "unauthenticated");
    server
        .send("PATCH", &format!("{SUBSCRIPTIONS}/sub_none"), Some(&token), Some(&change))
        .await
        .problem(404, "not_found");
    let admin = server.admin().await;
    assert_eq!(server.send("PATCH", &path, Some(&admin), Some(&change)).await.json()["seats"], 9);
    for (method, path) in [("PUT", SUBSCRIPTIONS), ("DELETE", path.as_str()), ("GET", cancel.as_str())] {
        server.send(method, path, Some(&token), None).await.problem(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn demo_companies_are_customers_like_others() {
    let server = Server::start().await;
    let token = server.token("starter-co", "bea", "billing").await;
    let path = format!("{SUBSCRIPTIONS}/starter-co");
    let shown = server.send("GET", &path, Some(&token), None).await.json();
    assert_eq!((&shown["plan"], &shown["status"]), (&json!("starter"), &json!("active")), "{shown}");
    assert!(shown["seats"].is_null(), "{shown}");
    assert_eq!(server.send("POST", "/api/billing/portal/starter-co", Some(&token), None).await.status, 200);
    let own = format!("{SUBSCRIPTIONS}/{}", shown["id"].as_str().unwrap());

    let server = server.restart().await;
    let upgraded = server.send("PATCH", &own, Some(&token), Some(&json!({"plan": "pro"}))).await;
    assert_eq!(upgraded.status, 200, "{upgraded:?}");
    assert_eq!(server.send("GET", "/v1/forecast", Some(&token), None).await.status, 200);
    advance(&server, "40d").await;
    let renewed = server.send("GET", &path, Some(&token), None).await.json();
    assert_eq!(renewed["status"], "active", "{renewed}");
    assert_ne!(renewed["currentPeriodEnd"], shown["currentPeriodEnd"], "{renewed}");
}

#[tokio::test]
async fn every_plan_of_the_catalog_can_be_subscribed_to() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("catalog.toml");
    let named = "stripe  = { lookup_keys = [\"pro_monthly\"], prices = [\"${STRIPE_PRICE_ID_PRO}\"] }";
    let text = include_str!("../../catalog.toml");
    assert!(text.contains(named));
    std::fs::write(&file, text.replace(named, "")).unwrap();
    let catalog = ("CATALOG_PATH", file.to_str().unwrap());
    for variables in [vec![catalog], vec![catalog, ("STRIPE_PRICE_ID_PRO", "price_ours")]] {
        let server = Server::with(&variables).await;
        let (_, token) = subscribed(&server, "pro").await;
        assert_eq!(current(&server, &token).await["plan"], "pro");
        assert_eq!(server.send("GET", "/v1/forecast", Some(&token), None).await.status, 200);
    }
}
