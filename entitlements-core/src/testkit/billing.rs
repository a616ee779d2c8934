//! Cases about what billing keeps.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tokio::sync::Barrier;

use super::fixtures::{at, company, facts, feature, now, plan, subscription, subscription_id};
use crate::billing::{
    Begun, BillingEvent, BillingLock, BillingStore, Claim, Customer, EventOutcome, EventState, Invoice,
    NewEvent, Operation, OperationResult, PlanFeature, Received,
};
use crate::id::{CustomerId, EventId, InvoiceId, OperationId};
use crate::store::{PageRequest, Store, StoreErrorKind};
use crate::subscription::{Subscription, SubscriptionStatus};

fn customer(id: &str, of: &str) -> Customer {
    Customer {
        id: CustomerId::new(id).unwrap(),
        company: company(of),
        livemode: false,
        created_at: now(),
        deleted_at: None,
    }
}

fn event(id: &str) -> NewEvent {
    NewEvent {
        id: event_id(id),
        kind: "invoice.paid".to_owned(),
        livemode: false,
        object: Some("in_1".to_owned()),
        created_at: at("2026-11-07T08:59:59Z"),
        payload: "{\"id\": \"é\\u0000\"}".to_owned(),
    }
}

fn event_id(id: &str) -> EventId {
    EventId::new(id).unwrap()
}

fn operation(id: &str, of: &str, arguments: &str) -> Operation {
    Operation {
        id: OperationId::new(id).unwrap(),
        company: company(of),
        kind: "create_subscription".to_owned(),
        arguments: arguments.to_owned(),
        begun_at: now(),
    }
}

fn invoice(id: &str, of: &str) -> Invoice {
    Invoice {
        id: InvoiceId::new(id).unwrap(),
        company: company(of),
        subscription: Some(subscription_id("sub_1")),
        number: Some("F-0001".to_owned()),
        status: "open".to_owned(),
        billing_reason: Some("subscription_cycle".to_owned()),
        currency: "eur".to_owned(),
        total: 4_900,
        amount_due: 4_900,
        amount_paid: 0,
        attempt_count: 1,
        next_payment_attempt: Some(at("2026-11-10T00:00:00Z")),
        period_start: at("2026-11-01T00:00:00Z"),
        period_end: at("2026-12-01T00:00:00Z"),
        hosted_url: Some("https://pay.example/in_1".to_owned()),
        created_at: now(),
    }
}

fn in_seconds(seconds: i64) -> DateTime<Utc> {
    now() + TimeDelta::seconds(seconds)
}

async fn locked(store: &impl BillingStore, of: &str, from: DateTime<Utc>) -> BillingLock {
    let until = from + TimeDelta::seconds(30);
    store.lock(&company(of), until, from).await.unwrap().expect("the lock is free")
}

async fn claimed(store: &impl BillingStore, id: &str, from: DateTime<Utc>) -> BillingEvent {
    let until = from + TimeDelta::seconds(30);
    match store.claim_event(&event_id(id), until, from).await.unwrap() {
        Claim::Taken(event) => event,
        other => panic!("expected a claim, got {other:?}"),
    }
}

/// A customer comes back by its id and by its company; what is unknown is none.
pub async fn a_customer_is_found_by_id_and_by_company(store: &(impl Store + BillingStore)) {
    let stored = Customer { livemode: true, ..customer("cus_1", "acme") };
    assert_eq!(store.insert_customer(&stored).await.unwrap(), stored);
    assert_eq!(store.customer(&stored.id).await.unwrap(), Some(stored.clone()));
    assert_eq!(store.customer_of(&company("acme")).await.unwrap(), Some(stored));
    assert_eq!(store.customer(&CustomerId::new("cus_2").unwrap()).await.unwrap(), None);
    assert_eq!(store.customer_of(&company("other")).await.unwrap(), None);
}

