//! What the clients of a process do that may be killed: everything that moves units, under keys that other processes use, too.

use std::fmt::Display;
use std::io::Write;

use chrono::TimeDelta;
use entitlements_core::gauge::AcquireOutcome;
use entitlements_core::id::ReceiptId;
use entitlements_core::reservation::{CommitOutcome, ReserveOutcome};
use entitlements_core::store::{GroupStore, Inserted, Store};
use entitlements_core::testkit::fixtures::{
    company, debit, feature, grant, granted, holder, monthly, now, receipt_id, units,
};
use entitlements_core::usage::{Counter, Debit, DebitOutcome, RecordOutcome};

/// How many clients a process has; the next process has as many, with the same keys.
pub(crate) const CLIENTS: u64 = 32;

/// How many units of `exact` there are, and how many keys each client has that want one.
pub(crate) const LIMIT: u64 = 50;
const EACH: u64 = 3;

pub(crate) const SEATS: u64 = 12;

/// What a process is told.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    /// The database.
    pub(crate) place: String,
    pub(crate) company: String,
    /// Of those that work at the same time, which one it is.
    pub(crate) process: u64,
    /// What is unlike any other process, and decides the order in which it works.
    pub(crate) seed: u64,
}

/// Numbers that a seed decides.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// One thing that a client does.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Wants one unit.
    One(u64),
    /// Wants a unit for each of its keys, at once.
    Group,
    /// Wants some units, out of two buckets, and may give them back.
    Some(u64),
    /// Sets units aside, and tells how many of them were used.
    Reserve,
    /// Counts what has happened.
    Record,
    /// Takes a seat, and may leave it.
    Sit,
    /// Gives a grant.
    Grant,
}

/// Everything that a client does.
fn steps(client: u64) -> Vec<Step> {
    let mut steps =
        if client.is_multiple_of(4) { vec![Step::Group] } else { (0..EACH).map(Step::One).collect() };
    steps.extend([Step::Some(0), Step::Some(1), Step::Reserve, Step::Record, Step::Sit]);
    if client.is_multiple_of(8) {
        steps.push(Step::Grant);
    }
    steps
}

/// The counters of a meter. Debits of `exact` are plain, those of `mixed` are split.
pub(crate) fn counters(meter: &str) -> Vec<Counter> {
    let all = match meter {
        "exact" => vec![monthly(LIMIT)],
        "mixed" => vec![granted("g", 40), monthly(80)],
        _ => vec![monthly(None)],
    };
    all.into_iter().map(|counter| Counter { meter: feature(meter), ..counter }).collect()
}

/// What is asked for under a key: of which meter, and how many units.
pub(crate) fn asked(company: &str, name: &str, meter: &str, amount: u64) -> Debit {
    Debit { meter: feature(meter), ..debit(company, name, amount, counters(meter)) }
}

/// The keys that want one unit each.
pub(crate) fn one_each() -> impl Iterator<Item = String> {
    (0..CLIENTS).flat_map(|client| (0..EACH).map(move |number| format!("one {client}-{number}")))
}

/// A key that wants some units, with how many it wants, and whether these are given back.
fn some(client: u64, number: u64) -> (String, u64, bool) {
    (format!("some {client}-{number}"), 1 + (client + number) % 3, (client + number).is_multiple_of(2))
}

/// Those of all clients.
pub(crate) fn some_each() -> impl Iterator<Item = (String, u64, bool)> {
    (0..CLIENTS).flat_map(|client| [some(client, 0), some(client, 1)])
}

/// The keys of a client's events, with their units.
pub(crate) fn events(client: u64) -> impl Iterator<Item = (String, u64)> {
    (1..4).map(move |number| (format!("event {client}-{number}"), number))
}

/// Whether who sits down stays.
pub(crate) fn stays(client: u64) -> bool {
    client % 2 == 1
}

