//! What must hold when processes have been killed: of what they have acknowledged, and of everything that is stored.

use std::collections::BTreeMap;

use entitlements_core::reservation::ReservationEnd;
use entitlements_core::store::{PageRequest, Store};
use entitlements_core::testkit::fixtures::{company, facts, feature, grant_id, key, used_in};
use entitlements_core::usage::{Receipt, Split};

use crate::clients::{CLIENTS, LIMIT, SEATS, counters, events, one_each, some_each, stays};

/// What a process has been told by the store, as it wrote it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) name: String,
    pub(crate) word: String,
    pub(crate) detail: String,
}

impl Ack {
    /// Reads a line; half a line is none.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let ["ack", name, word, detail, "."] = line.split('\t').collect::<Vec<_>>()[..] else { return None };
        Some(Self { name: name.to_owned(), word: word.to_owned(), detail: detail.to_owned() })
    }
}

/// What a company's keys came to, for all processes that have worked so far.
pub(crate) struct Aftermath<'a, S> {
    pub(crate) store: &'a S,
    pub(crate) company: &'a str,
    /// What was acknowledged, by name; first that of the processes that were killed.
    acks: BTreeMap<String, Vec<(Ack, bool)>>,
}

impl<'a, S: Store> Aftermath<'a, S> {
    /// `later` is what was acknowledged by processes that were started after those of `before` had ended.
    pub(crate) fn new(store: &'a S, company: &'a str, before: &[Ack], later: &[Ack]) -> Self {
        let mut acks = BTreeMap::<_, Vec<_>>::new();
        for (ack, is_later) in
            before.iter().map(|ack| (ack, false)).chain(later.iter().map(|ack| (ack, true)))
        {
            acks.entry(ack.name.clone()).or_default().push((ack.clone(), is_later));
        }
        Self { store, company, acks }
    }

    fn of(&self, name: &str) -> &[(Ack, bool)] {
        self.acks.get(name).map_or(&[], Vec::as_slice)
    }

