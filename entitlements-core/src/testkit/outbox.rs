//! Cases about usage that is billed.

mod retention;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Barrier;

use super::fixtures::{at, company, debit, feature, monthly, now, receipt_id, recorded, refused, units};
use super::hostile::hostile_ids;
use crate::billing::{UnsettledUsage, UsageOutbox, UsageOutcome, UsageRecord, UsageRecordState as State};
use crate::id::{FeatureKey, UsageRecordId};
use crate::store::Store;
use crate::usage::Debit;

pub use retention::*;

/// The largest amount.
const LARGEST: u64 = i64::MAX.unsigned_abs();

fn in_minutes(minutes: i64) -> DateTime<Utc> {
    now() + TimeDelta::minutes(minutes)
}

/// A debit of the meter that is billed.
fn billed(of: &str, name: &str, amount: u64) -> Debit {
    let made = debit(of, name, amount, [monthly(None)]);
    Debit { meter: meter(), receipt: receipt_id(name), ..made }
}

fn meter() -> FeatureKey {
    feature("reports")
}

async fn bill(store: &impl UsageOutbox) {
    store.bill_meters(&[meter()]).await.unwrap();
}

/// Everything that can be claimed at an instant, for a minute.
async fn claim(store: &impl UsageOutbox, at: DateTime<Utc>) -> Vec<UsageRecord> {
    store.claim_usage(at + TimeDelta::minutes(1), at, 100).await.unwrap()
}

async fn claim_one(store: &impl UsageOutbox, at: DateTime<Utc>) -> UsageRecord {
    let mut claimed = claim(store, at).await;
    assert_eq!(claimed.len(), 1, "{claimed:?}");
    claimed.remove(0)
}

async fn finish(store: &impl UsageOutbox, record: &UsageRecord, outcome: &UsageOutcome) -> bool {
    store.finish_usage(&record.id, record.attempts, outcome).await.unwrap()
}

async fn state(store: &impl UsageOutbox, id: &UsageRecordId) -> State {
    store.usage_record(id).await.unwrap().expect("a record").state
}

async fn refund(store: &impl Store, of: &str, name: &str) {
    store.refund(&company(of), &receipt_id(name), now()).await.unwrap().expect("a receipt");
}

fn refusal(tried_at: Option<DateTime<Utc>>) -> UsageOutcome {
    UsageOutcome::Refused { why: "too old".to_owned(), tried_at }
}

/// A failure that can be tried again at once.
fn failure(tried_at: Option<DateTime<Utc>>) -> UsageOutcome {
    UsageOutcome::Failed { error: "down".to_owned(), retry_at: now(), tried_at }
}

/// What is used of a meter that is billed has one record, which says what the receipt says.
pub async fn billed_usage_is_written_down(store: &(impl Store + UsageOutbox)) {
    bill(store).await;
    let receipt = recorded(store, &billed("acme", "k", 5)).await;
    let record = claim_one(store, now()).await;
    let expected = UsageRecord {
        id: record.id.clone(),
        company: company("acme"),
        receipt: receipt.id,
        meter: meter(),
        amount: units(5),
        at: receipt.at,
        state: State::Pending,
        attempts: 1,
        tried_at: Some(now()),
        note: None,
    };
    assert_eq!(record, expected);
    assert!(record.id.as_str().len() <= 100, "{}", record.id);
    assert_eq!(store.usage_record(&record.id).await.unwrap(), Some(record));
    assert_eq!(store.usage_record(&UsageRecordId::new("use_none").unwrap()).await.unwrap(), None);
}

/// What is used of another meter has none, and neither has what was refused or comes again.
pub async fn nothing_else_is_written_down(store: &(impl Store + UsageOutbox)) {
    recorded(store, &billed("acme", "before", 1)).await;
    bill(store).await;
    recorded(store, &Debit { meter: feature("other"), ..billed("acme", "other", 1) }).await;
    refused(store, &Debit { meter: meter(), ..debit("acme", "refused", 2, [monthly(1)]) }).await;
    recorded(store, &billed("acme", "k", 1)).await;
    store.debit(&Debit { receipt: receipt_id("again"), ..billed("acme", "k", 1) }).await.unwrap();
    assert_eq!(claim_one(store, now()).await.receipt, receipt_id("k"));
    store.bill_meters(&[feature("other")]).await.unwrap();
    recorded(store, &billed("acme", "after", 1)).await;
    recorded(store, &Debit { meter: feature("other"), ..billed("acme", "l", 1) }).await;
    assert_eq!(claim_one(store, now()).await.receipt, receipt_id("l"));
}

