//! Units.

use chrono::TimeDelta;
use entitlements_core::Amount;
use entitlements_core::gauge::{AcquireOutcome, LevelOutcome};
use entitlements_core::reservation::{CommitOutcome, ReserveOutcome};
use entitlements_core::store::{
    GaugeStore as _, GroupStore as _, Grouped, PageRequest, ReservationStore as _, Store, UsageStore as _,
};
use entitlements_core::testkit::fixtures::{
    company, debit, feature, granted, held, holder, key, monthly, now, receipt_id, recorded, units, used,
};
use entitlements_core::usage::{Counter, Debit, DebitOutcome, RecordOutcome};

use super::{any, whole_or_not_at_all};
use crate::giving_up::after_polls;
use crate::ground::Ground;

/// A debit under one key, with a receipt of its own at each attempt.
fn attempted(company: &str, name: &str, amount: u64, counters: &[Counter], attempt: u32) -> Debit {
    Debit {
        receipt: receipt_id(&format!("{name} {attempt}")),
        ..debit(company, name, amount, counters.to_vec())
    }
}

/// What some counters of a company hold, and which keys have a receipt.
async fn taken<const N: usize>(store: &impl Store, name: &str, keys: [&str; N]) -> (u64, u64, [bool; N]) {
    let mut known = [false; N];
    for (known, name_of_key) in known.iter_mut().zip(keys) {
        *known = store.receipt(&company(name), &key(name_of_key)).await.unwrap().is_some();
    }
    (used(store, name, &monthly(None)).await, used(store, name, &granted("g", None)).await, known)
}

pub(crate) async fn a_debit_is_made_whole_or_not_at_all(ground: &impl Ground) {
    for (counters, whole) in [(vec![monthly(9)], (4, 0)), (vec![granted("g", 3), monthly(9)], (2, 3))] {
        let amount = whole.0 + whole.1 - 1;
        whole_or_not_at_all(
            ground,
            [(1, 0, [false]), (whole.0, whole.1, [true])],
            async |store, name| drop(recorded(store, &debit(name, "before", 1, [monthly(9)])).await),
            async |store, name, attempt| store.debit(&attempted(name, "k", amount, &counters, attempt)).await,
            async |store, name| taken(store, name, ["k"]).await,
            |outcome, was_made| match outcome {
                DebitOutcome::Recorded(receipt) => assert!(!was_made && receipt.id == receipt_id("k 1")),
                DebitOutcome::Duplicate(receipt) => assert!(was_made && receipt.id == receipt_id("k 0")),
                other => panic!("{other:?}"),
            },
        )
        .await;
    }
}

pub(crate) async fn a_group_is_made_whole_or_not_at_all(ground: &impl Ground) {
    for counters in [vec![monthly(9)], vec![granted("g", 1), monthly(9)]] {
        let of_grant = counters.len() as u64 - 1;
        whole_or_not_at_all(
            ground,
            [(0, 0, [false, false]), (3 - of_grant, of_grant, [true, true])],
            async |_, _| {},
            async |store, name, attempt| {
                let group = [("a", 1), ("b", 2)]
                    .map(|(key, amount)| attempted(name, key, amount, &counters, attempt));
                store.debit_group(&group).await
            },
            async |store, name| taken(store, name, ["a", "b"]).await,
            |outcomes, was_made| {
                let new = outcomes.iter().filter(|outcome| matches!(outcome, DebitOutcome::Recorded(_)));
                assert_eq!(new.count(), if was_made { 0 } else { 2 }, "{outcomes:?}");
            },
        )
        .await;
    }
}

