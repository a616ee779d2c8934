//! The suite bites: stores that are wrong in one way each are caught by the case that is about it.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

#[path = "teeth/wrong.rs"]
mod wrong;

use std::sync::Arc;

use entitlements_core::MemoryStore;
use entitlements_core::testkit::{
    agrees_with_memory_in_all, alert, audit, billing, debit, erasure, gauge, grant, group, policy, race,
    receipt, record, refusal, reservation, snapshot,
};
use wrong::Wrong;

/// A store without the mistake: the one in memory, or one that is wrong elsewhere.
macro_rules! right {
    () => {
        MemoryStore::default()
    };
    ($right:ident) => {
        wrong::Store::new(Wrong::$right)
    };
}

/// Whether a case fails on a store that is wrong in one way, and passes on one that is not.
macro_rules! caught {
    ($($name:ident: $wrong:ident by $module:ident::$case:ident $(unlike $right:ident)?;)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            $module::$case(&Arc::new(right!($($right)?))).await;
            let store = Arc::new(wrong::Store::new(Wrong::$wrong));
            let verdict = tokio::spawn(async move { $module::$case(&store).await }).await;
            assert!(verdict.unwrap_err().is_panic());
        }
    )+

        /// Each wrong store with the case that catches it, as the documentation lists them.
        const CAUGHT: &[(&str, &str)] = &[
            $((stringify!($wrong), concat!(stringify!($module), "::", stringify!($case)))),+
        ];
    };
}

caught! {
    reading_before_writing_is_caught: ReadsThenWrites by race::racing_debits_never_pass_the_limit;
    looking_up_a_key_before_writing_is_caught: LooksUpThenWrites by race::racing_duplicates_count_once;
    keeping_the_key_of_a_refusal_is_caught: KeepsRefusedKeys by debit::a_refused_key_stays_free;
    refunding_twice_is_caught: RefundsTwice by receipt::a_second_refund_changes_nothing;
    loading_ended_grants_is_caught: LoadsEndedGrants by snapshot::ended_grants_are_left_out;
    sharing_keys_between_companies_is_caught: SharesKeys by receipt::keys_of_two_companies_are_independent;
    alerting_again_after_a_refund_is_caught: AlertsAgain by alert::a_refund_does_not_arm_an_alert_again;
    giving_an_alert_to_two_is_caught: ClaimsAlertsAgain by alert::a_claimed_alert_is_nobody_elses;
    turning_the_order_of_buckets_is_caught: TurnsBuckets by debit::buckets_are_emptied_in_order;
    checking_one_quota_of_two_is_caught: ChecksOneQuota by debit::parallel_quotas_bound_together;
    taking_after_the_end_is_caught: TakesLate by debit::a_debit_after_the_end_of_a_period_is_unsupported;
    voiding_without_a_revision_is_caught: VoidsSilently by grant::a_grant_is_voided_once;
    showing_the_numbers_of_now_is_caught: ShowsNumbersOfNow by receipt::a_duplicate_shows_the_numbers_of_then;
    ignoring_the_user_of_a_key_is_caught: IgnoresUsers by receipt::other_arguments_are_a_conflict;
    forgetting_tallies_is_caught: ForgetsTallies by debit::tallies_receive_the_whole_amount;
    folding_the_case_of_ids_is_caught: FoldsCase by policy::pages_of_policies_follow_each_other;
    repeating_the_last_item_of_a_page_is_caught: RepeatsItems by grant::pages_of_grants_follow_each_other;
    appending_twice_is_caught: AppendsAgain by audit::an_entry_appended_again_is_left_out;
    listing_in_the_order_of_the_chain_is_caught: ListsByPlace by audit::entries_are_listed_newest_first;
    a_hole_in_the_chain_is_caught: LeavesHoles by audit::expiry_stops_at_the_first_entry_that_is_not_old;
    a_log_that_waits_for_the_future_is_caught: StopsAtTheFuture by audit::an_entry_of_the_future_goes_with_those_behind_it;
    keeping_the_salts_of_the_erased_is_caught: KeepsSalts by erasure::erased_entries_stay_under_a_pseudonym;
    leaving_receipts_behind_is_caught: LeavesReceipts by erasure::an_erasure_removes_every_fact;
    erasing_without_a_revision_is_caught: ErasesSilently by erasure::an_erasure_takes_a_revision;
    erasing_what_is_gone_is_caught: ErasesAgain by erasure::a_second_erasure_changes_nothing;
    counting_a_holder_again_is_caught: CountsHoldersAgain by gauge::a_holder_counts_once;
    reading_a_gauge_before_writing_is_caught: ReadsGaugesThenWrites by gauge::racing_holders_never_pass_the_limit;
    refusing_who_holds_a_unit_is_caught: RefusesHolders by gauge::a_holder_needs_no_room;
    refusing_a_lower_level_is_caught: RefusesLowerLevels by gauge::a_lower_level_is_always_taken;
    releasing_who_holds_nothing_is_caught: ReleasesAnybody by gauge::a_unit_is_released_once;
    expiring_a_microsecond_late_is_caught: ExpiresLate by reservation::an_expired_reservation_is_free;
    never_expiring_is_caught: NeverExpires by reservation::expired_units_can_be_taken;
    committing_what_does_not_fit_is_caught: CommitsWhatDoesNotFit by reservation::a_late_commit_takes_what_fits;
    committing_again_is_caught: CommitsAgain by reservation::a_commit_counts_once;
    giving_back_to_the_first_bucket_is_caught: ReturnsToTheFirst by reservation::a_commit_of_less_gives_the_rest_back;
    releasing_what_is_committed_is_caught: ReleasesCommitted by reservation::a_commit_counts_once;
    recording_half_a_batch_is_caught: RecordsOneByOne by record::a_batch_is_all_or_nothing;
    recording_up_to_the_limit_is_caught: RecordsUpToTheLimit by record::what_has_happened_is_counted_beyond_the_limit;
    mixing_two_states_is_caught: MixesStates by snapshot::a_load_is_one_consistent_view;
    grouping_in_another_order_is_caught: GroupsInReverse by group::each_debit_of_a_group_gets_its_own_outcome;
    grouping_by_halves_is_caught: GroupsByHalves by group::a_group_that_fails_changes_nothing;
    sharing_the_numbers_of_a_group_is_caught: SharesReceipts by group::debits_with_nothing_special_about_them_have_their_receipts;
    replacing_a_customer_is_caught: ReplacesCustomers by billing::a_company_has_one_customer;
    syncing_without_the_lock_is_caught: SyncsWithoutTheLock by billing::a_lost_lock_stores_nothing;
    beginning_an_operation_again_is_caught: BeginsAgain by billing::an_operation_is_begun_once;
    storing_an_event_again_is_caught: StoresEventsAgain by billing::an_event_is_stored_once;
    claiming_an_event_again_is_caught: ClaimsAgain by billing::an_event_is_claimed_by_one;
    finishing_an_event_late_is_caught: FinishesLate by billing::a_late_attempt_ends_nothing;
    adding_to_plan_features_is_caught: AddsPlanFeatures by billing::plan_features_are_replaced_as_a_whole;
    refusing_what_is_claimed_is_caught: RefusesWhatItClaims by gauge::holders_fill_a_gauge_up_to_its_limit;
    // Of what it disclaims, a store that refuses it is right.
    doing_what_is_disclaimed_is_caught: DoesWhatItDisclaims by refusal::gauges_are_refused unlike RefusesWhatItClaims;
    doing_what_is_refused_is_caught: DoesWhatItRefuses by refusal::gauges_are_refused unlike RefusesWhatItClaims;
}

