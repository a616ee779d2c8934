//! Requests: keys, retries, errors, lists.

use std::time::Duration;

use billing_stripe::client::{EventFilter, NewCustomer, NewMeterEvent, RetryPolicy, SubscriptionChange};
use billing_stripe::fake::{FaultKind, RequestFault};
use billing_stripe::wire::Subscription;
use billing_stripe::{OperationId, StripeClient, StripeConfig, StripeErrorKind};
use chrono::TimeDelta;
use http::Method;

use crate::support::{builder, of, op, stage, stage_of};

#[tokio::test]
async fn the_same_operation_has_one_effect() {
    let stage = stage().await;
    let operation = op();
    let first = stage.client.create_customer(&NewCustomer::default(), &operation).await.unwrap();
    let second = stage.client.create_customer(&NewCustomer::default(), &operation).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(stage.fake.event_kinds(), ["customer.created"]);
}

#[tokio::test]
async fn an_operation_cannot_be_used_for_something_else() {
    let stage = stage().await;
    let operation = op();
    stage.client.create_customer(&NewCustomer::default(), &operation).await.unwrap();
    let other = NewCustomer { name: Some("Other".into()), ..NewCustomer::default() };
    let error = stage.client.create_customer(&other, &operation).await.unwrap_err();
    assert_eq!(error.kind(), StripeErrorKind::Idempotency);
    assert!(error.request_id().is_some());
}

#[tokio::test]
async fn a_lost_reply_is_found_again() {
    let stage = stage().await;
    stage.fake.fail(RequestFault::next(FaultKind::LoseReply));
    stage.client.create_customer(&NewCustomer::default(), &op()).await.unwrap();
    assert_eq!(stage.fake.event_kinds(), ["customer.created"], "done once, though sent twice");
}

#[tokio::test]
async fn faults_are_tried_again_and_then_told() {
    let stage = stage().await;
    for status in [409, 500, 503] {
        stage.fake.fail(RequestFault::status(status).times(2));
        stage.customer(None).await;
        stage.fake.fail(RequestFault::status(status).times(3));
        let error = stage.client.create_customer(&NewCustomer::default(), &op()).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (StripeErrorKind::Unavailable, true), "{status}");
        assert_eq!(error.status().unwrap().as_u16(), status);
    }
}

#[tokio::test]
async fn a_limit_is_told_at_once_unless_stripe_says_otherwise() {
    let stage = stage().await;
    stage.fake.fail(RequestFault::status(429));
    let error = stage.client.customer("cus_x").await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (StripeErrorKind::RateLimited, true));

    let again = FaultKind::Refuse { status: 429, code: None, should_retry: Some(true), retry_after: None };
    let lock =
        FaultKind::Refuse { status: 429, code: Some("lock_timeout"), should_retry: None, retry_after: None };
    for kind in [again, lock] {
        stage.fake.fail(RequestFault::next(kind));
        stage.customer(None).await;
    }
    let never = FaultKind::Refuse { status: 500, code: None, should_retry: Some(false), retry_after: None };
    stage.fake.fail(RequestFault::next(never));
    assert!(stage.client.create_customer(&NewCustomer::default(), &op()).await.is_err());
}

#[tokio::test]
async fn a_slow_or_absent_stripe_is_unavailable() {
    let stage = stage().await;
    let impatient = stage.fake.config().timeout(Duration::from_millis(50)).retry(RetryPolicy::NEVER);
    let client = StripeClient::new(&impatient).unwrap();
    stage.fake.fail(RequestFault::next(FaultKind::Delay(Duration::from_secs(5))));
    let slow = client.customer("cus_x").await.unwrap_err();
    assert_eq!(
        (slow.kind(), slow.to_string().as_str()),
        (StripeErrorKind::Unavailable, "Stripe did not answer in time")
    );

    let address = stage.fake.base_url();
    drop(stage);
    let client =
        StripeClient::new(&StripeConfig::new("sk_test_fake").base_url(address).retry(RetryPolicy::NEVER));
    let gone = client.unwrap().customer("cus_x").await;
    // The socket closes a moment after the handle is dropped; until then the fake still answers.
    assert!(gone.is_err_and(|error| {
        matches!(error.kind(), StripeErrorKind::Unavailable | StripeErrorKind::NotFound)
    }));
}