/// Of those whose debits go together, whoever gives up leaves his own whole or not made, and the others theirs made.
pub(crate) async fn who_leaves_a_group_leaves_the_others_theirs<G: Ground>(ground: &G) {
    for polls in 0.. {
        let name = format!("acme {polls}");
        let store = ground.open().await;
        let grouped = Grouped::new(store.clone());
        let one = |key: &str, attempt| attempted(&name, key, 1, &[monthly(9)], attempt);
        let leaving = one("leaves", 0);
        let (staying, other) = (one("stays", 0), one("other", 0));
        let (left, stayed, other) = tokio::join!(
            after_polls(polls, grouped.debit(&leaving)),
            grouped.debit(&staying),
            grouped.debit(&other),
        );
        assert!(matches!(stayed.unwrap(), DebitOutcome::Recorded(_)), "after {polls} polls");
        assert!(matches!(other.unwrap(), DebitOutcome::Recorded(_)), "after {polls} polls");
        drop(grouped);
        ground.close(store).await;

        let store = ground.open().await;
        let (held, _, [was_made, ..]) = taken(&store, &name, ["leaves"]).await;
        assert_eq!(held, 2 + u64::from(was_made), "after {polls} polls");
        let again = store.debit(&one("leaves", 1)).await.unwrap();
        assert_eq!(matches!(again, DebitOutcome::Duplicate(_)), was_made, "after {polls} polls");
        assert_eq!(taken(&store, &name, ["leaves", "stays", "other"]).await, (3, 0, [true; 3]));
        ground.close(store).await;
        if left.is_some() {
            assert!(was_made && polls > 1);
            break;
        }
    }
}

pub(crate) async fn events_are_counted_whole_or_not_at_all(ground: &impl Ground) {
    whole_or_not_at_all(
        ground,
        [(0, 0, [false, false]), (3, 0, [true, true])],
        async |_, _| {},
        async |store, name, attempt| {
            let events =
                [("a", 1), ("b", 2)].map(|(key, n)| attempted(name, key, n, &[monthly(None)], attempt));
            store.record(&company(name), &events).await
        },
        async |store, name| taken(store, name, ["a", "b"]).await,
        |outcomes, was_made| {
            let expected = if was_made { RecordOutcome::Duplicate } else { RecordOutcome::Recorded };
            assert_eq!(outcomes, [expected; 2]);
        },
    )
    .await;
}

pub(crate) async fn a_receipt_is_given_back_once(ground: &impl Ground) {
    whole_or_not_at_all(
        ground,
        [(3, None), (0, Some(true))],
        async |store, name| drop(recorded(store, &debit(name, "k", 3, [monthly(9)])).await),
        async |store, name, attempt| {
            let at = now() + TimeDelta::seconds(i64::from(attempt));
            let refunded = store.refund(&company(name), &receipt_id("receipt of k"), at).await;
            refunded.map(|receipt| receipt.unwrap().refunded_at.unwrap() == now())
        },
        async |store, name| {
            let receipt = store.receipt(&company(name), &key("k")).await.unwrap().unwrap();
            (used(store, name, &monthly(9)).await, receipt.refunded_at.map(|_| true))
        },
        |is_the_first, was_made| assert_eq!(is_the_first, was_made),
    )
    .await;
}

/// What a company's reservation holds, and whether it has ended.
async fn reserved(store: &impl Store, name: &str) -> (u64, Option<bool>) {
    let known = store.reservation(&company(name), &key("k")).await.unwrap();
    (used(store, name, &monthly(9)).await, known.map(|known| known.end.is_some()))
}

async fn reserve(store: &impl Store, name: &str, attempt: u32) -> ReserveOutcome {
    let asked = attempted(name, "k", 3, &[monthly(9)], attempt);
    store.reserve(&asked, now() + TimeDelta::days(1)).await.unwrap()
}

