//! Webhooks over HTTP: what is believed, what is done with it, and how often.

use axum::Router;
use billing_stripe::client::{ItemChange, Proration, SubscriptionChange};
use billing_stripe::fake::RequestFault;
use billing_stripe::signature::{SigningSecret, sign};
use billing_stripe::{Handled, Notice, WebhookService};
use chrono::TimeDelta;
use entitlements_core::billing::{BillingProvider, BillingStore, EventState};
use entitlements_core::id::EventId;
use entitlements_core::{Clock, Reason, SubscriptionStatus as Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::shaky::Cut;
use crate::story::{Step, Teller, of};
use crate::world::{Process, SECRET, World, acme, buy, op};

const VISA: Option<&str> = Some("pm_card_visa");

/// The address of a server of the webhooks of `process`.
async fn serve(process: &Process) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let service = WebhookService::from(process.webhooks.clone());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback_service(service)).await });
    address
}

/// Posts by hand. The status of the answer.
async fn post(address: &str, signatures: &[&str], body: &[u8], length: usize) -> u16 {
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let signatures: Vec<String> =
        signatures.iter().map(|signature| format!("stripe-signature: {signature}\r\n")).collect();
    let signatures = signatures.concat();
    let head = format!(
        "POST /hook HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{signatures}content-length: {length}\r\n\r\n"
    );
    // A server that has heard enough may close before everything is sent.
    let _ = socket.write_all(head.as_bytes()).await;
    let _ = socket.write_all(body).await;
    if body.len() < length {
        let _ = socket.shutdown().await;
    }
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer);
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn signed(world: &World, body: &[u8], secret: &str, by: TimeDelta) -> String {
    sign(body, &SigningSecret::new(secret).unwrap(), world.clock.now() + by)
}

fn id_of(body: &str) -> EventId {
    let value: serde_json::Value = serde_json::from_str(body).unwrap();
    value["id"].as_str().unwrap().parse().unwrap()
}

/// A world in which a subscription was made that nobody told us of, and the body that tells.
async fn unheard() -> (World, Process, String) {
    let world = World::new().await;
    let mut teller = Teller::new(&world).await;
    teller.tell(Step::Subscribe).await;
    let process = world.process();
    let body = last(&world, "customer.subscription.created");
    (world, process, body)
}

fn last(world: &World, kind: &str) -> String {
    let found = world.fake.events().into_iter().rev().find(|event| event["type"] == kind);
    found.unwrap_or_else(|| panic!("no {kind} in {:?}", world.fake.event_kinds())).to_string()
}

#[tokio::test]
async fn what_is_not_signed_well_is_refused_and_not_kept() {
    let (world, process, body) = unheard().await;
    let address = serve(&process).await;
    let bytes = body.as_bytes();
    let good = signed(&world, bytes, SECRET, TimeDelta::zero());
    let forged = signed(&world, bytes, "whsec_other", TimeDelta::zero());
    let old = signed(&world, bytes, SECRET, TimeDelta::seconds(-301));
    let future = signed(&world, bytes, SECRET, TimeDelta::seconds(301));
    let other = body.replacen("sub_", "sub-", 1);
    let short = &bytes[..bytes.len() - 1];
    for (what, signatures, body) in [
        ("forged", vec![forged.as_str()], bytes),
        ("expired", vec![old.as_str()], bytes),
        ("future", vec![future.as_str()], bytes),
        ("changed", vec![good.as_str()], other.as_bytes()),
        ("truncated", vec![good.as_str()], short),
        ("unsigned", vec![], bytes),
        ("two headers", vec![good.as_str(), good.as_str()], bytes),
        ("a good and a forged header", vec![good.as_str(), forged.as_str()], bytes),
        ("no header at all to speak of", vec!["t=,v1="], bytes),
    ] {
        assert_eq!(post(&address, &signatures, body, body.len()).await, 400, "{what}");
    }
    assert_eq!(process.store.steps(), 0, "the store was not asked");
    assert_eq!(process.check("reports").await, Reason::NoSubscription);
    assert_eq!(post(&address, &[&good], bytes, bytes.len()).await, 200);
    assert!(process.may("reports").await);
}