/// A second customer of a company is not stored; the first is what everybody gets.
pub async fn a_company_has_one_customer(store: &(impl Store + BillingStore)) {
    let first = customer("cus_1", "acme");
    store.insert_customer(&first).await.unwrap();
    assert_eq!(store.insert_customer(&customer("cus_2", "acme")).await.unwrap(), first);
    assert_eq!(store.insert_customer(&first).await.unwrap(), first);
    assert_eq!(store.customer(&CustomerId::new("cus_2").unwrap()).await.unwrap(), None);
}

/// Of fifty insertions at once for one company, all get the same customer.
pub async fn racing_customers_become_one<S: Store + BillingStore + Clone>(store: &S) {
    let barrier = Arc::new(Barrier::new(50));
    let racers: Vec<_> = (0..50)
        .map(|n| {
            let (store, barrier) = (store.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                store.insert_customer(&customer(&format!("cus_{n}"), "acme")).await.unwrap()
            })
        })
        .collect();
    let stored = store.insert_customer(&customer("cus_last", "acme")).await.unwrap();
    for racer in racers {
        assert_eq!(racer.await.unwrap(), stored);
    }
}

/// The id of another company's customer is refused, and stays where it is.
pub async fn a_customer_never_moves_to_another_company(store: &(impl Store + BillingStore)) {
    let stored = customer("cus_1", "acme");
    store.insert_customer(&stored).await.unwrap();
    let error = store.insert_customer(&customer("cus_1", "other")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
    assert_eq!(store.customer(&stored.id).await.unwrap(), Some(stored));
    assert_eq!(store.customer_of(&company("other")).await.unwrap(), None);
}

/// A deleted customer is found by its id alone, and makes room for another.
pub async fn a_deleted_customer_makes_room(store: &(impl Store + BillingStore)) {
    let first = customer("cus_1", "acme");
    store.insert_customer(&first).await.unwrap();
    assert!(store.delete_customer(&first.id, in_seconds(1)).await.unwrap());
    assert!(!store.delete_customer(&first.id, in_seconds(2)).await.unwrap());
    assert!(!store.delete_customer(&CustomerId::new("cus_9").unwrap(), now()).await.unwrap());
    let deleted = Customer { deleted_at: Some(in_seconds(1)), ..first };
    assert_eq!(store.customer(&deleted.id).await.unwrap(), Some(deleted));
    assert_eq!(store.customer_of(&company("acme")).await.unwrap(), None);
    let second = customer("cus_2", "acme");
    assert_eq!(store.insert_customer(&second).await.unwrap(), second);
}

/// A lock that is held is refused until its lease has ended, at that very instant, or until it is given back.
pub async fn a_lock_is_held_until_it_ends(store: &(impl Store + BillingStore)) {
    let acme = company("acme");
    let first = locked(store, "acme", now()).await;
    assert_eq!(store.lock(&acme, in_seconds(90), in_seconds(29)).await.unwrap(), None);
    assert!(store.lock(&company("other"), in_seconds(30), now()).await.unwrap().is_some());
    let second = locked(store, "acme", in_seconds(30)).await;
    assert!(first.fence < second.fence);
    store.unlock(&first).await.unwrap();
    assert_eq!(store.lock(&acme, in_seconds(90), in_seconds(31)).await.unwrap(), None);
    store.unlock(&second).await.unwrap();
    let third = locked(store, "acme", in_seconds(31)).await;
    assert!(second.fence < third.fence);
}

/// Of fifty who want a lock at once, one gets it.
pub async fn racing_locks_are_held_by_one<S: Store + BillingStore + Clone>(store: &S) {
    let barrier = Arc::new(Barrier::new(50));
    let racers: Vec<_> = (0..50)
        .map(|_| {
            let (store, barrier) = (store.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                store.lock(&company("acme"), in_seconds(30), now()).await.unwrap()
            })
        })
        .collect();
    let mut holders = 0;
    for racer in racers {
        holders += usize::from(racer.await.unwrap().is_some());
    }
    assert_eq!(holders, 1);
}

