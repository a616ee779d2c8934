//! The model test: random operations, on a store and on the reference in memory, must have the same answers.

use std::collections::BTreeMap;
use std::fmt::Debug;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::fixtures::{
    addon, bucket, company, condition, debit, feature, grant, grant_id, holder, key, now, overriding, part,
    plan, policy, policy_id, receipt_id, subscription, subscription_id, units, user,
};
use super::random::{FEW, Random, random_counter};
use crate::facts::{Facts, Revision};
use crate::policy::{Effect, Policy, Target};
use crate::store::{
    GaugeStore, GrantStore, Inserted, Page, PageRequest, PolicyStore, ReservationStore, SnapshotStore, Store,
    StoreError, StoreErrorKind, SubscriptionStore, UsageStore,
};
use crate::subscription::{Subscription, SubscriptionStatus};
use crate::usage::{Debit, UsageAlert};
use crate::{Amount, Grant, MemoryStore};

/// Runs random operations on an empty `store` and on a [`MemoryStore`]; every answer must agree.
///
/// The seed decides everything; a disagreement names it, and the number of the operation. Revisions may skip numbers:
/// they agree when they are equal and ordered alike.
pub async fn agrees_with_memory(store: &impl Store, seed: u64, operations: u32) {
    let mut model = Model {
        store,
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
        if number % 16 == 0 {
            model.compare_everything().await;
        }
    }
    model.compare_everything().await;
}

const COMPANIES: [&str; 3] = ["acme", "ACME", "other"];