/// Usage that has happened is written down as well, event by event.
pub async fn recorded_usage_is_written_down(store: &(impl Store + UsageOutbox)) {
    bill(store).await;
    let events = [billed("acme", "a", 2), billed("acme", "b", 3), billed("acme", "a", 2)];
    let events = events.map(|event| Debit { receipt: receipt_id(&format!("{}-r", event.key)), ..event });
    store.record(&company("acme"), &events).await.unwrap();
    let mut amounts: Vec<_> = claim(store, now()).await.iter().map(|it| it.amount.get()).collect();
    amounts.sort_unstable();
    assert_eq!(amounts, [2, 3]);
}

/// A reservation is written down when it is committed, with what was taken of it; never what is only held or released.
pub async fn a_reservation_is_written_down_when_it_is_committed(store: &(impl Store + UsageOutbox)) {
    bill(store).await;
    for name in ["committed", "nothing", "released", "held"] {
        store.reserve(&billed("acme", name, 5), at("2026-11-08T00:00:00Z")).await.unwrap();
    }
    assert_eq!(claim(store, now()).await, []);
    let later = in_minutes(1);
    for (name, actual) in [("committed", 3), ("nothing", 0)] {
        store.commit(&company("acme"), &receipt_id(name), units(actual), later).await.unwrap();
        store.commit(&company("acme"), &receipt_id(name), units(actual), later).await.unwrap();
    }
    store.release_reservation(&company("acme"), &receipt_id("released"), later).await.unwrap();
    let record = claim_one(store, later).await;
    assert_eq!((record.receipt, record.amount, record.at), (receipt_id("committed"), units(3), later));
}

/// A record is claimed by one at a time, in the order of making, and again when the claim has ended.
pub async fn usage_is_claimed_by_one(store: &(impl Store + UsageOutbox)) {
    bill(store).await;
    for name in ["a", "b", "c"] {
        recorded(store, &billed("acme", name, 1)).await;
    }
    let first = store.claim_usage(in_minutes(1), now(), 2).await.unwrap();
    let mut names: Vec<_> = first.iter().map(|it| it.receipt.to_string()).collect();
    names.sort();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(claim_one(store, now()).await.receipt, receipt_id("c"));
    assert_eq!(claim(store, in_minutes(1) - TimeDelta::microseconds(1)).await, []);
    let again = claim(store, in_minutes(1)).await;
    assert_eq!(again.len(), 3);
    assert!(again.iter().all(|it| (it.attempts, it.tried_at) == (2, Some(now()))), "{again:?}");
    assert_eq!(store.claim_usage(in_minutes(9), in_minutes(5), 0).await.unwrap(), []);
}

/// Of many claims at once, each gets other records.
pub async fn racing_claims_share_the_usage<S: Store + UsageOutbox + Clone>(store: &S) {
    bill(store).await;
    for n in 0..40 {
        recorded(store, &billed("acme", &format!("k{n}"), 1)).await;
    }
    let barrier = Arc::new(Barrier::new(8));
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let (store, barrier) = (store.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                store.claim_usage(in_minutes(1), now(), 5).await.unwrap()
            })
        })
        .collect();
    let mut ids = Vec::new();
    for racer in racers {
        ids.extend(racer.await.unwrap().into_iter().map(|it| it.id));
    }
    ids.extend(claim(store, now()).await.into_iter().map(|it| it.id));
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((count, ids.len()), (40, 40));
}

/// What was sent is never claimed again, and only the claim in force ends an attempt.
pub async fn usage_is_sent_once(store: &(impl Store + UsageOutbox)) {
    bill(store).await;
    recorded(store, &billed("acme", "k", 1)).await;
    let late = claim_one(store, now()).await;
    let record = claim_one(store, in_minutes(1)).await;
    assert!(!finish(store, &late, &UsageOutcome::Sent).await);
    assert!(!finish(store, &record, &UsageOutcome::Corrected).await, "nothing was sent yet");
    assert!(finish(store, &record, &UsageOutcome::Sent).await);
    assert!(!finish(store, &record, &UsageOutcome::Sent).await);
    assert_eq!(state(store, &record.id).await, State::Sent);
    assert_eq!(claim(store, in_minutes(99)).await, []);
    assert_eq!(store.unsettled_usage().await.unwrap(), []);
}