/// Under a lock that is in force, the state is stored with a revision that shows it; the same state again changes nothing.
pub async fn a_synced_subscription_is_stored(store: &(impl Store + BillingStore)) {
    let lock = locked(store, "acme", now()).await;
    let state = subscription("sub_1", "acme");
    let revision = store.put_synced_subscription(&lock, &state, now()).await.unwrap();
    let facts = facts(store, "acme").await;
    assert_eq!(facts.subscriptions, std::slice::from_ref(&state));
    assert_eq!(revision, Some(facts.revision));
    assert_eq!(store.put_synced_subscription(&lock, &state, in_seconds(1)).await.unwrap(), revision);
    let changed = Subscription { status: SubscriptionStatus::Canceled, ..state };
    let later = store.put_synced_subscription(&lock, &changed, in_seconds(1)).await.unwrap();
    assert!(revision < later);
    assert_eq!(store.subscription(&changed.id).await.unwrap(), Some(changed.clone()));
    assert_eq!(store.subscription_history(&changed.id).await.unwrap().len(), 2);
}

/// Whoever lost the lock changes nothing, whatever its state; one whose lease merely ended still may.
pub async fn a_lost_lock_stores_nothing(store: &(impl Store + BillingStore)) {
    let first = locked(store, "acme", now()).await;
    let state = subscription("sub_1", "acme");
    assert!(store.put_synced_subscription(&first, &state, in_seconds(40)).await.unwrap().is_some());
    let second = locked(store, "acme", in_seconds(50)).await;
    let before = facts(store, "acme").await;
    let earlier = Subscription { plan: plan("stale"), ..state.clone() };
    for put in [&earlier, &state, &subscription("sub_2", "acme")] {
        assert_eq!(store.put_synced_subscription(&first, put, in_seconds(51)).await.unwrap(), None);
    }
    assert_eq!(facts(store, "acme").await, before);
    store.unlock(&second).await.unwrap();
    assert_eq!(store.put_synced_subscription(&first, &earlier, in_seconds(52)).await.unwrap(), None);
    assert_eq!(facts(store, "acme").await, before);
}

/// A lock is for its company alone, and a subscription stays where it is.
pub async fn a_lock_covers_its_company_alone(store: &(impl Store + BillingStore)) {
    let acme = locked(store, "acme", now()).await;
    let other = locked(store, "other", now()).await;
    store.put_synced_subscription(&acme, &subscription("sub_1", "acme"), now()).await.unwrap();
    for (lock, put) in [(&acme, subscription("sub_2", "other")), (&other, subscription("sub_1", "other"))] {
        let error = store.put_synced_subscription(lock, &put, now()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unsupported);
    }
    assert!(facts(store, "other").await.subscriptions.is_empty());
}

/// Who asks for the same thing goes on with the open operation; who asks for something else is told of it.
pub async fn an_operation_is_begun_once(store: &(impl Store + BillingStore)) {
    let first = operation("op_1", "acme", "pro × 5");
    assert_eq!(store.begin_operation(&first).await.unwrap(), Begun::Now);
    let again = operation("op_2", "acme", "pro × 5");
    assert_eq!(store.begin_operation(&again).await.unwrap(), Begun::Before(first.clone()));
    let different = operation("op_3", "acme", "pro × 6");
    assert_eq!(store.begin_operation(&different).await.unwrap(), Begun::Busy(first));
    let elsewhere = operation("op_4", "other", "pro × 5");
    assert_eq!(store.begin_operation(&elsewhere).await.unwrap(), Begun::Now);
    let other_kind = Operation { kind: "create_customer".to_owned(), ..operation("op_5", "acme", "") };
    assert_eq!(store.begin_operation(&other_kind).await.unwrap(), Begun::Now);
}

