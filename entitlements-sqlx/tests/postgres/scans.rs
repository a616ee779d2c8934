//! What the server reads to answer: never a whole table, also within functions and triggers.

use chrono::TimeDelta;
use entitlements_core::store::{
    AuditStore, ErasureStore, GaugeStore, GrantStore, GroupStore, PageRequest, PolicyStore, ReservationStore,
    SnapshotStore, SubscriptionStore, UsageStore,
};
use entitlements_core::subscription::Subscription;
use entitlements_core::testkit::fixtures::{
    addon, at, audited, company, debit, feature, grant, grant_id, granted, holder, key, monthly, now,
    overriding, policy, policy_id, receipt_id, subscription, subscription_id, units,
};
use entitlements_core::usage::{Counter, Debit};
use entitlements_sqlx::{PostgresConfig, PostgresStore};

use crate::server::{in_schema, meddle, new_schema, stranger, url};

/// How often each table was read as a whole so far, when no connection of that name is left to say more.
async fn scans(schema: &str) -> Vec<(String, i64)> {
    let mut connection = stranger(schema).await;
    let gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = $1)";
    while !sqlx::query_scalar::<_, bool>(gone).bind(schema).fetch_one(&mut connection).await.unwrap() {}
    sqlx::query_as(
        "SELECT relname::text, seq_scan FROM pg_stat_user_tables
         WHERE schemaname = $1 AND relname NOT IN ('revision_sequence', 'audit_chain', 'entitlements_schema') ORDER BY relname",
    )
    .bind(schema)
    .fetch_all(&mut connection)
    .await
    .unwrap()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn no_call_reads_a_whole_table() {
    let schema = new_schema();
    in_schema(&schema).await.close().await;
    meddle(&schema, include_str!("populate.sql")).await;
    let before = scans(&schema).await;
    assert!(before.len() > 10, "{before:?}");

    let url = url(&format!("search_path={schema}&application_name={schema}"));
    let config = PostgresConfig::from_url(&url).unwrap().with_connections(1);
    let store = PostgresStore::connect(&config).await.unwrap();
    // Often enough for a plan that is kept.
    for round in 0..12 {
        let name = format!("company {round}");
        let company = company(&name);
        let id = format!("new {round}");
        for seats in [None, Some(units(5))] {
            let changed = Subscription { seats, ..subscription(&id, &name) };
            store.put_subscription(&changed, now()).await.unwrap();
            store.put_subscription(&changed, now()).await.unwrap();
        }
        store.subscription(&subscription_id(&id)).await.unwrap();
        store.subscription_history(&subscription_id(&id)).await.unwrap();
        store.put_addon(&company, &addon("pack", round)).await.unwrap();
        store.put_override(&company, &overriding("reports", 5)).await.unwrap();
        store.remove_override(&company, &feature("reports")).await.unwrap().unwrap();
        store.insert_grant(&grant(&id, &name)).await.unwrap();
        store.find_grant(&grant_id(&id)).await.unwrap().unwrap();
        store.void_grant(&grant_id(&id), now()).await.unwrap().unwrap();
        store.list_grants(&company, &PageRequest::first(2)).await.unwrap();
        store.insert_policy(&policy(&id)).await.unwrap();
        store.replace_policy(&policy(&id)).await.unwrap().unwrap();
        store.find_policy(&policy_id(&id)).await.unwrap().unwrap();
        store.list_policies(&PageRequest::first(2)).await.unwrap();
        store.remove_policy(&policy_id(&id)).await.unwrap().unwrap();
        let alerting = Counter { alerts: vec![(80, units(1))], ..monthly(3) };
        for (key, amount) in [("a", 2), ("a", 2), ("a", 1), ("b", 9), ("c", 1)] {
            let taken = debit(&name, key, amount, [granted("g", 1), alerting.clone()]);
            store.debit(&taken).await.unwrap();
        }
        store.receipt(&company, &key("a")).await.unwrap().unwrap();
        store.refund(&company, &receipt_id("receipt of a"), now()).await.unwrap().unwrap();
        store.pending_alerts(1).await.unwrap();
        for alert in store.claim_alerts(now() + TimeDelta::minutes(1), now(), 1).await.unwrap() {
            store.acknowledge_alert(&alert).await.unwrap();
        }
        let reserving = |key: &str| debit(&name, key, 1, [granted("g", 1), alerting.clone()]);
        let (soon, now) = (now() + TimeDelta::seconds(1), now());
        for key in ["r1", "r1", "r2", "r3", "r4"] {
            store.reserve(&reserving(key), soon).await.unwrap();
        }
        for at in [now, soon] {
            store.commit(&company, &receipt_id("receipt of r1"), units(2), at).await.unwrap().unwrap();
        }
        store.release_reservation(&company, &receipt_id("receipt of r2"), now).await.unwrap();
        store.load(&company, soon).await.unwrap();
        // The last one expires.
        store.debit(&Debit { at: soon, ..reserving("d") }).await.unwrap();
        store.reservation(&company, &entitlements_core::testkit::fixtures::key("r3")).await.unwrap();
        store.refund(&company, &receipt_id("receipt of r1"), now).await.unwrap();
        let events = ["e1", "e1", "e2"].map(|key| Debit { at: soon, ..reserving(key) });
        store.record(&company, &events).await.unwrap();
        let group = ["g1", "g2", "a"].map(|key| Debit { at: soon, ..reserving(key) });
        store.debit_group(&group).await.unwrap();
        let seats = feature("seats");
        for name in ["ada", "ada", "bob", "cid"] {
            store.acquire(&company, &seats, &holder(name), Some(units(2)), now).await.unwrap();
        }
        for level in [0, 1, 9] {
            store.set_level(&company, &seats, units(level), Some(units(3))).await.unwrap();
        }
        store.list_holders(&company, &seats, &PageRequest::first(1)).await.unwrap();
        assert!(store.release(&company, &seats, &holder("ada")).await.unwrap());
        store.load(&company, now).await.unwrap();
        store.append(&[audited(&id, &name), audited("a known one", "acme")]).await.unwrap();
        store.audit_page(&company, &PageRequest::first(2)).await.unwrap();
        store.audit_rows(5_000, 2).await.unwrap();
        store.expire_audit(at("1970-01-01T00:00:00Z") + TimeDelta::microseconds(round.into())).await.unwrap();
        store.expire_audit_at(at("1970-01-01T00:00:00Z"), at("1970-01-01T00:00:00Z")).await.unwrap();
        store.expire(at("1970-01-01T00:00:00Z")).await.unwrap();
        store.erase(&company, now).await.unwrap().unwrap();
        store.load(&company, now).await.unwrap();
    }
    store.close().await;
    assert_eq!(scans(&schema).await, before);
}

