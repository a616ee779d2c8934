//! The statements, as SQLite runs them.

use crate::sql::statements;

statements! {
    ACKNOWLEDGE_ALERT = "acknowledge_alert.sql";
    ACQUIRE = "sqlite/acquire.sql";
    AUDIT_APPEND = "sqlite/audit_append.sql";
    AUDIT_BASE = "audit_base.sql";
    AUDIT_END = "sqlite/audit_end.sql";
    AUDIT_PAGE = "sqlite/audit_page.sql";
    AUDIT_ROWS = "sqlite/audit_rows.sql";
    BEGIN_OPERATION = "begin_operation.sql";
    BILL_METERS = "sqlite/bill_meters.sql";
    CLAIM_ALERTS = "sqlite/claim_alerts.sql";
    CLAIM_EVENT = "claim_event.sql";
    CLAIM_USAGE = "sqlite/claim_usage.sql";
    COUNT_DECISIONS = "count_decisions.sql";
    CUSTOMER_OF = "customer_of.sql";
    DEBIT = "sqlite/debit.sql" + "sqlite/taking.sql" + "sqlite/debited.sql";
    DEBIT_GROUP = "sqlite/debit_group.sql";
    DEBIT_GROUP_PLAIN = "sqlite/debit_group_plain.sql";
    DEBIT_PLAIN = "sqlite/debit_plain.sql";
    DELETE_CUSTOMER = "delete_customer.sql";
    DUE_EVENTS = "due_events.sql";
    ERASE = "sqlite/erase.sql";
    EVENT_STATE = "event_state.sql";
    EXPIRE_AUDIT = "expire_audit.sql";
    EXPIRE_DECISIONS = "expire_decisions.sql";
    EXPIRE_DECISION_FENCES = "expire_decision_fences.sql";
    EXPIRE_ERASURES = "sqlite/expire_erasures.sql";
    EXPIRE_QUOTAS = "sqlite/expire_quotas.sql";
    EXPIRE_RECEIPTS = "expire_receipts.sql";
    EXPIRE_USAGE = "expire_usage.sql";
    FIND_CUSTOMER = "find_customer.sql";
    FIND_DECISION = "find_decision.sql";
    FIND_EVENT = "find_event.sql";
    FIND_GRANT = "sqlite/find_grant.sql";
    FIND_POLICY = "sqlite/find_policy.sql";
    FIND_SUBSCRIPTION = "sqlite/find_subscription.sql";
    FIND_USAGE = "find_usage.sql";
    FINISH_EVENT = "finish_event.sql";
    FINISH_OPERATION = "finish_operation.sql";
    FINISH_USAGE = "finish_usage.sql";
    FORGET_DECISIONS = "forget_decisions.sql";
    HOLDS = "sqlite/holds.sql";
    INSERT_CUSTOMER = "insert_customer.sql";
    INSERT_GRANT = "insert_grant.sql";
    INSERT_POLICY = "insert_policy.sql";
    LIST_GRANTS = "sqlite/list_grants.sql";
    LIST_HOLDERS = "list_holders.sql";
    LIST_INVOICES = "list_invoices.sql";
    LIST_POLICIES = "sqlite/list_policies.sql";
    LOAD = "sqlite/load.sql";
    LOCK_COMPANY = "lock_company.sql";
    LOCK_FENCE = "lock_fence.sql";
    OPEN_OPERATION = "open_operation.sql";
    OPERATION_IS_KNOWN = "operation_is_known.sql";
    PENDING_ALERTS = "sqlite/pending_alerts.sql";
    PLAN_FEATURES = "plan_features.sql";
    POLICIES = "sqlite/policies.sql";
    PUT_ADDON = "put_addon.sql";
    PUT_DECISION = "put_decision.sql";
    PUT_DECISION_FENCE = "put_decision_fence.sql";
    PUT_INVOICE = "put_invoice.sql";
    PUT_OVERRIDE = "put_override.sql";
    PUT_SUBSCRIPTION = "put_subscription.sql" + "subscription_unlocked.sql" + "subscription_replaced.sql";
    PUT_SYNCED_SUBSCRIPTION =
        "put_subscription.sql" + "sqlite/subscription_under_lock.sql" + "subscription_replaced.sql";
    RECEIPT_BY_ID = "sqlite/receipt_by_id.sql";
    RECEIPT_BY_KEY = "sqlite/receipt_by_key.sql";
    RECEIVE_EVENT = "receive_event.sql";
    RECORD = "sqlite/record.sql";
    REFUND = "sqlite/refund.sql";
    REFUSE_USAGE = "refuse_usage.sql";
    RELEASE = "sqlite/release.sql";
    REMOVE_OVERRIDE = "sqlite/remove_override.sql";
    REMOVE_POLICY = "sqlite/remove_policy.sql";
    REPLACE_PLAN_FEATURES = "sqlite/replace_plan_features.sql";
    REPLACE_POLICY = "replace_policy.sql";
    RESERVATION_BY_ID = "sqlite/reservation_by_id.sql";
    RESERVATION_BY_KEY = "reservation_by_key.sql";
    RESERVE = "sqlite/reserve.sql" + "sqlite/taking.sql" + "sqlite/reserved.sql";
    SETTLE = "sqlite/settle.sql";
    SET_LEVEL = "set_level.sql";
    SUBSCRIPTION_HISTORY = "sqlite/subscription_history.sql";
    SUBSCRIPTION_OWNER = "subscription_owner.sql";
    UNSETTLED_USAGE = "unsettled_usage.sql";
    UNLOCK_COMPANY = "unlock_company.sql";
    VOID_GRANT = "void_grant.sql";
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

    use super::*;
    use crate::sqlite::migrate::migrate;

    async fn migrated() -> SqliteConnection {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        migrate(&mut connection).await.unwrap();
        connection
    }

    /// The steps of a statement's plan.
    async fn plan(connection: &mut SqliteConnection, statement: &str) -> Vec<String> {
        let explain = format!("EXPLAIN QUERY PLAN {statement}");
        let rows = sqlx::query(AssertSqlSafe(explain)).fetch_all(connection).await.unwrap();
        rows.iter().map(|row| row.get("detail")).collect()
    }

    /// The steps that read a whole table or sort what they read; what a statement computes itself does not count.
    fn wasteful(plan: &[String]) -> Vec<&str> {
        let own = [
            "reservation",
            "expired",
            "counter",
            "wanted",
            "room",
            "keeping",
            "taking",
            "taken",
            "addition",
            "shown",
            "part",
            "last",
            "question",
            "CONSTANT",
        ];
        let is_own = |name: &str| own.contains(&name);
        (plan.iter().map(String::as_str))
            .filter(|step| match step.strip_prefix("SCAN ") {
                Some(scan) => !scan.contains("VIRTUAL TABLE") && !scan.split(' ').next().is_some_and(is_own),
                None => step.contains("TEMP B-TREE FOR ORDER BY"),
            })
            .collect()
    }

    #[tokio::test]
    async fn a_whole_table_and_a_sort_are_wasteful() {
        let mut connection = migrated().await;
        let plan =
            plan(&mut connection, "SELECT at FROM usage_receipts WHERE amount = 1 ORDER BY resets_at").await;
        assert_eq!(wasteful(&plan), ["SCAN usage_receipts", "USE TEMP B-TREE FOR ORDER BY"]);
    }

    #[tokio::test]
    async fn no_statement_reads_a_whole_table() {
        let mut connection = migrated().await;
        for (file, statement) in ALL {
            let plan = plan(&mut connection, statement).await;
            let expected: &[&str] = match *file {
                // All policies are what it is asked for.
                "sqlite/policies.sql" => &["SCAN entitlement_policies"],
                // The index holds nothing but what is pending.
                "sqlite/pending_alerts.sql" => &["SCAN usage_alerts USING INDEX usage_alerts_pending"],
                // What it sorts is what it is given.
                "sqlite/audit_append.sql" => &["USE TEMP B-TREE FOR ORDER BY"],
                // So many rows as it is told.
                "expire_audit.sql" => &["SCAN next"],
                // What it reads is what it sums.
                "unsettled_usage.sql" => {
                    &["SCAN billing_usage_records USING COVERING INDEX billing_usage_records_unsettled"]
                }
                "due_events.sql" => &["SCAN billing_events USING INDEX billing_events_open"],
                // Every row is what it is asked for.
                "plan_features.sql" => &["SCAN billing_plan_features"],
                "count_decisions.sql" => &["SCAN entitlement_decisions"],
                _ => &[],
            };
            assert_eq!(wasteful(&plan), expected, "{file}: {plan:#?}");
        }
    }

    #[tokio::test]
    async fn no_trigger_reads_a_whole_table() {
        let mut connection = migrated().await;
        let triggers: Vec<(String, String)> =
            sqlx::query_as("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
                .fetch_all(&mut connection)
                .await
                .unwrap();
        assert!(!triggers.is_empty());
        let mut explained = 0;
        for (name, text) in triggers.iter().filter(|(name, _)| !name.ends_with("_kept")) {
            let (_, body) = text.split_once("BEGIN").unwrap();
            let body = body.trim_end().strip_suffix("END").unwrap();
            for statement in body.split(";\n").filter(|statement| !statement.trim().is_empty()) {
                // What ends a trigger cannot stand outside of one.
                let statement = statement.replace("raise(ABORT, 'a counter cannot hold so many units')", "1");
                let plan = plan(&mut connection, &with_parameters(&statement)).await;
                assert_eq!(wasteful(&plan), [""; 0], "{name}: {statement}\n{plan:#?}");
                explained += 1;
            }
        }
        assert!(explained > 20, "{explained}");
    }

    /// A statement of a trigger with a parameter for each value of the row.
    fn with_parameters(statement: &str) -> String {
        let mut words = statement.split("NEW.").flat_map(|part| part.split("OLD."));
        let mut text = words.next().unwrap().to_owned();
        for word in words {
            let name = word.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(word.len());
            text += "?";
            text += &word[name..];
        }
        text
    }
}