#[tokio::test]
async fn what_is_too_large_cut_off_or_no_event_is_refused_and_not_kept() {
    let (world, process, body) = unheard().await;
    let address = serve(&process).await;
    let large = vec![b' '; 1024 * 1024 + 1];
    let signature = signed(&world, &large, SECRET, TimeDelta::zero());
    assert_eq!(post(&address, &[&signature], &large, large.len()).await, 413);
    let good = signed(&world, body.as_bytes(), SECRET, TimeDelta::zero());
    let cut_off = post(&address, &[&good], &body.as_bytes()[..10], body.len()).await;
    assert!([0, 400].contains(&cut_off), "{cut_off}");
    for text in
        ["", "hello", "{}", "[]", "null", r#"{"object":"event"}"#, r#"{"object":"customer","id":"cus_1"}"#]
    {
        let signature = signed(&world, text.as_bytes(), SECRET, TimeDelta::zero());
        assert_eq!(post(&address, &[&signature], text.as_bytes(), text.len()).await, 400, "{text}");
    }
    let no_text = [b'"', 0xff, b'"'];
    let signature = signed(&world, &no_text, SECRET, TimeDelta::zero());
    assert_eq!(post(&address, &[&signature], &no_text, no_text.len()).await, 400);
    assert_eq!(process.store.steps(), 0);
}

#[tokio::test]
async fn a_copy_changes_nothing_and_a_replay_neither() {
    let (world, process, body) = unheard().await;
    assert_eq!(process.receive(&body).await.unwrap(), Handled::Processed);
    let stored = world.stored().await;
    let history = entitlements_core::store::SubscriptionStore::subscription_history;
    let before = history(&world.memory, &stored[0].id).await.unwrap();
    assert_eq!(process.receive(&body).await.unwrap(), Handled::Duplicate(EventState::Processed));
    assert_eq!(process.webhooks.replay(&id_of(&body)).await.unwrap(), Handled::Processed);
    assert_eq!(world.stored().await, stored);
    assert_eq!(history(&world.memory, &stored[0].id).await.unwrap(), before);
    assert!(process.webhooks.replay(&"evt_unknown".parse().unwrap()).await.is_err());
}

/// How many people were told of a failed payment of which sixteen copies came at once.
pub(crate) async fn told_of_sixteen_copies(world: &World) -> usize {
    let mut teller = Teller::new(world).await;
    for step in [Step::Subscribe, Step::Card("pm_card_chargeCustomerFail"), Step::Days(31), Step::Hours(2)] {
        teller.tell(step).await;
    }
    let process = std::sync::Arc::new(world.process());
    let body = last(world, "invoice.payment_failed");
    let mut copies = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (process, body) = (process.clone(), body.clone());
        copies.spawn(async move { process.receive(&body).await.map_err(|error| error.status()) });
    }
    copies.join_all().await;
    process.told.all().len()
}

#[tokio::test]
async fn sixteen_copies_at_once_have_one_effect() {
    let world = World::new().await;
    assert_eq!(told_of_sixteen_copies(&world).await, 1);
    assert_eq!(world.stored().await[0].status, Status::PastDue);
}

#[tokio::test]
async fn a_failed_payment_is_told_with_its_subscription() {
    let world = World::new().await;
    told_of_sixteen_copies(&world).await;
    let process = world.process();
    let id = id_of(&last(&world, "invoice.payment_failed"));
    process.webhooks.replay(&id).await.unwrap();
    let told = process.told.all();
    let [Notice::PaymentFailed { company, subscription, attempts: 1, .. }] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!((company, subscription.as_ref()), (&acme(), Some(&world.stored().await[0].id)));
}

#[tokio::test]
async fn what_is_unknown_is_kept_and_ignored() {
    let (world, process, body) = unheard().await;
    let address = serve(&process).await;
    let of_kind = |id: &str, kind: &str, object: &str| {
        format!(
            r#"{{"id":"{id}","object":"event","type":"{kind}","created":1768000000,"livemode":false,
            "data":{{"object":{{"id":"{object}","object":"x","customer":"cus_unknown"}}}}}}"#
        )
    };
    let thin = r#"{"id":"evt_t","object":"v2.core.event","type":"v1.billing.alert.of_tomorrow",
        "created":"2026-01-10T00:00:00Z","livemode":false}"#;
    let live = body.replacen(r#""livemode":false"#, r#""livemode":true"#, 9);
    for text in [
        of_kind("evt_1", "charge.refunded", "ch_1"),
        of_kind("evt_2", "a.kind.of.tomorrow", "x_1"),
        of_kind("evt_3", "customer.subscription.updated", "sub_unknown"),
        of_kind("evt_4", "invoice.paid", "in_unknown"),
        of_kind("evt_5", "customer.updated", "cus_unknown"),
        of_kind("evt_6", "invoice.upcoming", ""),
        thin.to_owned(),
        live,
    ] {
        let signature = signed(&world, text.as_bytes(), SECRET, TimeDelta::zero());
        assert_eq!(post(&address, &[&signature], text.as_bytes(), text.len()).await, 200, "{text}");
        let kept = world.memory.event(&id_of(&text)).await.unwrap().unwrap();
        assert_eq!((kept.state, kept.event.payload), (EventState::Ignored, text));
    }
    assert_eq!(world.stored().await, []);
}

