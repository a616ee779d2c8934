//! The lives of subscriptions.

use billing_stripe::StripeErrorKind;
use billing_stripe::client::{
    CancelAt, ItemChange, MissingPaymentMethod, NewItem, NewSubscription, Proration, SubscriptionChange,
    TrialEnd,
};
use billing_stripe::wire::{BillingReason, InvoiceStatus, Subscription};
use chrono::TimeDelta;
use entitlements_core::SubscriptionStatus as Status;

use crate::support::{MONTH, of, op, stage};

fn seats(subscription: &Subscription, quantity: u64, proration: Proration) -> SubscriptionChange {
    let id = Some(subscription.items.data[0].id.clone());
    SubscriptionChange {
        items: vec![ItemChange { id, quantity: Some(quantity), ..ItemChange::default() }],
        proration: Some(proration),
        ..SubscriptionChange::default()
    }
}

fn end(when: CancelAt) -> SubscriptionChange {
    SubscriptionChange { cancel: Some(when), ..SubscriptionChange::default() }
}

#[tokio::test]
async fn a_subscription_begins_with_its_payment() {
    let stage = stage().await;
    let customer = stage.customer(Some("pm_card_visa")).await;
    let before = stage.fake.event_kinds().len();
    let subscription = stage.client.create_subscription(&of(&customer, "price_pro"), &op()).await.unwrap();
    assert_eq!(subscription.status, Status::Active);
    let item = &subscription.items.data[0];
    assert_eq!(item.current_period_end.unwrap().to_rfc3339(), "2026-02-01T00:00:00+00:00");
    let invoice = subscription.latest_invoice.as_ref().unwrap().object().unwrap();
    assert_eq!((invoice.amount_paid, invoice.currency.as_deref()), (5800, Some("eur")));
    assert_eq!(invoice.billing_reason, Some(BillingReason::SubscriptionCreate));
    assert_eq!(
        stage.kinds_after(before),
        [
            "customer.subscription.created",
            "invoice.created",
            "invoice.finalized",
            "invoice.paid",
            "invoice.payment_succeeded",
            "customer.subscription.updated",
        ]
    );
}

#[tokio::test]
async fn a_renewal_moves_the_period_and_then_collects() {
    let stage = stage().await;
    let subscription = stage.subscribe("pm_card_visa", "price_pro").await;
    let before = stage.fake.event_kinds().len();
    stage.fake.advance(MONTH + TimeDelta::minutes(30));
    let draft = stage.again(&subscription).await;
    assert_eq!(draft.items.data[0].current_period_start, subscription.items.data[0].current_period_end);
    assert_eq!(draft.latest_invoice.unwrap().object().unwrap().status, Some(InvoiceStatus::Draft));
    stage.fake.advance(TimeDelta::hours(1));
    let paid = stage.again(&subscription).await;
    let invoice = paid.latest_invoice.as_ref().unwrap().object().unwrap();
    assert_eq!(invoice.status, Some(InvoiceStatus::Paid));
    assert_eq!(invoice.billing_reason, Some(BillingReason::SubscriptionCycle));
    assert_eq!(
        stage.kinds_after(before),
        [
            "customer.subscription.updated",
            "invoice.created",
            "invoice.finalized",
            "invoice.paid",
            "invoice.payment_succeeded",
        ]
    );
}

#[tokio::test]
async fn a_year_of_renewals_keeps_its_anchor() {
    let stage = stage().await;
    stage.fake.advance(TimeDelta::days(30));
    let subscription = stage.subscribe("pm_card_visa", "price_pro").await;
    let mut ends = vec![subscription.items.data[0].current_period_end.unwrap().date_naive().to_string()];
    for _ in 0..3 {
        let last = stage.again(&subscription).await.items.data[0].current_period_end.unwrap();
        stage.fake.advance(last - stage.fake.now());
        ends.push(
            stage.again(&subscription).await.items.data[0]
                .current_period_end
                .unwrap()
                .date_naive()
                .to_string(),
        );
    }
    assert_eq!(ends, ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]);
}

