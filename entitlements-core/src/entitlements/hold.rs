//! Gauges: units that holders have, and levels that the application reports.

use std::time::Instant;

use chrono::{DateTime, Utc};

use super::Entitlements;
use crate::catalog::{Catalog, FeatureKind, GaugeCount};
use crate::decision::{Decision, Reason};
use crate::error::Error;
use crate::evaluate::evaluate;
use crate::gauge::{AcquireOutcome, Holder, LevelOutcome};
use crate::id::{CompanyId, FeatureKey, HolderId};
use crate::observer::{Event, Tier};
use crate::request::{Request, Subject};
use crate::snapshot::Snapshot;
use crate::store::{Page, PageRequest};
use crate::{Action, Amount};

/// What became of an acquisition.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Acquisition {
    /// The holder has a unit, just now.
    Acquired {
        /// The decision that allowed it.
        decision: Decision,
        /// Units used with it.
        used: Amount,
    },
    /// The holder had a unit before; nothing changed.
    Held {
        /// Units used.
        used: Amount,
    },
    /// The holder has none, and nothing changed.
    Refused(Decision),
}

/// What became of a report of a level.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
#[expect(clippy::large_enum_variant, reason = "an answer is looked at, not kept")]
pub enum LevelReport {
    /// It is the level now.
    Set {
        /// Units used.
        used: Amount,
    },
    /// It is beyond the limit, and nothing changed.
    Refused(Decision),
}

/// How often an attempt is made again when others were faster; each round starts from fresh facts.
const ROUNDS: usize = 8;

