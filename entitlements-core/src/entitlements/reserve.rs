//! Reserving: units are set aside while something runs, and settled when it is known how many were used.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Consume, Entitlements, new_id};
use crate::Amount;
use crate::catalog::FeatureKind;
use crate::decision::{Decision, Reason};
use crate::error::Error;
use crate::evaluate::{evaluate, plan_debit};
use crate::id::{CompanyId, FeatureKey, IdempotencyKey, ReceiptId};
use crate::observer::{Event, Tier};
use crate::reservation::{CommitOutcome, Reservation, ReserveOutcome};
use crate::store::{StoreError, StoreErrorKind};
use crate::usage::Debit;

/// What became of an attempt to reserve.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
#[expect(clippy::large_enum_variant, reason = "an answer is looked at, not kept")]
pub enum Reserving {
    /// The units are set aside, just now.
    Reserved {
        /// The decision that allowed it.
        decision: Decision,
        /// The reservation.
        reservation: Reservation,
    },
    /// They had been set aside before, by the same key and arguments; this is the reservation as it is now.
    Duplicate(Reservation),
    /// They were not set aside, and nothing changed.
    Refused(Decision),
}

/// How often it is tried again when others took the units in between; each round starts from fresh facts.
const ROUNDS: usize = 8;

impl Entitlements {
    /// Sets units of a meter aside for as long as `ttl`, if they fit, exactly once per key.
    ///
    /// What was used is [committed](Self::commit) later, at most once; if nothing was, the reservation is
    /// [released](Self::release_reservation). If neither happens within `ttl`, the units are free again by themselves.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) when the amount is 0, the feature is no meter, or `ttl` is not positive or too
    /// long to be a date; [`IdempotencyConflict`](crate::ErrorKind::IdempotencyConflict) when the key was used with other
    /// arguments or for a consumption; [`Unavailable`](crate::ErrorKind::Unavailable) or
    /// [`Internal`](crate::ErrorKind::Internal) when the store fails. After `Unavailable` it is unknown whether the units
    /// were set aside: call again with the same key to learn it, or let them expire.
    ///
    /// ```
    /// use chrono::TimeDelta;
    /// use entitlements_core::id::CompanyId;
    /// use entitlements_core::{Amount, Catalog, Consume, Entitlements, MemoryStore, Reserving, Subject};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let catalog = Catalog::parse("catalog.toml", r#"
    ///     schema = 1
    ///     default_plan = "free"
    ///     past_due_grace = "7d"
    ///     [features]
    ///     tokens = { type = "meter" }
    ///     [plans.free.grants]
    ///     tokens = { limit = 1000, every = "month" }
    /// "#)?;
    /// let entitlements = Entitlements::builder(catalog).store(MemoryStore::default()).build();
    /// let acme = Subject::company(CompanyId::new("acme")?);
    ///
    /// let estimate = Consume::new(&acme, "tokens", Amount::from(300));
    /// let reserving = entitlements.reserve(&estimate, TimeDelta::minutes(5)).await?;
    /// let Reserving::Reserved { reservation, .. } = reserving else { panic!("refused") };
    /// // … and when the answer is written:
    /// entitlements.commit(&acme.company, reservation.id(), Amount::from(212)).await?;
    /// assert_eq!(entitlements.usage(&acme).await?[0].quota.used, Amount::from(212));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn reserve(&self, consume: &Consume<'_>, ttl: TimeDelta) -> Result<Reserving, Error> {
        if consume.amount.is_zero() {
            return Err(Error::invalid("amount", "must be at least 1"));
        }
        let begun = self.begin();
        let id = new_id(self.now());
        let internal =
            |error| StoreError::new(StoreErrorKind::Internal, "name a reservation").with_source(error);
        let receipt = ReceiptId::new(&id).map_err(internal)?;
        let key = match &consume.key {
            Some(key) => key.clone(),
            None => IdempotencyKey::new(&id).map_err(internal)?,
        };
        let (company, request) = (&consume.subject.company, consume.request());
        let mut round = 1;
        loop {
            let catalog = self.0.catalog.load();
            if let Some(feature) = catalog.feature(consume.meter)
                && feature.kind() != FeatureKind::Meter
            {
                let message =
                    format!("`{}` is a {}, and only meters are reserved", feature.key(), feature.kind());
                return Err(Error::invalid("meter", message));
            }
            let now = self.now();
            let expires_at = (now.checked_add_signed(ttl))
                .filter(|end| end.timestamp_micros() > now.timestamp_micros())
                .ok_or_else(|| {
                    Error::invalid("ttl", "must be at least a microsecond, and end before the year 10000")
                })?;
            if round > 1 {
                // Facts out of memory may be a few seconds old. Nobody is refused units because of that.
                self.invalidate(company);
            }
            let was_warm = self.0.snapshots.get(company, now).is_some();
            let kept = self.live(company, now).await?;
            let decision = evaluate(&request, &kept.snapshot, &catalog, now);
            let Some(plan) = plan_debit(&request, &decision, &kept.snapshot, &catalog, now) else {
                if was_warm {
                    round += 1;
                    continue;
                }
                return self.no_reservation(consume, &key, decision, now, begun).await;
            };
            let debit = Debit {
                company: company.clone(),
                user: consume.subject.user.clone(),
                key: key.clone(),
                receipt: receipt.clone(),
                meter: FeatureKey::new(consume.meter)
                    .map_err(|error| Error::invalid("meter", error.to_string()))?,
                amount: consume.amount,
                buckets: plan.buckets,
                tallies: plan.tallies,
                limit: plan.limit,
                resets_at: plan.resets_at,
                at: now,
            };
            let forgetting = self.0.snapshots.expiring(company);
            let outcome = self.in_time("set units aside", self.0.store.reserve(&debit, expires_at)).await;
            drop(forgetting);
            let outcome = outcome?;
            self.observe(&Event::Reserved { company, meter: consume.meter, outcome: &outcome });
            match outcome {
                ReserveOutcome::Reserved(reservation) => {
                    self.decided(&request, &decision, Tier::Store, now, begun);
                    return Ok(Reserving::Reserved { decision, reservation });
                }
                ReserveOutcome::Duplicate(reservation) => return Ok(Reserving::Duplicate(reservation)),
                ReserveOutcome::Conflict => return Err(Error::conflict()),
                ReserveOutcome::Refused if round < ROUNDS => round += 1,
                ReserveOutcome::Refused => {
                    let denial = Decision { reason: Reason::QuotaExceeded, ..decision };
                    self.decided(&request, &denial, Tier::Store, now, begun);
                    return Ok(Reserving::Refused(denial));
                }
            }
        }
    }

    /// Ends a reservation of which `actual` units were used; `None` if the company has no such reservation.
    ///
    /// What was set aside and not used is free at once. What was used beyond it, or after the reservation has expired, is
    /// taken as far as it fits under the limits of the reservation;
    /// [`Settlement::uncollected`](crate::reservation::Settlement::uncollected) tells the rest. The receipt can be
    /// [refunded](Self::refund) like any other.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails. After
    /// `Unavailable` it is unknown whether it was committed: call again to learn it.
    pub async fn commit(
        &self,
        company: &CompanyId,
        reservation: &ReceiptId,
        actual: Amount,
    ) -> Result<Option<CommitOutcome>, Error> {
        let forgetting = self.0.snapshots.expiring(company);
        let committed = self.0.store.commit(company, reservation, actual, self.now()).await;
        drop(forgetting);
        let committed = committed?;
        if let Some(outcome) = &committed {
            self.observe(&Event::Committed { company, reservation, actual, outcome });
        }
        Ok(committed)
    }

    /// Ends a reservation of which nothing was used, unless it is committed. It returns the reservation as it then is, and
    /// `None` if the company has none of that id.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    pub async fn release_reservation(
        &self,
        company: &CompanyId,
        reservation: &ReceiptId,
    ) -> Result<Option<Reservation>, Error> {
        let forgetting = self.0.snapshots.expiring(company);
        let released = self.0.store.release_reservation(company, reservation, self.now()).await;
        drop(forgetting);
        let released = released?;
        if let Some(reservation) = &released {
            self.observe(&Event::ReservationReleased { company, reservation });
        }
        Ok(released)
    }

    /// A refused reservation keeps no key, but a key that succeeded before still answers with its reservation.
    async fn no_reservation(
        &self,
        consume: &Consume<'_>,
        key: &IdempotencyKey,
        decision: Decision,
        now: DateTime<Utc>,
        begun: Option<Instant>,
    ) -> Result<Reserving, Error> {
        let (company, user) = (&consume.subject.company, consume.subject.user.as_ref());
        if consume.key.is_some() {
            if let Some(known) = self.0.store.reservation(company, key).await? {
                let meter = FeatureKey::new(consume.meter);
                let same = meter.is_ok_and(|meter| known.held.is_same_call(&meter, consume.amount, user));
                return if same { Ok(Reserving::Duplicate(known)) } else { Err(Error::conflict()) };
            }
            if self.0.store.receipt(company, key).await?.is_some() {
                return Err(Error::conflict());
            }
        }
        self.decided(&consume.request(), &decision, Tier::Store, now, begun);
        Ok(Reserving::Refused(decision))
    }
}
