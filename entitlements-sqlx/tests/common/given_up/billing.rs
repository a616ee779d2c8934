//! What leads from a billing provider to subscriptions.

use chrono::{DateTime, TimeDelta, Utc};
use entitlements_core::billing::{
    Begun, BillingStore as _, Claim, Customer, EventOutcome, EventState, Invoice, NewEvent, Operation,
    OperationResult, PlanFeature, Received,
};
use entitlements_core::id::{CustomerId, EventId, InvoiceId, OperationId};
use entitlements_core::store::{PageRequest, SubscriptionStore as _};
use entitlements_core::testkit::fixtures::{company, facts, feature, now, plan, subscription};

use super::{Before, any, whole_or_not_at_all};
use crate::ground::Ground;

pub(super) fn in_minutes(minutes: u32) -> DateTime<Utc> {
    now() + TimeDelta::minutes(minutes.into())
}

fn customer(name: &str, attempt: u32) -> Customer {
    Customer {
        id: CustomerId::new(format!("cus {name} {attempt}")).unwrap(),
        company: company(name),
        livemode: false,
        created_at: now(),
        deleted_at: None,
    }
}

pub(crate) async fn a_company_has_one_customer_or_none(ground: &impl Ground) {
    whole_or_not_at_all(
        ground,
        [false, true],
        async |_, _| {},
        async |store, name, attempt| {
            let kept = store.insert_customer(&customer(name, attempt)).await?;
            Ok((kept, store.customer_of(&company(name)).await?))
        },
        async |store, name| store.customer_of(&company(name)).await.unwrap().is_some(),
        |(kept, known), was_made| {
            assert_eq!(kept.id.as_str().ends_with(" 0"), was_made, "{kept:?}");
            assert_eq!(known, Some(kept));
        },
    )
    .await;
    whole_or_not_at_all(
        ground,
        [true, false],
        async |store, name| drop(store.insert_customer(&customer(name, 0)).await.unwrap()),
        async |store, name, _| store.delete_customer(&customer(name, 0).id, now()).await,
        async |store, name| store.customer_of(&company(name)).await.unwrap().is_some(),
        |deleted, was_made| assert_eq!(deleted, !was_made),
    )
    .await;
}

/// Whoever gave up while taking the lock has it until the lease ends, or never had it.
pub(crate) async fn the_lock_of_a_company_is_taken_and_given_back(ground: &impl Ground) {
    whole_or_not_at_all(
        ground,
        [(), ()],
        async |_, _| {},
        async |store, name, attempt| {
            let at = in_minutes(attempt);
            store.lock(&company(name), at + TimeDelta::minutes(1), at).await
        },
        async |_, _| {},
        |lock, _| assert!(lock.is_some()),
    )
    .await;
    whole_or_not_at_all(
        ground,
        [(), ()],
        async |_, _| {},
        // The first attempt holds the lock for ten minutes; what the second asks for is there if it was given back.
        async |store, name, attempt| {
            let lock = store.lock(&company(name), in_minutes(10), now()).await?;
            let Some(lock) = lock else { return Ok(attempt == 0) };
            store.unlock(&lock).await?;
            Ok(store.lock(&company(name), in_minutes(10), now()).await?.is_some())
        },
        async |store, name| {
            // Whatever has become of it, it ends.
            let lock = store.lock(&company(name), in_minutes(12), in_minutes(11)).await.unwrap();
            store.unlock(&lock.expect("the lease has ended")).await.unwrap();
        },
        |is_free, _| assert!(is_free),
    )
    .await;
}

pub(crate) async fn a_synced_subscription_is_stored_whole_or_not_at_all(ground: &impl Ground) {
    let before = Before::default();
    whole_or_not_at_all(
        ground,
        [(0, false), (1, true)],
        async |store, name| before.is_now(store, name).await,
        async |store, name, attempt| {
            let at = in_minutes(attempt);
            let lock = store.lock(&company(name), at + TimeDelta::minutes(1), at).await?.expect("it is free");
            store.put_synced_subscription(&lock, &subscription(&format!("sub {name}"), name), at).await
        },
        async |store, name| {
            let id = subscription(&format!("sub {name}"), name).id;
            let history = store.subscription_history(&id).await.unwrap();
            assert_eq!(facts(store, name).await.subscriptions.len(), history.len());
            (history.len(), before.is_over(store, name).await)
        },
        |revision, _| assert!(revision.is_some()),
    )
    .await;
}

fn operation(name: &str, attempt: u32) -> Operation {
    Operation {
        id: OperationId::new(format!("op {name} {attempt}")).unwrap(),
        company: company(name),
        kind: "subscribe".to_owned(),
        arguments: "pro".to_owned(),
        begun_at: now(),
    }
}

