//! Stores that break a promise are caught: the other tests can fail.

use billing_stripe::client::{ItemChange, SubscriptionChange};
use chrono::TimeDelta;

use crate::crash::{Next, buy_twice, steps};
use crate::shaky::{Cut, Flaw};
use crate::world::{World, buy, op};

/// The seats that are stored after an old answer was written later than a new one.
async fn seats_after_an_old_answer(flaw: Flaw) -> Option<u64> {
    let world = World::with(flaw, |builder| builder).await;
    let slow = std::sync::Arc::new(world.process());
    let made = slow.subscribe(&buy("pro", Some("pm_card_visa"))).await.unwrap();
    let sell = async |count: u64| {
        let shown = world.client.subscription(made.id.as_str()).await.unwrap();
        let id = Some(shown.items.data[0].id.clone());
        let items = vec![ItemChange { id, quantity: Some(count), ..ItemChange::default() }];
        let change = SubscriptionChange { items, ..SubscriptionChange::default() };
        world.client.update_subscription(made.id.as_str(), &change, &op()).await.unwrap();
        world.fake.events().last().unwrap().to_string()
    };
    let old = sell(5).await;
    slow.store.hold("put_synced_subscription");
    let held = slow.clone();
    let late = tokio::spawn(async move { held.receive(&old).await.map_err(|error| error.status()) });
    slow.store.holding().await;
    world.advance(TimeDelta::seconds(61));
    let new = sell(9).await;
    world.process().receive(&new).await.unwrap();
    slow.store.release();
    let _ = late.await.unwrap();
    world.stored().await[0].seats.map(entitlements_core::Amount::get)
}

#[tokio::test]
async fn an_old_answer_never_replaces_a_new_one_unless_the_fence_is_missing() {
    assert_eq!(seats_after_an_old_answer(Flaw::None).await, Some(9));
    assert_eq!(seats_after_an_old_answer(Flaw::NoFence).await, Some(5), "it is caught");
}

#[tokio::test]
async fn copies_have_one_effect_unless_the_ledger_forgets() {
    let world = World::with(Flaw::ForgetfulLedger, |builder| builder).await;
    assert!(crate::webhooks::told_of_sixteen_copies(&world).await > 1, "it is caught");
}

#[tokio::test]
async fn a_crash_leaves_one_of_each_unless_operations_are_forgotten() {
    let mut caught = 0;
    for step in 1..=steps().await {
        for cut in [Cut::FailBefore, Cut::FailAfter] {
            caught +=
                u32::from(buy_twice(Flaw::ForgetfulOperations, step, cut, Next::SameAtOnce).await.is_err());
        }
    }
    assert!(caught > 0);
}