/// An operation that ended makes room for the next, and never opens again.
pub async fn an_operation_ends_once(store: &(impl Store + BillingStore)) {
    let first = operation("op_1", "acme", "pro");
    let done = OperationResult::Done("sub_1".to_owned());
    assert!(!store.finish_operation(&first.id, &done, now()).await.unwrap());
    store.begin_operation(&first).await.unwrap();
    assert!(store.finish_operation(&first.id, &done, now()).await.unwrap());
    let failed = OperationResult::Failed("declined".to_owned());
    assert!(!store.finish_operation(&first.id, &failed, now()).await.unwrap());
    let error = store.begin_operation(&first).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
    let second = operation("op_2", "acme", "pro");
    assert_eq!(store.begin_operation(&second).await.unwrap(), Begun::Now);
    assert!(store.finish_operation(&second.id, &failed, now()).await.unwrap());
}

/// Of fifty double clicks, one begins the operation, and all go on with its id.
pub async fn racing_operations_become_one<S: Store + BillingStore + Clone>(store: &S) {
    let barrier = Arc::new(Barrier::new(50));
    let racers: Vec<_> = (0..50)
        .map(|n| {
            let (store, barrier) = (store.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                let own = operation(&format!("op_{n}"), "acme", "pro");
                match store.begin_operation(&own).await.unwrap() {
                    Begun::Now => (true, own.id),
                    Begun::Before(open) => (false, open.id),
                    Begun::Busy(open) => panic!("{open:?} asks for the same thing"),
                }
            })
        })
        .collect();
    let mut outcomes = Vec::new();
    for racer in racers {
        outcomes.push(racer.await.unwrap());
    }
    let begun: Vec<_> = outcomes.iter().filter(|(begun, _)| *begun).collect();
    assert_eq!(begun.len(), 1);
    assert!(outcomes.iter().all(|(_, id)| *id == begun[0].1));
}

/// An event is stored once, as it arrived first.
pub async fn an_event_is_stored_once(store: &(impl Store + BillingStore)) {
    let first = event("evt_1");
    assert_eq!(store.receive_event(&first, now()).await.unwrap(), Received::Now);
    let again = NewEvent { payload: "{}".to_owned(), ..first.clone() };
    let before = Received::Before(EventState::Received);
    assert_eq!(store.receive_event(&again, in_seconds(1)).await.unwrap(), before);
    let stored = BillingEvent {
        event: first,
        state: EventState::Received,
        attempts: 0,
        note: None,
        received_at: now(),
        finished_at: None,
        due_at: None,
    };
    assert_eq!(store.event(&event_id("evt_1")).await.unwrap(), Some(stored));
    assert_eq!(store.event(&event_id("evt_2")).await.unwrap(), None);
}

/// Every field of an event comes back.
pub async fn an_event_comes_back_as_it_arrived(store: &(impl Store + BillingStore)) {
    let bare = NewEvent { object: None, livemode: true, payload: String::new(), ..event("evt_bare") };
    for put in [event("evt_full"), bare] {
        store.receive_event(&put, now()).await.unwrap();
        assert_eq!(store.event(&put.id).await.unwrap().map(|known| known.event), Some(put));
    }
}

/// One claim is in force at a time, until its lease ends.
pub async fn an_event_is_claimed_by_one(store: &(impl Store + BillingStore)) {
    let id = event_id("evt_1");
    assert_eq!(store.claim_event(&id, in_seconds(30), now()).await.unwrap(), Claim::Unknown);
    store.receive_event(&event("evt_1"), now()).await.unwrap();
    let first = claimed(store, "evt_1", now()).await;
    assert_eq!((first.state, first.attempts), (EventState::Processing, 1));
    assert_eq!(first.due_at, Some(in_seconds(30)));
    assert_eq!(store.claim_event(&id, in_seconds(90), in_seconds(29)).await.unwrap(), Claim::Busy);
    let before = Received::Before(EventState::Processing);
    assert_eq!(store.receive_event(&event("evt_1"), in_seconds(1)).await.unwrap(), before);
    assert_eq!(claimed(store, "evt_1", in_seconds(30)).await.attempts, 2);
}

