//! Reservations in memory.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::MemoryStore;
use super::instant::{kept, kept_debit};
use super::state::{Company, CounterKey, State};
use super::usage::{Addition, alert_crossed, shown, split_of, take};
use crate::Amount;
use crate::id::{CompanyId, IdempotencyKey, ReceiptId};
use crate::reservation::{CommitOutcome, Reservation, ReservationEnd, ReserveOutcome, Settlement};
use crate::store::{ReservationStore, StoreError, StoreErrorKind};
use crate::usage::{Counter, Debit, DebitOutcome, Receipt};

const RESERVE: &str = "reserve units";

/// A reservation, and where it takes from.
pub(super) struct Reserved {
    pub(super) reservation: Reservation,
    debit: Debit,
    /// Whether its counters no longer hold its units.
    freed: bool,
}

#[async_trait]
impl ReservationStore for MemoryStore {
    async fn reserve(&self, debit: &Debit, expires_at: DateTime<Utc>) -> Result<ReserveOutcome, StoreError> {
        if !debit.is_well_formed() || kept(expires_at) <= kept(debit.at) {
            return Err(StoreError::new(StoreErrorKind::Unsupported, RESERVE));
        }
        let debit = kept_debit(debit);
        let mut state = self.state();
        if let Some(known) = by_key(&state, &debit.company, &debit.key) {
            let same = known.held.is_same_call(&debit.meter, debit.amount, debit.user.as_ref());
            return Ok(if same { ReserveOutcome::Duplicate(known) } else { ReserveOutcome::Conflict });
        }
        let held = match take(&mut state, &debit, RESERVE)? {
            DebitOutcome::Recorded(receipt) => receipt,
            DebitOutcome::Refused => return Ok(ReserveOutcome::Refused),
            DebitOutcome::Duplicate(_) | DebitOutcome::Conflict => return Ok(ReserveOutcome::Conflict),
        };
        let company = state.companies.entry(debit.company.clone()).or_default();
        // It becomes a receipt when it is committed.
        company.receipts.remove(&debit.key);
        company.reservation_keys.insert(debit.key.clone(), held.id.clone());
        let reservation = Reservation { held, expires_at: kept(expires_at), end: None };
        company.open_reservations.insert((reservation.expires_at, reservation.id().clone()));
        let reserved = Reserved { reservation: reservation.clone(), debit, freed: false };
        company.reservations.insert(reservation.id().clone(), reserved);
        Ok(ReserveOutcome::Reserved(reservation))
    }

    async fn commit(
        &self,
        company: &CompanyId,
        reservation: &ReceiptId,
        actual: Amount,
        at: DateTime<Utc>,
    ) -> Result<Option<CommitOutcome>, StoreError> {
        let at = kept(at);
        let mut state = self.state();
        let state = &mut *state;
        let Some(owner) = state.companies.get_mut(company) else { return Ok(None) };
        if let Some(known) = find(owner, reservation)
            && let Some(end) = known.end
        {
            return Ok(Some(CommitOutcome::of_ended(end, actual)));
        }
        owner.free_expired(at);
        let Some(known) = owner.reservations.get(reservation) else { return Ok(None) };
        let (debit, held) = (known.debit.clone(), known.reservation.held.clone());
        let active = if known.freed { None } else { Some(&held) };
        let additions = collect(owner, &debit, active, actual);
        owner.free(reservation);
        for addition in &additions {
            let count = owner.counters.entry(CounterKey::from(addition.counter)).or_default();
            count.used = addition.after;
            count.period_end = addition.counter.period.end;
            alert_crossed(&mut state.alerts, &mut state.raised, &debit, at, addition);
        }
        let amount = collected(&debit, &additions);
        let receipt = (!amount.is_zero()).then(|| Receipt {
            amount,
            at,
            split: split_of(&additions),
            used: shown(owner, &debit.buckets),
            ..held
        });
        if let Some(receipt) = &receipt {
            owner.receipts.insert(receipt.key.clone(), receipt.clone());
            state.outbox.bill(receipt)?;
        }
        let settlement = Settlement { actual, at, receipt };
        owner.end(reservation, ReservationEnd::Committed(settlement.clone()));
        Ok(Some(CommitOutcome::Committed(settlement)))
    }

    async fn release_reservation(
        &self,
        company: &CompanyId,
        reservation: &ReceiptId,
        at: DateTime<Utc>,
    ) -> Result<Option<Reservation>, StoreError> {
        let mut state = self.state();
        let Some(owner) = state.companies.get_mut(company) else { return Ok(None) };
        if find(owner, reservation).is_some_and(|known| known.end.is_none()) {
            owner.free(reservation);
            owner.end(reservation, ReservationEnd::Released { at: kept(at) });
        }
        Ok(find(owner, reservation))
    }

    async fn reservation(
        &self,
        company: &CompanyId,
        key: &IdempotencyKey,
    ) -> Result<Option<Reservation>, StoreError> {
        Ok(by_key(&self.state(), company, key))
    }
}

impl Company {
    /// Gives the units of every reservation back that has expired.
    pub(super) fn free_expired(&mut self, at: DateTime<Utc>) {
        while let Some((_, id)) = self.open_reservations.first().filter(|(end, _)| *end <= at).cloned() {
            self.free(&id);
        }
    }