#[tokio::test]
async fn a_trial_is_announced_and_then_paid() {
    let stage = stage().await;
    let customer = stage.customer(Some("pm_card_visa")).await;
    let trial = NewSubscription { trial_period_days: Some(14), ..of(&customer, "price_pro") };
    let subscription = stage.client.create_subscription(&trial, &op()).await.unwrap();
    assert_eq!(subscription.status, Status::Trialing);
    assert_eq!(subscription.items.data[0].current_period_end, subscription.trial_end);
    assert_eq!(subscription.billing_cycle_anchor, subscription.trial_end);
    let invoice = subscription.latest_invoice.as_ref().unwrap().object().unwrap();
    assert_eq!((invoice.status.clone(), invoice.amount_paid), (Some(InvoiceStatus::Paid), 0));

    let before = stage.fake.event_kinds().len();
    stage.fake.advance(TimeDelta::days(11));
    assert_eq!(stage.kinds_after(before), ["customer.subscription.trial_will_end"]);
    stage.fake.advance(TimeDelta::days(3) + TimeDelta::hours(1));
    let paid = stage.again(&subscription).await;
    assert_eq!(paid.status, Status::Active);
    assert_eq!(paid.trial_end, subscription.trial_end);
    assert_eq!(paid.billing_cycle_anchor, subscription.trial_end);
    assert_eq!(paid.latest_invoice.unwrap().object().unwrap().amount_paid, 5800);
}

#[tokio::test]
async fn a_trial_without_a_card_ends_as_was_agreed() {
    let stage = stage().await;
    for (agreed, status, kind) in [
        (MissingPaymentMethod::Cancel, Status::Canceled, "customer.subscription.deleted"),
        (MissingPaymentMethod::Pause, Status::Paused, "customer.subscription.paused"),
        (MissingPaymentMethod::CreateInvoice, Status::PastDue, "invoice.payment_failed"),
    ] {
        let customer = stage.customer(None).await;
        let trial = NewSubscription {
            trial_period_days: Some(1),
            missing_payment_method: Some(agreed),
            ..of(&customer, "price_pro")
        };
        let subscription = stage.client.create_subscription(&trial, &op()).await.unwrap();
        let before = stage.fake.event_kinds().len();
        stage.fake.advance(TimeDelta::hours(25));
        assert_eq!(stage.again(&subscription).await.status, status, "{agreed:?}");
        assert!(stage.kinds_after(before).iter().any(|it| it == kind), "{agreed:?}");
    }
}

#[tokio::test]
async fn a_trial_can_be_cut_short() {
    let stage = stage().await;
    let customer = stage.customer(Some("pm_card_visa")).await;
    let trial = NewSubscription { trial_period_days: Some(14), ..of(&customer, "price_pro") };
    let subscription = stage.client.create_subscription(&trial, &op()).await.unwrap();
    stage.fake.advance(TimeDelta::days(2));
    let now = SubscriptionChange { trial_end: Some(TrialEnd::Now), ..SubscriptionChange::default() };
    let paid = stage.change(&subscription, now).await.unwrap();
    assert_eq!((paid.status, paid.trial_end), (Status::Active, Some(stage.fake.now())));
    assert_eq!(paid.latest_invoice.unwrap().object().unwrap().amount_paid, 5800);
}

#[tokio::test]
async fn more_seats_are_settled_on_the_next_invoice_or_at_once() {
    let stage = stage().await;
    let subscription = stage.subscribe("pm_card_visa", "price_pro").await;
    stage.fake.advance(TimeDelta::hours(372));
    let first_invoice = subscription.latest_invoice.as_ref().unwrap().id().to_owned();

    let later =
        stage.change(&subscription, seats(&subscription, 3, Proration::CreateProrations)).await.unwrap();
    assert_eq!(later.items.data[0].quantity, Some(3));
    assert_eq!(later.items.data[0].id, subscription.items.data[0].id, "the item stays the same");
    assert_eq!(later.latest_invoice.as_ref().unwrap().id(), first_invoice, "no invoice yet");

    let now = stage.change(&subscription, seats(&subscription, 5, Proration::AlwaysInvoice)).await.unwrap();
    let invoice = now.latest_invoice.as_ref().unwrap().object().unwrap();
    assert_eq!(invoice.billing_reason, Some(BillingReason::SubscriptionUpdate));
    // Half a month: from one seat to three and from three to five, 2 × 2 × 2900.
    assert_eq!((invoice.amount_paid, invoice.lines.data.len()), (11_600, 4));
    assert_eq!(now.items.data[0].current_period_end, subscription.items.data[0].current_period_end);

    let free = stage.change(&subscription, seats(&subscription, 9, Proration::None)).await.unwrap();
    assert_eq!(free.latest_invoice.unwrap().id(), invoice.id);
    stage.fake.advance(TimeDelta::days(17));
    let renewed = stage.again(&subscription).await;
    assert_eq!(renewed.latest_invoice.unwrap().object().unwrap().amount_paid, 9 * 5800);
}