    fn details<'s>(&'s self, name: &str, words: &[&str]) -> Vec<&'s str> {
        let all = self.of(name).iter().filter(|(ack, _)| words.contains(&ack.word.as_str()));
        all.map(|(ack, _)| ack.detail.as_str()).filter(|detail| !detail.is_empty()).collect()
    }

    fn count(&self, name: &str, word: &str) -> usize {
        self.of(name).iter().filter(|(ack, _)| ack.word == word).count()
    }

    /// Nothing that was acknowledged is lost, nothing is done twice, no limit is passed, and every counter holds what receipts
    /// and reservations say. Returns how many units of `exact` were taken.
    pub(crate) async fn assert_whole(&self) -> u64 {
        let mut splits = Vec::new();
        let mut exact = 0;
        for name in one_each() {
            if let Some(receipt) = self.receipt(&name, 1).await {
                exact += 1;
                splits.extend(receipt.split);
            }
        }
        for (name, amount, _) in some_each() {
            if let Some(receipt) = self.receipt(&name, amount).await
                && receipt.refunded_at.is_none()
            {
                splits.extend(receipt.split);
            }
        }
        for client in 0..CLIENTS {
            splits.extend(self.reserved(&format!("reserve {client}")).await);
            let mut recorded = 0;
            for (name, amount) in events(client) {
                if let Some(receipt) = self.receipt(&name, amount).await {
                    recorded += 1;
                    splits.extend(receipt.split);
                }
            }
            assert!([0, 3].contains(&recorded), "client {client}: {recorded} events of a batch");
        }
        self.assert_counters(&splits).await;
        self.assert_seats().await;
        self.assert_grants().await;
        exact
    }

    /// The receipt of a key: that which everybody was told of, made once.
    async fn receipt(&self, name: &str, amount: u64) -> Option<Receipt> {
        let receipt = self.store.receipt(&company(self.company), &key(name)).await.unwrap();
        assert!(self.count(name, "new") <= 1, "{name} was done twice: {:?}", self.of(name));
        let told = self.of(name).iter().filter(|(ack, _)| ["new", "known"].contains(&ack.word.as_str()));
        let mut taken_before = false;
        for (ack, is_later) in told {
            taken_before |= !is_later;
            let receipt = receipt.as_ref().unwrap_or_else(|| panic!("{name} is lost: {ack:?}"));
            assert!(
                ack.detail.is_empty() || ack.detail == receipt.id.as_str(),
                "{name}: {receipt:?}, {ack:?}"
            );
        }
        for (ack, is_later) in self.of(name) {
            let is_done_again = *is_later && taken_before && ["new", "refused"].contains(&ack.word.as_str());
            assert!(!is_done_again, "{name}: {:?}", self.of(name));
        }
        let refunded_at = receipt.as_ref().and_then(|receipt| receipt.refunded_at);
        for at in self.details(name, &["refunded"]) {
            let refunded_at = refunded_at.unwrap_or_else(|| panic!("the refund of {name} is lost"));
            assert_eq!(refunded_at.timestamp_micros().to_string(), at, "{name} was given back twice");
        }
        if let Some(receipt) = &receipt {
            assert_eq!(receipt.amount.get(), amount, "{name}");
            assert_eq!(sum(&receipt.split), amount, "{name}");
        }
        receipt
    }

    /// What a reservation holds of counters, which has ended once if it has, as everybody was told.
    async fn reserved(&self, name: &str) -> Vec<Split> {
        let known = self.store.reservation(&company(self.company), &key(name)).await.unwrap();
        for word in ["new", "ended"] {
            assert!(self.count(name, word) <= 1, "{name} was done twice: {:?}", self.of(name));
        }
        let Some(known) = known else {
            let told = self.of(name).iter().filter(|(ack, _)| ack.word != "refused").count();
            assert_eq!(told, 0, "{name} is lost: {:?}", self.of(name));
            return Vec::new();
        };
        for id in self.details(name, &["new", "known"]) {
            assert_eq!(known.id().as_str(), id, "{name}");
        }
        let told = |words: &[&str]| self.of(name).iter().any(|(ack, _)| words.contains(&ack.word.as_str()));
        match known.end {
            None => {
                assert!(
                    !told(&["released", "ended", "committed"]),
                    "the end of {name} is lost: {:?}",
                    self.of(name)
                );
                known.held.split
            }
            Some(ReservationEnd::Released { .. }) => {
                assert!(!told(&["ended", "committed"]), "{name} ended twice: {:?}", self.of(name));
                Vec::new()
            }
            Some(ReservationEnd::Committed(settlement)) => {
                assert!(!told(&["released"]), "{name} ended twice: {:?}", self.of(name));
                for actual in self.details(name, &["ended", "committed"]) {
                    assert_eq!(settlement.actual.to_string(), actual, "{name} ended twice");
                }
                settlement.receipt.map_or_else(Vec::new, |receipt| receipt.split)
            }
        }
    }

    async fn assert_counters(&self, splits: &[Split]) {
        let facts = facts(self.store, self.company).await;
        for counter in ["exact", "mixed", "events"].map(counters).iter().flatten() {
            let used = used_in(&facts, counter);
            assert!(counter.limit.is_none_or(|limit| used <= limit.get()), "{used} of {counter:?}");
            let taken =
                splits.iter().filter(|split| split.meter == counter.meter && split.bucket == counter.bucket);
            assert_eq!(used, taken.map(|split| split.amount.get()).sum::<u64>(), "{counter:?}");
        }
        // Nothing is counted beside them.
        let counted: u64 = facts.usage.iter().map(|counter| counter.used.get()).sum();
        assert_eq!(counted, sum(splits));
        let sitting = facts.gauges.iter().map(|level| level.used.get()).sum::<u64>();
        let page = PageRequest::first(100);
        let holders =
            self.store.list_holders(&company(self.company), &feature("seats"), &page).await.unwrap();
        assert_eq!(sitting, holders.items.len() as u64);
        assert!(sitting <= SEATS, "{sitting}");
    }

    /// Who stays, and was told that he sits, does.
    async fn assert_seats(&self) {
        let page = PageRequest::first(100);
        let holders =
            self.store.list_holders(&company(self.company), &feature("seats"), &page).await.unwrap();
        for client in (0..CLIENTS).filter(|client| stays(*client)) {
            let name = format!("client {client}");
            let sits = holders.items.iter().any(|holder| holder.holder.as_str() == name);
            assert!(sits || self.count(&name, "sits") == 0, "{name} has lost the seat");
        }
    }

    async fn assert_grants(&self) {
        for client in (0..CLIENTS).step_by(8) {
            let id = format!("{} by {client}", self.company);
            assert!(self.count(&id, "new") <= 1, "{id} was stored twice");
            let known = self.store.find_grant(&grant_id(&id)).await.unwrap();
            assert!(known.is_some() || self.of(&id).is_empty(), "{id} is lost");
        }
    }

    /// Everybody has done everything: all of `exact` is taken, every event is counted, every reservation has ended, and what is
    /// to be given back was.
    pub(crate) async fn assert_finished(&self) {
        assert_eq!(self.assert_whole().await, LIMIT);
        for (name, amount, returns) in some_each() {
            let receipt = self.receipt(&name, amount).await;
            assert!(!returns || receipt.is_none_or(|receipt| receipt.refunded_at.is_some()), "{name}");
            assert!(!self.of(&name).is_empty(), "{name}");
        }
        let acme = company(self.company);
        for client in 0..CLIENTS {
            let reservation =
                self.store.reservation(&acme, &key(&format!("reserve {client}"))).await.unwrap();
            assert!(reservation.is_none_or(|known| known.end.is_some()), "client {client}");
            for (name, amount) in events(client) {
                assert!(self.receipt(&name, amount).await.is_some(), "{name}");
            }
            let leaves = format!("client {client}");
            assert!(stays(client) || self.count(&leaves, "left") > 0, "{leaves}");
        }
    }
}

fn sum(splits: &[Split]) -> u64 {
    splits.iter().map(|split| split.amount.get()).sum()
}