impl Entitlements {
    /// Gives a unit of a gauge to a holder if there is one left. Who holds one keeps it, whatever was decided since.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) when the feature is no gauge, or one that is not counted by holders;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    /// After `Unavailable` it is unknown whether the unit was given: call again to learn it.
    ///
    /// ```
    /// use entitlements_core::id::{CompanyId, HolderId};
    /// use entitlements_core::{Acquisition, Catalog, Entitlements, MemoryStore, Subject};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let catalog = Catalog::parse("catalog.toml", r#"
    ///     schema = 1
    ///     default_plan = "free"
    ///     past_due_grace = "7d"
    ///     [features]
    ///     seats = { type = "gauge" }
    ///     [plans.free.grants]
    ///     seats = 1
    /// "#)?;
    /// let entitlements = Entitlements::builder(catalog).store(MemoryStore::default()).build();
    /// let acme = Subject::company(CompanyId::new("acme")?);
    /// let (ada, bob) = (HolderId::new("ada")?, HolderId::new("bob")?);
    ///
    /// assert!(matches!(entitlements.acquire(&acme, "seats", &ada).await?, Acquisition::Acquired { .. }));
    /// assert!(matches!(entitlements.acquire(&acme, "seats", &ada).await?, Acquisition::Held { .. }));
    /// assert!(matches!(entitlements.acquire(&acme, "seats", &bob).await?, Acquisition::Refused(_)));
    /// assert!(entitlements.release(&acme.company, "seats", &ada).await?);
    /// assert!(matches!(entitlements.acquire(&acme, "seats", &bob).await?, Acquisition::Acquired { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn acquire(
        &self,
        subject: &Subject,
        gauge: &str,
        holder: &HolderId,
    ) -> Result<Acquisition, Error> {
        let begun = self.begin();
        let (company, request) = (&subject.company, asking(subject, gauge, Amount::ONE));
        let mut round = 1;
        loop {
            let catalog = self.0.catalog.load();
            let key = known_gauge(&catalog, gauge, GaugeCount::Holders)?;
            let now = self.now();
            if round > 1 {
                // Facts out of memory may be a few seconds old. Nobody is refused a unit because of that.
                self.0.snapshots.expire(company);
            }
            let was_warm = self.0.snapshots.get(company, now).is_some();
            let kept = self.live(company, now).await?;
            let decision = evaluate(&request, &kept.snapshot, &catalog, now);
            // With no room at all, only who holds a unit already is not refused.
            let limit = if decision.is_allowed() { limit_of(&decision) } else { Some(Amount::ZERO) };
            let forgetting = self.0.snapshots.expiring(company);
            let outcome = self.0.store.acquire(company, &key, holder, limit, now).await;
            drop(forgetting);
            let outcome = outcome?;
            self.observe(&Event::Acquired { company, gauge, outcome });
            match outcome {
                AcquireOutcome::Acquired(used) => {
                    self.decided(&request, &decision, Tier::Store, now, begun);
                    return Ok(Acquisition::Acquired { decision, used });
                }
                AcquireOutcome::Held(used) => return Ok(Acquisition::Held { used }),
                AcquireOutcome::Refused if round < ROUNDS && (was_warm || decision.is_allowed()) => {
                    round += 1;
                }
                AcquireOutcome::Refused => {
                    return Ok(Acquisition::Refused(self.denied(&request, decision, now, begun)));
                }
            }
        }
    }

    /// Takes the unit of a holder back; whether it had one.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) when the feature is no gauge, or one that is not counted by holders;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    pub async fn release(&self, company: &CompanyId, gauge: &str, holder: &HolderId) -> Result<bool, Error> {
        let key = known_gauge(&self.0.catalog.load(), gauge, GaugeCount::Holders)?;
        let forgetting = self.0.snapshots.expiring(company);
        let released = self.0.store.release(company, &key, holder).await;
        drop(forgetting);
        let released = released?;
        if released {
            self.observe(&Event::Released { company, gauge });
        }
        Ok(released)
    }

    /// Sets the level of a gauge. A lower level is always taken, a higher one only up to the limit.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) when the feature is no gauge, or one that is counted by holders;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    pub async fn set_level(
        &self,
        subject: &Subject,
        gauge: &str,
        level: Amount,
    ) -> Result<LevelReport, Error> {
        let begun = self.begin();
        let company = &subject.company;
        let mut round = 1;
        loop {
            let catalog = self.0.catalog.load();
            let key = known_gauge(&catalog, gauge, GaugeCount::Level)?;
            let now = self.now();
            if round > 1 {
                self.0.snapshots.expire(company);
            }
            let was_warm = self.0.snapshots.get(company, now).is_some();
            let kept = self.live(company, now).await?;
            let asked = asking(subject, gauge, Amount::ZERO);
            let included = evaluate(&asked, &kept.snapshot, &catalog, now);
            if included.reason == Reason::UnknownFeature {
                return Ok(LevelReport::Refused(self.denied(&asked, included, now, begun)));
            }
            let limit = if included.is_allowed() { limit_of(&included) } else { Some(Amount::ZERO) };
            let forgetting = self.0.snapshots.expiring(company);
            let outcome = self.0.store.set_level(company, &key, level, limit).await;
            drop(forgetting);
            let outcome = outcome?;
            self.observe(&Event::LevelSet { company, gauge, level, outcome });
            match outcome {
                LevelOutcome::Set(used) => return Ok(LevelReport::Set { used }),
                LevelOutcome::Refused if round < ROUNDS && was_warm => round += 1,
                LevelOutcome::Refused => {
                    let more = level.saturating_sub(level_in(&kept.snapshot, gauge)).max(Amount::ONE);
                    let request = asking(subject, gauge, more);
                    let decision = evaluate(&request, &kept.snapshot, &catalog, now);
                    return Ok(LevelReport::Refused(self.denied(&request, decision, now, begun)));
                }
            }
        }
    }

    /// The holders of a gauge, in ascending order of their ids.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) when the feature is no gauge, or one that is not counted by holders;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    pub async fn holders(
        &self,
        company: &CompanyId,
        gauge: &str,
        page: &PageRequest,
    ) -> Result<Page<Holder>, Error> {
        let key = known_gauge(&self.0.catalog.load(), gauge, GaugeCount::Holders)?;
        Ok(self.0.store.list_holders(company, &key, page).await?)
    }

    /// The denial of what the store refused: somebody else may have been faster than the facts say.
    fn denied(
        &self,
        request: &Request<'_>,
        decision: Decision,
        at: DateTime<Utc>,
        begun: Option<Instant>,
    ) -> Decision {
        let denial = if decision.is_allowed() {
            Decision { reason: Reason::QuotaExceeded, ..decision }
        } else {
            decision
        };
        self.decided(request, &denial, Tier::Store, at, begun);
        denial
    }
}

fn asking<'a>(subject: &'a Subject, gauge: &'a str, amount: Amount) -> Request<'a> {
    Request::new(subject, gauge, Action::Create).with_amount(amount)
}

fn limit_of(decision: &Decision) -> Option<Amount> {
    decision.quota.and_then(|quota| quota.limit)
}

fn level_in(snapshot: &Snapshot, gauge: &str) -> Amount {
    let mut levels = snapshot.facts().gauges.iter();
    levels.find(|level| level.gauge.as_str() == gauge).map_or(Amount::ZERO, |level| level.used)
}

/// The name of a gauge. An unknown one passes: it is denied, not invalid.
fn known_gauge(catalog: &Catalog, gauge: &str, counted: GaugeCount) -> Result<FeatureKey, Error> {
    if let Some(feature) = catalog.feature(gauge) {
        if feature.kind() != FeatureKind::Gauge {
            let message = format!("`{}` is a {}, not a gauge", feature.key(), feature.kind());
            return Err(Error::invalid("gauge", message));
        }
        if counted != feature.counts() {
            let how = match feature.counts() {
                GaugeCount::Holders => "by holders, and has no level",
                GaugeCount::Level => "by its level, and has no holders",
            };
            return Err(Error::invalid("gauge", format!("`{}` is counted {how}", feature.key())));
        }
    }
    FeatureKey::new(gauge).map_err(|error| Error::invalid("gauge", error.to_string()))
}
