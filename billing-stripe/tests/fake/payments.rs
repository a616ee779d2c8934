//! Payments that fail.

use billing_stripe::StripeErrorKind;
use billing_stripe::client::{NewSubscription, PaymentBehavior};
use billing_stripe::fake::AfterLastFailure;
use billing_stripe::wire::InvoiceStatus;
use chrono::TimeDelta;
use entitlements_core::SubscriptionStatus as Status;

use crate::support::{MONTH, builder, of, op, stage, stage_of};

#[tokio::test]
async fn a_card_that_fails_at_once_leaves_the_subscription_incomplete_for_a_day() {
    let stage = stage().await;
    for card in ["pm_card_chargeCustomerFail", "pm_card_authenticationRequired"] {
        let subscription = stage.subscribe(card, "price_pro").await;
        assert_eq!(subscription.status, Status::Incomplete, "{card}");
        let invoice = subscription.latest_invoice.as_ref().unwrap().object().unwrap();
        assert_eq!((invoice.status.clone(), invoice.amount_remaining), (Some(InvoiceStatus::Open), 5800));
        stage.fake.advance(TimeDelta::hours(23));
        let expired = stage.again(&subscription).await;
        assert_eq!(expired.status, Status::IncompleteExpired);
        let invoice = stage.client.invoice(&invoice.id).await.unwrap();
        assert_eq!(invoice.status, Some(InvoiceStatus::Void));
    }
}

#[tokio::test]
async fn a_subscription_that_must_be_paid_is_not_made_without_payment() {
    let stage = stage().await;
    let customer = stage.customer(Some("pm_card_chargeCustomerFail")).await;
    let strict = NewSubscription {
        payment_behavior: PaymentBehavior::ErrorIfIncomplete,
        ..of(&customer, "price_pro")
    };
    let error = stage.client.create_subscription(&strict, &op()).await.unwrap_err();
    assert_eq!(error.kind(), StripeErrorKind::CardDeclined);
    assert!(stage.client.subscriptions(&customer).await.unwrap().is_empty());
}

#[tokio::test]
async fn without_a_card_a_subscription_waits_if_it_was_asked_to() {
    let stage = stage().await;
    let customer = stage.customer(None).await;
    let refused = stage.client.create_subscription(&of(&customer, "price_pro"), &op()).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (StripeErrorKind::InvalidRequest, Some("resource_missing")));
    let patient = NewSubscription {
        payment_behavior: PaymentBehavior::DefaultIncomplete,
        ..of(&customer, "price_pro")
    };
    let waiting = stage.client.create_subscription(&patient, &op()).await.unwrap();
    assert_eq!(waiting.status, Status::Incomplete);

    stage.pay_with(&customer, "pm_card_visa").await;
    let invoice = waiting.latest_invoice.as_ref().unwrap().id().to_owned();
    stage.client.pay_invoice(&invoice, &op()).await.unwrap();
    assert_eq!(stage.again(&waiting).await.status, Status::Active);
}

#[tokio::test]
async fn a_renewal_that_fails_is_past_due_and_recovers_with_another_card() {
    let stage = stage().await;
    let subscription = stage.subscribe("pm_card_visa", "price_pro").await;
    let customer = subscription.customer.id().to_owned();
    stage.pay_with(&customer, "pm_card_chargeCustomerFail").await;
    let before = stage.fake.event_kinds().len();
    stage.fake.advance(MONTH + TimeDelta::hours(1));
    let late = stage.again(&subscription).await;
    assert_eq!(late.status, Status::PastDue);
    assert_eq!(
        stage.kinds_after(before),
        [
            "customer.subscription.updated",
            "invoice.created",
            "invoice.finalized",
            "invoice.payment_failed",
            "customer.subscription.updated",
        ]
    );
    let open = stage.client.open_invoices(&subscription.id).await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].attempt_count, 1);
    assert!(open[0].next_payment_attempt.is_some());

    stage.pay_with(&customer, "pm_card_visa").await;
    stage.fake.advance(TimeDelta::days(3));
    assert_eq!(stage.again(&subscription).await.status, Status::Active);
    assert!(stage.client.open_invoices(&subscription.id).await.unwrap().is_empty());
}

#[tokio::test]
async fn after_the_last_attempt_it_goes_as_the_account_says() {
    for (rule, status) in [
        (AfterLastFailure::Cancel, Status::Canceled),
        (AfterLastFailure::Unpaid, Status::Unpaid),
        (AfterLastFailure::KeepPastDue, Status::PastDue),
    ] {
        let stage = stage_of(builder().after_last_failure(rule)).await;
        let subscription = stage.subscribe("pm_card_visa", "price_pro").await;
        stage.pay_with(subscription.customer.id(), "pm_card_chargeCustomerFail").await;
        stage.fake.advance(MONTH + TimeDelta::days(14));
        assert_eq!(stage.again(&subscription).await.status, Status::PastDue, "{rule:?}: attempts are left");
        stage.fake.advance(TimeDelta::days(2));
        assert_eq!(stage.again(&subscription).await.status, status, "{rule:?}");
        let failures = stage.fake.event_kinds().iter().filter(|it| *it == "invoice.payment_failed").count();
        assert_eq!(failures, 4, "{rule:?}");
    }
}

#[tokio::test]
async fn declines_say_why() {
    let stage = stage().await;
    let customer = stage.customer(None).await;
    for (card, code, reason) in [
        ("pm_card_chargeDeclined", "card_declined", Some("generic_decline")),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", Some("insufficient_funds")),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", Some("lost_card")),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
    ] {
        let error = stage.client.attach_payment_method(card, &customer, &op()).await.unwrap_err();
        assert_eq!((error.code(), error.decline_code()), (Some(code), reason), "{card}");
    }
}