pub(crate) async fn a_reservation_is_made_and_ended_whole_or_not_at_all(ground: &impl Ground) {
    whole_or_not_at_all(
        ground,
        [(0, None), (3, Some(false))],
        async |_, _| {},
        async |store, name, attempt| Ok(reserve(store, name, attempt).await),
        async |store, name| reserved(store, name).await,
        |outcome, was_made| assert_eq!(matches!(outcome, ReserveOutcome::Duplicate(_)), was_made),
    )
    .await;
    for actual in [2, 5] {
        whole_or_not_at_all(
            ground,
            [(3, Some(false)), (actual, Some(true))],
            async |store, name| drop(reserve(store, name, 0).await),
            async |store, name, _| {
                store.commit(&company(name), &receipt_id("k 0"), units(actual), now()).await
            },
            async |store, name| reserved(store, name).await,
            |outcome, was_made| {
                let is_known = matches!(outcome, Some(CommitOutcome::Duplicate(_)));
                assert!(is_known == was_made && outcome.is_some(), "{outcome:?}");
            },
        )
        .await;
    }
    whole_or_not_at_all(
        ground,
        [(3, Some(false)), (0, Some(true))],
        async |store, name| drop(reserve(store, name, 0).await),
        async |store, name, _| store.release_reservation(&company(name), &receipt_id("k 0"), now()).await,
        async |store, name| reserved(store, name).await,
        |reservation, _| assert!(reservation.unwrap().end.is_some()),
    )
    .await;
}

pub(crate) async fn a_gauge_is_held_whole_or_not_at_all<G: Ground>(ground: &G) {
    let (seats, ada) = (feature("seats"), holder("ada"));
    let page = PageRequest::first(9);
    let listed = async |store: &G::Store, name: &str| {
        let holders = store.list_holders(&company(name), &seats, &page).await.unwrap();
        (held(store, name, "seats").await, holders.items.len())
    };
    whole_or_not_at_all(
        ground,
        [(0, 0), (1, 1)],
        async |_, _| {},
        async |store, name, _| store.acquire(&company(name), &seats, &ada, Some(units(5)), now()).await,
        &listed,
        |outcome, was_made| {
            let expected = if was_made { AcquireOutcome::Held } else { AcquireOutcome::Acquired };
            assert_eq!(outcome, expected(Amount::ONE));
        },
    )
    .await;
    whole_or_not_at_all(
        ground,
        [(1, 1), (0, 0)],
        async |store, name| {
            store.acquire(&company(name), &seats, &ada, None, now()).await.unwrap();
        },
        async |store, name, _| store.release(&company(name), &seats, &ada).await,
        &listed,
        |had_one, was_made| assert_eq!(had_one, !was_made),
    )
    .await;
    whole_or_not_at_all(
        ground,
        [0, 4],
        async |_, _| {},
        async |store, name, _| store.set_level(&company(name), &feature("storage"), units(4), None).await,
        async |store, name| held(store, name, "storage").await,
        |outcome, _| assert_eq!(outcome, LevelOutcome::Set(units(4))),
    )
    .await;
}

fn alerting() -> Counter {
    Counter { alerts: vec![(80, units(8))], ..monthly(10) }
}

/// Whoever claimed an alert and gave up has it until the claim ends, and nobody for longer; what is acknowledged is gone.
pub(crate) async fn alerts_come_back_after_claims_that_were_given_up<G: Ground>(ground: &G) {
    let pending = async |store: &G::Store, _: &str| store.pending_alerts(9).await.unwrap().len();
    whole_or_not_at_all(
        ground,
        [1, 1],
        async |store, name| {
            for alert in store.pending_alerts(9).await.unwrap() {
                store.acknowledge_alert(&alert).await.unwrap();
            }
            recorded(store, &debit(name, "k", 8, [alerting()])).await;
        },
        async |store, _, attempt| {
            let at = now() + TimeDelta::seconds(60 * i64::from(attempt));
            store.claim_alerts(at + TimeDelta::seconds(60), at, 9).await
        },
        &pending,
        |claimed, _| assert_eq!(claimed.len(), 1),
    )
    .await;
    whole_or_not_at_all(
        ground,
        [1, 0],
        async |store, name| {
            for alert in store.pending_alerts(9).await.unwrap() {
                store.acknowledge_alert(&alert).await.unwrap();
            }
            recorded(store, &debit(name, "k", 8, [alerting()])).await;
        },
        async |store, _, _| match store.pending_alerts(9).await?.as_slice() {
            [alert] => store.acknowledge_alert(alert).await,
            _ => Ok(()),
        },
        &pending,
        any,
    )
    .await;
}
