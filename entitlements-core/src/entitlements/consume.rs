//! Consuming: decide and count, in one atomic step of the store.

use std::time::Instant;

use chrono::{DateTime, Utc};

use super::{Entitlements, new_id};
use crate::catalog::{Catalog, FeatureKind};
use crate::decision::{Decision, Reason};
use crate::error::Error;
use crate::evaluate::{DebitPlan, evaluate, plan_debit};
use crate::id::{CompanyId, FeatureKey, IdempotencyKey, ReceiptId};
use crate::observer::{Event, Tier};
use crate::request::{Context, Request, Subject};
use crate::store::{StoreError, StoreErrorKind};
use crate::usage::{Debit, DebitOutcome, Receipt};
use crate::{Action, Amount};

/// Units to take from a meter.
///
/// ```
/// use entitlements_core::{Amount, Consume, Subject, id::{CompanyId, IdempotencyKey}};
///
/// let acme = Subject::company(CompanyId::new("acme")?);
/// let consume = Consume::new(&acme, "reports", Amount::ONE).with_key(IdempotencyKey::new("order-812")?);
/// assert_eq!(consume.meter, "reports");
/// # Ok::<(), entitlements_core::id::InvalidId>(())
/// ```
#[derive(Clone, Debug)]
pub struct Consume<'a> {
    /// Who pays.
    pub subject: &'a Subject,
    /// The meter's name.
    pub meter: &'a str,
    /// Units; at least 1.
    pub amount: Amount,
    /// Names the operation, so that a retry has no second effect; generated if absent.
    pub key: Option<IdempotencyKey>,
    /// With which resource.
    pub resource: Option<&'a str>,
    /// Under which circumstances.
    pub context: &'a Context,
}

impl<'a> Consume<'a> {
    /// `amount` units of `meter`, by an operation that is not retried.
    #[must_use]
    pub fn new(subject: &'a Subject, meter: &'a str, amount: Amount) -> Self {
        Self { subject, meter, amount, key: None, resource: None, context: Context::empty() }
    }

    /// Names the operation.
    #[must_use]
    pub fn with_key(mut self, key: IdempotencyKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Names the resource.
    #[must_use]
    pub fn with_resource(mut self, resource: &'a str) -> Self {
        self.resource = Some(resource);
        self
    }

    /// Sets the circumstances.
    #[must_use]
    pub fn with_context(mut self, context: &'a Context) -> Self {
        self.context = context;
        self
    }

    pub(super) fn request(&self) -> Request<'a> {
        Request {
            subject: self.subject,
            feature: self.meter,
            action: Action::Create,
            resource: self.resource,
            amount: self.amount,
            context: self.context,
        }
    }

    /// A name for the receipt, and the key: the given one, or else the same name.
    pub(super) fn named(&self, now: DateTime<Utc>) -> Result<(ReceiptId, IdempotencyKey), Error> {
        let id = new_id(now);
        let internal = |error| StoreError::new(StoreErrorKind::Internal, "name a receipt").with_source(error);
        let receipt = ReceiptId::new(&id).map_err(internal)?;
        let key = match &self.key {
            Some(key) => key.clone(),
            None => IdempotencyKey::new(&id).map_err(internal)?,
        };
        Ok((receipt, key))
    }

    /// Whether it asks for at least one unit of something that is a meter, or nothing that is known.
    pub(super) fn check(&self, catalog: &Catalog) -> Result<(), Error> {
        if self.amount.is_zero() {
            return Err(Error::invalid("amount", "must be at least 1"));
        }
        match catalog.feature(self.meter) {
            Some(feature) if feature.kind() != FeatureKind::Meter => {
                let message =
                    format!("`{}` is a {}, and only meters are consumed", feature.key(), feature.kind());
                Err(Error::invalid("meter", message))
            }
            _ => Ok(()),
        }
    }

    /// What a store is asked to do for it.
    pub(super) fn debit(
        &self,
        key: &IdempotencyKey,
        receipt: &ReceiptId,
        plan: DebitPlan,
        now: DateTime<Utc>,
    ) -> Result<Debit, Error> {
        let meter =
            FeatureKey::new(self.meter).map_err(|error| Error::invalid("meter", error.to_string()))?;
        Ok(Debit {
            company: self.subject.company.clone(),
            user: self.subject.user.clone(),
            key: key.clone(),
            receipt: receipt.clone(),
            meter,
            amount: self.amount,
            buckets: plan.buckets,
            tallies: plan.tallies,
            limit: plan.limit,
            resets_at: plan.resets_at,
            at: now,
        })
    }

    /// What a refused consumption is whose key made a receipt before.
    pub(super) fn again(&self, receipt: Receipt) -> Result<Consumption, Error> {
        let same = receipt.meter.as_str() == self.meter
            && receipt.amount == self.amount
            && receipt.user.as_ref() == self.subject.user.as_ref();
        if same { Ok(Consumption::Duplicate(receipt)) } else { Err(Error::conflict()) }
    }
}