/// The one that is open is the first that was begun.
pub(crate) async fn an_operation_is_begun_and_ended_once(ground: &impl Ground) {
    whole_or_not_at_all(
        ground,
        [(), ()],
        async |_, _| {},
        async |store, name, attempt| {
            let begun = store.begin_operation(&operation(name, attempt)).await?;
            Ok(match begun {
                Begun::Now => operation(name, attempt).id == operation(name, 1).id,
                Begun::Before(open) => open == operation(name, 0),
                Begun::Busy(_) => false,
            })
        },
        async |_, _| {},
        |is_right, _| assert!(is_right),
    )
    .await;
    let done = OperationResult::Done("sub_1".to_owned());
    whole_or_not_at_all(
        ground,
        [(), ()],
        async |store, name| drop(store.begin_operation(&operation(name, 0)).await.unwrap()),
        async |store, name, attempt| {
            let ended = store.finish_operation(&operation(name, 0).id, &done, now()).await?;
            // What has ended can be followed by another.
            let next =
                if attempt == 1 { Some(store.begin_operation(&operation(name, 1)).await?) } else { None };
            Ok((ended, next))
        },
        async |_, _| {},
        |(_, next), _| assert_eq!(next, Some(Begun::Now)),
    )
    .await;
}

fn event(name: &str) -> NewEvent {
    NewEvent {
        id: EventId::new(format!("evt {name}")).unwrap(),
        kind: "invoice.paid".to_owned(),
        object: None,
        customer: None,
        livemode: false,
        created_at: now(),
        payload: "{}".to_owned(),
    }
}

/// An event is stored once; who claims it and gives up has it until the lease ends; its end is whole.
pub(crate) async fn an_event_is_received_claimed_and_finished_once<G: Ground>(ground: &G) {
    let state = async |store: &G::Store, name: &str| {
        let known = store.event(&event(name).id).await.unwrap();
        known.map(|known| (known.state, known.finished_at.is_some()))
    };
    let (received, processed) = (Some((EventState::Received, false)), Some((EventState::Processed, true)));
    whole_or_not_at_all(
        ground,
        [None, received],
        async |_, _| {},
        async |store, name, _| store.receive_event(&event(name), now()).await,
        &state,
        |outcome, was_made| assert_eq!(outcome == Received::Before(EventState::Received), was_made),
    )
    .await;
    let claim = async |store: &G::Store, name: &str, attempt: u32| {
        let at = in_minutes(attempt);
        store.claim_event(&event(name).id, at + TimeDelta::minutes(1), at).await
    };
    whole_or_not_at_all(
        ground,
        [received, Some((EventState::Processing, false))],
        async |store, name| {
            store.receive_event(&event(name), now()).await.unwrap();
        },
        &claim,
        &state,
        |outcome, was_made| {
            let Claim::Taken(taken) = outcome else { panic!("{outcome:?}") };
            assert_eq!(taken.attempts, 1 + u32::from(was_made));
        },
    )
    .await;
    whole_or_not_at_all(
        ground,
        [Some((EventState::Processing, false)), processed],
        async |store, name| {
            store.receive_event(&event(name), now()).await.unwrap();
            claim(store, name, 0).await.unwrap();
        },
        async |store, name, _| store.finish_event(&event(name).id, 1, &EventOutcome::Processed, now()).await,
        &state,
        |counts, was_made| assert_eq!(counts, !was_made),
    )
    .await;
}

pub(crate) async fn an_invoice_is_stored_whole_or_not_at_all(ground: &impl Ground) {
    let invoice = |name: &str, paid| Invoice {
        id: InvoiceId::new(format!("in {name}")).unwrap(),
        company: company(name),
        subscription: None,
        number: None,
        status: "open".to_owned(),
        billing_reason: None,
        currency: "eur".to_owned(),
        total: 4_900,
        amount_due: 4_900,
        amount_paid: paid,
        attempt_count: 1,
        next_payment_attempt: None,
        period_start: now(),
        period_end: in_minutes(9),
        hosted_url: None,
        created_at: now(),
    };
    for known in [None, Some(0)] {
        whole_or_not_at_all(
            ground,
            [known, Some(4_900)],
            async |store, name| {
                if let Some(paid) = known {
                    store.put_invoice(&invoice(name, paid)).await.unwrap();
                }
            },
            async |store, name, _| store.put_invoice(&invoice(name, 4_900)).await,
            async |store, name| {
                let page = store.list_invoices(&company(name), &PageRequest::first(9)).await.unwrap();
                assert!(page.items.len() < 2);
                page.items.first().map(|stored| stored.amount_paid)
            },
            any,
        )
        .await;
    }
}

pub(crate) async fn plan_features_are_replaced_as_a_whole_or_not_at_all(ground: &impl Ground) {
    let written = |plans: &[&str]| -> Vec<_> {
        let one =
            |name: &&str| PlanFeature { plan: plan(name), feature: feature("reports"), value: 1.into() };
        plans.iter().map(one).collect()
    };
    whole_or_not_at_all(
        ground,
        [written(&["a", "b", "c"]), written(&["b", "d"])],
        async |store, _| store.replace_plan_features(&written(&["a", "b", "c"])).await.unwrap(),
        async |store, _, _| store.replace_plan_features(&written(&["b", "d"])).await,
        async |store, _| store.plan_features().await.unwrap(),
        any,
    )
    .await;
}