#[tokio::test]
async fn a_thin_event_of_a_subscription_is_enough() {
    let (world, process, body) = unheard().await;
    let value: serde_json::Value = serde_json::from_str(&body).unwrap();
    let thin = format!(
        r#"{{"id":"evt_thin","object":"v2.core.event","type":"v1.customer.subscription.updated","livemode":false,
        "created":"2026-01-10T00:00:00Z","related_object":{{"id":{},"type":"subscription"}}}}"#,
        value["data"]["object"]["id"]
    );
    assert_eq!(process.receive(&thin).await.unwrap(), Handled::Processed);
    assert!(process.may("reports").await);
    assert_eq!(world.stored().await, world.truth().await);
}

#[tokio::test]
async fn the_customer_of_another_is_ignored() {
    let world = World::new().await;
    let stranger = world.client.create_customer(&billing_stripe::client::NewCustomer::default(), &op()).await;
    let stranger = stranger.unwrap().id;
    let method = world.client.attach_payment_method("pm_card_visa", &stranger, &op()).await.unwrap();
    world.client.set_default_payment_method(&stranger, &method.id, &op()).await.unwrap();
    world.client.create_subscription(&of(&stranger, "price_starter"), &op()).await.unwrap();
    let process = world.process();
    for body in world.bodies_after(0) {
        assert!(matches!(process.receive(&body).await.unwrap(), Handled::Ignored(_)), "{body}");
    }
    assert_eq!(process.check("reports").await, Reason::NoSubscription);
}

#[tokio::test]
async fn several_subscriptions_of_a_customer_are_kept_apart() {
    let world = World::new().await;
    let mut teller = Teller::new(&world).await;
    teller.tell(Step::Subscribe).await;
    teller.tell(Step::Subscribe).await;
    teller.tell(Step::Cancel).await;
    let process = world.process();
    for body in world.bodies_after(0).iter().rev() {
        process.receive(body).await.unwrap();
    }
    let stored = world.stored().await;
    assert_eq!(stored.len(), 2);
    assert_eq!(stored, world.truth().await);
    assert!(process.may("reports").await, "one of them is alive");
}

#[tokio::test]
async fn a_failure_is_kept_answered_5xx_and_tried_again() {
    let (world, process, body) = unheard().await;
    let address = serve(&process).await;
    world.fake.fail(RequestFault::status(503).times(100));
    let signature = signed(&world, body.as_bytes(), SECRET, TimeDelta::zero());
    assert_eq!(post(&address, &[&signature], body.as_bytes(), body.len()).await, 503);
    let kept = world.memory.event(&id_of(&body)).await.unwrap().unwrap();
    assert_eq!((kept.state, kept.attempts), (EventState::Failed, 1));
    assert!(kept.note.unwrap().contains("unavailable"));
    assert_eq!(process.webhooks.retry_due(10).await.unwrap(), 0, "not at once");
    let mut attempts = 1;
    while process.check("reports").await == Reason::NoSubscription {
        world.clock.advance(TimeDelta::minutes(10));
        assert_eq!(process.webhooks.retry_due(10).await.unwrap(), 1);
        attempts += 1;
        if attempts == 3 {
            heal(&world).await;
        }
        assert!(attempts < 100);
    }
    let kept = world.memory.event(&id_of(&body)).await.unwrap().unwrap();
    assert_eq!((kept.state, kept.attempts), (EventState::Processed, attempts));
    assert_eq!(process.webhooks.retry_due(10).await.unwrap(), 0);
}

/// Uses up what was to go wrong.
async fn heal(world: &World) {
    while world.client.event("evt_none").await.is_err_and(|error| error.is_retryable()) {}
}

#[tokio::test]
async fn a_store_that_fails_is_answered_5xx() {
    let (world, process, body) = unheard().await;
    let address = serve(&process).await;
    process.store.cut_at(1, Cut::FailBefore);
    let signature = signed(&world, body.as_bytes(), SECRET, TimeDelta::zero());
    assert_eq!(post(&address, &[&signature], body.as_bytes(), body.len()).await, 503);
    assert_eq!(post(&address, &[&signature], body.as_bytes(), body.len()).await, 200);
}

