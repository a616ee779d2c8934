//! Recording: usage that has happened is counted, whatever was allowed.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{Entitlements, new_id};
use crate::catalog::{Catalog, FeatureKind};
use crate::error::Error;
use crate::evaluate::plan_record;
use crate::id::{CompanyId, FeatureKey, IdempotencyKey, ReceiptId};
use crate::observer::Event;
use crate::request::{Request, Subject};
use crate::snapshot::Snapshot;
use crate::store::{StoreError, StoreErrorKind};
use crate::usage::{Debit, RecordOutcome};
use crate::{Action, Amount};

/// Usage that has happened.
///
/// ```
/// use entitlements_core::{Amount, Subject, UsageEvent, id::{CompanyId, IdempotencyKey}};
///
/// let acme = Subject::company(CompanyId::new("acme")?);
/// let event = UsageEvent::new(&acme, "minutes", Amount::from(12), IdempotencyKey::new("call-77")?);
/// assert_eq!(event.at, None);
/// # Ok::<(), entitlements_core::id::InvalidId>(())
/// ```
#[derive(Clone, Debug)]
pub struct UsageEvent<'a> {
    /// Who used it.
    pub subject: &'a Subject,
    /// The meter's name.
    pub meter: &'a str,
    /// Units; at least 1.
    pub amount: Amount,
    /// Names the event, so that it counts once however often it is recorded.
    pub key: IdempotencyKey,
    /// When it happened, which decides the period it counts in; now if absent, and if it lies in the future.
    pub at: Option<DateTime<Utc>>,
}

impl<'a> UsageEvent<'a> {
    /// `amount` units of `meter`, used just now.
    #[must_use]
    pub const fn new(subject: &'a Subject, meter: &'a str, amount: Amount, key: IdempotencyKey) -> Self {
        Self { subject, meter, amount, key, at: None }
    }

    /// Says when it happened.
    #[must_use]
    pub const fn with_instant(mut self, at: DateTime<Utc>) -> Self {
        self.at = Some(at);
        self
    }
}

impl Entitlements {
    /// Counts usage that has happened, in full, also beyond limits and without an entitlement; each key counts once. The
    /// outcomes are in the order of the events.
    ///
    /// A key is known as long as its receipt is kept, and the receipt is as old as the event. So where events may come late,
    /// receipts have to be kept for longer than keys need to be, by as much. The same goes for counters: an event of a period
    /// whose counter has been removed is counted from zero again, and can raise alerts that were raised before. See
    /// [`ErasureStore::expire`](crate::store::ErasureStore::expire).
    ///
    /// Units come out of grants and the plan's allowance in burn order as when they are consumed; what is beyond them is the
    /// plan's overage. The events of one company are counted together, in one atomic step.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) when an amount is 0 or a feature is unknown or no meter: then nothing is counted.
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails: then it
    /// is unknown what was counted. Recording the same events again is right either way.
    pub async fn record(&self, events: &[UsageEvent<'_>]) -> Result<Vec<RecordOutcome>, Error> {
        let catalog = self.0.catalog.load();
        let mut companies: BTreeMap<&CompanyId, Vec<(usize, &UsageEvent<'_>)>> = BTreeMap::new();
        for (place, event) in events.iter().enumerate() {
            check(event, &catalog)?;
            companies.entry(&event.subject.company).or_default().push((place, event));
        }
        let mut outcomes = vec![RecordOutcome::Duplicate; events.len()];
        for (company, events) in companies {
            let now = self.now();
            let kept = self.live(company, now).await?;
            let debits = (events.iter())
                .map(|(_, event)| debit(event, &kept.snapshot, &catalog, now))
                .collect::<Result<Vec<_>, _>>()?;
            let forgetting = self.0.snapshots.expiring(company);
            let recorded = self.0.store.record(company, &debits).await;
            drop(forgetting);
            for ((place, event), outcome) in events.iter().zip(recorded?) {
                let (meter, amount) = (event.meter, event.amount);
                self.observe(&Event::Recorded { company, meter, amount, outcome });
                if let Some(known) = outcomes.get_mut(*place) {
                    *known = outcome;
                }
            }
        }
        Ok(outcomes)
    }
}

fn check(event: &UsageEvent<'_>, catalog: &Catalog) -> Result<(), Error> {
    if event.amount.is_zero() {
        return Err(Error::invalid("amount", "must be at least 1"));
    }
    match catalog.feature(event.meter) {
        None => Err(Error::invalid("meter", "is unknown")),
        Some(feature) if feature.kind() != FeatureKind::Meter => {
            let message = format!("`{}` is a {}, and only meters are counted", feature.key(), feature.kind());
            Err(Error::invalid("meter", message))
        }
        Some(_) => Ok(()),
    }
}

/// Where an event is counted.
fn debit(
    event: &UsageEvent<'_>,
    snapshot: &Snapshot,
    catalog: &Catalog,
    now: DateTime<Utc>,
) -> Result<Debit, Error> {
    let internal = |error| StoreError::new(StoreErrorKind::Internal, "name a receipt").with_source(error);
    let at = event.at.unwrap_or(now).min(now);
    let request = Request::new(event.subject, event.meter, Action::Create).with_amount(Amount::ZERO);
    let plan = plan_record(&request, snapshot, catalog, at)
        .ok_or(StoreError::new(StoreErrorKind::Internal, "plan the count of an event"))?;
    Ok(Debit {
        company: event.subject.company.clone(),
        user: event.subject.user.clone(),
        key: event.key.clone(),
        receipt: ReceiptId::new(new_id(now)).map_err(internal)?,
        meter: FeatureKey::new(event.meter).map_err(|error| Error::invalid("meter", error.to_string()))?,
        amount: event.amount,
        buckets: plan.buckets,
        tallies: plan.tallies,
        limit: plan.limit,
        resets_at: plan.resets_at,
        at,
    })
}