/// The same counters are what they are for: a table that is read as a whole shows.
#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_company_that_statistics_do_not_know_is_not_read_as_a_whole() {
    let schema = new_schema();
    in_schema(&schema).await.close().await;
    let others =
        "INSERT INTO usage_receipts (company_id, idempotency_key, receipt_id, meter, amount, at, used, split)
        SELECT 'other ' || n % 8, 'a long key of ' || n, 'receipt ' || n, 'reports', 1, n, 1, '[]'
        FROM generate_series(1, 4000) AS n";
    meddle(&schema, others).await;
    meddle(&schema, "ANALYZE usage_receipts").await;
    let url = url(&format!("search_path={schema}&application_name={schema}"));
    let config = PostgresConfig::from_url(&url).unwrap().with_connections(1);
    let store = PostgresStore::connect(&config).await.unwrap();
    let (debits, groups) = (200, 20);
    for number in 0..debits {
        store.debit(&debit("new", &format!("key {number}"), 1, [monthly(10_000)])).await.unwrap();
    }
    for number in 0..groups {
        let group: Vec<Debit> = (0..10)
            .map(|member| debit("new", &format!("group {number} {member}"), 1, [monthly(10_000)]))
            .collect();
        store.debit_group(&group).await.unwrap();
    }
    for number in 0..debits {
        let receipt = receipt_id(&format!("receipt of key {number}"));
        store.refund(&company("new"), &receipt, now()).await.unwrap().unwrap();
    }
    store.close().await;
    scans(&schema).await;
    let read: i64 = sqlx::query_scalar(
        "SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE schemaname = $1 AND relname = 'usage_receipts'",
    )
    .bind(&schema)
    .fetch_one(&mut stranger(&schema).await)
    .await
    .unwrap();
    // A look for each key and for each foreign key, a few for each refund; all receipts for each would be tens of thousands.
    let few = 10 * (debits + 10 * groups);
    assert!(read < few, "{read} rows were read for {debits} debits, {groups} groups and as many refunds");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn reading_a_whole_table_shows() {
    let schema = new_schema();
    let store = in_schema(&schema).await;
    let before = scans(&schema).await;
    meddle(&schema, "SELECT count(*) FROM usage_receipts").await;
    while scans(&schema).await == before {}
    store.close().await;
}
