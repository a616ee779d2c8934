//! Settling what a handler has reported: the estimate becomes what was used, in one step.

use entitlements_core::catalog::FeatureKind;
use entitlements_core::id::ReceiptId;
use entitlements_core::reservation::CommitOutcome;
use entitlements_core::{Amount, Entitlements, Error};

use crate::bill::Bill;
use crate::job::{DONE, Ran, collect, key};
use crate::tab::Tabs;
use crate::taking::Taking;

/// What a handler has reported: meters and units.
pub(crate) type Reported = Vec<(String, Amount)>;

/// Where the estimate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Estimate {
    /// Set aside by this request.
    Mine(ReceiptId),
    /// Not set aside yet, or it is not known.
    Owed,
    /// Set aside by an earlier request with the same key, which settles it if it is still there.
    Elsewhere,
}

/// What was used.
struct Used {
    /// Of the meter that was estimated.
    own: Amount,
    /// Of others.
    others: Vec<(String, Amount)>,
    /// Whether anything usable was reported, if anything was.
    usable: bool,
}

impl Used {
    fn of(entitlements: &Entitlements, bill: &Bill, reported: Option<&Reported>) -> Self {
        let estimate = |usable| Self { own: bill.amount, others: Vec::new(), usable };
        let Some(reported) = reported else { return estimate(true) };
        let catalog = entitlements.catalog();
        let is_meter =
            |name: &str| catalog.feature(name).is_some_and(|feature| feature.kind() == FeatureKind::Meter);
        let (meters, unknown): (Reported, Reported) =
            reported.iter().cloned().partition(|(meter, _)| is_meter(meter));
        if !unknown.is_empty() {
            tracing::error!(reported = ?unknown, "a handler reports what is no meter of the catalog");
        }
        if meters.is_empty() {
            // Nothing usable was said, so the estimate stays.
            return estimate(false);
        }
        let (own, others): (Reported, Reported) =
            meters.into_iter().partition(|(meter, _)| meter == bill.meter);
        let own = own.first().map_or(Amount::ZERO, |(_, units)| *units);
        Self { own, others, usable: true }
    }
}

/// Makes the estimate what was used. What was set aside and not used is free in the same step, and nobody comes between.
pub(crate) async fn settle(
    entitlements: &Entitlements,
    tabs: &Tabs,
    bill: &Bill,
    estimate: &Estimate,
    reported: Option<&Reported>,
) -> Result<Ran, Error> {
    let used = Used::of(entitlements, bill, reported);
    let (mut bill, mut estimate) = (bill.clone(), estimate.clone());
    let missing = loop {
        // Said first: after that, what is not given back yet stays taken.
        let others_settle = tabs.serve(&bill) && estimate == Estimate::Elsewhere;
        let id = match &estimate {
            Estimate::Mine(id) => Some(id.clone()),
            Estimate::Owed | Estimate::Elsewhere => match bill.take(entitlements).await? {
                Taking::Before(_) if others_settle => return Ok(DONE),
                Taking::Taken { receipt, .. } | Taking::Before(receipt) => Some(receipt.id),
                Taking::GivenBack => None,
                Taking::Refused(_) => {
                    let mut all = vec![(bill.meter.to_owned(), used.own)];
                    all.extend_from_slice(&used.others);
                    break collect_all(entitlements, &bill, bill.key.as_str(), &all).await?;
                }
            },
        };
        let committed = match &id {
            Some(id) => entitlements.commit(&bill.subject.company, id, used.own).await?,
            None => Some(CommitOutcome::Released),
        };
        match (committed, id) {
            (Some(CommitOutcome::Committed(settlement) | CommitOutcome::Duplicate(settlement)), Some(id)) => {
                let uncollected = settlement.uncollected().get();
                if uncollected > 0 {
                    tracing::warn!(
                        entitlement.feature = bill.meter,
                        units = uncollected,
                        "usage could not be collected"
                    );
                }
                let others = collect_all(entitlements, &bill, id.as_str(), &used.others).await?;
                break uncollected.saturating_add(others);
            }
            // Another request with the same key has settled it.
            (Some(CommitOutcome::Conflict), _) => return Ok(DONE),
            _ => {
                let Some(next) = bill.next() else {
                    tracing::error!("an estimate cannot be settled: it was given back");
                    return Ok(Ran::Failed);
                };
                (bill, estimate) = (next, Estimate::Owed);
            }
        }
    };
    Ok(if used.usable { Ran::Done { uncollected: missing } } else { Ran::Failed })
}

/// Takes units of several meters, and says how many could not be collected.
async fn collect_all(
    entitlements: &Entitlements,
    bill: &Bill,
    base: &str,
    units: &[(String, Amount)],
) -> Result<u64, Error> {
    let mut missing = 0_u64;
    for (index, (meter, units)) in units.iter().enumerate() {
        if let Some(key) = key(&format!("settle:{base}:{index}"))
            && !units.is_zero()
            && let Ran::Done { uncollected } = collect(entitlements, bill, meter, *units, key).await?
        {
            missing = missing.saturating_add(uncollected);
        }
    }
    Ok(missing)
}
