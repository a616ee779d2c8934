//! Cases about reservations: set aside, used or not, and free at their expiry.

mod ending;
mod holding;
mod racing;

use chrono::{DateTime, Utc};

use super::fixtures::{
    at, bucket, company, debit, granted, monthly, now, part, units, used_in, user, yearly,
};
use crate::id::ReceiptId;
use crate::reservation::{CommitOutcome, Reservation, ReserveOutcome, Settlement};
use crate::store::Store;
use crate::usage::{Counter, Debit, Split};

pub use ending::*;
pub use holding::*;
pub use racing::*;

/// When reservations of the cases expire, and the instant before it.
fn expiry() -> DateTime<Utc> {
    at("2026-11-07T09:10:00Z")
}

fn before_expiry() -> DateTime<Utc> {
    at("2026-11-07T09:09:59.999999Z")
}

async fn reserve(store: &impl Store, debit: &Debit) -> Reservation {
    match store.reserve(debit, expiry()).await.unwrap() {
        ReserveOutcome::Reserved(reservation) => reservation,
        other => panic!("expected a reservation, got {other:?}"),
    }
}

async fn commit(store: &impl Store, id: &ReceiptId, actual: u64, at: DateTime<Utc>) -> Settlement {
    match store.commit(&company("acme"), id, units(actual), at).await.unwrap() {
        Some(CommitOutcome::Committed(settlement)) => settlement,
        other => panic!("expected a commit, got {other:?}"),
    }
}

async fn release(store: &impl Store, id: &ReceiptId) -> Reservation {
    store.release_reservation(&company("acme"), id, now()).await.unwrap().expect("a reservation")
}

/// The units of a counter at an instant.
async fn used_at(store: &impl Store, counter: &Counter, at: DateTime<Utc>) -> u64 {
    used_in(&store.load(&company("acme"), at).await.unwrap(), counter)
}

fn amounts(split: &[Split]) -> Vec<(String, u64)> {
    split.iter().map(|part| (part.bucket.to_string(), part.amount.get())).collect()
}

/// Out of a grant first, and then out of two quotas that hold at the same time.
fn everything(name: &str, amount: u64) -> Debit {
    Debit {
        user: Some(user("ann")),
        limit: Some(units(22)),
        buckets: vec![bucket([granted("g", 2)]), bucket([monthly(10), yearly(20)])],
        tallies: vec![part("tokens_in")],
        ..debit("acme", name, amount, [])
    }
}

async fn assert_everything(store: &impl Store, at: DateTime<Utc>, of_grant: u64, of_plan: u64) {
    let facts = store.load(&company("acme"), at).await.unwrap();
    for (counter, expected) in [
        (granted("g", None), of_grant),
        (monthly(None), of_plan),
        (yearly(None), of_plan),
        (part("tokens_in"), of_grant + of_plan),
    ] {
        assert_eq!(used_in(&facts, &counter), expected, "{counter:?}");
    }
}