#[tokio::test]
async fn another_plan_of_the_same_interval_keeps_the_period() {
    let stage = stage().await;
    let subscription = stage.subscribe("pm_card_visa", "price_starter").await;
    stage.fake.advance(TimeDelta::days(10));
    let id = Some(subscription.items.data[0].id.clone());
    let items = vec![ItemChange { id, price: Some("price_pro".into()), ..ItemChange::default() }];
    let changed = stage
        .change(&subscription, SubscriptionChange { items, ..SubscriptionChange::default() })
        .await
        .unwrap();
    assert_eq!(changed.items.data[0].price.id, "price_pro");
    assert_eq!(changed.items.data[0].current_period_end, subscription.items.data[0].current_period_end);
}

#[tokio::test]
async fn another_interval_begins_a_period_and_is_invoiced_at_once() {
    let stage = stage().await;
    let subscription = stage.subscribe("pm_card_visa", "price_pro").await;
    stage.fake.advance(TimeDelta::days(10));
    let id = Some(subscription.items.data[0].id.clone());
    let items = vec![ItemChange { id, price: Some("price_pro_yearly".into()), ..ItemChange::default() }];
    let yearly = stage
        .change(&subscription, SubscriptionChange { items, ..SubscriptionChange::default() })
        .await
        .unwrap();
    assert_eq!(yearly.billing_cycle_anchor, Some(stage.fake.now()));
    assert_eq!(yearly.items.data[0].current_period_end.unwrap().to_rfc3339(), "2027-01-11T00:00:00+00:00");
    // 58000 for the year, less 21 of 31 days of 5800.
    assert_eq!(yearly.latest_invoice.unwrap().object().unwrap().amount_paid, 58_000 - 3_929);
}

#[tokio::test]
async fn an_addon_is_an_item_that_comes_and_goes() {
    let stage = stage().await;
    let subscription = stage.subscribe("pm_card_visa", "price_pro").await;
    let add = ItemChange { price: Some("price_pack".into()), quantity: Some(2), ..ItemChange::default() };
    let both = stage
        .change(
            &subscription,
            SubscriptionChange { items: vec![add.clone()], ..SubscriptionChange::default() },
        )
        .await
        .unwrap();
    assert_eq!(both.items.data.len(), 2);
    let twice = stage
        .change(&subscription, SubscriptionChange { items: vec![add], ..SubscriptionChange::default() })
        .await;
    assert_eq!(twice.unwrap_err().kind(), StripeErrorKind::InvalidRequest);
    let take = ItemChange { id: Some(both.items.data[1].id.clone()), deleted: true, ..ItemChange::default() };
    let one = stage
        .change(&subscription, SubscriptionChange { items: vec![take], ..SubscriptionChange::default() })
        .await
        .unwrap();
    assert_eq!(one.items.data.len(), 1);
}

#[tokio::test]
async fn an_end_with_the_period_gives_access_until_then() {
    let stage = stage().await;
    let subscription = stage.subscribe("pm_card_visa", "price_pro").await;
    let period_end = subscription.items.data[0].current_period_end;
    let ending = stage.change(&subscription, end(CancelAt::PeriodEnd)).await.unwrap();
    assert_eq!((ending.status.clone(), ending.cancel_at), (Status::Active, period_end));
    assert!(ending.cancel_at_period_end && ending.is_canceling());
    let before = stage.fake.event_kinds().len();
    stage.fake.advance(MONTH);
    let ended = stage.again(&subscription).await;
    assert_eq!((ended.status, ended.ended_at), (Status::Canceled, period_end));
    assert_eq!(stage.kinds_after(before), ["customer.subscription.deleted"], "and nothing is collected");
}

