//! Taking the units of a bill: for good, or set aside where the actual amount is charged.

use chrono::TimeDelta;
use entitlements_core::catalog::Charge as When;
use entitlements_core::id::ReceiptId;
use entitlements_core::reservation::{Reservation, ReservationEnd};
use entitlements_core::usage::Receipt;
use entitlements_core::{Consumption, Decision, Entitlements, Error, Reserving};

use crate::bill::Bill;

/// How long an estimate is set aside. What takes longer is settled as far as it fits then.
const SET_ASIDE: TimeDelta = TimeDelta::hours(1);

/// What became of an attempt to take the units of a bill.
pub(crate) enum Taking {
    /// They were taken, just now.
    Taken { decision: Decision, receipt: Receipt },
    /// They had been taken before under the same key.
    Before(Receipt),
    /// They had been taken before under the same key, and were given back.
    GivenBack,
    /// They were not taken.
    Refused(Decision),
}

impl Bill {
    /// Takes the units, once per key.
    pub(crate) async fn take(&self, entitlements: &Entitlements) -> Result<Taking, Error> {
        if self.when == When::Actual {
            return Ok(match entitlements.reserve(&self.consume(), SET_ASIDE).await? {
                Reserving::Reserved { decision, reservation } => {
                    Taking::Taken { decision, receipt: reservation.held }
                }
                Reserving::Duplicate(known) if is_free(&known, entitlements) => Taking::GivenBack,
                Reserving::Duplicate(known) => Taking::Before(known.held),
                Reserving::Refused(decision) => Taking::Refused(decision),
            });
        }
        Ok(match entitlements.consume(&self.consume()).await? {
            Consumption::Recorded { decision, receipt } => Taking::Taken { decision, receipt },
            Consumption::Duplicate(receipt) if receipt.refunded_at.is_some() => Taking::GivenBack,
            Consumption::Duplicate(receipt) => Taking::Before(receipt),
            Consumption::Refused(decision) => Taking::Refused(decision),
        })
    }

    /// Gives back what was taken, unless it is settled.
    pub(crate) async fn give_back(&self, entitlements: &Entitlements, id: &ReceiptId) -> Result<(), Error> {
        let company = &self.subject.company;
        match self.when {
            When::Actual => entitlements.release_reservation(company, id).await.map(drop),
            When::Admit | When::Success => entitlements.refund(company, id).await.map(drop),
        }
    }
}

/// Whether the units of a reservation went back without having been used.
fn is_free(known: &Reservation, entitlements: &Entitlements) -> bool {
    match &known.end {
        Some(ReservationEnd::Released { .. }) => true,
        Some(ReservationEnd::Committed(_)) => false,
        None => !known.is_active(entitlements.now()),
    }
}
