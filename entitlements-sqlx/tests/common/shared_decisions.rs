//! What holds of a cache in a database, beyond what every cache must do.

use std::time::Duration;

use chrono::TimeDelta;
use entitlements_core::decision_cache::{DecisionCache, DecisionKey, Scope};
use entitlements_core::testkit::decision_cache::{decision, key};
use entitlements_core::testkit::fixtures::{company, feature, user};
use entitlements_core::{Action, ManualClock};

const TTL: Duration = Duration::from_mins(5);

async fn put(cache: &impl DecisionCache, key: &DecisionKey) {
    let fence = cache.get(key).await.fence;
    cache.put(&decision(key, 1), &fence, TTL).await;
    assert!(cache.get(key).await.found.is_some(), "{key:?}");
}

/// What is over is not found, and is removed as others are put.
pub(crate) async fn what_is_over_is_removed(cache: &impl DecisionCache, clock: &ManualClock) {
    put(cache, &key("acme")).await;
    clock.advance(TimeDelta::minutes(5));
    assert_eq!(cache.get(&key("acme")).await.found, None);
    for number in 0..120 {
        put(cache, &key(&format!("other {number}"))).await;
    }
    assert_eq!(cache.stats().await.unwrap().keys, 120);
}

/// Nothing comes back to life when marks that nobody used for long are removed.
pub(crate) async fn what_was_forgotten_stays_forgotten(cache: &impl DecisionCache, clock: &ManualClock) {
    put(cache, &key("acme")).await;
    let fence = cache.get(&key("acme")).await.fence;
    cache.invalidate(&Scope::Company(company("acme"))).await;
    clock.advance(TimeDelta::hours(25));
    for number in 0..120 {
        put(cache, &key(&format!("other {number}"))).await;
    }
    assert_eq!(cache.get(&key("acme")).await.found, None);
    cache.put(&decision(&key("acme"), 1), &fence, TTL).await;
    assert_eq!(cache.get(&key("acme")).await.found, None);
}

/// Two processes find what either has put, and neither finds what either has forgotten.
pub(crate) async fn processes_share_what_is_kept_and_what_is_forgotten(caches: &[impl DecisionCache; 2]) {
    let [one, two] = caches;
    put(one, &key("acme")).await;
    assert!(two.get(&key("acme")).await.found.is_some());
    two.invalidate(&Scope::Everything).await;
    assert_eq!(one.get(&key("acme")).await.found, None);
}

/// A question about everything that a key can name.
fn asked() -> DecisionKey {
    DecisionKey {
        user: Some(user("u")),
        resource: Some("r".into()),
        context: Some("0".repeat(64).into()),
        ..key("acme")
    }
}

/// A row answers the question that it was put for, and no other, whatever is written into its columns.
pub(crate) async fn a_row_that_is_moved_to_another_question_answers_none(
    cache: &impl DecisionCache,
    meddle: impl AsyncFn(String),
) {
    let asked = asked();
    let ones: Box<str> = "1".repeat(64).into();
    let others = [
        ("company_id", "bolt", DecisionKey { company: company("bolt"), ..asked.clone() }),
        ("user_id", "v", DecisionKey { user: Some(user("v")), ..asked.clone() }),
        ("user_id", "", DecisionKey { user: None, ..asked.clone() }),
        ("feature", "secret", DecisionKey { feature: feature("secret"), ..asked.clone() }),
        ("action", "export", DecisionKey { action: Action::Export, ..asked.clone() }),
        ("resource", "s", DecisionKey { resource: Some("s".into()), ..asked.clone() }),
        ("resource", "", DecisionKey { resource: None, ..asked.clone() }),
        ("context", &*ones.clone(), DecisionKey { context: Some(ones), ..asked.clone() }),
        ("context", "", DecisionKey { context: None, ..asked.clone() }),
    ];
    for (column, value, other) in others {
        put(cache, &asked).await;
        // Under the same marks, so that nothing but the question itself tells them apart.
        meddle(
            "INSERT INTO entitlement_decision_fences
             SELECT 'bolt', scope, mark, revision, policies, asked_at, used_at
             FROM entitlement_decision_fences WHERE company_id = 'acme'"
                .to_owned(),
        )
        .await;
        meddle(format!("UPDATE entitlement_decisions SET {column} = '{value}'")).await;
        for key in [&asked, &other] {
            assert_eq!(cache.get(key).await.found, None, "{column} is `{value}`: {key:?}");
        }
        meddle("DELETE FROM entitlement_decisions".to_owned()).await;
        meddle("DELETE FROM entitlement_decision_fences".to_owned()).await;
    }
}

/// Nor does a row answer with the decision of another.
pub(crate) async fn a_decision_in_the_row_of_another_answers_nothing(
    cache: &impl DecisionCache,
    meddle: impl AsyncFn(String),
) {
    let asked = asked();
    for other in [
        DecisionKey { user: Some(user("v")), ..asked.clone() },
        DecisionKey { feature: feature("secret"), ..asked.clone() },
        DecisionKey { action: Action::Export, ..asked.clone() },
        DecisionKey { resource: None, ..asked.clone() },
        DecisionKey { context: None, ..asked.clone() },
    ] {
        put(cache, &asked).await;
        put(cache, &other).await;
        let [one, two] = [&asked, &other].map(|key| decision(key, 1).to_text());
        let swap = format!(
            "UPDATE entitlement_decisions SET decision = CASE decision WHEN '{one}' THEN '{two}' ELSE '{one}' END"
        );
        meddle(swap.clone()).await;
        for key in [&asked, &other] {
            assert_eq!(cache.get(key).await.found, None, "{key:?}");
        }
        // Swapped back they count again: nothing else was wrong with them.
        meddle(swap).await;
        for key in [&asked, &other] {
            assert_eq!(cache.get(key).await.found.unwrap().decision, decision(key, 1));
        }
        meddle("DELETE FROM entitlement_decisions".to_owned()).await;
    }
}

/// A row that cannot be read is as good as none, and the next decision takes its place.
pub(crate) async fn a_row_that_cannot_be_read_is_a_miss(
    cache: &impl DecisionCache,
    meddle: impl AsyncFn(String),
) {
    for damage in [
        "UPDATE entitlement_decisions SET decision = ''",
        "UPDATE entitlement_decisions SET decision = '{}'",
        "UPDATE entitlement_decisions SET decision = replace(decision, '\"form\":1', '\"form\":2')",
        "UPDATE entitlement_decisions SET fence = ''",
        "UPDATE entitlement_decisions SET fence = fence || ' '",
        "UPDATE entitlement_decisions SET expires_at = 0",
        "UPDATE entitlement_decision_fences SET revision = 'x'",
        "UPDATE entitlement_decision_fences SET policies = NULL",
        "UPDATE entitlement_decision_fences SET asked_at = 9223372036854775807",
    ] {
        put(cache, &asked()).await;
        meddle(damage.to_owned()).await;
        assert_eq!(cache.get(&asked()).await.found, None, "{damage}");
        cache.invalidate(&Scope::Company(company("acme"))).await;
        put(cache, &asked()).await;
    }
}
