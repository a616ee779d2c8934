//! The units that a lease holds, and their settlement.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::Amount;
use crate::entitlements::Entitlements;
use crate::error::Error;
use crate::id::ReceiptId;
use crate::observer::Event;
use crate::request::Subject;
use crate::reservation::CommitOutcome;
use crate::runtime::{BoxFuture, Runtime};

/// Units that were taken in advance.
pub(super) struct Tranche {
    reservation: ReceiptId,
    units: Amount,
    /// Units that were not served; below zero when it has ended.
    left: AtomicI64,
    /// What was served when it ended.
    served: AtomicU64,
    pub(super) usable_until: DateTime<Utc>,
}

impl Tranche {
    pub(super) fn new(reservation: ReceiptId, units: Amount, usable_until: DateTime<Utc>) -> Self {
        let left = AtomicI64::new(units.as_i64());
        Self { reservation, units, left, served: AtomicU64::new(0), usable_until }
    }

    /// Units of which none is ever served.
    pub(super) fn unused(reservation: ReceiptId) -> Self {
        Self::new(reservation, Amount::ZERO, DateTime::<Utc>::MIN_UTC)
    }

    pub(super) fn take(&self, amount: Amount) -> bool {
        let amount = amount.as_i64();
        self.left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| (amount <= left).then(|| left - amount))
            .is_ok()
    }

    /// From here on nothing is taken.
    pub(super) fn end(&self) {
        if let Ok(left) = u64::try_from(self.left.swap(-1, Ordering::AcqRel)) {
            self.served.store(self.units.get().saturating_sub(left), Ordering::Release);
        }
    }
}

/// Tells the store what was served, until it has heard it or will never listen.
pub(super) fn settle(
    handle: Entitlements,
    runtime: Arc<dyn Runtime>,
    subject: Subject,
    meter: Box<str>,
    tranche: Arc<Tranche>,
    uncollected: Arc<AtomicU64>,
) -> BoxFuture<()> {
    Box::pin(async move {
        let served = Amount::new(tranche.served.load(Ordering::Acquire)).unwrap_or(Amount::MAX);
        let mut pause = Duration::from_millis(20);
        let company = &subject.company;
        let not_counted = |amount: Amount, error: Option<&Error>| {
            if !amount.is_zero() {
                uncollected.fetch_add(amount.get(), Ordering::AcqRel);
                handle.observe(&Event::NotCounted { company, meter: &meter, amount, error });
            }
        };
        loop {
            match handle.commit(company, &tranche.reservation, served).await {
                Ok(Some(CommitOutcome::Committed(settled) | CommitOutcome::Duplicate(settled))) => {
                    return not_counted(settled.uncollected(), None);
                }
                // Somebody else has ended it, or erased the company.
                Ok(_) => return not_counted(served, None),
                // It would be the same for ever.
                Err(error) if !error.is_retryable() => return not_counted(served, Some(&error)),
                Err(_) => {
                    runtime.sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
            }
        }
    })
}
