//! What is left half done, by a crash or a lost reply at any step, is found and finished by the next call.

use std::time::Duration;

use billing_stripe::fake::{FaultKind, RequestFault};
use chrono::TimeDelta;
use entitlements_core::Subscription;
use entitlements_core::billing::{BillingError, BillingErrorKind, BillingProvider, SubscriptionChange};
use http::Method;

use crate::shaky::{Cut, Flaw};
use crate::world::{Process, World, acme, buy};

const VISA: Option<&str> = Some("pm_card_visa");

/// What the next call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    SameAtOnce,
    SameLater,
    AnotherLater,
}

/// The first call; `None` if the process died in it.
async fn first(process: &Process) -> Option<Result<Subscription, BillingError>> {
    let new = buy("pro", VISA);
    tokio::select! {
        answer = process.subscribe(&new) => Some(answer),
        () = process.store.died() => None,
    }
}

/// Buys with a cut at a step, and again with a new process. Says what is not as it should be.
pub(crate) async fn buy_twice(flaw: Flaw, step: u64, cut: Cut, next: Next) -> Result<(), String> {
    let world = World::with(flaw, |builder| builder).await;
    let process = world.process();
    process.store.cut_at(step, cut);
    let done = first(&process).await;
    // The answer of the last step can be lost, too: then everything is done.
    let closed = world.open().is_empty() && world.count("customer.subscription.created") == 1;
    let lock_is_lost = step == 1 && cut == Cut::FailAfter;
    if next != Next::SameAtOnce || closed || lock_is_lost {
        // A lock that was not given back ends by itself.
        world.advance(TimeDelta::seconds(61));
    }
    let restarted = world.process();
    let plan = if next == Next::AnotherLater { "starter" } else { "pro" };
    let again = restarted.subscribe(&buy(plan, VISA)).await;
    let made = world.count("customer.subscription.created");
    let fits = match &again {
        Ok(_) => !closed,
        // The first call made it, and told so or this call is another.
        Err(error) => {
            error.kind() == BillingErrorKind::Conflict
                && error.to_string().contains("sub_")
                && (closed || next == Next::AnotherLater)
        }
    };
    let stored = world.stored().await;
    let problems = [
        (!fits, "the answer"),
        (world.count("customer.created") != 1, "customers"),
        (made != 1, "subscriptions"),
        (stored.len() != 1, "what is stored"),
        (stored != world.truth().await, "what is stored against what is true"),
        (!world.open().is_empty(), "open operations"),
        (!restarted.may("reports").await, "access"),
    ];
    let wrong: Vec<&str> = problems.iter().filter(|(wrong, _)| *wrong).map(|(_, what)| *what).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let open = world.open();
    Err(format!("{cut:?} at {step}, {next:?}: {wrong:?}; {done:?}, then {again:?}; open: {open:?}"))
}

/// How many steps of the store a purchase takes.
pub(crate) async fn steps() -> u64 {
    let world = World::new().await;
    let process = world.process();
    first(&process).await.unwrap().unwrap();
    process.store.steps()
}

#[tokio::test]
async fn a_crash_at_any_step_of_buying_leaves_one_customer_and_one_subscription() {
    let steps = steps().await;
    let mut runs = 0;
    let mut problems = Vec::new();
    for step in 1..=steps {
        for cut in Cut::ALL {
            for next in [Next::SameAtOnce, Next::SameLater, Next::AnotherLater] {
                let died = matches!(cut, Cut::DieBefore | Cut::DieAfter);
                if died && next == Next::SameAtOnce {
                    // The lock of the dead is waited for: that is one test of its own.
                    continue;
                }
                runs += 1;
                problems.extend(buy_twice(Flaw::None, step, cut, next).await.err());
            }
        }
    }
    println!("{runs} purchases were cut at {steps} steps");
    assert_eq!(problems, [""; 0]);
}

#[tokio::test]
async fn who_died_holds_its_lock_until_the_lease_ends() {
    let mut world = World::new().await;
    world.patience = Duration::ZERO;
    let process = world.process();
    process.store.cut_at(4, Cut::DieBefore);
    assert!(first(&process).await.is_none());
    let early = world.process().subscribe(&buy("pro", VISA)).await.unwrap_err();
    assert_eq!(early.kind(), BillingErrorKind::Unavailable);
    world.advance(TimeDelta::seconds(61));
    assert!(world.process().subscribe(&buy("pro", VISA)).await.is_ok());
}