/// Of fifty who claim an event at once, one works on it.
pub async fn racing_claims_are_one<S: Store + BillingStore + Clone>(store: &S) {
    store.receive_event(&event("evt_1"), now()).await.unwrap();
    let barrier = Arc::new(Barrier::new(50));
    let racers: Vec<_> = (0..50)
        .map(|_| {
            let (store, barrier) = (store.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                store.claim_event(&event_id("evt_1"), in_seconds(30), now()).await.unwrap()
            })
        })
        .collect();
    let mut taken = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Claim::Taken(_) => taken += 1,
            other => assert_eq!(other, Claim::Busy),
        }
    }
    assert_eq!(taken, 1);
}

/// What is finished stays so, whatever arrives.
pub async fn a_finished_event_stays_finished(store: &(impl Store + BillingStore)) {
    let outcomes = [
        (EventOutcome::Processed, EventState::Processed, None),
        (EventOutcome::Ignored("of no customer".to_owned()), EventState::Ignored, Some("of no customer")),
    ];
    for (outcome, state, note) in outcomes {
        let id = event_id(state.as_str());
        store.receive_event(&event(state.as_str()), now()).await.unwrap();
        let claim = claimed(store, state.as_str(), now()).await;
        assert!(store.finish_event(&id, claim.attempts, &outcome, in_seconds(2)).await.unwrap());
        assert!(!store.finish_event(&id, claim.attempts, &outcome, in_seconds(3)).await.unwrap());
        let known = store.event(&id).await.unwrap().unwrap();
        assert_eq!((known.state, known.note.as_deref(), known.due_at), (state, note, None));
        assert_eq!(known.finished_at, Some(in_seconds(2)));
        let late = in_seconds(1_000_000);
        assert_eq!(store.claim_event(&id, late, late).await.unwrap(), Claim::Finished(state));
        assert_eq!(store.receive_event(&event(state.as_str()), late).await.unwrap(), Received::Before(state));
        assert_eq!(store.due_events(late, late, 10).await.unwrap(), []);
    }
}

/// A failed attempt says why, and the event can be claimed again when its time has come.
pub async fn a_failed_event_is_due_again(store: &(impl Store + BillingStore)) {
    let id = event_id("evt_1");
    store.receive_event(&event("evt_1"), now()).await.unwrap();
    let claim = claimed(store, "evt_1", now()).await;
    let outcome = EventOutcome::Failed { error: "no answer".to_owned(), retry_at: in_seconds(60) };
    assert!(store.finish_event(&id, claim.attempts, &outcome, in_seconds(1)).await.unwrap());
    let known = store.event(&id).await.unwrap().unwrap();
    assert_eq!((known.state, known.note.as_deref()), (EventState::Failed, Some("no answer")));
    assert_eq!((known.due_at, known.finished_at), (Some(in_seconds(60)), None));
    assert_eq!(store.claim_event(&id, in_seconds(90), in_seconds(59)).await.unwrap(), Claim::Busy);
    let second = claimed(store, "evt_1", in_seconds(60)).await;
    assert_eq!(second.attempts, 2);
    assert!(store.finish_event(&id, 2, &EventOutcome::Processed, in_seconds(61)).await.unwrap());
    let known = store.event(&id).await.unwrap().unwrap();
    assert_eq!((known.state, known.note), (EventState::Processed, None));
}

/// Who was overtaken ends nothing.
pub async fn a_late_attempt_ends_nothing(store: &(impl Store + BillingStore)) {
    let id = event_id("evt_1");
    store.receive_event(&event("evt_1"), now()).await.unwrap();
    let first = claimed(store, "evt_1", now()).await;
    let second = claimed(store, "evt_1", in_seconds(30)).await;
    let ignored = EventOutcome::Ignored("late".to_owned());
    assert!(!store.finish_event(&id, first.attempts, &ignored, in_seconds(31)).await.unwrap());
    assert!(!store.finish_event(&event_id("evt_2"), 1, &ignored, in_seconds(31)).await.unwrap());
    let known = store.event(&id).await.unwrap().unwrap();
    assert_eq!((known.state, known.attempts), (EventState::Processing, second.attempts));
}

