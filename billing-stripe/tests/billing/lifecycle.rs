//! The life of a subscription through the provider. Every check is right after each call.

use billing_stripe::Drift;
use billing_stripe::client::{CancelAt, ItemChange, SubscriptionChange as AtStripe};
use chrono::TimeDelta;
use entitlements_core::billing::{
    BillingErrorKind, BillingProvider, BillingStore, NewSubscription, SubscriptionChange,
};
use entitlements_core::store::PageRequest;
use entitlements_core::{Amount, Reason, SubscriptionStatus as Status};

use crate::world::{World, acme, buy, op, seats};

const VISA: Option<&str> = Some("pm_card_visa");

fn plan(key: &str) -> SubscriptionChange {
    SubscriptionChange { plan: Some(key.parse().unwrap()), ..SubscriptionChange::default() }
}

fn ends(with_period: bool) -> SubscriptionChange {
    SubscriptionChange { cancel_at_period_end: Some(with_period), ..SubscriptionChange::default() }
}

#[tokio::test]
async fn who_pays_has_access_at_once() {
    let world = World::new().await;
    let process = world.process();
    assert_eq!(process.check("reports").await, Reason::NoSubscription);
    let made = process.subscribe(&buy("starter", VISA)).await.unwrap();
    assert_eq!((made.status.clone(), made.seats), (Status::Active, None));
    assert!(process.may("reports").await && !process.may("forecast").await);
    assert_eq!(world.stored().await, [made]);
    assert_eq!(world.open(), [""; 0]);
}

#[tokio::test]
async fn who_cannot_pay_waits_without_access() {
    let world = World::new().await;
    let process = world.process();
    let made = process.subscribe(&buy("starter", None)).await.unwrap();
    assert_eq!(made.status, Status::Incomplete);
    assert_eq!(process.check("reports").await, Reason::SubscriptionInactive);
    world.advance(TimeDelta::hours(24));
    let after = process.billing.reconcile(&acme()).await.unwrap();
    assert_eq!(after[0].status, Status::IncompleteExpired);
}

#[tokio::test]
async fn who_comes_back_pays_as_before() {
    let world = World::new().await;
    let process = world.process();
    let first = process.subscribe(&buy("starter", VISA)).await.unwrap();
    process.billing.cancel(&first.id, false).await.unwrap();
    let second = process.subscribe(&buy("starter", None)).await.unwrap();
    assert_eq!(second.status, Status::Active);
    assert_eq!(world.count("customer.created"), 1);
}

#[tokio::test]
async fn a_trial_has_up_to_thirty_days() {
    for (days, status) in [(0, Status::Active), (14, Status::Trialing), (30, Status::Trialing)] {
        let world = World::new().await;
        let process = world.process();
        let new = NewSubscription { trial_days: Some(days), ..buy("pro", VISA) };
        let made = process.subscribe(&new).await.unwrap();
        assert_eq!(made.status, status, "{days}");
        assert!(process.may("forecast").await);
        let length = made.trial_end.map_or(TimeDelta::zero(), |end| end - made.started_at);
        assert_eq!(length, TimeDelta::days(i64::from(days)));
    }
    let world = World::new().await;
    let new = NewSubscription { trial_days: Some(31), ..buy("pro", VISA) };
    let error = world.process().subscribe(&new).await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (BillingErrorKind::Invalid, Some("trialDays")));
    assert!(world.fake.event_kinds().is_empty());
}

#[tokio::test]
async fn a_trial_without_a_card_ends_the_subscription() {
    let world = World::new().await;
    let process = world.process();
    let new = NewSubscription { trial_days: Some(14), ..buy("pro", None) };
    process.subscribe(&new).await.unwrap();
    assert!(process.may("forecast").await);
    world.advance(TimeDelta::days(14));
    process.billing.reconcile(&acme()).await.unwrap();
    assert_eq!(process.check("forecast").await, Reason::SubscriptionInactive);
}

