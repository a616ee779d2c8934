//! Webhooks and the portal.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use billing_stripe::fake::WebhookFaults;
use billing_stripe::signature::{SIGNATURE_HEADER, SigningSecret, Tolerance, verify};
use billing_stripe::wire::Event;
use http::{HeaderMap, StatusCode};

use crate::support::{Stage, builder, op, stage, stage_of};

const SECRET: &str = "whsec_test";
const LIMIT: Duration = Duration::from_secs(10);

/// Takes webhooks whose signature is right; the first `refusals` are answered 500.
#[derive(Clone, Default)]
struct Receiver {
    taken: Arc<Mutex<Vec<String>>>,
    refusals: Arc<Mutex<u32>>,
}

impl Receiver {
    fn receive(&self, headers: &HeaderMap, body: &[u8]) -> StatusCode {
        let header = headers[SIGNATURE_HEADER].to_str().unwrap();
        let secret = SigningSecret::new(SECRET).unwrap();
        if verify(body, header, &[secret], std::time::SystemTime::now().into(), Tolerance::DEFAULT).is_err() {
            return StatusCode::BAD_REQUEST;
        }
        let mut refusals = self.refusals.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
        self.taken.lock().unwrap().push(Event::from_slice(body).unwrap().kind().to_owned());
        StatusCode::OK
    }

    fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }

    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let receiver = self.clone();
        let handler = move |headers: HeaderMap, body: Bytes| {
            let status = receiver.receive(&headers, &body);
            async move { status }
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
        url
    }
}

async fn receiving() -> (Stage, Receiver) {
    let receiver = Receiver::default();
    let stage = stage_of(builder().webhook(receiver.start().await, SECRET)).await;
    (stage, receiver)
}

#[tokio::test]
async fn every_event_arrives_signed_and_in_order() {
    let (stage, receiver) = receiving().await;
    stage.subscribe("pm_card_visa", "price_pro").await;
    assert!(stage.fake.webhooks_taken(LIMIT).await);
    assert_eq!(receiver.taken(), stage.fake.event_kinds());
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again() {
    let (stage, receiver) = receiving().await;
    *receiver.refusals.lock().unwrap() = 1;
    stage.customer(None).await;
    assert!(stage.fake.webhooks_taken(LIMIT).await);
    assert_eq!(receiver.taken(), ["customer.created"]);
}

#[tokio::test]
async fn webhooks_are_doubled_reversed_and_lost_on_demand() {
    let (stage, receiver) = receiving().await;
    stage.fake.hold_webhooks();
    stage.fake.fail_webhooks(WebhookFaults {
        duplicates: 1,
        reverse: true,
        lose_every: 2,
        ..WebhookFaults::default()
    });
    for _ in 0..2 {
        stage.customer(Some("pm_card_visa")).await;
    }
    let kinds: Vec<String> = stage.fake.pending_webhooks().into_iter().map(|it| it.kind).collect();
    assert_eq!(kinds.len(), 6);
    stage.fake.release_webhooks();
    assert!(stage.fake.webhooks_taken(LIMIT).await);
    let expected: Vec<String> =
        kinds.iter().rev().step_by(2).flat_map(|kind| [kind.clone(), kind.clone()]).collect();
    assert_eq!(receiver.taken(), expected);
}

#[tokio::test]
async fn held_webhooks_are_sent_one_by_one_in_any_order() {
    let (stage, receiver) = receiving().await;
    stage.fake.hold_webhooks();
    stage.customer(Some("pm_card_visa")).await;
    let pending = stage.fake.pending_webhooks();
    assert_eq!(stage.fake.send(&pending[2].event_id).await, [Some(200)]);
    assert_eq!(stage.fake.send(&pending[0].event_id).await, [Some(200)]);
    assert_eq!(stage.fake.send(&pending[0].event_id).await, [Some(200)]);
    stage.fake.lose(&pending[1].event_id);
    assert!(stage.fake.pending_webhooks().is_empty());
    assert_eq!(receiver.taken(), ["customer.updated", "customer.created", "customer.created"]);
}

#[tokio::test]
async fn an_update_tells_what_was_before() {
    let stage = stage().await;
    let subscription = stage.subscribe("pm_card_visa", "price_pro").await;
    let change = billing_stripe::client::SubscriptionChange {
        metadata: [("k".to_owned(), "v".to_owned())].into(),
        ..Default::default()
    };
    let operation = op();
    stage.client.update_subscription(&subscription.id, &change, &operation).await.unwrap();
    let event = stage.fake.events().pop().unwrap();
    assert_eq!(event["type"], "customer.subscription.updated");
    assert_eq!(event["data"]["previous_attributes"], serde_json::json!({"metadata": {"k": null}}));
    assert_eq!(event["request"]["idempotency_key"], operation.as_str());
}

#[tokio::test]
async fn the_portal_cancels_by_an_instant_alone() {
    let stage = stage().await;
    let subscription = stage.subscribe("pm_card_visa", "price_pro").await;
    let customer = subscription.customer.id();
    let session = stage
        .client
        .create_portal_session(customer, Some("https://app.example/?a=\"b"), &op())
        .await
        .unwrap();
    assert!(session.url.starts_with(&stage.fake.base_url()));
    let page = fetch("GET", &session.url).await;
    assert!(page.contains(&subscription.id) && page.contains("https://app.example/?a=&quot;b"), "{page}");
    fetch("POST", &format!("{}/cancel/{}", session.url, subscription.id)).await;
    let ending = stage.again(&subscription).await;
    assert_eq!(ending.cancel_at, ending.items.data[0].current_period_end);
    assert!(!ending.cancel_at_period_end && ending.is_canceling());
    fetch("POST", &format!("{}/keep/{}", session.url, subscription.id)).await;
    assert!(!stage.again(&subscription).await.is_canceling());
}

/// One request by hand, without a client library.
pub(crate) async fn fetch(method: &str, url: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut socket = tokio::net::TcpStream::connect(host).await.unwrap();
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}
