//! The statements. Those directly under `sql/` are the same in every dialect.

macro_rules! statements {
    ($($name:ident = $file:literal;)+) => {
        $(pub(crate) const $name: &str = include_str!(concat!("../sql/", $file));)+

        /// Each statement with its file.
        #[cfg(test)]
        pub(crate) const ALL: &[(&str, &str)] = &[$(($file, $name)),+];
    };
}

statements! {
    ACKNOWLEDGE_ALERT = "acknowledge_alert.sql";
    DEBIT = "sqlite/debit.sql";
    FIND_GRANT = "sqlite/find_grant.sql";
    FIND_POLICY = "sqlite/find_policy.sql";
    FIND_SUBSCRIPTION = "sqlite/find_subscription.sql";
    INSERT_GRANT = "insert_grant.sql";
    INSERT_POLICY = "insert_policy.sql";
    LIST_GRANTS = "sqlite/list_grants.sql";
    LIST_POLICIES = "sqlite/list_policies.sql";
    LOAD = "sqlite/load.sql";
    PENDING_ALERTS = "sqlite/pending_alerts.sql";
    POLICIES = "sqlite/policies.sql";
    PUT_ADDON = "put_addon.sql";
    PUT_OVERRIDE = "put_override.sql";
    PUT_SUBSCRIPTION = "put_subscription.sql";
    RECEIPT_BY_ID = "sqlite/receipt_by_id.sql";
    RECEIPT_BY_KEY = "sqlite/receipt_by_key.sql";
    REFUND = "sqlite/refund.sql";
    REMOVE_OVERRIDE = "sqlite/remove_override.sql";
    REMOVE_POLICY = "sqlite/remove_policy.sql";
    REPLACE_POLICY = "replace_policy.sql";
    SUBSCRIPTION_HISTORY = "sqlite/subscription_history.sql";
    SUBSCRIPTION_OWNER = "subscription_owner.sql";
    VOID_GRANT = "void_grant.sql";
}