/// A failed attempt says when to try again, and since when the provider may have the report.
pub async fn failed_usage_is_due_again(store: &(impl Store + UsageOutbox)) {
    bill(store).await;
    recorded(store, &billed("acme", "k", 1)).await;
    let record = claim_one(store, now()).await;
    let outcome = UsageOutcome::Failed {
        error: "down".to_owned(),
        retry_at: in_minutes(7),
        tried_at: record.tried_at.filter(|tried| *tried < now()),
    };
    assert!(finish(store, &record, &outcome).await);
    let failed = store.usage_record(&record.id).await.unwrap().unwrap();
    assert_eq!((failed.state, failed.note.as_deref(), failed.tried_at), (State::Pending, Some("down"), None));
    assert_eq!(claim(store, in_minutes(6)).await, []);
    let again = claim_one(store, in_minutes(7)).await;
    assert_eq!((again.attempts, again.tried_at), (2, Some(in_minutes(7))));
    assert!(finish(store, &again, &failure(again.tried_at)).await);
    assert_eq!(claim_one(store, in_minutes(8)).await.tried_at, Some(in_minutes(7)));
}

/// What is refused stays so and says why; what was sent can be refused later.
pub async fn refused_usage_says_why(store: &(impl Store + UsageOutbox)) {
    bill(store).await;
    recorded(store, &billed("acme", "k", 1)).await;
    let record = claim_one(store, now()).await;
    assert!(!store.refuse_usage(&record.id, "unknown customer").await.unwrap(), "it was not sent");
    assert!(finish(store, &record, &refusal(None)).await);
    let refused = store.usage_record(&record.id).await.unwrap().unwrap();
    assert_eq!((refused.state, refused.note.as_deref()), (State::Refused, Some("too old")));
    assert_eq!(claim(store, in_minutes(99)).await, []);

    recorded(store, &billed("acme", "l", 1)).await;
    let sent = claim_one(store, now()).await;
    assert!(finish(store, &sent, &UsageOutcome::Sent).await);
    assert!(store.refuse_usage(&sent.id, "unknown customer").await.unwrap());
    assert!(!store.refuse_usage(&sent.id, "unknown customer").await.unwrap());
    let refused = store.usage_record(&sent.id).await.unwrap().unwrap();
    assert_eq!((refused.state, refused.note.as_deref()), (State::Refused, Some("unknown customer")));
}

/// What is given back before it was tried is not reported.
pub async fn refunded_usage_is_not_sent(store: &(impl Store + UsageOutbox)) {
    bill(store).await;
    recorded(store, &billed("acme", "k", 1)).await;
    recorded(store, &billed("acme", "l", 1)).await;
    refund(store, "acme", "k").await;
    refund(store, "acme", "k").await;
    assert_eq!(claim_one(store, now()).await.receipt, receipt_id("l"));
}

/// The report of what is given back later is taken back.
pub async fn sent_usage_that_is_refunded_is_corrected(store: &(impl Store + UsageOutbox)) {
    bill(store).await;
    recorded(store, &billed("acme", "k", 1)).await;
    recorded(store, &billed("acme", "l", 1)).await;
    let claimed = claim(store, now()).await;
    // One is given back while it is being sent, the other one after that.
    refund(store, "acme", "k").await;
    for record in &claimed {
        assert!(finish(store, record, &UsageOutcome::Sent).await);
    }
    refund(store, "acme", "l").await;
    let correcting = claim(store, now()).await;
    assert_eq!(correcting.len(), 2);
    assert!(correcting.iter().all(|it| it.state == State::Correcting && it.attempts == 2), "{correcting:?}");
    assert!(!finish(store, &correcting[0], &UsageOutcome::Sent).await);
    assert!(finish(store, &correcting[0], &UsageOutcome::Corrected).await);
    assert!(finish(store, &correcting[1], &UsageOutcome::Uncorrected("too late".to_owned())).await);
    assert_eq!(state(store, &correcting[0].id).await, State::Corrected);
    assert_eq!(state(store, &correcting[1].id).await, State::Uncorrected);
    assert_eq!(claim(store, in_minutes(99)).await, []);
}

