//! The model test: random operations, on a store and on the reference in memory, must have the same answers.

mod compare;
mod terms;
mod usage;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::fixtures::now;
use super::random::Random;
use super::{Capabilities, Part};
use crate::MemoryStore;
use crate::facts::Revision;
use crate::store::Store;

/// Runs random operations on an empty `store` and on a [`MemoryStore`]; every answer must agree.
///
/// The seed decides everything; a disagreement names it, and the number of the operation. Revisions may skip numbers:
/// they agree when they are equal and ordered alike.
pub async fn agrees_with_memory(store: &impl Store, seed: u64, operations: u32) {
    agrees_with_memory_on(store, Capabilities::ALL, seed, operations).await;
}

/// As [`agrees_with_memory`], without operations of what the store does not do.
pub async fn agrees_with_memory_on(
    store: &impl Store,
    capabilities: Capabilities,
    seed: u64,
    operations: u32,
) {
    let mut model = Model {
        store,
        capabilities,
        memory: MemoryStore::default(),
        random: Random(seed),
        revisions: BTreeMap::from([(Revision(0), Revision(0))]),
        place: String::new(),
        clock: now(),
        receipts: 0,
    };
    for number in 0..operations {
        model.place = format!("operation {number} of seed {seed}");
        model.step().await;
        if number % 512 == 0 {
            model.compare_everything().await;
        } else if number % 8 == 0 {
            let name = model.random.pick(&COMPANIES);
            model.compare_facts(name).await;
        }
    }
    model.compare_everything().await;
}

const COMPANIES: [&str; 3] = ["acme", "ACME", "other"];

struct Model<'a, S> {
    store: &'a S,
    capabilities: Capabilities,
    memory: MemoryStore,
    random: Random,
    /// Which revision of the store means which of the memory's.
    revisions: BTreeMap<Revision, Revision>,
    place: String,
    clock: DateTime<Utc>,
    receipts: u32,
}

impl<S: Store> Model<'_, S> {
    async fn step(&mut self) {
        self.clock += TimeDelta::minutes(self.random.below(300).cast_signed());
        match self.random.below(100) {
            0..27 => self.debit().await,
            27..32 => self.record().await,
            32..40 if self.capabilities.has(Part::Reservations) => self.reserve().await,
            40..48 if self.capabilities.has(Part::Reservations) => self.end_reservation().await,
            48..55 => self.refund().await,
            55..60 => self.receipt().await,
            60..68 => self.put_subscription().await,
            68..72 => self.addon().await,
            72..77 => self.override_().await,
            77..83 => self.insert_grant().await,
            83..86 => self.void_grant().await,
            86..89 => self.list_grants().await,
            89..92 => self.insert_policy().await,
            92..94 => self.replace_policy().await,
            94..95 => self.remove_policy().await,
            95..96 => self.list_policies().await,
            96..97 => self.alerts().await,
            97.. if self.capabilities.has(Part::Gauges) => self.gauge().await,
            // The store does not do it.
            _ => {}
        }
    }
}
