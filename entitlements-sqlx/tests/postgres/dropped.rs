//! Callers that give up, at every point where they can: nothing is half done, and what is acknowledged stays.

use std::collections::BTreeSet;
use std::time::Duration;

use entitlements_core::store::{GrantStore, PolicyStore, SnapshotStore, SubscriptionStore, UsageStore};
use entitlements_core::testkit::fixtures::{
    addon, company, debit, facts, grant, granted, monthly, now, policy, receipt_id, subscription,
};

use crate::giving_up::{self, after_polls};
use crate::ledger::assert_counters_agree;
use crate::server::{in_schema, named, new_schema, stranger};
use crate::stage::Stage;

/// No connection of the store stands in a transaction and waits for its client.
async fn assert_no_open_transaction(schema: &str) {
    let open: Vec<String> = sqlx::query_scalar(
        "SELECT query FROM pg_stat_activity
         WHERE application_name = $1 AND xact_start IS NOT NULL AND state LIKE 'idle%'",
    )
    .bind(schema)
    .fetch_all(&mut stranger(schema).await)
    .await
    .unwrap();
    assert_eq!(open, [""; 0]);
}

/// Every grant whose caller was told that it is stored can be seen over another connection.
async fn assert_seen_by_others(schema: &str, grants: &BTreeSet<String>) {
    let other = in_schema(schema).await;
    let seen: BTreeSet<_> = facts(&other, "acme").await.grants.iter().map(|g| g.id.to_string()).collect();
    assert!(grants.is_subset(&seen), "lost: {:?}", grants.difference(&seen));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_call_that_is_dropped_after_any_poll_leaves_nothing_half_done() {
    const ROUNDS: u32 = 12;
    let schema = new_schema();
    let mut names = Vec::new();
    let mut acknowledged = BTreeSet::new();
    let mut dropped = 0;
    // One connection, so that the next call meets whatever the dropped one left; several, so that others open meanwhile.
    for connections in [1, 3] {
        for round in 0..ROUNDS {
            // A new pool: the first polls open the connection and prepare the statements.
            let store = named(&schema, connections).await;
            for polls in 0..10 {
                let name = format!("{connections}-{round}-{polls}");
                let buckets = [granted("g", 40), monthly(500)];
                dropped += u32::from(
                    after_polls(polls, store.debit(&debit("acme", &name, 1, buckets))).await.is_none(),
                );
                names.push(name.clone());
                let id = format!("dropped {name}");
                if after_polls(polls, store.insert_grant(&grant(&id, "acme")))
                    .await
                    .is_some_and(|done| done.is_ok())
                {
                    acknowledged.insert(id);
                }
                let _ = after_polls(polls, store.put_addon(&company("acme"), &addon("pack", 1))).await;
                let subscription = subscription(&format!("s{name}"), "acme");
                let _ = after_polls(polls, store.put_subscription(&subscription, now())).await;
                let receipt = receipt_id(&format!("receipt of {name}"));
                let _ = after_polls(polls, store.refund(&company("acme"), &receipt, now())).await;
                let _ = after_polls(polls, store.insert_policy(&policy(&name))).await;
                let _ = after_polls(polls, store.load(&company("acme"), now())).await;
                let id = format!("kept {name}");
                store.insert_grant(&grant(&id, "acme")).await.unwrap();
                acknowledged.insert(id);
            }
            assert_no_open_transaction(&schema).await;
            assert_seen_by_others(&schema, &acknowledged).await;
        }
    }
    assert!(dropped > ROUNDS * 4, "calls were dropped: {dropped}");
    let store = in_schema(&schema).await;
    assert_counters_agree(&store, "acme", names.into_iter(), &[granted("g", 40), monthly(500)]).await;
}

/// The same, after any time instead of any poll.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_call_that_is_dropped_after_any_time_leaves_nothing_half_done() {
    let schema = new_schema();
    let store = named(&schema, 2).await;
    let mut acknowledged = BTreeSet::new();
    let mut names = Vec::new();
    for round in 0..300_u64 {
        let patience = Duration::from_micros(round * 10);
        let name = format!("k{round}");
        let taken = debit("acme", &name, 1, [monthly(500)]);
        let _ = tokio::time::timeout(patience, store.debit(&taken)).await;
        names.push(name);
        let id = format!("g{round}");
        let stored = tokio::time::timeout(patience, store.insert_grant(&grant(&id, "acme"))).await;
        if matches!(stored, Ok(Ok(_))) {
            acknowledged.insert(id);
        }
    }
    assert_no_open_transaction(&schema).await;
    assert_seen_by_others(&schema, &acknowledged).await;
    assert_counters_agree(&store, "acme", names.into_iter(), &[monthly(500)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn reservations_are_whole_or_not_there() {
    let schema = new_schema();
    giving_up::reservations_are_whole_or_not_there(named(&schema, 2).await).await;
    assert_no_open_transaction(&schema).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn holders_are_counted_or_not_there() {
    let schema = new_schema();
    giving_up::holders_are_counted_or_not_there(named(&schema, 2).await).await;
    assert_no_open_transaction(&schema).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn batches_are_appended_whole_or_not_at_all() {
    let schema = new_schema();
    giving_up::batches_are_appended_whole_or_not_at_all(named(&schema, 2).await).await;
    assert_no_open_transaction(&schema).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn billing_goes_on() {
    let schema = new_schema();
    giving_up::billing_goes_on(named(&schema, 2).await).await;
    assert_no_open_transaction(&schema).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_transaction_that_is_given_up_leaves_nothing() {
    giving_up::a_transaction_that_is_given_up_leaves_nothing(Stage::start().await).await;
}