/// What became of a consumption.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Consumption {
    /// The units were taken, just now.
    Recorded {
        /// The decision that allowed it.
        decision: Decision,
        /// The proof.
        receipt: Receipt,
    },
    /// The units had been taken before, by the same key and arguments; this is the receipt of then.
    Duplicate(Receipt),
    /// The units were not taken, and nothing changed.
    Refused(Decision),
}

impl Consumption {
    /// The receipt, unless the consumption was refused.
    #[must_use]
    pub const fn receipt(&self) -> Option<&Receipt> {
        match self {
            Self::Recorded { receipt, .. } | Self::Duplicate(receipt) => Some(receipt),
            Self::Refused(_) => None,
        }
    }
}

/// How often a debit is planned again when others took the units in between; each round starts from fresh facts.
pub(super) const ROUNDS: usize = 8;

impl Entitlements {
    /// Takes units from a meter if they fit, exactly once per key.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) when the amount is 0 or the feature is no meter,
    /// [`IdempotencyConflict`](crate::ErrorKind::IdempotencyConflict) when the key was used with other arguments,
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    /// After `Unavailable` it is unknown whether the units were taken: call again with the same key to learn it.
    pub async fn consume(&self, consume: &Consume<'_>) -> Result<Consumption, Error> {
        let begun = self.begin();
        let (receipt, key) = consume.named(self.now())?;
        let request = consume.request();
        let company = &consume.subject.company;
        let mut round = 1;
        loop {
            let catalog = self.0.catalog.load();
            consume.check(&catalog)?;
            let now = self.now();
            let warm = if round == 1 { self.0.snapshots.get(company, now) } else { None };
            let was_warm = warm.is_some();
            let kept = if let Some(kept) = warm {
                kept
            } else {
                self.0.snapshots.missed();
                self.live(company, now).await?
            };
            let decision = evaluate(&request, &kept.snapshot, &catalog, now);
            let Some(plan) = plan_debit(&request, &decision, &kept.snapshot, &catalog, now) else {
                if was_warm {
                    // Facts out of memory may be a few seconds old. Nobody is refused units because of that.
                    self.0.snapshots.expire(company);
                    round += 1;
                    continue;
                }
                return self.refuse(consume, &key, decision, now, begun).await;
            };
            // Whatever becomes of it, what is in memory no longer tells what is used.
            let forgetting = self.0.snapshots.expiring(company);
            let outcome = self.debit(consume, &key, &receipt, plan, now).await;
            drop(forgetting);
            match outcome? {
                DebitOutcome::Recorded(receipt) => {
                    self.decided(&request, &decision, Tier::Store, now, begun);
                    return Ok(Consumption::Recorded { decision, receipt });
                }
                DebitOutcome::Duplicate(receipt) => return Ok(Consumption::Duplicate(receipt)),
                DebitOutcome::Conflict => return Err(Error::conflict()),
                // The facts said it fits and the store said it does not: somebody else was faster. Fresh facts decide.
                DebitOutcome::Refused if round < ROUNDS => round += 1,
                DebitOutcome::Refused => {
                    let denial = Decision { reason: Reason::QuotaExceeded, ..decision };
                    self.decided(&request, &denial, Tier::Store, now, begun);
                    return Ok(Consumption::Refused(denial));
                }
            }
        }
    }

    /// Gives back what a receipt took; a second time changes nothing.
    ///
    /// Returns the receipt, or `None` if the company has none of that id.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    pub async fn refund(&self, company: &CompanyId, receipt: &ReceiptId) -> Result<Option<Receipt>, Error> {
        let forgetting = self.0.snapshots.expiring(company);
        let refunded = self.0.store.refund(company, receipt, self.now()).await;
        drop(forgetting);
        let refunded = refunded?;
        if let Some(receipt) = &refunded {
            let (meter, amount) = (receipt.meter.as_str(), receipt.amount);
            self.observe(&Event::Refunded { company, meter, amount });
        }
        Ok(refunded)
    }

    /// A refused consumption keeps no key, but a key that succeeded before still answers with its receipt.
    async fn refuse(
        &self,
        consume: &Consume<'_>,
        key: &IdempotencyKey,
        decision: Decision,
        now: DateTime<Utc>,
        begun: Option<Instant>,
    ) -> Result<Consumption, Error> {
        if consume.key.is_some()
            && let Some(receipt) = self.0.store.receipt(&consume.subject.company, key).await?
        {
            return consume.again(receipt);
        }
        self.decided(&consume.request(), &decision, Tier::Store, now, begun);
        Ok(Consumption::Refused(decision))
    }

    async fn debit(
        &self,
        consume: &Consume<'_>,
        key: &IdempotencyKey,
        receipt: &ReceiptId,
        plan: DebitPlan,
        now: DateTime<Utc>,
    ) -> Result<DebitOutcome, Error> {
        let debit = consume.debit(key, receipt, plan, now)?;
        let outcome = self.in_time("take units", self.0.store.debit(&debit)).await?;
        self.observe(&Event::Debited { company: &debit.company, meter: consume.meter, outcome: &outcome });
        Ok(outcome)
    }
}