    /// Gives the units of a reservation back, unless that was done before.
    fn free(&mut self, id: &ReceiptId) {
        let Some(known) = self.reservations.get_mut(id).filter(|known| !known.freed) else { return };
        known.freed = true;
        self.open_reservations.remove(&(known.reservation.expires_at, id.clone()));
        for split in &known.reservation.held.split {
            if let Some(count) = self.counters.get_mut(&CounterKey::from(split)) {
                count.used = count.used.saturating_sub(split.amount);
            }
        }
    }

    /// Forgets reservations that were ended or freed, and are old, unless their usage is open. Returns how many of them left no
    /// receipt.
    pub(super) fn expire_reservations(
        &mut self,
        before: DateTime<Utc>,
        is_open: impl Fn(&ReceiptId) -> bool,
    ) -> usize {
        let is_old = |known: &Reserved| {
            let ended = known.reservation.end.as_ref().map(ReservationEnd::at);
            let is_over = known.freed && known.reservation.held.at < before;
            is_over && ended.is_none_or(|at| at < before) && !is_open(known.reservation.id())
        };
        let gone = self.reservations.extract_if(|_, known| is_old(known));
        let receipt = |known: &Reserved| known.reservation.end.as_ref()?.receipt().cloned();
        let without = gone.filter(|(_, known)| receipt(known).is_none()).count();
        let Self { reservations, reservation_keys, .. } = self;
        reservation_keys.retain(|_, id| reservations.contains_key(id));
        without
    }

    /// Units of a counter that belong to reservations that have expired and were not freed yet.
    pub(super) fn expired(&self, counter: &CounterKey, now: DateTime<Utc>) -> Amount {
        (self.open_reservations.iter())
            .take_while(|(end, _)| *end <= now)
            .filter_map(|(_, id)| self.reservations.get(id))
            .flat_map(|known| &known.reservation.held.split)
            .filter(|split| CounterKey::from(*split) == *counter)
            .fold(Amount::ZERO, |sum, split| sum.saturating_add(split.amount))
    }

    fn end(&mut self, id: &ReceiptId, end: ReservationEnd) {
        if let Some(known) = self.reservations.get_mut(id) {
            known.reservation.end = Some(end);
        }
    }
}

/// A reservation as it is now: its receipt may have been given back.
fn find(company: &Company, id: &ReceiptId) -> Option<Reservation> {
    let mut reservation = company.reservations.get(id)?.reservation.clone();
    if let Some(ReservationEnd::Committed(settlement)) = &mut reservation.end
        && let Some(receipt) = &mut settlement.receipt
        && let Some(now) = company.receipts.get(&receipt.key)
    {
        receipt.clone_from(now);
    }
    Some(reservation)
}

fn by_key(state: &State, company: &CompanyId, key: &IdempotencyKey) -> Option<Reservation> {
    let company = state.companies.get(company)?;
    find(company, company.reservation_keys.get(key)?)
}

/// What a commit adds to the counters of a debit: first what was set aside, then what fits beside, in burn order.
fn collect<'a>(
    company: &Company,
    debit: &'a Debit,
    active: Option<&Receipt>,
    actual: Amount,
) -> Vec<Addition<'a>> {
    let reserved = |counter: &Counter| {
        let key = CounterKey::from(counter);
        let mut split = active.into_iter().flat_map(|held| &held.split);
        split.find(|split| CounterKey::from(*split) == key).map_or(Amount::ZERO, |split| split.amount)
    };
    let used = |counter: &Counter| company.used(&CounterKey::from(counter));
    // What others hold.
    let base = |counter: &Counter| used(counter).saturating_sub(reserved(counter));
    let most = |counter: &Counter| counter.limit.unwrap_or(Amount::MAX).saturating_sub(base(counter));

    // Tallies have no limit, but there is one to every number.
    let beside = debit.tallies.iter().map(|tally| Amount::MAX.saturating_sub(base(tally)));
    let mut left = beside.fold(actual, Amount::min);
    let mut units = Vec::new();
    for bucket in &debit.buckets {
        let kept = bucket.counters.first().map_or(Amount::ZERO, reserved).min(left);
        left = left.saturating_sub(kept);
        units.push(kept);
    }
    for (bucket, units) in debit.buckets.iter().zip(&mut units) {
        let room = bucket.counters.iter().map(most).min().unwrap_or_default();
        let more = room.saturating_sub(*units).min(left);
        left = left.saturating_sub(more);
        *units = units.saturating_add(more);
    }
    let total = units.iter().fold(Amount::ZERO, |sum, units| sum.saturating_add(*units));
    let taken = debit
        .buckets
        .iter()
        .zip(&units)
        .flat_map(|(bucket, units)| bucket.counters.iter().map(|counter| (counter, *units)));
    taken
        .chain(debit.tallies.iter().map(|tally| (tally, total)))
        .filter(|(_, units)| !units.is_zero())
        .map(|(counter, units)| Addition {
            counter,
            units,
            before: used(counter),
            after: base(counter).saturating_add(units),
        })
        .collect()
}

/// The units that came out of the buckets.
fn collected(debit: &Debit, additions: &[Addition<'_>]) -> Amount {
    let firsts = debit.buckets.iter().filter_map(|bucket| bucket.counters.first());
    let units = firsts.filter_map(|first| additions.iter().find(|a| std::ptr::eq(a.counter, first)));
    units.fold(Amount::ZERO, |sum, addition| sum.saturating_add(addition.units))
}
