//! The model test: random operations, on a store and on the reference in memory, must have the same answers.

mod billing;
mod compare;
mod kept;
mod terms;
mod usage;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::fixtures::now;
use super::random::Random;
use super::{Capabilities, Part};
use crate::MemoryStore;
use crate::billing::{BillingLock, BillingStore, UsageOutbox};
use crate::facts::Revision;
use crate::id::{CompanyId, UsageRecordId};
use crate::period::Interval;
use crate::store::{GroupStore, Store};

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
    Model::new(store, capabilities, seed).run(seed, operations).await;
}

/// As [`agrees_with_memory`], with everything that a store can do beside a [`Store`]: groups of debits, billing, and the outbox
/// of usage that is billed.
pub async fn agrees_with_memory_in_all(
    store: &(impl Store + GroupStore + BillingStore + UsageOutbox),
    seed: u64,
    operations: u32,
) {
    let model = Model::new(store, Capabilities::ALL, seed);
    let model = Model { groups: Some(store), billing: Some(store), outbox: Some(store), ..model };
    model.run(seed, operations).await;
}

const COMPANIES: [&str; 3] = ["acme", "ACME", "other"];

struct Model<'a, S> {
    store: &'a S,
    capabilities: Capabilities,
    groups: Option<&'a dyn GroupStore>,
    billing: Option<&'a dyn BillingStore>,
    outbox: Option<&'a dyn UsageOutbox>,
    memory: MemoryStore,
    random: Random,
    /// Which revision of the store means which of the memory's.
    revisions: BTreeMap<Revision, Revision>,
    place: String,
    clock: DateTime<Utc>,
    receipts: u32,
    /// Locks of billing that were taken: the memory's, and the store's.
    locks: BTreeMap<CompanyId, (BillingLock, BillingLock)>,
    /// Records of usage that were claimed: the memory's ids, and the store's.
    records: Vec<(UsageRecordId, UsageRecordId)>,
}

impl<'a, S: Store> Model<'a, S> {
    fn new(store: &'a S, capabilities: Capabilities, seed: u64) -> Self {
        Self {
            store,
            capabilities,
            groups: None,
            billing: None,
            outbox: None,
            memory: MemoryStore::default(),
            random: Random(seed),
            revisions: BTreeMap::from([(Revision(0), Revision(0))]),
            place: String::new(),
            clock: now(),
            receipts: 0,
            locks: BTreeMap::new(),
            records: Vec::new(),
        }
    }

    async fn run(mut self, seed: u64, operations: u32) {
        for number in 0..operations {
            self.place = format!("operation {number} of seed {seed}");
            self.step().await;
            if number % 512 == 0 {
                self.compare_everything().await;
            } else if number % 8 == 0 {
                let name = self.random.pick(&COMPANIES);
                self.compare_facts(name).await;
            }
        }
        self.compare_everything().await;
    }

    /// To the last instant of a period, or to the first of the next one.
    fn go_to_the_end_of_the_month(&mut self) {
        let end = Interval::Month.calendar_period(self.clock).end.expect("months end");
        let last = end - TimeDelta::microseconds(1);
        self.clock = if self.random.one_in(2) { last } else { end };
    }

    async fn step(&mut self) {
        self.clock += TimeDelta::minutes(self.random.below(300).cast_signed());
        if self.random.one_in(200) {
            self.go_to_the_end_of_the_month();
        }
        match self.random.below(140) {
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
            97..100 if self.capabilities.has(Part::Gauges) => self.gauge().await,
            100..104 if self.capabilities.has(Part::Audit) => self.append().await,
            104..107 if self.capabilities.has(Part::Audit) => self.read_audit().await,
            107..108 if self.capabilities.has(Part::Erasure) => self.forget().await,
            108..112 if self.groups.is_some() => self.group().await,
            112..114 => self.claim_alerts().await,
            114..130 if self.billing.is_some() => self.bill().await,
            130.. if self.outbox.is_some() => self.report().await,
            // The store does not do it.
            _ => {}
        }
    }
}