/// What a process does: every client its steps, in an order of its own, some of them again at once, and a line for
/// everything that the store has acknowledged.
pub(crate) async fn work<S: Store + GroupStore + Clone>(store: &S, orders: &Orders) {
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let client = Client {
                store: store.clone(),
                orders: orders.clone(),
                number,
                random: Random(orders.seed ^ (number << 32)),
                attempts: 0,
            };
            tokio::spawn(client.work())
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

/// Tries until the store answers. A failure that may pass is what clients expect while others work.
macro_rules! tried {
    ($call:expr) => {{
        let mut failures = 0;
        loop {
            match $call.await {
                Ok(answer) => break answer,
                Err(error) => {
                    failures += 1;
                    assert!(error.is_retryable() && failures < 100, "{error:?}");
                }
            }
        }
    }};
}

/// One of many that share keys and limits.
struct Client<S> {
    store: S,
    orders: Orders,
    number: u64,
    random: Random,
    attempts: u64,
}

impl<S: Store + GroupStore> Client<S> {
    async fn work(mut self) {
        let mut left = steps(self.number);
        while !left.is_empty() {
            let next = usize::try_from(self.random.below(left.len() as u64)).unwrap();
            let step = left.swap_remove(next);
            self.take(step).await;
            if self.random.below(3) == 0 {
                self.take(step).await;
            }
        }
    }

    async fn take(&mut self, step: Step) {
        let number = self.number;
        match step {
            Step::One(of) => {
                let name = format!("one {number}-{of}");
                let outcome = self.debit(&name, "exact", 1).await;
                told(&name, &outcome);
            }
            Step::Group => self.group().await,
            Step::Some(of) => {
                let (name, amount, returns) = some(number, of);
                let outcome = self.debit(&name, "mixed", amount).await;
                told(&name, &outcome);
                if let DebitOutcome::Recorded(taken) | DebitOutcome::Duplicate(taken) = outcome
                    && returns
                {
                    let at = now() + TimeDelta::microseconds(self.attempt().cast_signed());
                    let acme = company(&self.orders.company);
                    let given_back = tried!(self.store.refund(&acme, &taken.id, at));
                    let at = given_back.unwrap().refunded_at.unwrap();
                    acknowledge(&name, "refunded", at.timestamp_micros());
                }
            }
            Step::Reserve => self.reserve().await,
            Step::Record => self.record().await,
            Step::Sit => self.sit().await,
            Step::Grant => {
                let id = format!("{} by {number}", self.orders.company);
                let given = grant(&id, &self.orders.company);
                match tried!(self.store.insert_grant(&given)) {
                    Inserted::Now(revision) => acknowledge(&id, "new", revision),
                    Inserted::Taken => acknowledge(&id, "known", ""),
                }
            }
        }
    }

    async fn debit(&mut self, name: &str, meter: &str, amount: u64) -> DebitOutcome {
        let taken = Debit { receipt: self.receipt(), ..asked(&self.orders.company, name, meter, amount) };
        tried!(self.store.debit(&taken))
    }

    async fn group(&mut self) {
        let names: Vec<_> = (0..EACH).map(|of| format!("one {}-{of}", self.number)).collect();
        let mut group = Vec::new();
        for name in &names {
            group.push(Debit { receipt: self.receipt(), ..asked(&self.orders.company, name, "exact", 1) });
        }
        let outcomes = tried!(self.store.debit_group(&group));
        for (name, outcome) in names.iter().zip(&outcomes) {
            told(name, outcome);
        }
    }

    /// The two processes end a reservation in different ways: the first one counts.
    async fn reserve(&mut self) {
        let (name, acme) = (format!("reserve {}", self.number), company(&self.orders.company));
        let wanted = Debit { receipt: self.receipt(), ..asked(acme.as_str(), &name, "mixed", 2) };
        let later = now() + TimeDelta::days(1);
        let id = match tried!(self.store.reserve(&wanted, later)) {
            ReserveOutcome::Reserved(reservation) => {
                acknowledge(&name, "new", reservation.id());
                reservation.held.id
            }
            ReserveOutcome::Duplicate(reservation) => {
                acknowledge(&name, "known", reservation.id());
                reservation.held.id
            }
            ReserveOutcome::Refused => return acknowledge(&name, "refused", ""),
            ReserveOutcome::Conflict => panic!("{name} conflicts"),
        };
        if (self.number + self.orders.process).is_multiple_of(3) {
            let ended = tried!(self.store.release_reservation(&acme, &id, now()));
            let is_released = ended.unwrap().end.unwrap().receipt().is_none();
            return acknowledge(&name, if is_released { "released" } else { "committed" }, "");
        }
        let actual = units(1 + (self.number + 2 * self.orders.process) % 4);
        match tried!(self.store.commit(&acme, &id, actual, now())).unwrap() {
            CommitOutcome::Committed(settlement) => {
                acknowledge(&name, "ended", settlement.actual);
            }
            CommitOutcome::Duplicate(settlement) => {
                acknowledge(&name, "committed", settlement.actual);
            }
            CommitOutcome::Conflict => acknowledge(&name, "committed", ""),
            CommitOutcome::Released => acknowledge(&name, "released", ""),
        }
    }

    async fn record(&mut self) {
        let (acme, names) = (company(&self.orders.company), events(self.number).collect::<Vec<_>>());
        let mut batch = Vec::new();
        for (name, amount) in &names {
            batch.push(Debit { receipt: self.receipt(), ..asked(acme.as_str(), name, "events", *amount) });
        }
        let outcomes = tried!(self.store.record(&acme, &batch));
        for ((name, _), outcome) in names.iter().zip(outcomes) {
            match outcome {
                RecordOutcome::Recorded => acknowledge(name, "new", ""),
                RecordOutcome::Duplicate => acknowledge(name, "known", ""),
                RecordOutcome::Conflict => panic!("{name} conflicts"),
            }
        }
    }

    async fn sit(&mut self) {
        let (acme, seats) = (company(&self.orders.company), feature("seats"));
        let (who, limit) = (holder(&format!("client {}", self.number)), Some(units(SEATS)));
        let sitting = tried!(self.store.acquire(&acme, &seats, &who, limit, now()));
        match sitting {
            AcquireOutcome::Acquired(_) | AcquireOutcome::Held(_) => acknowledge(&who, "sits", ""),
            AcquireOutcome::Refused => acknowledge(&who, "refused", ""),
        }
        if !stays(self.number) {
            tried!(self.store.release(&acme, &seats, &who));
            acknowledge(&who, "left", "");
        }
    }

    /// A number that no other attempt has, also of another process.
    fn attempt(&mut self) -> u64 {
        self.attempts += 1;
        (u64::from(std::process::id()) * CLIENTS + self.number) * 64 + self.attempts
    }

    /// A receipt that no other attempt has.
    fn receipt(&mut self) -> ReceiptId {
        receipt_id(&format!("receipt {}", self.attempt()))
    }
}

/// Writes down what has become of a debit.
fn told(name: &str, outcome: &DebitOutcome) {
    match outcome {
        DebitOutcome::Recorded(receipt) => acknowledge(name, "new", &receipt.id),
        DebitOutcome::Duplicate(receipt) => acknowledge(name, "known", &receipt.id),
        DebitOutcome::Refused => acknowledge(name, "refused", ""),
        DebitOutcome::Conflict => panic!("{name} conflicts"),
    }
}

/// Writes a line for whoever has started this process. What is written stays when the process is killed.
fn acknowledge(name: impl Display, word: &str, detail: impl Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nack\t{name}\t{word}\t{detail}\t.").unwrap();
    out.flush().unwrap();
}