struct Model<'a, S> {
    store: &'a S,
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
            32..40 => self.reserve().await,
            40..48 => self.end_reservation().await,
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
            _ => self.gauge().await,
        }
    }

    async fn debit(&mut self) {
        let debit = self.random_debit();
        let (expected, actual) = (self.memory.debit(&debit).await, self.store.debit(&debit).await);
        self.same(expected, actual, &debit);
    }

    async fn record(&mut self) {
        let company = company(self.random.pick(&COMPANIES));
        let events: Vec<_> = (0..self.random.below(4))
            .map(|_| Debit { company: company.clone(), ..self.random_debit() })
            .collect();
        let expected = self.memory.record(&company, &events).await;
        let actual = self.store.record(&company, &events).await;
        self.same(expected, actual, &events);
    }

    async fn reserve(&mut self) {
        let debit = self.random_debit();
        let expiry = self.clock + TimeDelta::minutes(self.random.below(900).cast_signed());
        let expected = self.memory.reserve(&debit, expiry).await;
        let actual = self.store.reserve(&debit, expiry).await;
        self.same(expected, actual, &(&debit, expiry));
    }

    async fn end_reservation(&mut self) {
        let company = company(self.random.pick(&COMPANIES));
        let key = key(&format!("k{}", self.random.below(150)));
        let expected = self.memory.reservation(&company, &key).await;
        let known = expected.as_ref().ok().cloned().flatten();
        let actual = self.store.reservation(&company, &key).await;
        self.same(expected, actual, &key);
        let id = match known {
            Some(known) => known.id().clone(),
            None => receipt_id(&self.random.below(u64::from(self.receipts) + 2).to_string()),
        };
        if self.random.one_in(4) {
            let expected = self.memory.release_reservation(&company, &id, self.clock).await;
            let actual = self.store.release_reservation(&company, &id, self.clock).await;
            self.same(expected, actual, &id);
        } else {
            let high = self.random.one_in(40);
            let units =
                units(if high { Amount::MAX.get() - self.random.below(3) } else { self.random.below(8) });
            let expected = self.memory.commit(&company, &id, units, self.clock).await;
            let actual = self.store.commit(&company, &id, units, self.clock).await;
            self.same(expected, actual, &(id, units));
        }
    }

    fn random_debit(&mut self) -> Debit {
        self.receipts += 1;
        let random = &mut self.random;
        let amount = if random.one_in(40) { Amount::MAX.get() - random.below(3) } else { random.below(6) };
        let buckets = (0..random.below(4))
            .map(|_| {
                let counters = random.below(3).max(1) - u64::from(random.one_in(60));
                bucket((0..counters).map(|_| random_counter(random)).collect::<Vec<_>>())
            })
            .collect();
        let tallies = (0..random.below(2)).map(|_| part(random.pick(&FEW))).collect();
        Debit {
            user: random.one_in(3).then(|| user(random.pick(&FEW))),
            receipt: receipt_id(&self.receipts.to_string()),
            meter: feature(random.pick(&["reports", "queries"])),
            buckets,
            tallies,
            limit: random.one_in(2).then(|| units(random.below(100))),
            resets_at: random.one_in(2).then_some(self.clock),
            at: self.clock,
            ..debit(random.pick(&COMPANIES), &format!("k{}", random.below(150)), amount, [])
        }
    }

    async fn refund(&mut self) {
        let company = company(self.random.pick(&COMPANIES));
        let id = receipt_id(&self.random.below(u64::from(self.receipts) + 2).to_string());
        let expected = self.memory.refund(&company, &id, self.clock).await;
        let actual = self.store.refund(&company, &id, self.clock).await;
        self.same(expected, actual, &id);
    }

    async fn gauge(&mut self) {
        let random = &mut self.random;
        let (company, gauge) =
            (company(random.pick(&COMPANIES)), feature(random.pick(&["seats", "storage"])));
        let (holder, at) = (holder(random.pick(&FEW)), self.clock);
        let limit = (!random.one_in(8)).then(|| units(random.below(6)));
        match random.below(8) {
            0..4 => {
                let expected = self.memory.acquire(&company, &gauge, &holder, limit, at).await;
                let actual = self.store.acquire(&company, &gauge, &holder, limit, at).await;
                self.same(expected, actual, &(company, gauge, holder, limit));
            }
            4..6 => {
                let expected = self.memory.release(&company, &gauge, &holder).await;
                let actual = self.store.release(&company, &gauge, &holder).await;
                self.same(expected, actual, &(company, gauge, holder));
            }
            6..7 => {
                let high = random.one_in(10);
                let level = units(if high { Amount::MAX.get() - random.below(3) } else { random.below(6) });
                let expected = self.memory.set_level(&company, &gauge, level, limit).await;
                let actual = self.store.set_level(&company, &gauge, level, limit).await;
                self.same(expected, actual, &(company, gauge, level, limit));
            }
            _ => {
                let request = PageRequest::first(random.index(3) + 1);
                let expected = self.memory.list_holders(&company, &gauge, &request).await;
                let actual = self.store.list_holders(&company, &gauge, &request).await;
                self.same(expected, actual, &(company, gauge, request));
            }
        }
    }

    async fn receipt(&mut self) {
        let company = company(self.random.pick(&COMPANIES));
        let key = key(&format!("k{}", self.random.below(150)));
        let expected = self.memory.receipt(&company, &key).await;
        let actual = self.store.receipt(&company, &key).await;
        self.same(expected, actual, &key);
    }

    async fn put_subscription(&mut self) {
        let random = &mut self.random;
        let statuses =
            [SubscriptionStatus::Active, SubscriptionStatus::PastDue, SubscriptionStatus::Canceled];
        // An id mostly stays with one company, so that most writes are legal.
        let id = random.pick(&FEW);
        let owner = if random.one_in(8) { random.pick(&COMPANIES) } else { COMPANIES[usize::from(id > "b")] };
        let subscription = Subscription {
            plan: plan(random.pick(&["starter", "pro"])),
            status: statuses[random.index(statuses.len())].clone(),
            seats: random.one_in(2).then(|| units(random.below(3))),
            cancel_at_period_end: random.one_in(4),
            ..subscription(id, owner)
        };
        let expected = self.memory.put_subscription(&subscription, self.clock).await;
        let actual = self.store.put_subscription(&subscription, self.clock).await;
        self.same_revision(expected, actual, &subscription);
    }

    async fn addon(&mut self) {
        let company = company(self.random.pick(&COMPANIES));
        let addon = addon(self.random.pick(&FEW), u32::try_from(self.random.below(3)).unwrap());
        let expected = self.memory.put_addon(&company, &addon).await;
        let actual = self.store.put_addon(&company, &addon).await;
        self.same_revision(expected, actual, &addon);
    }

    async fn override_(&mut self) {
        let company = company(self.random.pick(&COMPANIES));
        let name = self.random.pick(&FEW);
        if self.random.one_in(3) {
            let expected = self.memory.remove_override(&company, &feature(name)).await;
            let actual = self.store.remove_override(&company, &feature(name)).await;
            self.same_optional_revision(expected, actual, &name);
        } else {
            let value = overriding(name, self.random.below(5));
            let expected = self.memory.put_override(&company, &value).await;
            let actual = self.store.put_override(&company, &value).await;
            self.same_revision(expected, actual, &value);
        }
    }

    async fn insert_grant(&mut self) {
        let random = &mut self.random;
        let grant = Grant {
            user: random.one_in(3).then(|| user(random.pick(&FEW))),
            amount: random.one_in(2).then(|| units(random.below(10))),
            starts_at: self.clock + TimeDelta::hours(random.below(50).cast_signed() - 25),
            ends_at: random.one_in(2).then(|| self.clock + TimeDelta::hours(random.below(200).cast_signed())),
            created_at: self.clock - TimeDelta::hours(random.below(50).cast_signed()),
            ..grant(&format!("g{}", random.below(40)), random.pick(&COMPANIES))
        };
        let expected = self.memory.insert_grant(&grant).await;
        let actual = self.store.insert_grant(&grant).await;
        self.same_insertion(expected, actual, &grant);
    }

    async fn void_grant(&mut self) {
        let id = grant_id(&format!("g{}", self.random.below(40)));
        let expected = self.memory.void_grant(&id, self.clock).await;
        let actual = self.store.void_grant(&id, self.clock).await;
        self.same_optional_revision(expected, actual, &id);
        let expected = self.memory.find_grant(&id).await;
        let actual = self.store.find_grant(&id).await;
        self.same(expected, actual, &id);
    }

    async fn list_grants(&mut self) {
        let company = company(self.random.pick(&COMPANIES));
        let mut request = PageRequest::first(self.random.index(5) + 1);
        loop {
            let expected = self.memory.list_grants(&company, &request).await.unwrap();
            let actual = self.store.list_grants(&company, &request).await.unwrap();
            assert_eq!(actual.items, expected.items, "{}: list_grants {request:?}", self.place);
            let Some(cursor) = self.same_cursor(&expected, &actual) else { break };
            // Each store reads its own cursors; the pages before were equal, so one's are as good as the other's.
            request.cursor = Some(cursor);
        }
    }

    async fn insert_policy(&mut self) {
        let policy = self.random_policy();
        let expected = self.memory.insert_policy(&policy).await;
        let actual = self.store.insert_policy(&policy).await;
        self.same_insertion(expected, actual, &policy);
    }

    async fn replace_policy(&mut self) {
        let policy = self.random_policy();
        let expected = self.memory.replace_policy(&policy).await;
        let actual = self.store.replace_policy(&policy).await;
        self.same_optional_revision(expected, actual, &policy);
    }

    async fn remove_policy(&mut self) {
        let id = policy_id(&format!("p{}", self.random.below(10)));
        let expected = self.memory.remove_policy(&id).await;
        let actual = self.store.remove_policy(&id).await;
        self.same_optional_revision(expected, actual, &id);
    }

    fn random_policy(&mut self) -> Policy {
        let random = &mut self.random;
        let plain = policy(&format!("p{}", random.below(10)));
        Policy {
            priority: random.below(5).cast_signed(),
            effect: if random.one_in(2) { Effect::Allow } else { Effect::Deny },
            enabled: random.one_in(2),
            target: Target {
                companies: random.one_in(2).then(|| vec![company(random.pick(&COMPANIES))]),
                ..Target::default()
            },
            when: if random.one_in(2) {
                condition(&json!({"eq": ["context.region", random.pick(&FEW)]}))
            } else {
                plain.when.clone()
            },
            ..plain
        }
    }

    async fn list_policies(&mut self) {
        let mut request = PageRequest::first(self.random.index(5) + 1);
        loop {
            let expected = self.memory.list_policies(&request).await.unwrap();
            let actual = self.store.list_policies(&request).await.unwrap();
            assert_eq!(actual.items, expected.items, "{}: list_policies {request:?}", self.place);
            let Some(cursor) = self.same_cursor(&expected, &actual) else { break };
            request.cursor = Some(cursor);
        }
    }

    fn same_cursor<T>(&self, expected: &Page<T>, actual: &Page<T>) -> Option<String> {
        assert_eq!(actual.next.is_some(), expected.next.is_some(), "{}: is there a next page?", self.place);
        actual.next.clone()
    }

    async fn alerts(&mut self) {
        let alerts = self.pending().await;
        if let Some(alert) = alerts.get(self.random.index(alerts.len().max(1))) {
            let expected = self.memory.acknowledge_alert(alert).await;
            let actual = self.store.acknowledge_alert(alert).await;
            self.same(expected, actual, alert);
        }
    }

    /// The alerts that wait, the same in both; those of one debit may come in any order.
    async fn pending(&self) -> Vec<UsageAlert> {
        let sorted = |alerts: Result<Vec<UsageAlert>, StoreError>| {
            let mut alerts = alerts.unwrap();
            alerts.sort_by_key(|a| {
                let counter = (a.meter.clone(), a.bucket.clone(), a.period_start);
                (a.at, a.company.clone(), counter, a.percent, a.threshold)
            });
            alerts
        };
        let expected = sorted(self.memory.pending_alerts(usize::MAX >> 1).await);
        assert_eq!(sorted(self.store.pending_alerts(usize::MAX >> 1).await), expected, "{}", self.place);
        expected
    }

    async fn compare_everything(&mut self) {
        for name in COMPANIES {
            let company = company(name);
            let expected = sorted(self.memory.load(&company, self.clock).await.unwrap());
            let mut actual = sorted(self.store.load(&company, self.clock).await.unwrap());
            self.align(expected.revision, actual.revision);
            self.align(expected.policies_revision, actual.policies_revision);
            actual.revision = expected.revision;
            actual.policies_revision = expected.policies_revision;
            assert_eq!(actual, expected, "{}: load", self.place);
        }
        for id in FEW.map(subscription_id) {
            let expected = self.memory.subscription_history(&id).await;
            let actual = self.store.subscription_history(&id).await;
            self.same(expected, actual, &id);
            let expected = self.memory.subscription(&id).await;
            let actual = self.store.subscription(&id).await;
            self.same(expected, actual, &id);
        }
        let expected = self.memory.policies().await.unwrap();
        let actual = self.store.policies().await.unwrap();
        self.align(expected.revision, actual.revision);
        assert_eq!(actual.policies, expected.policies, "{}: policies", self.place);
        self.pending().await;
    }

    fn same<T: Debug + PartialEq>(
        &self,
        expected: Result<T, StoreError>,
        actual: Result<T, StoreError>,
        what: &impl Debug,
    ) {
        assert_eq!(kinds(actual), kinds(expected), "{}: {what:?}", self.place);
    }

    fn same_revision(
        &mut self,
        expected: Result<Revision, StoreError>,
        actual: Result<Revision, StoreError>,
        what: &impl Debug,
    ) {
        self.same_optional_revision(expected.map(Some), actual.map(Some), what);
    }

    fn same_insertion(
        &mut self,
        expected: Result<Inserted, StoreError>,
        actual: Result<Inserted, StoreError>,
        what: &impl Debug,
    ) {
        let revision = |inserted| match inserted {
            Inserted::Now(revision) => Some(revision),
            Inserted::Taken => None,
        };
        self.same_optional_revision(expected.map(revision), actual.map(revision), what);
    }

    fn same_optional_revision(
        &mut self,
        expected: Result<Option<Revision>, StoreError>,
        actual: Result<Option<Revision>, StoreError>,
        what: &impl Debug,
    ) {
        match (kinds(expected), kinds(actual)) {
            (Ok(Some(expected)), Ok(Some(actual))) => self.align(expected, actual),
            (expected, actual) => assert_eq!(actual, expected, "{}: {what:?}", self.place),
        }
    }

    /// The two revisions must mean the same point of the history.
    fn align(&mut self, expected: Revision, actual: Revision) {
        let known = *self.revisions.entry(expected).or_insert(actual);
        assert_eq!(known, actual, "{}: revision {expected} was {known} before", self.place);
        let before = self.revisions.range(..expected).next_back().map(|(_, revision)| *revision);
        let after = self.revisions.range(Revision(expected.0 + 1)..).next().map(|(_, revision)| *revision);
        let ordered = before.is_none_or(|b| b < actual) && after.is_none_or(|a| actual < a);
        assert!(ordered, "{}: revision {actual} is out of order", self.place);
    }
}

/// An error as what a caller acts upon.
fn kinds<T>(result: Result<T, StoreError>) -> Result<T, StoreErrorKind> {
    result.map_err(|error| error.kind())
}

/// Facts whose lists are in one order, without counters of zero.
fn sorted(mut facts: Facts) -> Facts {
    facts.subscriptions.sort_by(|a, b| a.id.cmp(&b.id));
    facts.addons.sort_by(|a, b| a.addon.cmp(&b.addon));
    facts.overrides.sort_by(|a, b| a.feature.cmp(&b.feature));
    facts.grants.sort_by(|a, b| a.id.cmp(&b.id));
    facts.gauges.retain(|level| !level.used.is_zero());
    facts.gauges.sort_by(|a, b| a.gauge.cmp(&b.gauge));
    facts.usage.retain(|counter| !counter.used.is_zero());
    facts
        .usage
        .sort_by(|a, b| (&a.meter, &a.bucket, a.period_start).cmp(&(&b.meter, &b.bucket, b.period_start)));
    facts
}