#[tokio::test]
async fn a_lost_reply_at_any_request_of_buying_has_no_second_effect() {
    for path in ["/v1/customers", "/attach", "/v1/customers/", "/v1/subscriptions"] {
        for next in [Next::SameAtOnce, Next::SameLater, Next::AnotherLater] {
            let world = World::new().await;
            world.fake.fail(RequestFault::next(FaultKind::LoseReply).times(2).on(Method::POST, path));
            let error = first(&world.process()).await.unwrap().unwrap_err();
            assert_eq!(error.kind(), BillingErrorKind::Unavailable, "{path}");
            if next != Next::SameAtOnce {
                world.advance(TimeDelta::seconds(61));
            }
            let restarted = world.process();
            let plan = if next == Next::AnotherLater { "starter" } else { "pro" };
            let again = restarted.subscribe(&buy(plan, VISA)).await;
            if path == "/v1/subscriptions" && next == Next::AnotherLater {
                assert_eq!(again.unwrap_err().kind(), BillingErrorKind::Conflict);
            } else {
                again.unwrap();
            }
            let counts = (world.count("customer.created"), world.count("customer.subscription.created"));
            assert_eq!(counts, (1, 1), "{path} {next:?}");
            assert_eq!(world.stored().await, world.truth().await, "{path} {next:?}");
            assert_eq!(world.open(), [""; 0], "{path} {next:?}");
            assert!(restarted.may("reports").await);
        }
    }
}

#[tokio::test]
async fn a_fault_that_stripe_repeats_is_got_over_after_a_minute() {
    for path in ["/v1/customers", "/attach", "/v1/customers/", "/v1/subscriptions"] {
        let world = World::new().await;
        world.fake.fail(RequestFault::next(FaultKind::Break).on(Method::POST, path));
        for _ in 0..2 {
            let error = first(&world.process()).await.unwrap().unwrap_err();
            assert_eq!(error.kind(), BillingErrorKind::Unavailable, "{path}");
        }
        world.advance(TimeDelta::seconds(61));
        first(&world.process()).await.unwrap().unwrap();
        let counts = (world.count("customer.created"), world.count("customer.subscription.created"));
        assert_eq!(counts, (1, 1), "{path}");
        assert_eq!(world.open(), [""; 0], "{path}");
    }
}

#[tokio::test]
async fn a_lost_reply_to_any_change_is_found_by_the_same_call() {
    let changes = [
        SubscriptionChange { seats: crate::world::seats(4), ..SubscriptionChange::default() },
        SubscriptionChange { plan: Some("starter".parse().unwrap()), ..SubscriptionChange::default() },
        SubscriptionChange { cancel_at_period_end: Some(false), ..SubscriptionChange::default() },
        SubscriptionChange { cancel_at_period_end: Some(true), ..SubscriptionChange::default() },
    ];
    for change in changes {
        for later in [false, true] {
            let world = World::new().await;
            let process = world.process();
            let made = process.subscribe(&buy("pro", VISA)).await.unwrap();
            if change.cancel_at_period_end == Some(false) {
                process.billing.cancel(&made.id, true).await.unwrap();
            }
            world.fake.fail(
                RequestFault::next(FaultKind::LoseReply).times(2).on(Method::POST, "/v1/subscriptions/"),
            );
            let error = process.billing.change(&made.id, &change).await.unwrap_err();
            assert_eq!(error.kind(), BillingErrorKind::Unavailable);
            if later {
                world.advance(TimeDelta::seconds(61));
            }
            let now = world.process().billing.change(&made.id, &change).await.unwrap();
            assert_eq!([now.clone()].as_slice(), world.truth().await, "{change:?}");
            assert_eq!(now.cancel_at_period_end, change.cancel_at_period_end == Some(true));
            assert_eq!(world.open(), [""; 0]);
        }
    }
}

#[tokio::test]
async fn what_was_bought_and_ended_since_is_bought_anew() {
    let world = World::new().await;
    world.fake.fail(RequestFault::next(FaultKind::LoseReply).times(2).on(Method::POST, "/v1/subscriptions"));
    let process = world.process();
    first(&process).await.unwrap().unwrap_err();
    process.billing.reconcile(&acme()).await.unwrap();
    let made = world.stored().await[0].clone();
    process.billing.cancel(&made.id, false).await.unwrap();
    let second = first(&process).await.unwrap().unwrap();
    assert_ne!(second.id, made.id);
    assert!(process.may("forecast").await);
    assert_eq!(world.open(), [""; 0]);
}