#[tokio::test]
async fn the_model_catches_what_is_wrong() {
    let wrongs = [
        Wrong::AddsPlanFeatures,
        Wrong::AppendsAgain,
        Wrong::BeginsAgain,
        Wrong::ChecksOneQuota,
        Wrong::ClaimsAgain,
        Wrong::ClaimsAlertsAgain,
        Wrong::ErasesAgain,
        Wrong::ErasesSilently,
        Wrong::FinishesLate,
        Wrong::GroupsByHalves,
        Wrong::GroupsInReverse,
        Wrong::KeepsSalts,
        Wrong::LeavesHoles,
        Wrong::LeavesReceipts,
        Wrong::ListsByPlace,
        Wrong::RefundsTwice,
        Wrong::ReplacesCustomers,
        Wrong::SharesReceipts,
        Wrong::StoresEventsAgain,
        Wrong::SyncsWithoutTheLock,
        Wrong::TakesLate,
        Wrong::TurnsBuckets,
        Wrong::VoidsSilently,
    ];
    let mut passed = Vec::new();
    for wrong in wrongs {
        let store = wrong::Store::new(wrong);
        let verdict = tokio::spawn(async move { agrees_with_memory_in_all(&store, 7, 6_000).await }).await;
        if verdict.is_ok() {
            passed.push(wrong);
        }
    }
    assert_eq!(passed, []);
}

#[test]
fn the_documentation_lists_every_wrong_store_with_the_case_that_catches_it() {
    let list = include_str!("../src/testkit/wrong_stores.md");
    let rows: Vec<_> = list.lines().filter_map(|line| line.strip_prefix("| `")).collect();
    assert_eq!(rows.len(), CAUGHT.len());
    for (row, (wrong, case)) in rows.iter().zip(CAUGHT) {
        let expected = format!("{wrong}` | `{case}` |");
        assert_eq!(*row, expected);
    }
}
