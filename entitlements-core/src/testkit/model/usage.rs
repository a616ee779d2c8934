//! Operations that move units.

use chrono::{DateTime, TimeDelta, Utc};

use super::compare::in_order;
use super::{COMPANIES, Model};
use crate::Amount;
use crate::bucket::Bucket;
use crate::period::{CALENDAR_ANCHOR, Interval};
use crate::store::{
    GaugeStore as _, GroupStore as _, PageRequest, ReservationStore as _, Store, UsageStore as _,
};
use crate::testkit::fixtures::{
    bucket, company, debit, december, feature, granted, holder, key, part, receipt_id, units, user,
};
use crate::testkit::random::{FEW, Random, random_counter};
use crate::usage::{Counter, Debit};

/// Fewer than are made in the shortest time after which retention removes them.
const RECENT_RECEIPTS: u64 = 60;

/// How many days late usage is recorded at most: later than retention keeps it.
const LATE: u64 = 100;

impl<S: Store> Model<'_, S> {
    pub(super) async fn debit(&mut self) {
        let debit = self.random_debit();
        let (expected, actual) = (self.memory.debit(&debit).await, self.store.debit(&debit).await);
        self.same(expected, actual, &debit);
    }

    /// A debit that is made, so that what has expired is given back in both: a store may wait for one with that.
    pub(super) async fn give_back(&mut self, name: &str) {
        self.receipts += 1;
        let number = self.receipts.to_string();
        let made = debit(name, &format!("made {number}"), 1, [granted("made", None)]);
        let made = Debit { receipt: receipt_id(&number), at: self.clock, ..made };
        let (expected, actual) = (self.memory.debit(&made).await, self.store.debit(&made).await);
        self.same(expected, actual, &made);
    }

    /// Events of now, and late ones: what was set aside at the time of those and was not given back is set aside to them.
    pub(super) async fn record(&mut self) {
        let name = self.random.pick(&COMPANIES);
        let latest = if self.random.one_in(3) { LATE * 24 * 60 } else { 1 };
        if latest > 1 {
            self.give_back(name).await;
        }
        let company = company(name);
        let events: Vec<_> = (0..self.random.below(4))
            .map(|_| {
                let late = TimeDelta::minutes(self.random.below(latest).cast_signed());
                Debit { company: company.clone(), ..self.random_debit_at(self.clock - late) }
            })
            .collect();
        let expected = self.memory.record(&company, &events).await;
        let actual = self.store.record(&company, &events).await;
        self.same(expected, actual, &events);
    }

    /// Debits that are mostly alike. The clock goes on to the latest of their instants, which decides what has expired.
    pub(super) async fn group(&mut self) {
        let store = self.groups.expect("only asked of a store that does it");
        let first = self.random_debit();
        let mut group = vec![first.clone()];
        let mut latest = self.clock;
        for _ in 0..self.random.below(5) {
            let next = self.random_debit();
            if self.random.one_in(40) {
                group.push(next);
                continue;
            }
            let minutes = TimeDelta::minutes(self.random.below(90).cast_signed());
            let over = |at| {
                first
                    .buckets
                    .iter()
                    .flat_map(|bucket| &bucket.counters)
                    .chain(&first.tallies)
                    .any(|counter| counter.period.end.is_some_and(|end| end <= at))
            };
            let may_be_late = self.random.one_in(20);
            let at = Some(self.clock + minutes).filter(|at| may_be_late || !over(*at)).unwrap_or(self.clock);
            latest = latest.max(at);
            let Debit { user, key, receipt, amount, .. } = next;
            let receipt = if self.random.one_in(8) { first.receipt.clone() } else { receipt };
            group.push(Debit { user, key, receipt, amount, at, ..first.clone() });
        }
        let (expected, actual) = (self.memory.debit_group(&group).await, store.debit_group(&group).await);
        self.same(expected, actual, &group);
        self.clock = latest;
    }

    /// Everything that can be claimed, by one, and at times soon by another: in which order is a matter of each debit.
    pub(super) async fn claim_alerts(&mut self) {
        for _ in 0..=self.random.below(2) {
            let until = self.clock + TimeDelta::minutes(self.random.below(3_000).cast_signed());
            let expected = self.memory.claim_alerts(until, self.clock, usize::MAX >> 1).await.map(in_order);
            let actual = self.store.claim_alerts(until, self.clock, usize::MAX >> 1).await.map(in_order);
            self.same(expected, actual, &until);
            self.clock += TimeDelta::minutes(1);
        }
    }

    pub(super) async fn reserve(&mut self) {
        let debit = self.random_debit();
        let expiry = self.clock + TimeDelta::minutes(self.random.below(900).cast_signed());
        let expected = self.memory.reserve(&debit, expiry).await;
        let actual = self.store.reserve(&debit, expiry).await;
        self.same(expected, actual, &(&debit, expiry));
    }

    pub(super) async fn end_reservation(&mut self) {
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

    pub(super) fn random_debit(&mut self) -> Debit {
        self.random_debit_at(self.clock)
    }

    fn random_debit_at(&mut self, at: DateTime<Utc>) -> Debit {
        self.receipts += 1;
        let random = &mut self.random;
        let receipts = u64::from(self.receipts);
        let receipt = match random.below(80) {
            0 => receipts - random.below(receipts.min(RECENT_RECEIPTS)),
            // Also one that retention may have forgotten.
            1 => receipts - random.below(receipts),
            _ => receipts,
        };
        let amount = if random.one_in(40) { Amount::MAX.get() - random.below(3) } else { random.below(6) };
        let buckets = (0..random.below(4))
            .map(|_| {
                let counters = random.below(3).max(1) - u64::from(random.one_in(60));
                bucket((0..counters).map(|_| placed(random_counter(random), at, random)).collect::<Vec<_>>())
            })
            .collect();
        let tallies = (0..random.below(2)).map(|_| placed(part(random.pick(&FEW)), at, random)).collect();
        Debit {
            user: random.one_in(3).then(|| user(random.pick(&FEW))),
            // Now and then one that another operation has.
            receipt: receipt_id(&receipt.to_string()),
            meter: feature(random.pick(&["reports", "queries"])),
            buckets,
            tallies,
            limit: random.one_in(2).then(|| units(random.below(100))),
            resets_at: random.one_in(2).then_some(at),
            at,
            ..debit(random.pick(&COMPANIES), &format!("k{}", random.below(150)), amount, [])
        }
    }

    pub(super) async fn refund(&mut self) {
        let company = company(self.random.pick(&COMPANIES));
        let next = u64::from(self.receipts) + 1;
        // Mostly one that is still known.
        let back = if self.random.one_in(4) { next } else { next.min(RECENT_RECEIPTS) };
        let id = receipt_id(&(next - self.random.below(back + 1)).to_string());
        for _ in 0..=self.random.below(2) {
            let expected = self.memory.refund(&company, &id, self.clock).await;
            let actual = self.store.refund(&company, &id, self.clock).await;
            self.same(expected, actual, &id);
            self.clock += TimeDelta::minutes(1);
        }
    }

    pub(super) async fn gauge(&mut self) {
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

    pub(super) async fn receipt(&mut self) {
        let company = company(self.random.pick(&COMPANIES));
        let key = key(&format!("k{}", self.random.below(150)));
        let expected = self.memory.receipt(&company, &key).await;
        let actual = self.store.receipt(&company, &key).await;
        self.same(expected, actual, &key);
    }

    pub(super) async fn alerts(&mut self) {
        let alerts = self.pending().await;
        if let Some(alert) = alerts.get(self.random.index(alerts.len().max(1))) {
            let expected = self.memory.acknowledge_alert(alert).await;
            let actual = self.store.acknowledge_alert(alert).await;
            self.same(expected, actual, alert);
        }
    }
}

/// The counter in the period of the same kind that is under way, or in the next one; now and then in one that is over, or as it
/// is, which is soon long over, and the same each time.
fn placed(counter: Counter, now: DateTime<Utc>, random: &mut Random) -> Counter {
    if counter.period.end.is_none() || random.one_in(20) {
        return counter;
    }
    let every = match counter.bucket {
        Bucket::Plan { every, .. } => every,
        _ => Interval::Month,
    };
    let period = every.calendar_period(now);
    let is_next = counter.period == december();
    let other = if random.one_in(80) {
        (0..=random.below(4)).try_fold(period, |period, _| every.previous(CALENDAR_ANCHOR, period))
    } else {
        period.end.filter(|_| is_next).map(|end| every.calendar_period(end))
    };
    Counter { period: other.unwrap_or(period), ..counter }
}
