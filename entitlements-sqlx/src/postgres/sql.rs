//! The statements, as PostgreSQL runs them.

use crate::sql::statements;

statements! {
    ACKNOWLEDGE_ALERT = "acknowledge_alert.sql";
    ACQUIRE = "postgres/acquire.sql";
    AUDIT_APPEND = "postgres/audit_append.sql";
    AUDIT_BASE = "audit_base.sql";
    AUDIT_END = "postgres/audit_end.sql";
    AUDIT_PAGE = "postgres/audit_page.sql";
    AUDIT_ROWS = "postgres/audit_rows.sql";
    BEGIN_OPERATION = "begin_operation.sql";
    BILL_METERS = "postgres/bill_meters.sql";
    CLAIM_ALERTS = "postgres/claim_alerts.sql";
    CLAIM_EVENT = "claim_event.sql";
    CLAIM_USAGE = "postgres/claim_usage.sql";
    COUNT_DECISIONS = "count_decisions.sql";
    CUSTOMER_OF = "customer_of.sql";
    DEBIT = "postgres/debit.sql";
    DEBIT_GROUP = "postgres/debit_group.sql";
    DEBIT_GROUP_PLAIN = "postgres/debit_group_plain.sql";
    DEBIT_PLAIN = "postgres/debit_plain.sql";
    DELETE_CUSTOMER = "delete_customer.sql";
    DUE_EVENTS = "due_events.sql";
    ERASE = "postgres/erase.sql";
    EVENT_STATE = "event_state.sql";
    EXPIRE_AUDIT = "expire_audit.sql";
    EXPIRE_DECISIONS = "expire_decisions.sql";
    EXPIRE_DECISION_FENCES = "expire_decision_fences.sql";
    EXPIRE_ERASURES = "postgres/expire_erasures.sql";
    EXPIRE_QUOTAS = "postgres/expire_quotas.sql";
    EXPIRE_RECEIPTS = "expire_receipts.sql";
    EXPIRE_USAGE = "expire_usage.sql";
    FIND_CUSTOMER = "find_customer.sql";
    FIND_DECISION = "find_decision.sql";
    FIND_EVENT = "find_event.sql";
    FIND_GRANT = "postgres/find_grant.sql";
    FIND_POLICY = "postgres/find_policy.sql";
    FIND_SUBSCRIPTION = "postgres/find_subscription.sql";
    FIND_USAGE = "find_usage.sql";
    FINISH_EVENT = "finish_event.sql";
    FINISH_OPERATION = "finish_operation.sql";
    FINISH_USAGE = "finish_usage.sql";
    FORGET_DECISIONS = "forget_decisions.sql";
    INSERT_CUSTOMER = "insert_customer.sql";
    INSERT_GRANT = "insert_grant.sql";
    INSERT_POLICY = "insert_policy.sql";
    LIST_GRANTS = "postgres/list_grants.sql";
    LIST_HOLDERS = "list_holders.sql";
    LIST_INVOICES = "list_invoices.sql";
    LIST_POLICIES = "postgres/list_policies.sql";
    LOAD = "postgres/load.sql";
    LOCK_COMPANY = "lock_company.sql";
    LOCK_FENCE = "lock_fence.sql";
    OPEN_OPERATION = "open_operation.sql";
    OPERATION_IS_KNOWN = "operation_is_known.sql";
    PENDING_ALERTS = "postgres/pending_alerts.sql";
    PLAN_FEATURES = "plan_features.sql";
    POLICIES = "postgres/policies.sql";
    PUT_ADDON = "put_addon.sql";
    PUT_DECISION = "put_decision.sql";
    PUT_DECISION_FENCE = "put_decision_fence.sql";
    PUT_INVOICE = "put_invoice.sql";
    PUT_OVERRIDE = "put_override.sql";
    PUT_SUBSCRIPTION = "put_subscription.sql" + "subscription_unlocked.sql" + "subscription_replaced.sql";
    PUT_SYNCED_SUBSCRIPTION =
        "put_subscription.sql" + "postgres/subscription_under_lock.sql" + "subscription_replaced.sql";
    RECEIPT_BY_KEY = "postgres/receipt_by_key.sql";
    RECEIVE_EVENT = "receive_event.sql";
    RECORD = "postgres/record.sql";
    REFUND = "postgres/refund.sql";
    REFUSE_USAGE = "refuse_usage.sql";
    RELEASE = "postgres/release.sql";
    REMOVE_OVERRIDE = "postgres/remove_override.sql";
    REMOVE_POLICY = "postgres/remove_policy.sql";
    REPLACE_PLAN_FEATURES = "postgres/replace_plan_features.sql";
    REPLACE_POLICY = "replace_policy.sql";
    RESERVATION_BY_KEY = "reservation_by_key.sql";
    RESERVE = "postgres/reserve.sql";
    SETTLE = "postgres/settle.sql";
    SET_LEVEL = "set_level.sql";
    SUBSCRIPTION_HISTORY = "postgres/subscription_history.sql";
    SUBSCRIPTION_OWNER = "subscription_owner.sql";
    UNSETTLED_USAGE = "unsettled_usage.sql";
    UNLOCK_COMPANY = "unlock_company.sql";
    VOID_GRANT = "void_grant.sql";
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

    use super::*;
    use crate::{PostgresConfig, PostgresStore};

    /// A connection to a schema with many rows.
    async fn populated() -> PgConnection {
        let url = std::env::var("ENTITLEMENTS_TEST_POSTGRES_URL").expect(
            "ENTITLEMENTS_TEST_POSTGRES_URL names a PostgreSQL server; scripts/postgres.sh starts one",
        );
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        let config =
            PostgresConfig::from_url(&url).unwrap().with_schema(&format!("test_plans_{now:x}")).unwrap();
        PostgresStore::connect(&config).await.unwrap().close().await;
        let mut connection = PgConnection::connect_with(&config.patient()).await.unwrap();
        sqlx::raw_sql(include_str!("../../tests/postgres/populate.sql"))
            .execute(&mut connection)
            .await
            .unwrap();
        connection
    }

    /// What a statement's plan reads beyond what it is asked for.
    async fn wasteful(connection: &mut PgConnection, statement: &str) -> Vec<String> {
        let mut text = statement.to_owned();
        for number in (1..=22).rev() {
            text = text.replace(&format!("${number}"), "'1'");
        }
        let explain = AssertSqlSafe(format!("EXPLAIN (FORMAT JSON) {text}"));
        let row = sqlx::query(explain).fetch_one(connection).await.unwrap();
        let plan: Value = serde_json::from_str(row.try_get_unchecked(0).unwrap()).unwrap();
        let mut found = Vec::new();
        collect(&plan, false, &mut found);
        found
    }

    fn collect(node: &Value, is_page: bool, found: &mut Vec<String>) {
        match node {
            Value::Array(nodes) => nodes.iter().for_each(|node| collect(node, is_page, found)),
            Value::Object(members) => {
                let relation = members.get("Relation Name").and_then(Value::as_str).unwrap_or_default();
                let step = members.get("Node Type").and_then(Value::as_str).unwrap_or_default();
                match step {
                    // They have one row each.
                    "Seq Scan" if !["revision_sequence", "audit_chain"].contains(&relation) => {
                        found.push(format!("all of {relation}"));
                    }
                    "Sort" | "Incremental Sort" if is_page => found.push("more than a page".into()),
                    _ => {}
                }
                members.values().for_each(|node| collect(node, is_page || step == "Limit", found));
            }
            _ => {}
        }
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
    async fn no_statement_reads_more_than_it_is_asked_for() {
        let mut connection = populated().await;
        let whole = "SELECT at FROM usage_receipts WHERE amount = $1 ORDER BY resets_at LIMIT 1";
        let expected = ["more than a page", "all of usage_receipts"];
        assert_eq!(wasteful(&mut connection, whole).await, expected);
        // What functions do inside is not in a plan; there is a test of what the server counts.
        let functions = [
            "postgres/acquire.sql",
            "postgres/bill_meters.sql",
            "postgres/debit.sql",
            "postgres/debit_group.sql",
            "postgres/debit_group_plain.sql",
            "postgres/debit_plain.sql",
            "postgres/erase.sql",
            "postgres/expire_erasures.sql",
            "postgres/refund.sql",
            "postgres/release.sql",
            "postgres/record.sql",
            "postgres/reserve.sql",
            "postgres/settle.sql",
        ];
        for (file, statement) in ALL.iter().filter(|(file, _)| !functions.contains(file)) {
            let expected: &[&str] = match *file {
                // All policies are what it is asked for.
                "postgres/policies.sql" => &["all of entitlement_policies"],
                // Every row is what it is asked for.
                "plan_features.sql" | "postgres/replace_plan_features.sql" => {
                    &["all of billing_plan_features"]
                }
                "count_decisions.sql" => &["all of entitlement_decisions"],
                _ => &[],
            };
            assert_eq!(wasteful(&mut connection, statement).await, expected, "{file}");
        }
    }
}