/// Due is what nobody has begun, what failed and waited, and what was given up; in the order of arrival.
pub async fn due_events_are_those_that_can_be_claimed(store: &(impl Store + BillingStore)) {
    for (seconds, id) in ["b", "a", "d", "c", "e"].into_iter().enumerate() {
        store.receive_event(&event(id), in_seconds(i64::try_from(seconds).unwrap())).await.unwrap();
    }
    let failed = EventOutcome::Failed { error: "no answer".to_owned(), retry_at: in_seconds(60) };
    let claim = claimed(store, "a", in_seconds(10)).await;
    store.finish_event(&event_id("a"), claim.attempts, &failed, in_seconds(11)).await.unwrap();
    claimed(store, "d", in_seconds(40)).await;
    let claim = claimed(store, "c", in_seconds(10)).await;
    store
        .finish_event(&event_id("c"), claim.attempts, &EventOutcome::Processed, in_seconds(11))
        .await
        .unwrap();
    let due = async |before, now| store.due_events(in_seconds(before), in_seconds(now), 10).await.unwrap();
    let ids = |ids: &[&str]| ids.iter().map(|id| event_id(id)).collect::<Vec<_>>();
    assert_eq!(due(100, 59).await, ids(&["b", "e"]));
    assert_eq!(due(100, 60).await, ids(&["b", "a", "e"]));
    assert_eq!(due(100, 70).await, ids(&["b", "a", "d", "e"]));
    assert_eq!(due(4, 70).await, ids(&["b", "a", "d"]));
    let first = store.due_events(in_seconds(100), in_seconds(70), 1).await.unwrap();
    assert_eq!(first, ids(&["b"]));
}

/// An invoice comes back with every field, and is replaced by its id.
pub async fn an_invoice_is_replaced_by_its_id(store: &(impl Store + BillingStore)) {
    let bare = Invoice {
        subscription: None,
        number: None,
        billing_reason: None,
        next_payment_attempt: None,
        hosted_url: None,
        total: -1,
        amount_due: i64::MIN,
        amount_paid: i64::MAX,
        ..invoice("in_1", "acme")
    };
    for put in [invoice("in_1", "acme"), bare] {
        store.put_invoice(&put).await.unwrap();
        let page = store.list_invoices(&company("acme"), &PageRequest::first(10)).await.unwrap();
        assert_eq!((page.items, page.next), (vec![put], None));
    }
    let stolen = store.put_invoice(&invoice("in_1", "other")).await.unwrap_err();
    assert_eq!(stolen.kind(), StoreErrorKind::Unsupported);
    let page = store.list_invoices(&company("other"), &PageRequest::first(10)).await.unwrap();
    assert_eq!(page.items, []);
}

/// Invoices are listed newest first, page by page, and a new one does not move the next page.
pub async fn pages_of_invoices_follow_each_other(store: &(impl Store + BillingStore)) {
    let place = |id: &str, seconds| Invoice { created_at: in_seconds(seconds), ..invoice(id, "acme") };
    for put in [place("a:1", 3), place("b", 3), place("c", 1), place("d", 2), place("e", -1_000_000_000_000)]
    {
        store.put_invoice(&put).await.unwrap();
    }
    store.put_invoice(&invoice("z", "other")).await.unwrap();
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let request = PageRequest { limit: 2, cursor };
        let page = store.list_invoices(&company("acme"), &request).await.unwrap();
        assert!(!page.items.is_empty() && page.items.len() <= 2);
        seen.extend(page.items.into_iter().map(|invoice| invoice.id.as_str().to_owned()));
        store.put_invoice(&place(&format!("new {}", seen.len()), 100)).await.unwrap();
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["b", "a:1", "d", "c", "e"]);
    for cursor in ["", "x", "1", ":a", "1:"] {
        let request = PageRequest { limit: 2, cursor: Some(cursor.to_owned()) };
        let error = store.list_invoices(&company("acme"), &request).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{cursor}");
    }
}

