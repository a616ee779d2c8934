//! Callers that give up at every point where they can, in every write: it is whole, or not there at all, and can be made again.

mod billing;
mod decisions;
mod facts;
mod kept;
mod outbox;
mod usage;

pub(crate) use billing::*;
pub(crate) use decisions::*;
pub(crate) use facts::*;
pub(crate) use kept::*;
pub(crate) use outbox::*;
pub(crate) use usage::*;

use std::cell::Cell;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};

use entitlements_core::facts::Revision;
use entitlements_core::store::{Store, StoreError};
use entitlements_core::testkit::fixtures;

use crate::giving_up::after_polls;
use crate::ground::Ground;

/// No call is polled more often.
const MOST: u32 = 200;

/// Numbers the calls, so that none shares a name with another.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// Gives a call up after no poll, after one, after two, until it comes to its end: over a store that has no connection yet, and
/// over one that has made such calls before.
///
/// `nothing` and `whole` are the states before the call and after it, as `state` reads them for a name; `given` makes the
/// first. When the caller has gone and nobody works for him any more, the state is one of the two, as others see it. Then one of
/// them makes the call once more, with 1 instead of 0 as the number of its attempt; `again` is shown the answer, and whether
/// the first call had been made after all. After it the state is `whole`.
pub(crate) async fn whole_or_not_at_all<G: Ground, T, V: Debug + PartialEq>(
    ground: &G,
    [nothing, whole]: [V; 2],
    given: impl AsyncFn(&G::Store, &str),
    call: impl AsyncFn(&G::Store, &str, u32) -> Result<T, StoreError>,
    state: impl AsyncFn(&G::Store, &str) -> V,
    again: impl Fn(T, bool),
) {
    let number = CALLS.fetch_add(1, Ordering::Relaxed);
    let other = ground.beside().await;
    for is_warm in [false, true] {
        let mut given_up = 0;
        loop {
            let name = format!("{} {number} {given_up}", if is_warm { "warm" } else { "cold" });
            let store = ground.open().await;
            if is_warm {
                let before = format!("before {name}");
                given(&other, &before).await;
                call(&store, &before, 0).await.unwrap();
            }
            given(&other, &name).await;
            assert_eq!(state(&other, &name).await, nothing, "{name}");
            let done = after_polls(given_up, call(&store, &name, 0)).await;
            ground.close(store).await;
            let left = state(&other, &name).await;
            let was_made = left == whole && nothing != whole;
            assert!(was_made || left == nothing, "{name}: {left:?}");
            let is_over = match done {
                None => false,
                Some(answer) => {
                    answer.unwrap();
                    assert_eq!(left, whole, "{name}");
                    true
                }
            };
            again(call(&other, &name, 1).await.unwrap(), was_made);
            assert_eq!(state(&other, &name).await, whole, "{name}");
            if is_over {
                break;
            }
            given_up += 1;
            assert!(given_up < MOST, "it never ends");
        }
        assert!(given_up > 0, "it was never given up");
    }
    ground.close(other).await;
}

/// A test of each case, on a ground of that type.
macro_rules! given_up_suite {
    ($(#[$attribute:meta])* $ground:ident) => {
        $crate::given_up::given_up_suite!(@ [$(#[$attribute])*] $ground;
            a_debit_is_made_whole_or_not_at_all
            a_group_is_made_whole_or_not_at_all
            who_leaves_a_group_leaves_the_others_theirs
            events_are_counted_whole_or_not_at_all
            a_receipt_is_given_back_once
            a_reservation_is_made_and_ended_whole_or_not_at_all
            a_gauge_is_held_whole_or_not_at_all
            alerts_come_back_after_claims_that_were_given_up
            facts_change_with_their_revision_or_not_at_all
            a_subscription_changes_with_its_history_or_not_at_all
            grants_are_given_and_voided_whole_or_not_at_all
            policies_change_whole_or_not_at_all
            a_batch_is_appended_once_or_not_at_all
            the_log_loses_its_beginning_as_a_whole_or_not_at_all
            receipts_expire_and_stay_counted
            a_company_is_erased_whole_or_not_at_all
            a_company_has_one_customer_or_none
            the_lock_of_a_company_is_taken_and_given_back
            a_synced_subscription_is_stored_whole_or_not_at_all
            an_operation_is_begun_and_ended_once
            an_event_is_received_claimed_and_finished_once
            an_invoice_is_stored_whole_or_not_at_all
            plan_features_are_replaced_as_a_whole_or_not_at_all
            billed_usage_is_written_claimed_and_finished_once
            which_meters_are_billed_changes_as_a_whole_or_not_at_all
            decisions_are_kept_and_forgotten_whole_or_not_at_all
        );
    };
    (@ $attributes:tt $ground:ident; $($case:ident)+) => {
        $($crate::given_up::given_up_suite!(@one $attributes $ground; $case);)+
    };
    (@one [$(#[$attribute:meta])*] $ground:ident; $case:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        $(#[$attribute])*
        async fn $case() {
            $crate::given_up::$case(&$ground::new()).await;
        }
    };
}
pub(crate) use given_up_suite;

/// For whoever has nothing to say about an answer.
fn any<T>(_: T, _: bool) {}

/// The revision that a company had before.
#[derive(Default)]
struct Before(Cell<Revision>);

impl Before {
    async fn is_now(&self, store: &impl Store, company: &str) {
        self.0.set(fixtures::facts(store, company).await.revision);
    }

    /// Whether the company has a later one.
    async fn is_over(&self, store: &impl Store, company: &str) -> bool {
        fixtures::facts(store, company).await.revision > self.0.get()
    }
}
