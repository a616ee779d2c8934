//! Webhooks over HTTP: what is believed, what is refused, and that a second copy changes nothing.

use billing_stripe::signature::{SigningSecret, sign};
use chrono::TimeDelta;
use entitlements_core::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::support::{Response, Server};

const PATH: &str = "/api/billing/webhooks/stripe";
const SECRETS: (&str, &str) = ("STRIPE_WEBHOOK_SECRET", "whsec_new,whsec_old");

fn signature(body: &[u8], secret: &str, age: TimeDelta) -> String {
    sign(body, &SigningSecret::new(secret).unwrap(), SystemClock.now() - age)
}

async fn deliver(server: &Server, body: &[u8], secret: &str) -> Response {
    let header = format!("stripe-signature: {}\r\n", signature(body, secret, TimeDelta::zero()));
    server.raw("POST", PATH, &header, body.into()).await
}

fn event(id: &str, subscription: &Value) -> Vec<u8> {
    let event = json!({
        "id": id, "object": "event", "type": "customer.subscription.updated", "created": 1_800_000_000,
        "livemode": false, "api_version": "2026-01-01", "request": null, "pending_webhooks": 1,
        // What it says does not count: the subscription is asked for again.
        "data": {"object": {"id": subscription, "object": "subscription", "status": "canceled"}},
    });
    event.to_string().into_bytes()
}

#[tokio::test]
async fn a_webhook_that_comes_again_changes_nothing() {
    let server = Server::with(&[SECRETS]).await;
    let token = server.member("pro-co").await;
    let path = "/api/billing/subscriptions/pro-co";
    let before = server.send("GET", path, Some(&token), None).await.json();
    let body = event("evt_ours", &before["id"]);
    let first = deliver(&server, &body, "whsec_new").await;
    assert_eq!((first.status, &first.json()["outcome"]), (200, &json!("processed")), "{first:?}");
    for _ in 0..2 {
        let again = deliver(&server, &body, "whsec_old").await;
        assert_eq!((again.status, &again.json()["outcome"]), (200, &json!("duplicate")), "{again:?}");
    }
    assert_eq!(server.send("GET", path, Some(&token), None).await.json(), before);
    assert_eq!(server.send("GET", "/v1/forecast", Some(&token), None).await.status, 200);
    let metrics = server.send("GET", "/metrics", None, None).await.body;
    assert!(metrics.contains("billing_webhook_events_total{outcome=\"duplicate\"} 2"), "{metrics}");
}

#[tokio::test]
async fn a_webhook_about_nothing_of_ours_is_stored_and_ignored() {
    let server = Server::with(&[SECRETS]).await;
    let body = event("evt_other", &json!("sub_nobody"));
    let answer = deliver(&server, &body, "whsec_new").await;
    assert_eq!((answer.status, &answer.json()["outcome"]), (200, &json!("ignored")), "{answer:?}");
}

#[tokio::test]
async fn what_is_not_signed_is_not_believed() {
    let server = Server::with(&[SECRETS]).await;
    let body = event("evt_forged", &json!("sub_1"));
    let good = signature(&body, "whsec_new", TimeDelta::zero());
    let header = |value: &str| format!("stripe-signature: {value}\r\n");
    for headers in [
        String::new(),
        header("t=1,v1=00"),
        header(&signature(&body, "whsec_guessed", TimeDelta::zero())),
        header(&signature(&body, "whsec_new", TimeDelta::seconds(301))),
        header(&signature(&body, "whsec_new", TimeDelta::seconds(-310))),
        header(&format!("t=1,{good}")),
        header(&good) + &header(&good),
    ] {
        let answer = server.raw("POST", PATH, &headers, body.clone()).await;
        answer.problem(400, "invalid_webhook");
    }
    let other = event("evt_other", &json!("sub_1"));
    server.raw("POST", PATH, &header(&good), other).await.problem(400, "invalid_webhook");
}

#[tokio::test]
async fn what_is_signed_and_no_event_is_refused() {
    let server = Server::with(&[SECRETS]).await;
    for body in ["", "soon", "[]", "{}", "{\"id\": 7}"] {
        deliver(&server, body.as_bytes(), "whsec_new").await.problem(400, "invalid_webhook");
    }
    deliver(&server, &vec![b' '; 1024 * 1024 + 1], "whsec_new").await.problem(413, "too_large");
    server.send("GET", PATH, None, None).await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn a_moved_clock_does_not_make_signatures_old() {
    let server = Server::with(&[SECRETS]).await;
    server.send("POST", "/dev/clock", None, Some(&json!({"advance": "31d"}))).await;
    let answer = deliver(&server, &event("evt_now", &json!("sub_nobody")), "whsec_new").await;
    assert_eq!(answer.status, 200, "{answer:?}");
}