#[tokio::test]
async fn errors_name_what_is_wrong() {
    let stage = stage().await;
    let customer = stage.customer(Some("pm_card_visa")).await;
    let unknown = stage.client.create_subscription(&of(&customer, "price_x"), &op()).await.unwrap_err();
    assert_eq!(unknown.kind(), StripeErrorKind::NotFound);
    assert_eq!((unknown.code(), unknown.param()), (Some("resource_missing"), Some("items[0][price]")));
    let nobody = stage.client.customer("cus_x").await.unwrap_err();
    assert_eq!((nobody.kind(), nobody.status().unwrap().as_u16()), (StripeErrorKind::NotFound, 404));
    let declined =
        stage.client.attach_payment_method("pm_card_chargeDeclined", &customer, &op()).await.unwrap_err();
    assert_eq!(
        (declined.kind(), declined.decline_code()),
        (StripeErrorKind::CardDeclined, Some("generic_decline"))
    );
    assert_eq!(declined.message(), Some("Your card was declined."));
    assert!(!declined.is_retryable());
}

#[tokio::test]
async fn a_key_that_is_not_accepted_is_shown_nowhere() {
    let stage = stage().await;
    let config =
        StripeConfig::new("sk_live_canary").base_url(stage.fake.base_url()).retry(RetryPolicy::NEVER);
    let client = StripeClient::new(&config).unwrap();
    let error = client.customer("cus_x").await.unwrap_err();
    assert_eq!(error.kind(), StripeErrorKind::Authentication);
    assert!(client.is_live());
    let shown = format!("{error} {error:?} {client:?} {config:?}");
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn a_configuration_that_would_leak_the_key_is_refused() {
    let with =
        |key: &'static str, url: &str| StripeClient::new(&StripeConfig::new(key).base_url(url)).map(|_| ());
    for url in ["http://127.0.0.1:1", "http://localhost:1/", "http://[::1]:1", "https://api.stripe.com"] {
        assert!(with("sk_test_1", url).is_ok(), "{url}");
    }
    for url in [
        "http://api.stripe.com",
        "http://127.0.0.1.example",
        "ftp://127.0.0.1",
        "nothing",
        "https://a@b",
        "https://a/?q",
    ] {
        assert!(with("sk_test_1", url).is_err(), "{url}");
    }
    for key in ["", "pk_test_1", "sk_test_\n"] {
        assert!(with(key, "http://127.0.0.1:1").is_err(), "{key:?}");
    }
}

#[tokio::test]
async fn an_id_never_leads_to_another_path() {
    let stage = stage().await;
    let customer = stage.customer(None).await;
    for id in ["..", "", "../customers", "x/../../v1/customers", "%2e%2e", "a?b=c", "a#b"] {
        let error = stage.client.subscription(id).await.unwrap_err();
        let kind = error.kind();
        assert!(matches!(kind, StripeErrorKind::NotFound | StripeErrorKind::InvalidRequest), "{id}: {error}");
    }
    assert!(stage.client.customer(&customer).await.is_ok());
}

#[tokio::test]
async fn customers_are_found_by_address_and_by_metadata() {
    let stage = stage().await;
    let customer = stage.customer(None).await;
    let by_email = stage.client.customers_by_email("a@example.com").await.unwrap();
    assert_eq!(by_email.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), [customer.as_str()]);
    assert!(stage.client.customers_by_email("b@example.com").await.unwrap().is_empty());
    let found = stage.client.customers_by_metadata("company", "acme").await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(stage.client.customers_by_metadata("company", "acme' OR '1").await.unwrap().is_empty());
}

#[tokio::test]
async fn prices_are_found_by_lookup_key() {
    let stage = stage().await;
    let prices = stage.client.prices_by_lookup_key(&["starter_monthly", "unknown"]).await.unwrap();
    assert_eq!(prices.len(), 1);
    assert_eq!(prices[0].lookup_key.as_deref(), Some("starter_monthly"));
    assert_eq!(stage.client.price("price_pro").await.unwrap().unit_amount, Some(5800));
}

#[tokio::test]
async fn lists_are_read_to_their_end() {
    let stage = stage().await;
    let customer = stage.customer(Some("pm_card_visa")).await;
    for _ in 0..103 {
        stage.client.create_subscription(&of(&customer, "price_pro"), &op()).await.unwrap();
    }
    assert_eq!(stage.client.subscriptions(&customer).await.unwrap().len(), 103);
    let page = stage.client.invoices(&customer, None).await.unwrap();
    assert_eq!((page.data.len(), page.has_more), (100, true));
    let rest = stage.client.invoices(&customer, Some(&page.data[99].id)).await.unwrap();
    assert_eq!((rest.data.len(), rest.has_more), (3, false));
}

