//! What the provider sends: stored once, claimed by one at a time, finished once.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Barrier;

use super::{event, event_id, in_seconds};
use crate::billing::{BillingEvent, BillingStore, Claim, EventOutcome, EventState, NewEvent, Received};
use crate::store::Store;
use crate::testkit::fixtures::now;

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
    let bare = NewEvent {
        object: None,
        customer: None,
        livemode: true,
        payload: String::new(),
        ..event("evt_bare")
    };
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

pub(super) async fn claimed(store: &impl BillingStore, id: &str, from: DateTime<Utc>) -> BillingEvent {
    let until = from + TimeDelta::seconds(30);
    match store.claim_event(&event_id(id), until, from).await.unwrap() {
        Claim::Taken(event) => event,
        other => panic!("expected a claim, got {other:?}"),
    }
}
