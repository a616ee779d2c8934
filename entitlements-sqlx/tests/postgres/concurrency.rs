//! Many at once, as several processes would be: each store has connections of its own.

use entitlements_core::store::{PolicyStore, SnapshotStore, SubscriptionStore};
use entitlements_core::testkit::fixtures::{addon, company, facts, now, policy};
use entitlements_sqlx::{PostgresConfig, PostgresStore};

use crate::ledger;
use crate::server::{in_schema, new_schema, url};

async fn several(schema: &str) -> [PostgresStore; 3] {
    [in_schema(schema).await, in_schema(schema).await, in_schema(schema).await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn exactly_the_limit_is_granted() {
    ledger::exactly_the_limit_is_granted(&several(&new_schema()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn nothing_is_oversold_under_load() {
    ledger::nothing_is_oversold_under_load(&several(&new_schema()).await).await;
}

/// A stricter isolation as the default of the database would turn duplicates into failures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn the_default_isolation_of_the_database_does_not_matter() {
    let strict = "options[default_transaction_isolation]=serializable";
    let url = url(&format!("{strict}&search_path={}", new_schema()));
    let config = PostgresConfig::from_url(&url).unwrap();
    let stores =
        [PostgresStore::connect(&config).await.unwrap(), PostgresStore::connect(&config).await.unwrap()];
    ledger::exactly_the_limit_is_granted(&stores).await;
}

/// Writers of one company, of another and of policies at once, and a reader: whoever sees a revision, of the company or of
/// the policies, sees every write that has a smaller one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_revision_shows_every_write_before_it() {
    const ROUNDS: u32 = 60;
    let schema = new_schema();
    let [store, elsewhere, reader] = several(&schema).await;
    store.insert_policy(&policy("p")).await.unwrap();
    let of_addon = |store: PostgresStore, name: &'static str| {
        tokio::spawn(async move {
            let mut written = Vec::new();
            for quantity in 1..=ROUNDS {
                let revision = store.put_addon(&company("acme"), &addon(name, quantity)).await.unwrap();
                written.push((revision, name, quantity));
            }
            written
        })
    };
    let writers = [of_addon(store.clone(), "a"), of_addon(elsewhere.clone(), "b")];
    let of_others = tokio::spawn(async move {
        let mut policies = Vec::new();
        for number in 1..=ROUNDS {
            elsewhere.put_addon(&company("other"), &addon("a", number)).await.unwrap();
            let changed = entitlements_core::policy::Policy { priority: number.into(), ..policy("p") };
            policies.push(elsewhere.replace_policy(&changed).await.unwrap().unwrap());
        }
        policies
    });
    let mut seen = Vec::new();
    while !of_others.is_finished() || writers.iter().any(|writer| !writer.is_finished()) {
        seen.push(reader.load(&company("acme"), now()).await.unwrap());
    }
    seen.push(facts(&reader, "acme").await);

    let mut written = Vec::new();
    for writer in writers {
        written.extend(writer.await.unwrap());
    }
    let policies = of_others.await.unwrap();
    for facts in &seen {
        let newest = facts.revision.max(facts.policies_revision);
        for (revision, name, quantity) in &written {
            let shown = facts.addons.iter().find(|a| a.addon.as_str() == *name).map_or(0, |a| a.quantity);
            assert_eq!(
                *revision <= newest,
                shown >= *quantity,
                "{revision} of {name} at {newest}: {facts:?}"
            );
        }
        let unseen = policies.iter().filter(|revision| **revision > facts.policies_revision);
        assert!(unseen.copied().all(|revision| revision > facts.revision), "{facts:?}");
    }
}