#[tokio::test]
async fn events_are_listed_newest_first() {
    let stage = stage().await;
    let subscription = stage.subscribe("pm_card_visa", "price_pro").await;
    let filter = EventFilter {
        kinds: vec!["invoice.paid".into(), "customer.created".into()],
        ..EventFilter::default()
    };
    let page = stage.client.events(&filter).await.unwrap();
    assert_eq!(
        page.data.iter().map(|it| it.kind.as_str()).collect::<Vec<_>>(),
        ["invoice.paid", "customer.created"]
    );
    let since =
        EventFilter { since: Some(stage.fake.now() + TimeDelta::seconds(1)), ..EventFilter::default() };
    assert!(stage.client.events(&since).await.unwrap().data.is_empty());
    let all = stage.client.events(&EventFilter::default()).await.unwrap();
    let created = all.data.iter().find(|it| it.kind == "customer.subscription.created").unwrap();
    assert_eq!(created.object().id.as_ref(), Some(&subscription.id));
    assert_eq!(stage.client.event(&created.id).await.unwrap().id, created.id);
}

#[tokio::test]
async fn usage_is_taken_once_by_its_identifier() {
    let stage = stage().await;
    let customer = stage.customer(None).await;
    let event = NewMeterEvent {
        event_name: "tokens".into(),
        customer,
        value: 12,
        identifier: "usage_1".into(),
        timestamp: stage.fake.now(),
    };
    let taken = stage.client.create_meter_event(&event, &op()).await.unwrap();
    assert_eq!((taken.identifier.as_str(), taken.payload["value"].as_str()), ("usage_1", "12"));
    let again = stage.client.create_meter_event(&event, &op()).await.unwrap_err();
    assert_eq!((again.kind(), again.param()), (StripeErrorKind::InvalidRequest, Some("identifier")));
    let old = NewMeterEvent {
        identifier: "usage_2".into(),
        timestamp: stage.fake.now() - TimeDelta::days(36),
        ..event
    };
    assert_eq!(stage.client.create_meter_event(&old, &op()).await.unwrap_err().param(), Some("timestamp"));
    assert!(stage.fake.event_kinds().contains(&"v1.billing.meter.no_meter_found".to_owned()));
}

#[tokio::test]
async fn a_restored_fake_knows_what_it_knew() {
    let stage = stage().await;
    let subscription = stage.subscribe("pm_card_visa", "price_pro").await;
    stage.fake.advance(TimeDelta::days(40));
    let later = stage.again(&subscription).await;
    let restored = stage_of(builder().restore(stage.fake.save())).await;
    // Invoices name the address of the fake.
    let bare = |it| Subscription { latest_invoice: None, ..it };
    assert_eq!(bare(restored.again(&subscription).await), bare(later));
    assert_eq!(restored.fake.now(), stage.fake.now());
}

#[tokio::test]
async fn what_was_answered_is_in_the_file_also_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stripe.json");
    let operation = op();
    let stage = stage_of(builder().file(&file)).await;
    let customer = stage.client.create_customer(&NewCustomer::default(), &operation).await.unwrap();
    // Nothing is saved at the end: the fake is gone at once.
    drop(stage);
    let again = stage_of(builder().file(&file)).await;
    assert_eq!(again.client.customer(&customer.id).await.unwrap(), customer);
    let replayed = again.client.create_customer(&NewCustomer::default(), &operation).await.unwrap();
    assert_eq!(replayed.id, customer.id, "and keys are still taken");
}

#[tokio::test]
async fn a_parameter_that_stripe_does_not_know_is_refused() {
    let stage = stage().await;
    let subscription = stage.subscribe("pm_card_visa", "price_pro").await;
    let http =
        reqwest_post(&stage, &format!("/v1/subscriptions/{}", subscription.id), "cancel_at_perod_end=true")
            .await;
    assert_eq!(http["error"]["code"], "parameter_unknown");
    assert_eq!(http["error"]["param"], "cancel_at_perod_end");
    let unchanged = stage.change(&subscription, SubscriptionChange::default()).await.unwrap();
    assert!(!unchanged.is_canceling());
}

async fn reqwest_post(stage: &crate::support::Stage, path: &str, form: &'static str) -> serde_json::Value {
    let http = reqwest::Client::builder().tls_backend_preconfigured(no_tls()).no_proxy().build().unwrap();
    let request = http
        .request(Method::POST, format!("{}{path}", stage.fake.base_url()))
        .header("authorization", "Basic c2tfdGVzdF8xOg==")
        .body(form);
    serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap()
}

fn no_tls() -> rustls::ClientConfig {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

#[test]
fn the_id_of_an_operation_fits_into_a_header() {
    for text in ["", "a b", "ü", "a\n", &"x".repeat(201)] {
        assert!(OperationId::new(text).is_err(), "{text:?}");
    }
    assert!(OperationId::new("x".repeat(200)).is_ok());
}
