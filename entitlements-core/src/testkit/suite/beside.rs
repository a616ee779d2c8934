//! The lists of what only some stores can: billing, groups of debits, usage that is billed.

/// Turns every case about billing into a test of its own, for a store that is also a
/// [`BillingStore`](crate::billing::BillingStore); used as [`store_suite!`](crate::store_suite), and beside it.
#[macro_export]
macro_rules! billing_suite {
    ($(#[$attribute:meta])* $harness:ty) => {
        $crate::store_cases! { [$(#[$attribute])*] $harness, billing:
            a_customer_is_found_by_id_and_by_company
            a_company_has_one_customer
            racing_customers_become_one
            a_customer_never_moves_to_another_company
            a_deleted_customer_makes_room
            a_lock_is_held_until_it_ends
            racing_locks_are_held_by_one
            a_synced_subscription_is_stored
            a_lost_lock_stores_nothing
            a_lock_covers_its_company_alone
            an_operation_is_begun_once
            an_operation_ends_once
            racing_operations_become_one
            an_event_is_stored_once
            an_event_comes_back_as_it_arrived
            an_event_is_claimed_by_one
            racing_claims_are_one
            a_finished_event_stays_finished
            a_failed_event_is_due_again
            a_late_attempt_ends_nothing
            due_events_are_those_that_can_be_claimed
            an_invoice_is_replaced_by_its_id
            pages_of_invoices_follow_each_other
            plan_features_are_replaced_as_a_whole
            an_erasure_empties_the_events_of_its_customers
            an_erasure_keeps_nothing_but_invoices_and_customers
            hostile_billing_ids_never_mix
        }
    };
}

/// Turns every case about groups into a test of its own, for a store that is also a
/// [`GroupStore`](crate::store::GroupStore); used as [`store_suite!`](crate::store_suite), and beside it.
#[macro_export]
macro_rules! group_suite {
    ($(#[$attribute:meta])* $harness:ty) => {
        $crate::store_cases! { [$(#[$attribute])*] $harness, group:
            each_debit_of_a_group_gets_its_own_outcome
            debits_with_nothing_special_about_them_have_their_receipts
            the_latest_instant_of_a_group_decides_what_has_expired
            a_group_that_fails_changes_nothing
        }
    };
}

/// Turns every case about usage that is billed into a test of its own, for a store that is also a
/// [`UsageOutbox`](crate::billing::UsageOutbox); used as [`store_suite!`](crate::store_suite), and beside it.
#[macro_export]
macro_rules! outbox_suite {
    ($(#[$attribute:meta])* $harness:ty) => {
        $crate::store_cases! { [$(#[$attribute])*] $harness, outbox:
            billed_usage_is_written_down
            nothing_else_is_written_down
            recorded_usage_is_written_down
            a_reservation_is_written_down_when_it_is_committed
            usage_is_claimed_by_one
            racing_claims_share_the_usage
            usage_is_sent_once
            failed_usage_is_due_again
            refused_usage_says_why
            refunded_usage_is_not_sent
            sent_usage_that_is_refunded_is_corrected
            refused_usage_that_is_refunded_is_even
            unsettled_usage_is_summed
            an_erasure_removes_billed_usage
            hostile_usage_never_mixes
            settled_usage_expires
            usage_that_is_settled_late_expires
            a_receipt_stays_while_its_usage_is_open
            old_usage_that_is_open_can_be_given_back
            a_reservation_stays_while_its_usage_is_open
        }
    };
}