/// What is written down about plans is replaced as a whole, and read in order.
pub async fn plan_features_are_replaced_as_a_whole(store: &(impl Store + BillingStore)) {
    let row = |of: &str, name: &str, value| PlanFeature { plan: plan(of), feature: feature(name), value };
    assert_eq!(store.plan_features().await.unwrap(), []);
    let rows =
        [row("pro", "a", json!(true)), row("basic", "b", json!({"limit": 5})), row("basic", "B", json!(1.5))];
    store.replace_plan_features(&rows).await.unwrap();
    let [pro, b, capital] = rows;
    assert_eq!(store.plan_features().await.unwrap(), [capital, b, pro.clone()]);
    store.replace_plan_features(std::slice::from_ref(&pro)).await.unwrap();
    assert_eq!(store.plan_features().await.unwrap(), [pro]);
    store.replace_plan_features(&[]).await.unwrap();
    assert_eq!(store.plan_features().await.unwrap(), []);
}

/// What billing keeps about an erased company goes; its invoices and its customer stay, and are nobody's.
pub async fn an_erasure_keeps_nothing_but_invoices_and_customers(store: &(impl Store + BillingStore)) {
    for name in ["acme", "other"] {
        store.insert_customer(&customer(&format!("cus_{name}"), name)).await.unwrap();
        store.begin_operation(&operation(&format!("op_{name}"), name, "pro")).await.unwrap();
        store.put_invoice(&invoice(&format!("in_{name}"), name)).await.unwrap();
    }
    let lock = store.lock(&company("acme"), in_seconds(30), now()).await.unwrap().unwrap();
    assert!(store.erase(&company("acme"), now()).await.unwrap().is_some());
    // Who was about to write something about it no longer can.
    let late = subscription("sub_1", "acme");
    assert_eq!(store.put_synced_subscription(&lock, &late, now()).await.unwrap(), None);
    // What the provider says of the customer from now on is nobody's.
    let customer = store.customer(&CustomerId::new("cus_acme").unwrap()).await.unwrap().unwrap();
    assert!(customer.company.as_str().starts_with(crate::audit::PSEUDONYM), "{customer:?}");
    assert_eq!(customer.deleted_at, Some(now()));
    assert_eq!(store.customer_of(&company("acme")).await.unwrap(), None);
    let all = PageRequest::first(10);
    assert_eq!(store.list_invoices(&company("acme"), &all).await.unwrap().items, []);
    assert_eq!(store.erase(&company("acme"), now()).await.unwrap(), None);
    // The id is still taken: by the invoice that stayed.
    let again = store.put_invoice(&invoice("in_acme", "acme")).await.unwrap_err();
    assert_eq!(again.kind(), StoreErrorKind::Unsupported);
    assert!(store.customer_of(&company("other")).await.unwrap().is_some());
    assert_eq!(
        store.list_invoices(&company("other"), &all).await.unwrap().items,
        [invoice("in_other", "other")]
    );
}

/// Ids with separators, in any case and any normal form, name what they name and nothing else.
pub async fn hostile_billing_ids_never_mix(store: &(impl Store + BillingStore)) {
    let names = super::hostile::hostile_ids();
    for name in &names {
        store.insert_customer(&customer(name, name)).await.unwrap();
        store.receive_event(&event(name), now()).await.unwrap();
        store.put_invoice(&invoice(name, name)).await.unwrap();
        assert_eq!(store.begin_operation(&operation(name, name, name)).await.unwrap(), Begun::Now);
    }
    for name in &names {
        assert_eq!(store.customer_of(&company(name)).await.unwrap(), Some(customer(name, name)));
        assert_eq!(store.event(&event_id(name)).await.unwrap().unwrap().event, event(name));
        let page = store.list_invoices(&company(name), &PageRequest::first(10)).await.unwrap();
        assert_eq!(page.items, [invoice(name, name)]);
        let lock = locked(store, name, now()).await;
        assert_eq!(lock.fence, 1);
        let put = subscription(name, name);
        assert!(store.put_synced_subscription(&lock, &put, now()).await.unwrap().is_some());
        assert_eq!(facts(store, name).await.subscriptions, [put]);
    }
}
