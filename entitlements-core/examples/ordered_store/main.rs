//! A small store that is complete and correct: where to begin when you write one for a database of your own.
//!
//! It keeps everything in ordered maps behind one lock, so each method is as plain as its contract. What it does without it
//! says in [`SmallStore`], and refuses: see `refused.rs`. The last lines of this file prove it, with the suite that every
//! store passes; nothing else is needed.
//!
//! | room | what |
//! |---|---|
//! | `store.rs` | what is kept, and how a change takes a revision |
//! | `facts.rs` | everything about a company as one consistent view |
//! | `subscriptions.rs` | subscriptions with their history, add-ons, overrides |
//! | `grants.rs`, `policies.rs` | grants and policies, and their pages |
//! | `usage.rs` | debits in one atomic step, exactly once |
//! | `refused.rs` | what it does not do |
//!
//! ```sh
//! cargo run -p entitlements-core --features testkit --example ordered_store
//! cargo test -p entitlements-core --features testkit --example ordered_store
//! ```

mod facts;
mod grants;
mod policies;
mod refused;
mod store;
mod subscriptions;
mod usage;

use std::error::Error;

use entitlements_core::id::CompanyId;
use entitlements_core::testkit::{Capabilities, Harness, Part};
use entitlements_core::{Amount, Catalog, Consume, Entitlements, Subject};

use self::store::OrderedStore;

/// How the suite starts the store, and what it may ask of it.
struct SmallStore;

impl Harness for SmallStore {
    type Store = OrderedStore;

    const CAPABILITIES: Capabilities = Capabilities::ALL
        .without(Part::Gauges)
        .without(Part::Reservations)
        .without(Part::Audit)
        .without(Part::Erasure);

    async fn start() -> OrderedStore {
        OrderedStore::default()
    }
}

/// Three reports of a plan that gives two.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let catalog = r#"
        schema = 1
        default_plan = "free"
        past_due_grace = "7d"

        [features]
        reports = { type = "meter", unit = "report" }

        [plans.free.grants]
        reports = { limit = 2, every = "month", anchor = "calendar" }
    "#;
    let catalog = Catalog::parse("catalog.toml", catalog)?;
    let entitlements = Entitlements::builder(catalog).store(SmallStore::start().await).build();
    let acme = Subject::company(CompanyId::new("acme")?);
    for number in 1..=3 {
        let report = entitlements.consume(&Consume::new(&acme, "reports", Amount::ONE)).await?;
        println!("report {number}: {}", if report.receipt().is_some() { "made" } else { "not in the plan" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use entitlements_core::testkit::agrees_with_memory_on;

    use super::*;

    entitlements_core::store_suite!(SmallStore);

    #[tokio::test]
    async fn random_operations_agree_with_the_reference() {
        for seed in 0..10 {
            agrees_with_memory_on(&SmallStore::start().await, SmallStore::CAPABILITIES, seed, 1_000).await;
        }
    }

    #[test]
    fn the_third_report_is_not_in_the_plan() {
        main().unwrap();
    }
}