/// What is refused and given back is even, before or after; unless the provider may have it.
pub async fn refused_usage_that_is_refunded_is_even(store: &(impl Store + UsageOutbox)) {
    bill(store).await;
    for (name, first, tried_at, expected) in [
        ("k", true, None, State::Canceled),
        ("l", true, Some(now()), State::Correcting),
        ("m", false, None, State::Canceled),
        ("n", false, Some(now()), State::Correcting),
    ] {
        recorded(store, &billed("acme", name, 1)).await;
        let claimed = claim(store, now()).await;
        let record = claimed.iter().find(|it| it.receipt == receipt_id(name)).expect("a record");
        if first {
            refund(store, "acme", name).await;
            assert_eq!(state(store, &record.id).await, State::Pending, "{name}");
        }
        assert!(finish(store, record, &refusal(tried_at)).await);
        if !first {
            assert_eq!(state(store, &record.id).await, State::Refused, "{name}");
            refund(store, "acme", name).await;
        }
        assert_eq!(state(store, &record.id).await, expected, "{name}");
    }
}

/// What is not settled is summed by meter and state.
pub async fn unsettled_usage_is_summed(store: &(impl Store + UsageOutbox)) {
    store.bill_meters(&[feature("a"), feature("b")]).await.unwrap();
    let used = |name: &str, of: &str, amount, minutes| Debit {
        meter: feature(of),
        at: in_minutes(minutes),
        ..billed("acme", name, amount)
    };
    recorded(store, &used("1", "b", 5, 2)).await;
    let record = claim_one(store, now()).await;
    assert!(finish(store, &record, &refusal(None)).await);
    let of_other = Debit { company: company("other"), ..used("3", "b", 7, 2) };
    for debit in [used("2", "b", LARGEST - 7, 3), of_other, used("4", "a", 1, 4)] {
        recorded(store, &debit).await;
    }
    let sum = |of: &str, state, records, amount, minutes| UnsettledUsage {
        meter: feature(of),
        state,
        records,
        amount: units(amount),
        oldest: in_minutes(minutes),
    };
    let expected = [
        sum("a", State::Pending, 1, 1, 4),
        sum("b", State::Pending, 2, LARGEST, 2),
        sum("b", State::Refused, 1, 5, 2),
    ];
    assert_eq!(store.unsettled_usage().await.unwrap(), expected);
}

/// Records go with their company; those of others stay.
pub async fn an_erasure_removes_billed_usage(store: &(impl Store + UsageOutbox)) {
    bill(store).await;
    recorded(store, &billed("acme", "k", 1)).await;
    recorded(store, &billed("acme", "l", 1)).await;
    recorded(store, &billed("other", "k", 1)).await;
    let claimed = claim(store, now()).await;
    let sent = claimed.iter().find(|it| it.receipt == receipt_id("l")).expect("a record");
    assert!(finish(store, sent, &UsageOutcome::Sent).await);
    store.erase(&company("acme"), now()).await.unwrap().expect("a known company");
    for record in &claimed {
        let known = store.usage_record(&record.id).await.unwrap();
        assert_eq!(known.is_some(), record.company == company("other"), "{record:?}");
    }
    assert_eq!(claim_one(store, in_minutes(1)).await.company, company("other"));
}

/// Meters, companies and receipts that differ by a byte have records of their own.
pub async fn hostile_usage_never_mixes(store: &(impl Store + UsageOutbox)) {
    let ids = hostile_ids();
    let meters: Vec<_> = ids.iter().map(|id| FeatureKey::new(id).unwrap()).collect();
    store.bill_meters(&meters[1..]).await.unwrap();
    for (id, meter) in ids.iter().zip(&meters) {
        recorded(store, &Debit { meter: meter.clone(), ..billed(id, id, 1) }).await;
    }
    let claimed = store.claim_usage(in_minutes(1), now(), ids.len()).await.unwrap();
    let mut names: Vec<_> = claimed.iter().map(|it| it.meter.to_string()).collect();
    assert!(claimed.iter().all(|it| it.company.as_str() == it.meter.as_str()));
    names.sort();
    let mut expected: Vec<_> = ids[1..].iter().map(ToString::to_string).collect();
    expected.sort();
    assert_eq!(names, expected);
}