#[tokio::test]
async fn an_end_is_undone_in_the_way_it_was_decided() {
    for (days, undo, other) in
        [(None, CancelAt::NotPeriodEnd, None), (Some(5), CancelAt::Never, Some(CancelAt::NotPeriodEnd))]
    {
        let stage = stage().await;
        let at = |days| CancelAt::At(stage.fake.now() + TimeDelta::days(days));
        let decided = days.map_or(CancelAt::PeriodEnd, at);
        let subscription = stage.subscribe("pm_card_visa", "price_pro").await;
        assert!(stage.change(&subscription, end(decided)).await.unwrap().is_canceling());
        if let Some(other) = other {
            assert!(stage.change(&subscription, end(other)).await.unwrap().is_canceling(), "the wrong way");
        }
        let kept = stage.change(&subscription, end(undo)).await.unwrap();
        assert!(!kept.is_canceling());
        assert_eq!((kept.cancel_at, kept.canceled_at), (None, None));
        stage.fake.advance(MONTH + TimeDelta::days(1));
        assert_eq!(stage.again(&subscription).await.status, Status::Active);
    }
}

#[tokio::test]
async fn an_end_at_once_is_final() {
    let stage = stage().await;
    let subscription = stage.subscribe("pm_card_visa", "price_pro").await;
    let ended = stage.client.cancel_subscription(&subscription.id, &op()).await.unwrap();
    assert_eq!((ended.status, ended.ended_at), (Status::Canceled, Some(stage.fake.now())));
    let again = stage.client.cancel_subscription(&subscription.id, &op()).await.unwrap_err();
    assert_eq!(again.kind(), StripeErrorKind::NotFound);
    let change = stage.change(&subscription, seats(&subscription, 2, Proration::None)).await.unwrap_err();
    assert_eq!(change.kind(), StripeErrorKind::InvalidRequest);
    assert_eq!(stage.again(&subscription).await.status, Status::Canceled, "and it can still be read");
}

#[tokio::test]
async fn a_pause_stops_invoices_until_it_is_resumed() {
    let stage = stage().await;
    let subscription = stage.subscribe("pm_card_visa", "price_pro").await;
    stage.fake.advance(TimeDelta::days(10));
    let paused = stage.client.pause_subscription(&subscription.id, &op()).await.unwrap();
    assert_eq!(paused.status, Status::Paused);
    let before = stage.fake.event_kinds().len();
    stage.fake.advance(TimeDelta::days(90));
    assert!(stage.kinds_after(before).is_empty());
    let resumed = stage.client.resume_subscription(&subscription.id, &op()).await.unwrap();
    assert_eq!((resumed.status, resumed.billing_cycle_anchor), (Status::Active, Some(stage.fake.now())));
    assert!(stage.kinds_after(before).contains(&"customer.subscription.resumed".to_owned()));
    let again = stage.client.resume_subscription(&subscription.id, &op()).await.unwrap_err();
    assert_eq!(again.kind(), StripeErrorKind::InvalidRequest);
}

#[tokio::test]
async fn a_deleted_customer_has_no_subscriptions_left() {
    let stage = stage().await;
    let subscription = stage.subscribe("pm_card_visa", "price_pro").await;
    let customer = subscription.customer.id().to_owned();
    let before = stage.fake.event_kinds().len();
    stage.client.delete_customer(&customer, &op()).await.unwrap();
    assert_eq!(stage.kinds_after(before), ["customer.subscription.deleted", "customer.deleted"]);
    assert!(stage.client.customer(&customer).await.unwrap().deleted);
    let refused = stage.client.create_subscription(&of(&customer, "price_pro"), &op()).await.unwrap_err();
    assert_eq!((refused.kind(), refused.param()), (StripeErrorKind::NotFound, Some("customer")));
}

#[tokio::test]
async fn a_customer_may_have_several_subscriptions() {
    let stage = stage().await;
    let customer = stage.customer(Some("pm_card_visa")).await;
    let one = stage.client.create_subscription(&of(&customer, "price_pro"), &op()).await.unwrap();
    let two = NewSubscription {
        items: vec![NewItem { price: "price_pack".into(), quantity: Some(2) }],
        ..of(&customer, "price_pack")
    };
    let two = stage.client.create_subscription(&two, &op()).await.unwrap();
    stage.client.cancel_subscription(&one.id, &op()).await.unwrap();
    let all = stage.client.subscriptions(&customer).await.unwrap();
    let states: Vec<_> = all.iter().map(|it| (it.id.as_str(), it.status.as_str())).collect();
    assert_eq!(states, [(two.id.as_str(), "active"), (one.id.as_str(), "canceled")]);
}