#[tokio::test]
async fn an_invoice_for_more_seats_is_no_new_period() {
    let world = World::new().await;
    let process = world.process();
    let made = process.subscribe(&buy("starter", VISA)).await.unwrap();
    world.advance(TimeDelta::days(5));
    let shown = world.client.subscription(made.id.as_str()).await.unwrap();
    let id = Some(shown.items.data[0].id.clone());
    let change = SubscriptionChange {
        items: vec![ItemChange { id, quantity: Some(4), ..ItemChange::default() }],
        proration: Some(Proration::AlwaysInvoice),
        ..SubscriptionChange::default()
    };
    let before = world.fake.event_kinds().len();
    world.client.update_subscription(made.id.as_str(), &change, &op()).await.unwrap();
    assert!(world.fake.event_kinds()[before..].contains(&"invoice.paid".to_owned()));
    for body in world.bodies_after(before) {
        process.receive(&body).await.unwrap();
    }
    let now = &world.stored().await[0];
    assert_eq!(now.seats, crate::world::seats(4));
    assert_eq!((now.current_period_start, now.anchor), (made.current_period_start, made.anchor));
}

#[tokio::test]
async fn a_deleted_customer_takes_its_subscriptions_along() {
    let world = World::new().await;
    let process = world.process();
    process.subscribe(&buy("pro", VISA)).await.unwrap();
    let customer = world.memory.customer_of(&acme()).await.unwrap().unwrap();
    world.client.delete_customer(customer.id.as_str(), &op()).await.unwrap();
    process.receive(&last(&world, "customer.deleted")).await.unwrap();
    assert_eq!(process.check("forecast").await, Reason::SubscriptionInactive);
    assert_eq!(world.memory.customer_of(&acme()).await.unwrap(), None);
    assert_eq!(process.billing.reconcile(&acme()).await.unwrap(), []);
}

#[tokio::test]
async fn the_fake_sends_and_the_next_check_is_right() {
    let world = World::new().await;
    world.clock.set(entitlements_core::SystemClock.now());
    let process = world.process();
    world.fake.add_webhook(format!("http://{}/hook", serve(&process).await), SECRET);
    let mut teller = Teller::new(&world).await;
    teller.tell(Step::Subscribe).await;
    assert!(world.fake.webhooks_taken(std::time::Duration::from_secs(10)).await);
    assert_eq!(world.stored().await[0].status, Status::Active);
    teller.tell(Step::Cancel).await;
    assert!(world.fake.webhooks_taken(std::time::Duration::from_secs(10)).await);
    assert_eq!(process.check("reports").await, Reason::SubscriptionInactive);
}

#[tokio::test]
async fn a_webhook_that_changes_nothing_forgets_nothing() {
    let world = World::new().await;
    let process = world.process();
    process.subscribe(&buy("pro", Some("pm_card_visa"))).await.unwrap();
    let bodies = world.bodies_after(0);
    let before = world.memory.load(&acme(), world.clock.now()).await.unwrap();
    let forgotten = process.forgotten.times();
    assert!(forgotten > 0, "buying is a change");
    for body in &bodies {
        process.receive(body).await.unwrap();
        process.webhooks.replay(&id_of(body)).await.unwrap();
    }
    process.billing.reconcile(&acme()).await.unwrap();
    assert_eq!(process.forgotten.times(), forgotten);
    assert_eq!(world.memory.load(&acme(), world.clock.now()).await.unwrap(), before);
    assert!(process.may("forecast").await);
}

#[tokio::test]
async fn what_is_said_of_an_erased_company_does_not_bring_it_back() {
    let world = World::new().await;
    let process = world.process();
    let made = process.subscribe(&buy("pro", Some("pm_card_visa"))).await.unwrap();
    let seen = world.bodies_after(0).len();
    process.entitlements.erase(&acme()).await.unwrap().unwrap();
    // It goes on there, and ends.
    world.advance(TimeDelta::days(32));
    world.client.cancel_subscription(made.id.as_str(), &op()).await.unwrap();
    let bodies = world.bodies_after(0);
    assert!(bodies.len() > seen + 3, "{}", bodies.len());
    for body in &bodies {
        assert!(matches!(process.receive(body).await.unwrap(), Handled::Ignored(_)), "{body}");
    }
    assert_eq!(process.billing.reconcile(&acme()).await.unwrap(), []);
    assert_eq!(world.stored().await, []);
    assert_eq!(world.memory.subscription(&made.id).await.unwrap(), None);
    let pages = entitlements_core::store::PageRequest::first(9);
    assert_eq!(world.memory.list_invoices(&acme(), &pages).await.unwrap().items, []);
    assert_eq!(process.check("reports").await, Reason::NoSubscription);
    assert_eq!(process.entitlements.erase(&acme()).await.unwrap(), None, "nothing came back");
}
