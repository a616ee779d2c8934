//! Jobs: what is left to do for a request that is over. Each can be tried again without a second effect.

use std::sync::Arc;

use entitlements_core::catalog::Charge as When;
use entitlements_core::id::IdempotencyKey;
use entitlements_core::usage::Receipt;
use entitlements_core::{Amount, Consumption, Entitlements, Error, ErrorKind, Reason};

use crate::bill::Bill;
use crate::reported::{Estimate, Reported, settle};
use crate::tab::{Tab, Tabs};
use crate::taking::Taking;

/// What is left to do.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    /// Give back what was taken, unless another request was served on it.
    Refund { bill: Bill, receipt: Receipt, tab: Option<Arc<Tab>> },
    /// Give back what may have been taken: it is not known.
    Undo(Bill),
    /// Take what is owed, unless it is taken already and stays so.
    Take(Bill),
    /// Make the estimate what was reported.
    Settle { bill: Bill, estimate: Estimate, reported: Option<Reported>, tab: Option<Arc<Tab>> },
}

/// What became of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    /// It is done; so many units could not be collected.
    Done { uncollected: u64 },
    /// It must be tried again.
    Later,
    /// It can never be done.
    Failed,
}

pub(crate) const DONE: Ran = Ran::Done { uncollected: 0 };

impl Job {
    /// The way to undo a bill, unless another request may have paid it under the same key.
    pub(crate) fn undo(bill: Bill) -> Option<Self> {
        bill.callers.is_none().then_some(Self::Undo(bill))
    }

    pub(crate) async fn run(&self, entitlements: &Entitlements, tabs: &Tabs) -> Ran {
        let ran = match self {
            Self::Refund { bill, receipt, tab } => {
                refund(entitlements, tabs, bill, receipt, tab.as_deref()).await
            }
            Self::Undo(bill) => undo(entitlements, bill).await,
            Self::Take(bill) => take(entitlements, tabs, bill).await,
            // The tab says, as long as the job waits, that somebody settles the estimate.
            Self::Settle { bill, estimate, reported, tab: _open } => {
                settle(entitlements, tabs, bill, estimate, reported.as_ref()).await
            }
        };
        ran.unwrap_or_else(|error| {
            if error.kind() == ErrorKind::Unavailable {
                return Ran::Later;
            }
            tracing::error!(
                error = &error as &dyn std::error::Error,
                job = self.name(),
                "a charge cannot be settled"
            );
            Ran::Failed
        })
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Refund { .. } => "refund",
            Self::Undo(_) => "undo",
            Self::Take(_) => "take",
            Self::Settle { .. } => "settle",
        }
    }
}

async fn refund(
    entitlements: &Entitlements,
    tabs: &Tabs,
    bill: &Bill,
    receipt: &Receipt,
    tab: Option<&Tab>,
) -> Result<Ran, Error> {
    let is_served = || tab.is_some_and(Tab::is_served);
    if !is_served() {
        bill.give_back(entitlements, &receipt.id).await?;
    }
    // Somebody may have been served in the meantime, or before an answer of the store was lost.
    match (is_served(), bill.when) {
        (false, _) => Ok(DONE),
        (true, When::Actual) => {
            settle(entitlements, tabs, bill, &Estimate::Mine(receipt.id.clone()), None).await
        }
        (true, _) => take(entitlements, tabs, bill).await,
    }
}

/// Takes what is owed once, also if it was taken before and given back.
async fn take(entitlements: &Entitlements, tabs: &Tabs, bill: &Bill) -> Result<Ran, Error> {
    let mut bill = bill.clone();
    loop {
        // Said first: after that, what is not given back yet stays taken.
        tabs.serve(&bill);
        match bill.take(entitlements).await? {
            Taking::Taken { .. } | Taking::Before(_) => return Ok(DONE),
            Taking::Refused(_) => {
                return collect(entitlements, &bill, bill.meter, bill.amount, bill.key.clone()).await;
            }
            Taking::GivenBack => {
                let Some(next) = bill.next() else {
                    tracing::error!("what is owed cannot be taken: it was given back too often");
                    return Ok(Ran::Failed);
                };
                bill = next;
            }
        }
    }
}

/// The key tells whether the units were taken: asking again takes them at most once, and then they go back.
async fn undo(entitlements: &Entitlements, bill: &Bill) -> Result<Ran, Error> {
    if let Taking::Taken { receipt, .. } | Taking::Before(receipt) = bill.take(entitlements).await? {
        bill.give_back(entitlements, &receipt.id).await?;
    }
    Ok(DONE)
}

pub(crate) fn key(text: &str) -> Option<IdempotencyKey> {
    IdempotencyKey::new(text).ok()
}

/// Takes units that were used already. If they do not fit, takes what is left, and says so.
pub(crate) async fn collect(
    entitlements: &Entitlements,
    bill: &Bill,
    meter: &str,
    units: Amount,
    as_key: IdempotencyKey,
) -> Result<Ran, Error> {
    let rest_key = key(&format!("{as_key}:rest"));
    let taken = entitlements.consume(&bill.consume_other(meter, units, as_key)).await?;
    let Consumption::Refused(refused) = taken else { return Ok(DONE) };
    let left = refused.quota.and_then(|quota| quota.remaining).filter(|left| !left.is_zero());
    let mut uncollected = units;
    if let (Reason::QuotaExceeded, Some(left), Some(rest_key)) = (refused.reason, left, rest_key)
        && left < units
    {
        match entitlements.consume(&bill.consume_other(meter, left, rest_key)).await {
            Ok(Consumption::Refused(_)) => {}
            Ok(_) => uncollected = units.saturating_sub(left),
            Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
            // An earlier try has taken a rest, with another number of units left.
            Err(_) => {}
        }
    }
    tracing::warn!(
        entitlement.feature = meter,
        entitlement.reason = refused.reason.code(),
        units = uncollected.get(),
        "usage could not be collected"
    );
    Ok(Ran::Done { uncollected: uncollected.get() })
}
