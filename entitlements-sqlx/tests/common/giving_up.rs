//! Callers that give up, at every point where they can: reservations, gauges, the audit log, billing, and transactions.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use chrono::TimeDelta;
use entitlements_core::Amount;
use entitlements_core::audit::Verifier;
use entitlements_core::billing::{
    BillingStore, Claim, Customer, EventOutcome, EventState, NewEvent, Operation,
};
use entitlements_core::id::{CompanyId, CustomerId, EventId, FeatureKey, IdempotencyKey, OperationId};
use entitlements_core::reservation::ReservationEnd;
use entitlements_core::store::{Store, TransactionStore, UsageStore as _};
use entitlements_core::testkit::fixtures::{
    audited, company, debit, facts, feature, holder, key, monthly, now, receipt_id, subscription, units, used,
};

use crate::stage::{Beginning, InTransaction, Stage, execute, orders};

/// After so many polls callers give up; the last ones see the end of their calls.
pub(crate) const POLLS: u32 = 14;

/// Polls a future so many times at most, each time only when there is something new for it, and then drops it.
pub(crate) async fn after_polls<F: Future>(polls: u32, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// What counters hold is what reservations say that they hold.
pub(crate) async fn reservations_are_whole_or_not_there(store: impl Store) {
    let (acme, later) = (company("acme"), now() + TimeDelta::days(1));
    let mut names = Vec::new();
    for round in 0..4 {
        for polls in 0..POLLS {
            let name = format!("{round}-{polls}");
            let asked = debit("acme", &name, 3, [monthly(10_000)]);
            let id = receipt_id(&format!("receipt of {name}"));
            let reserving =
                after_polls(if round == 0 { polls } else { 1_000 }, store.reserve(&asked, later)).await;
            assert!(round == 0 || reserving.is_some_and(|done| done.is_ok()));
            match round {
                1 => drop(after_polls(polls, store.commit(&acme, &id, units(2), now())).await),
                2 => drop(after_polls(polls, store.release_reservation(&acme, &id, now())).await),
                _ => {}
            }
            names.push(name);
        }
    }
    let mut held = 0;
    for name in &names {
        let Some(known) = store.reservation(&acme, &key(name)).await.unwrap() else { continue };
        held += match known.end {
            None => 3,
            Some(ReservationEnd::Committed(settlement)) => {
                settlement.receipt.map_or(0, |taken| taken.amount.get())
            }
            Some(_) => 0,
        };
    }
    assert_eq!(used(&store, "acme", &monthly(10_000)).await, held);
    // All of them can still be ended.
    for name in &names {
        let _ = store
            .commit(&acme, &receipt_id(&format!("receipt of {name}")), Amount::ZERO, now())
            .await
            .unwrap();
    }
}

/// A gauge holds as many units as it lists holders.
pub(crate) async fn holders_are_counted_or_not_there(store: impl Store) {
    let (acme, seats) = (company("acme"), feature("seats"));
    for round in 0..3 {
        for polls in 0..POLLS {
            let (one, other) =
                (holder(&format!("{round}-{polls}")), holder(&format!("kept {round}-{polls}")));
            let _ = after_polls(polls, store.acquire(&acme, &seats, &one, Some(units(200)), now())).await;
            let _ = store.acquire(&acme, &seats, &other, Some(units(200)), now()).await.unwrap();
            let _ = after_polls(polls, store.release(&acme, &seats, &other)).await;
            let level = units(u64::from(polls));
            let _ = after_polls(polls, store.set_level(&acme, &feature("storage"), level, None)).await;
        }
    }
    let page = entitlements_core::store::PageRequest::first(1_000);
    let listed = store.list_holders(&acme, &seats, &page).await.unwrap().items.len();
    let counted = facts(&store, "acme").await.gauges.iter().find(|level| level.gauge == seats).unwrap().used;
    assert_eq!(counted, units(listed as u64));
}

/// A batch is in the log once, or not at all, and the chain has no hole.
pub(crate) async fn batches_are_appended_whole_or_not_at_all(store: impl Store) {
    let batch =
        |polls: u32| -> Vec<_> { (0..3).map(|n| audited(&format!("{polls:02}-{n}"), "acme")).collect() };
    for polls in 0..POLLS {
        let _ = after_polls(polls, store.append(&batch(polls))).await;
    }
    let written = store.audit_rows(0, 1_000).await.unwrap().rows.len();
    assert_eq!(written % 3, 0, "{written}");
    for polls in 0..POLLS {
        store.append(&batch(polls)).await.unwrap();
    }
    let export = store.audit_rows(0, 1_000).await.unwrap();
    let ids: BTreeSet<_> = export.rows.iter().map(|row| row.id.clone()).collect();
    assert_eq!((ids.len(), export.rows.len()), (3 * POLLS as usize, 3 * POLLS as usize));
    let mut verifier = Verifier::new(export.base);
    for row in &export.rows {
        verifier.check(row).unwrap();
    }
    verifier.finish(export.head).unwrap();
}

/// Whatever was given up, the next who asks goes on.
pub(crate) async fn billing_goes_on(store: impl Store + BillingStore) {
    for polls in 0..POLLS {
        let (acme, at) = (company(&format!("acme {polls}")), now());
        let (lease, later) = (at + TimeDelta::seconds(30), at + TimeDelta::seconds(60));
        let customer = |id: &str| Customer {
            id: CustomerId::new(id).unwrap(),
            company: acme.clone(),
            livemode: false,
            created_at: at,
            deleted_at: None,
        };
        let _ = after_polls(polls, store.insert_customer(&customer(&format!("cus_{polls}_a")))).await;
        let kept = store.insert_customer(&customer(&format!("cus_{polls}_b"))).await.unwrap();
        assert_eq!(store.customer_of(&acme).await.unwrap(), Some(kept));

        let _ = after_polls(polls, store.lock(&acme, lease, at)).await;
        let lock = store.lock(&acme, later + TimeDelta::seconds(30), later).await.unwrap().unwrap();
        let state = subscription(&format!("sub_{polls}"), acme.as_str());
        let _ = after_polls(polls, store.put_synced_subscription(&lock, &state, later)).await;
        assert!(store.put_synced_subscription(&lock, &state, later).await.unwrap().is_some());
        assert_eq!(store.subscription_history(&state.id).await.unwrap().len(), 1);
        let _ = after_polls(polls, store.unlock(&lock)).await;

        let operation = Operation {
            id: OperationId::new(format!("op_{polls}")).unwrap(),
            company: acme.clone(),
            kind: "subscribe".to_owned(),
            arguments: "pro".to_owned(),
            begun_at: at,
        };
        let _ = after_polls(polls, store.begin_operation(&operation)).await;
        let _ = store.begin_operation(&operation).await.unwrap();

        let id = EventId::new(format!("evt_{polls}")).unwrap();
        let event = NewEvent {
            id: id.clone(),
            kind: "invoice.paid".to_owned(),
            object: None,
            customer: None,
            livemode: false,
            created_at: at,
            payload: "{}".to_owned(),
        };
        let _ = after_polls(polls, store.receive_event(&event, at)).await;
        let _ = store.receive_event(&event, at).await.unwrap();
        let _ = after_polls(polls, store.claim_event(&id, lease, at)).await;
        let Claim::Taken(claimed) =
            store.claim_event(&id, later + TimeDelta::seconds(30), later).await.unwrap()
        else {
            panic!("nobody has it any more")
        };
        let _ =
            after_polls(polls, store.finish_event(&id, claimed.attempts, &EventOutcome::Processed, later))
                .await;
        let _ = store.finish_event(&id, claimed.attempts, &EventOutcome::Processed, later).await.unwrap();
        assert_eq!(store.event(&id).await.unwrap().unwrap().state, EventState::Processed);
    }
}

/// The caller's rows are there exactly when the units were taken, and what is acknowledged afterwards stays.
pub(crate) async fn a_transaction_that_is_given_up_leaves_nothing(stage: Stage) {
    let acme: CompanyId = company("acme");
    let mut kept = 0;
    for polls in 0..POLLS {
        let name = format!("order {polls}");
        let mut transaction = stage.pool.beginning().await;
        execute(&mut transaction, &format!("INSERT INTO orders VALUES ('{name}')")).await;
        let asked = debit("acme", &name, 2, [monthly(10_000)]);
        let done = after_polls(polls, InTransaction::new(&mut transaction).debit(&asked)).await;
        if done.is_some_and(|done| done.is_ok()) {
            kept +=
                i64::from(after_polls(polls, transaction.commit()).await.is_some_and(|done| done.is_ok()));
        } else {
            drop(transaction);
        }
        // The connection that was used is used again, and what is acknowledged over it is there for others.
        let mut transaction = stage.pool.beginning().await;
        execute(&mut transaction, &format!("INSERT INTO orders VALUES ('kept {polls}')")).await;
        transaction.commit().await.unwrap();
    }
    let mut receipts = 0;
    for polls in 0..POLLS {
        let key = IdempotencyKey::new(format!("order {polls}")).unwrap();
        receipts += i64::from(stage.store.receipt(&acme, &key).await.unwrap().is_some());
    }
    assert_eq!(orders(&stage.pool).await, i64::from(POLLS) + receipts);
    assert!(receipts >= kept, "{kept} were told that it is done");
    assert!(receipts < i64::from(POLLS), "some were given up");
    let counted = facts(&stage.store, "acme").await;
    let counted = counted.usage.iter().find(|counter| counter.meter == FeatureKey::new("reports").unwrap());
    assert_eq!(counted.map_or(0, |counter| counter.used.get()), u64::try_from(receipts).unwrap() * 2);
}