#[tokio::test]
async fn seats_and_plan_change_with_proration() {
    let world = World::new().await;
    let process = world.process();
    let made = process.subscribe(&NewSubscription { seats: seats(5), ..buy("starter", VISA) }).await.unwrap();
    assert_eq!(made.seats, seats(5));
    world.advance(TimeDelta::days(10));
    let more = SubscriptionChange { seats: seats(8), ..SubscriptionChange::default() };
    let changed = process.billing.change(&made.id, &more).await.unwrap();
    assert_eq!((changed.seats, changed.plan.as_str()), (seats(8), "starter"));
    assert!(!process.may("forecast").await);
    let changed = process.billing.change(&made.id, &plan("pro")).await.unwrap();
    assert_eq!((changed.seats, changed.plan.as_str()), (seats(8), "pro"), "the seats stay");
    assert_eq!(changed.current_period_end, made.current_period_end);
    assert!(process.may("forecast").await);
    let one = SubscriptionChange { seats: seats(1), ..plan("starter") };
    assert_eq!(process.billing.change(&made.id, &one).await.unwrap().seats, seats(1));
    assert!(!process.may("forecast").await);
    assert_eq!(world.stored().await, world.truth().await);
    assert_eq!(world.open(), [""; 0]);

    world.advance(TimeDelta::days(31));
    process.billing.reconcile(&acme()).await.unwrap();
    let invoices = world.memory.list_invoices(&acme(), &PageRequest::first(10)).await.unwrap().items;
    let plain = invoices.last().unwrap().total / 5;
    assert_ne!(invoices.first().unwrap().total, plain, "the rest of the period is settled as well");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_nothing_is_asked() {
    let world = World::new().await;
    let process = world.process();
    let no_plan = process.subscribe(&buy("gold", VISA)).await.unwrap_err();
    assert_eq!((no_plan.kind(), no_plan.field()), (BillingErrorKind::Invalid, Some("plan")));
    let no_seats = NewSubscription { seats: Some(Amount::ZERO), ..buy("pro", VISA) };
    let no_seats = process.subscribe(&no_seats).await.unwrap_err();
    assert_eq!((no_seats.kind(), no_seats.field()), (BillingErrorKind::Invalid, Some("seats")));
    assert!(world.fake.event_kinds().is_empty());

    let made = process.subscribe(&buy("pro", VISA)).await.unwrap();
    let nothing = process.billing.change(&made.id, &SubscriptionChange::default()).await.unwrap_err();
    assert_eq!(nothing.kind(), BillingErrorKind::Invalid);
    let gold = process.billing.change(&made.id, &plan("gold")).await.unwrap_err();
    assert_eq!((gold.kind(), gold.field()), (BillingErrorKind::Invalid, Some("plan")));
    let other = process.billing.cancel(&"sub_other".parse().unwrap(), false).await.unwrap_err();
    assert_eq!(other.kind(), BillingErrorKind::NotFound);
    assert_eq!(world.open(), [""; 0]);
}

#[tokio::test]
async fn a_second_subscription_is_refused_and_names_the_first() {
    let world = World::new().await;
    let process = world.process();
    let first = process.subscribe(&buy("starter", VISA)).await.unwrap();
    let error = process.subscribe(&buy("pro", VISA)).await.unwrap_err();
    assert_eq!(error.kind(), BillingErrorKind::Conflict);
    assert!(error.to_string().contains(first.id.as_str()), "{error}");
    assert_eq!(world.open(), [""; 0]);
    process.billing.cancel(&first.id, false).await.unwrap();
    assert!(process.subscribe(&buy("pro", VISA)).await.is_ok());
}

#[tokio::test]
async fn a_subscription_that_was_made_elsewhere_is_in_the_way_too() {
    let world = World::new().await;
    let process = world.process();
    let first = process.subscribe(&buy("starter", VISA)).await.unwrap();
    process.billing.cancel(&first.id, false).await.unwrap();
    let customer = world.memory.customer_of(&acme()).await.unwrap().unwrap();
    let by_hand = crate::story::of(customer.id.as_str(), "price_starter");
    let by_hand = world.client.create_subscription(&by_hand, &op()).await.unwrap();
    let error = process.subscribe(&buy("pro", VISA)).await.unwrap_err();
    assert!(error.to_string().contains(&by_hand.id), "{error}");
    assert!(process.may("reports").await, "and counts from now on");
}

#[tokio::test]
async fn a_double_click_makes_one_subscription() {
    let world = World::new().await;
    let process = world.process();
    let new = buy("pro", VISA);
    let (a, b) = tokio::join!(process.subscribe(&new), process.subscribe(&new));
    assert_eq!(u32::from(a.is_ok()) + u32::from(b.is_ok()), 1, "{a:?} {b:?}");
    assert_eq!((world.count("customer.created"), world.count("customer.subscription.created")), (1, 1));
}

#[tokio::test]
async fn a_call_whose_caller_goes_away_runs_to_its_end() {
    let world = World::new().await;
    let process = world.process();
    process.store.hold("put_synced_subscription");
    let billing = process.billing.clone();
    let call = tokio::spawn(async move { billing.subscribe(&buy("pro", VISA)).await });
    process.store.holding().await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    process.store.release();
    while !world.open().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(process.may("forecast").await);
}

#[tokio::test]
async fn cancelled_now_means_no_access_now() {
    let world = World::new().await;
    let process = world.process();
    let made = process.subscribe(&buy("pro", VISA)).await.unwrap();
    let ended = process.billing.cancel(&made.id, false).await.unwrap();
    assert_eq!((ended.status, ended.cancel_at), (Status::Canceled, Some(crate::world::start())));
    assert_eq!(process.check("forecast").await, Reason::SubscriptionInactive);
    let again = process.billing.cancel(&made.id, false).await.unwrap_err();
    assert_eq!(again.kind(), BillingErrorKind::Conflict);
    assert_eq!(world.open(), [""; 0]);
}

#[tokio::test]
async fn cancelled_at_the_end_of_the_period_means_access_until_then() {
    let world = World::new().await;
    let process = world.process();
    let made = process.subscribe(&buy("pro", VISA)).await.unwrap();
    let ending = process.billing.cancel(&made.id, true).await.unwrap();
    assert_eq!((ending.status.clone(), ending.ends_at()), (Status::Active, Some(made.current_period_end)));
    world.clock.set(made.current_period_end - TimeDelta::seconds(1));
    assert!(process.may("forecast").await);
    world.clock.set(made.current_period_end);
    assert!(!process.may("forecast").await, "without any webhook");
}

#[tokio::test]
async fn an_end_is_undone_however_it_was_said() {
    let world = World::new().await;
    let process = world.process();
    let made = process.subscribe(&buy("pro", VISA)).await.unwrap();
    process.billing.cancel(&made.id, true).await.unwrap();
    let kept = process.billing.change(&made.id, &ends(false)).await.unwrap();
    assert_eq!((kept.ends_at(), kept.cancel_at_period_end), (None, false));

    let portal = AtStripe { cancel: Some(CancelAt::At(made.current_period_end)), ..AtStripe::default() };
    world.client.update_subscription(made.id.as_str(), &portal, &op()).await.unwrap();
    process.billing.reconcile(&acme()).await.unwrap();
    let ending = &world.stored().await[0];
    assert_eq!((ending.ends_at(), ending.cancel_at_period_end), (Some(made.current_period_end), false));
    let kept = process.billing.change(&made.id, &ends(false)).await.unwrap();
    assert_eq!(kept.ends_at(), None);
    let kept = process.billing.change(&made.id, &ends(false)).await.unwrap();
    assert_eq!(kept.ends_at(), None, "undoing nothing is nothing");
}

#[tokio::test]
async fn a_pause_takes_access_and_resuming_gives_it_back() {
    let world = World::new().await;
    let process = world.process();
    let made = process.subscribe(&buy("pro", VISA)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(process.billing.pause(&made.id).await.unwrap().status, Status::Paused);
        assert_eq!(process.check("forecast").await, Reason::SubscriptionInactive);
    }
    for _ in 0..2 {
        assert_eq!(process.billing.resume(&made.id).await.unwrap().status, Status::Active);
        assert!(process.may("forecast").await);
    }
    assert_eq!(world.open(), [""; 0]);
}

#[tokio::test]
async fn the_portal_is_for_customers() {
    let world = World::new().await;
    let process = world.process();
    let error = process.billing.portal(&acme(), "https://app.example").await.unwrap_err();
    assert_eq!(error.kind(), BillingErrorKind::NotFound);
    process.subscribe(&buy("pro", VISA)).await.unwrap();
    let portal = process.billing.portal(&acme(), "https://app.example").await.unwrap();
    assert!(portal.url.starts_with(&world.fake.base_url()), "{}", portal.url);
}

#[tokio::test]
async fn a_declined_card_is_told_and_nothing_is_bought() {
    for card in ["pm_card_chargeDeclined", "pm_card_chargeCustomerFail"] {
        let world = World::new().await;
        let process = world.process();
        let error = process.subscribe(&buy("pro", Some(card))).await.unwrap_err();
        assert_eq!(error.kind(), BillingErrorKind::Declined, "{card}");
        assert_eq!(process.check("forecast").await, Reason::NoSubscription);
        assert_eq!(world.truth().await, []);
        assert_eq!(world.open(), [""; 0]);
        assert!(process.subscribe(&buy("pro", VISA)).await.is_ok(), "with another card");
        assert_eq!(world.count("customer.created"), 1);
    }
}

#[tokio::test]
async fn what_was_missed_is_drift_until_it_is_reconciled() {
    let world = World::new().await;
    let process = world.process();
    let made = process.subscribe(&buy("pro", VISA)).await.unwrap();
    assert_eq!(process.billing.drift(&acme()).await.unwrap(), []);
    world.client.cancel_subscription(made.id.as_str(), &op()).await.unwrap();
    let drift = process.billing.drift(&acme()).await.unwrap();
    let [Drift { stored: Some(stored), shown: Some(shown) }] = drift.as_slice() else { panic!("{drift:?}") };
    assert_eq!((stored, &shown.status), (&made, &Status::Canceled));
    assert!(process.may("forecast").await, "nobody told us");
    process.billing.reconcile(&acme()).await.unwrap();
    assert!(!process.may("forecast").await);
    assert_eq!(process.billing.drift(&acme()).await.unwrap(), []);
    let invoices = world.memory.list_invoices(&acme(), &PageRequest::first(10)).await.unwrap();
    assert_eq!(invoices.items.len(), 1);
}

#[tokio::test]
async fn what_ended_unheard_is_told_when_it_is_to_change() {
    let world = World::new().await;
    let process = world.process();
    let made = process.subscribe(&buy("pro", VISA)).await.unwrap();
    world.client.cancel_subscription(made.id.as_str(), &op()).await.unwrap();
    let error = process.billing.change(&made.id, &plan("starter")).await.unwrap_err();
    assert_eq!(error.kind(), BillingErrorKind::Conflict, "{error}");
    assert!(!process.may("forecast").await);
    assert_eq!(world.open(), [""; 0]);
}

#[tokio::test]
async fn a_customer_that_was_deleted_at_stripe_is_made_anew() {
    for heard in [false, true] {
        let world = World::new().await;
        let process = world.process();
        let first = process.subscribe(&buy("pro", VISA)).await.unwrap();
        let customer = world.memory.customer_of(&acme()).await.unwrap().unwrap();
        world.client.delete_customer(customer.id.as_str(), &op()).await.unwrap();
        if heard {
            process.billing.reconcile(&acme()).await.unwrap();
            assert!(!process.may("forecast").await);
            assert_eq!(world.memory.customer_of(&acme()).await.unwrap(), None);
        }
        let second = process.subscribe(&buy("pro", VISA)).await.unwrap();
        assert_ne!(second.id, first.id);
        assert!(process.may("forecast").await);
        let now = world.memory.customer_of(&acme()).await.unwrap().unwrap();
        assert_ne!(now.id, customer.id);
        assert_eq!(world.stored().await.iter().filter(|it| it.status == Status::Active).count(), 1);
    }
}

#[tokio::test]
async fn a_price_of_no_plan_gives_nothing() {
    let world = World::new().await;
    let process = world.process();
    let made = process.subscribe(&buy("pro", VISA)).await.unwrap();
    let shown = world.client.subscription(made.id.as_str()).await.unwrap();
    let unsold = world.client.prices_by_lookup_key(&["unsold"]).await.unwrap();
    let price = unsold.first().map_or("price_unsold".to_owned(), |price| price.id.clone());
    let item =
        ItemChange { id: Some(shown.items.data[0].id.clone()), price: Some(price), ..ItemChange::default() };
    let change = AtStripe { items: vec![item], ..AtStripe::default() };
    world.client.update_subscription(made.id.as_str(), &change, &op()).await.unwrap();
    process.billing.reconcile(&acme()).await.unwrap();
    assert!(!process.may("forecast").await && !process.may("reports").await);
    assert_eq!(world.stored().await[0].status, Status::Active);
}
