//! The one list of all cases.

mod beside;

/// Turns every case of the suite into a test of its own, for a store that a [`Harness`](crate::testkit::Harness) starts.
///
/// Attributes before the harness go to every test, such as `#[ignore = "needs a server"]` for a store whose tests only
/// run where a server is.
///
/// The crate that uses it needs `tokio` with `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! store_suite {
    ($(#[$attribute:meta])* $harness:ty) => {
        $crate::store_cases! { [$(#[$attribute])*] $harness, snapshot:
            a_company_never_written_to_has_empty_facts
            every_part_of_the_facts_is_loaded
            facts_of_other_companies_are_not_loaded
            ended_grants_are_left_out
            voided_grants_are_left_out
            grants_that_start_later_are_loaded
            usage_of_ended_periods_is_left_out
            usage_of_other_periods_is_loaded
            the_end_of_a_period_is_that_of_the_last_debit
            ended_subscriptions_are_loaded
            a_new_store_has_no_policies
            every_policy_is_read_in_order_of_ids
            revisions_come_out_of_one_growing_sequence
            a_load_is_one_consistent_view
            instants_are_kept_to_the_microsecond
            the_value_of_an_override_is_kept
        }
        $crate::store_cases! { [$(#[$attribute])*] $harness, subscription:
            a_subscription_is_read_back_as_it_was_put
            every_status_is_kept
            an_unknown_subscription_is_none
            putting_a_subscription_again_replaces_it
            putting_the_stored_state_again_changes_nothing
            the_history_grows_with_every_change
            the_history_is_in_the_order_of_the_writes
            a_subscription_never_moves_to_another_company
            a_company_may_have_several_subscriptions
            racing_puts_of_one_state_are_one_change
            the_quantity_of_an_addon_is_set
            a_quantity_of_zero_takes_an_addon_away
            an_override_is_replaced
            an_override_is_taken_away_once
            seats_are_kept
            another_plan_is_one_plan_change
        }
        $crate::store_cases! { [$(#[$attribute])*] $harness, grant:
            a_grant_is_read_back_as_it_was_made
            every_kind_of_grant_is_kept
            an_unknown_grant_is_none
            a_taken_grant_id_changes_nothing
            a_grant_is_loaded_with_its_revision
            a_grant_is_voided_once
            a_voided_grant_keeps_its_id
            voiding_leaves_spent_units_spent
            racing_insertions_of_one_id_store_one
            racing_voids_void_once
            grants_are_listed_in_order_of_creation
            pages_of_grants_follow_each_other
            new_grants_do_not_move_the_next_page
            a_company_without_grants_has_an_empty_page
            a_cursor_that_no_page_gave_is_refused
        }
        $crate::store_cases! { [$(#[$attribute])*] $harness, policy:
            a_policy_is_read_back_as_it_was_stored
            an_unknown_policy_is_none
            a_taken_policy_id_changes_nothing
            replacing_a_policy_changes_every_field
            an_unknown_policy_is_neither_replaced_nor_removed
            a_policy_is_removed_once
            every_change_of_a_policy_takes_a_revision
            pages_of_policies_follow_each_other
            a_removed_policy_does_not_move_the_next_page
            a_store_without_policies_has_an_empty_page
            a_broken_condition_breaks_its_policy_alone
            priorities_are_kept
        }
        $crate::store_cases! { [$(#[$attribute])*] $harness, debit:
            an_unused_counter_is_zero
            amounts_add_up
            a_refused_debit_changes_nothing
            a_refused_key_stays_free
            a_debit_without_room_is_refused
            a_lowered_limit_leaves_no_room
            a_raised_limit_makes_room
            counters_are_apart
            buckets_are_emptied_in_order
            the_order_of_buckets_is_the_debits
            many_buckets_keep_their_order
            a_split_is_all_or_nothing
            parallel_quotas_bound_together
            parallel_quotas_pass_the_rest_on
            an_unlimited_counter_beside_a_limited_one_only_counts
            an_unlimited_bucket_gives_everything
            tallies_receive_the_whole_amount
            the_largest_amount_fits
            an_overflow_is_refused
            an_overflow_beside_is_refused
            the_shown_sum_stays_in_range
            large_rooms_do_not_overflow
            a_malformed_debit_is_unsupported
            a_debit_after_the_end_of_a_period_is_unsupported
            a_debit_takes_no_revision
        }
        $crate::store_cases! { [$(#[$attribute])*] $harness, receipt:
            a_receipt_is_kept_as_it_was_given
            an_unknown_key_has_no_receipt
            a_duplicate_answers_the_first_receipt
            a_duplicate_shows_the_numbers_of_then
            a_duplicate_needs_no_room
            other_arguments_are_a_conflict
            keys_of_two_companies_are_independent
            a_refund_is_exact
            a_second_refund_changes_nothing
            an_unknown_receipt_cannot_be_refunded
            refunded_units_can_be_taken_again
            a_refunded_key_stays_used
            a_taken_receipt_id_is_an_error
        }
        $crate::store_cases! { [$(#[$attribute])*] $harness, alert:
            an_alert_is_raised_when_a_threshold_is_reached
            a_threshold_raises_one_alert
            one_debit_may_cross_several_thresholds
            a_refused_debit_raises_no_alert
            a_refund_does_not_arm_an_alert_again
            a_duplicate_raises_no_alert
            each_counter_raises_its_own_alerts
            every_counter_of_a_debit_may_raise_alerts
            a_moved_threshold_is_another_one
            extreme_thresholds_are_no_special_case
            alerts_wait_until_they_are_acknowledged
            one_alert_is_acknowledged_at_a_time
            a_claimed_alert_is_nobody_elses
            an_alert_that_was_not_acknowledged_comes_back
            what_nobody_had_yet_is_claimed_first
        }
        $crate::store_cases! { [$(#[$attribute])*] $harness, gauge:
            an_unused_gauge_is_zero
            holders_fill_a_gauge_up_to_its_limit
            a_refused_holder_changes_nothing
            a_holder_counts_once
            a_holder_needs_no_room
            a_unit_is_released_once
            a_holder_that_comes_back_is_new
            gauges_are_apart
            a_level_is_set_up_to_the_limit
            a_first_level_has_to_fit
            a_lower_level_is_always_taken
            holders_and_a_level_add_up
            a_gauge_never_overflows
            a_gauge_takes_no_revision
            pages_of_holders_follow_each_other
            racing_holders_never_pass_the_limit
            one_racing_holder_takes_one_unit
            racing_releases_balance
            hostile_holders_never_mix
        }
        $crate::store_cases! { [$(#[$attribute])*] $harness, reservation:
            a_reservation_takes_units
            reserved_units_are_taken
            a_reservation_is_no_receipt
            an_expired_reservation_is_free
            expired_units_can_be_taken
            freed_units_are_not_held_again
            reservations_expire_one_by_one
            a_repeated_reservation_counts_once
            debits_and_reservations_share_their_keys
            reservations_raise_alerts
            a_malformed_reservation_is_unsupported
            large_reservations_do_not_overflow
            a_reservation_takes_no_revision
            hostile_reservations_never_mix
            a_commit_makes_a_receipt
            a_commit_of_less_gives_the_rest_back
            a_commit_of_nothing_has_no_receipt
            a_commit_of_more_takes_what_fits
            what_a_commit_adds_is_over_with_its_period
            what_is_set_aside_always_fits
            a_late_commit_takes_what_fits
            a_commit_sees_what_has_expired
            a_commit_counts_once
            a_release_gives_everything_back
            a_late_release_changes_nothing
            an_unknown_reservation_is_none
            a_committed_receipt_is_refunded_exactly
            racing_reservations_never_pass_the_limit
            racing_for_expired_units_never_passes_the_limit
            racing_ends_end_once
            racing_reservations_in_opposite_orders_all_succeed
        }
        $crate::store_cases! { [$(#[$attribute])*] $harness, record:
            events_are_counted_in_order
            an_empty_batch_records_nothing
            what_has_happened_is_counted_beyond_the_limit
            an_event_counts_once
            the_key_of_a_reservation_conflicts
            a_recorded_event_can_be_refunded
            recorded_events_raise_alerts
            a_batch_is_all_or_nothing
            racing_batches_count_each_event_once
            hostile_events_never_mix
        }
        $crate::store_cases! { [$(#[$attribute])*] $harness, race:
            racing_debits_never_pass_the_limit
            racing_splits_never_pass_a_limit
            racing_duplicates_count_once
            racing_conflicts_count_once
            racing_refunds_give_back_once
            racing_debits_and_refunds_balance
            racing_debits_raise_one_alert
            racing_claims_never_share_an_alert
            racing_companies_get_their_own_limit
            racing_duplicates_over_other_counters_count_once
            racing_debits_in_opposite_orders_all_succeed
        }
        $crate::store_cases! { [$(#[$attribute])*] $harness, audit:
            an_entry_is_read_back_as_it_was_appended
            instants_of_entries_are_kept_to_the_microsecond
            a_company_without_entries_has_an_empty_page
            entries_are_listed_newest_first
            pages_of_entries_follow_each_other
            new_entries_do_not_move_the_next_page
            an_audit_cursor_that_no_page_gave_is_refused
            entries_are_linked_to_a_chain
            an_entry_appended_again_is_left_out
            a_malformed_entry_is_unsupported
            appending_nothing_changes_nothing
            a_large_batch_is_appended
            racing_appends_make_one_chain
            racing_appends_of_the_same_entries_count_once
            old_entries_expire_from_the_beginning
            expiry_stops_at_the_first_entry_that_is_not_old
            an_entry_of_the_future_goes_with_those_behind_it
            however_many_entries_of_the_future_hold_up_no_expiry
            a_chain_goes_on_after_all_of_it_expired
            a_part_of_the_chain_is_exported
            hostile_companies_have_logs_of_their_own
        }
        $crate::store_cases! { [$(#[$attribute])*] $harness, erasure:
            an_erasure_removes_every_fact
            an_erasure_leaves_other_companies_alone
            an_erasure_takes_a_revision
            a_company_that_comes_back_starts_with_nothing
            an_unknown_company_is_not_erased
            a_second_erasure_changes_nothing
            a_trace_is_enough_to_be_erased
            an_erased_company_is_erased_again_when_it_comes_back
            erased_entries_stay_under_a_pseudonym
            late_entries_of_an_erased_company_are_nobodys
            late_entries_of_a_company_that_came_back_are_nobodys
            racing_erasures_erase_once
            debits_during_an_erasure_are_counted_or_gone
            old_receipts_expire
            counters_of_periods_that_are_long_over_expire
            counters_stay_as_long_as_something_refers_to_them
            retention_leaves_no_units_set_aside
            what_is_held_during_retention_can_be_given_back
            what_is_left_of_an_erasure_expires
        }
        $crate::store_cases! { [$(#[$attribute])*] $harness, hostile:
            hostile_companies_never_mix
            hostile_grants_and_subscriptions_come_back
            hostile_policies_come_back_in_order
            hostile_keys_never_mix
            hostile_counters_never_mix
        }
    };
}

/// One module of tests.
#[doc(hidden)]
#[macro_export]
macro_rules! store_cases {
    ($attributes:tt $harness:ty, $module:ident: $($case:ident)+) => {
        mod $module {
            #[expect(clippy::wildcard_imports, reason = "the harness is whatever the caller has in scope")]
            use super::*;

            $($crate::store_case! { $attributes $harness, $module, $case })+
        }
    };
}

/// One test.
#[doc(hidden)]
#[macro_export]
macro_rules! store_case {
    ([$(#[$attribute:meta])*] $harness:ty, $module:ident, $case:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        $(#[$attribute])*
        async fn $case() {
            let missing = $crate::testkit::missing(
                <$harness as $crate::testkit::Harness>::CAPABILITIES, stringify!($module), stringify!($case)
            );
            if missing.is_empty() {
                let store = <$harness as $crate::testkit::Harness>::start().await;
                $crate::testkit::$module::$case(&::std::sync::Arc::new(store)).await;
            }
            for part in missing {
                let store = <$harness as $crate::testkit::Harness>::start().await;
                $crate::testkit::refusal::is_refused(&::std::sync::Arc::new(store), part).await;
            }
        }
    };
}

/// Checks that the section of `list` after `heading` names every case of `source`, in order.
#[cfg(test)]
pub(super) fn assert_listed(list: &str, heading: &str, source: &str) {
    let (_, section) = list.split_once(heading).expect("a section for the file");
    let (section, _) = section.split_once('}').expect("an end of the section");
    let listed: Vec<_> = section.split_whitespace().collect();
    let cases: Vec<_> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub async fn "))
        .filter_map(|line| line.split(['(', '<']).next())
        .collect();
    assert!(!cases.is_empty(), "{heading} has no cases");
    assert_eq!(listed, cases, "{heading}");
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_is_listed() {
        let list = concat!(include_str!("suite.rs"), include_str!("suite/beside.rs"));
        for (file, source) in [
            ("snapshot", include_str!("snapshot.rs")),
            ("subscription", include_str!("subscription.rs")),
            ("grant", include_str!("grant.rs")),
            ("policy", include_str!("policy.rs")),
            ("debit", include_str!("debit.rs")),
            ("receipt", include_str!("receipt.rs")),
            ("alert", include_str!("alert.rs")),
            ("gauge", include_str!("gauge.rs")),
            (
                "reservation",
                concat!(
                    include_str!("reservation/holding.rs"),
                    include_str!("reservation/ending.rs"),
                    include_str!("reservation/racing.rs"),
                ),
            ),
            ("record", include_str!("record.rs")),
            ("race", include_str!("race.rs")),
            ("audit", include_str!("audit.rs")),
            ("erasure", concat!(include_str!("erasure.rs"), include_str!("erasure/retention.rs"))),
            ("hostile", include_str!("hostile.rs")),
            (
                "billing",
                concat!(
                    include_str!("billing/customers.rs"),
                    include_str!("billing/locks.rs"),
                    include_str!("billing/operations.rs"),
                    include_str!("billing/events.rs"),
                    include_str!("billing/records.rs"),
                    include_str!("billing.rs"),
                ),
            ),
            ("group", include_str!("group.rs")),
            ("outbox", concat!(include_str!("outbox.rs"), include_str!("outbox/retention.rs"))),
        ] {
            super::assert_listed(list, &format!("$harness, {file}:\n"), source);
        }
    }
}
