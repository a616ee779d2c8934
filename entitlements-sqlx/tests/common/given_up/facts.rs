//! What companies may do.

use entitlements_core::store::{GrantStore as _, Inserted, PolicyStore as _, SubscriptionStore as _};
use entitlements_core::subscription::{Subscription, SubscriptionStatus};
use entitlements_core::testkit::fixtures::{
    addon, company, facts, feature, grant, grant_id, now, overriding, policy, policy_id, subscription,
};

use super::{Before, any, whole_or_not_at_all};
use crate::ground::Ground;

/// A change is there with its revision, or neither is.
pub(crate) async fn facts_change_with_their_revision_or_not_at_all(ground: &impl Ground) {
    let before = Before::default();
    whole_or_not_at_all(
        ground,
        [(0, false), (1, true)],
        async |store, name| before.is_now(store, name).await,
        async |store, name, _| store.put_override(&company(name), &overriding("reports", 5)).await,
        async |store, name| (facts(store, name).await.overrides.len(), before.is_over(store, name).await),
        any,
    )
    .await;
    whole_or_not_at_all(
        ground,
        [(1, false), (0, true)],
        async |store, name| {
            store.put_override(&company(name), &overriding("reports", 5)).await.unwrap();
            before.is_now(store, name).await;
        },
        async |store, name, _| store.remove_override(&company(name), &feature("reports")).await,
        async |store, name| (facts(store, name).await.overrides.len(), before.is_over(store, name).await),
        |removed, was_made| assert_eq!(removed.is_none(), was_made),
    )
    .await;
    whole_or_not_at_all(
        ground,
        [(0, false), (1, true)],
        async |store, name| before.is_now(store, name).await,
        async |store, name, _| store.put_addon(&company(name), &addon("pack", 2)).await,
        async |store, name| (facts(store, name).await.addons.len(), before.is_over(store, name).await),
        any,
    )
    .await;
}

pub(crate) async fn a_subscription_changes_with_its_history_or_not_at_all(ground: &impl Ground) {
    let before = Before::default();
    let state = |name: &str| subscription(&format!("sub {name}"), name);
    for known in [0, 1] {
        whole_or_not_at_all(
            ground,
            [(known, false), (known + 1, true)],
            async |store, name| {
                if known == 1 {
                    store.put_subscription(&state(name), now()).await.unwrap();
                }
                before.is_now(store, name).await;
            },
            async |store, name, _| {
                let ended = Subscription { status: SubscriptionStatus::Canceled, ..state(name) };
                store.put_subscription(&ended, now()).await
            },
            async |store, name| {
                let history = store.subscription_history(&state(name).id).await.unwrap();
                (history.len(), before.is_over(store, name).await)
            },
            any,
        )
        .await;
    }
}

pub(crate) async fn grants_are_given_and_voided_whole_or_not_at_all(ground: &impl Ground) {
    let before = Before::default();
    whole_or_not_at_all(
        ground,
        [(0, false), (1, true)],
        async |store, name| before.is_now(store, name).await,
        async |store, name, _| store.insert_grant(&grant(&format!("given {name}"), name)).await,
        async |store, name| (facts(store, name).await.grants.len(), before.is_over(store, name).await),
        |inserted, was_made| assert_eq!(inserted == Inserted::Taken, was_made),
    )
    .await;
    whole_or_not_at_all(
        ground,
        [(1, false), (0, true)],
        async |store, name| {
            store.insert_grant(&grant(&format!("voided {name}"), name)).await.unwrap();
            before.is_now(store, name).await;
        },
        async |store, name, _| store.void_grant(&grant_id(&format!("voided {name}")), now()).await,
        async |store, name| (facts(store, name).await.grants.len(), before.is_over(store, name).await),
        |voided, was_made| assert_eq!(voided.is_none(), was_made),
    )
    .await;
}

pub(crate) async fn policies_change_whole_or_not_at_all<G: Ground>(ground: &G) {
    let priority = async |store: &G::Store, name: &str| {
        store.find_policy(&policy_id(name)).await.unwrap().map(|policy| policy.priority)
    };
    let stored = async |store: &G::Store, name: &str| {
        store.insert_policy(&policy(name)).await.unwrap();
    };
    whole_or_not_at_all(
        ground,
        [None, Some(0)],
        async |_, _| {},
        async |store, name, _| store.insert_policy(&policy(name)).await,
        &priority,
        |inserted, was_made| assert_eq!(inserted == Inserted::Taken, was_made),
    )
    .await;
    whole_or_not_at_all(
        ground,
        [Some(0), Some(3)],
        &stored,
        async |store, name, _| {
            let mut changed = policy(name);
            changed.priority = 3;
            store.replace_policy(&changed).await
        },
        &priority,
        |revision, _| assert!(revision.is_some()),
    )
    .await;
    whole_or_not_at_all(
        ground,
        [Some(0), None],
        &stored,
        async |store, name, _| store.remove_policy(&policy_id(name)).await,
        &priority,
        |revision, was_made| assert_eq!(revision.is_none(), was_made),
    )
    .await;
}
