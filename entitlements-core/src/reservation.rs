//! Reservations: units that are set aside until it is known how many of them were used.
//!
//! A reservation takes units as a debit does. It ends in one of three ways: a *commit* tells how many units were used, a
//! *release* that none were, and at its expiry the units are free without anybody doing anything.

use chrono::{DateTime, Utc};

use crate::Amount;
use crate::id::ReceiptId;
use crate::usage::Receipt;

/// Units that are set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// What was set aside, and from where. A commit makes a receipt of the same id and key.
    pub held: Receipt,
    /// The first instant at which the units are free again.
    pub expires_at: DateTime<Utc>,
    /// How it was ended, if it was.
    pub end: Option<ReservationEnd>,
}

impl Reservation {
    /// Names it, and the receipt it becomes.
    #[must_use]
    pub const fn id(&self) -> &ReceiptId {
        &self.held.id
    }

    /// Whether its units are set aside at an instant: it was not ended, and has not expired.
    #[must_use]
    pub fn is_active(&self, now: DateTime<Utc>) -> bool {
        self.end.is_none() && now < self.expires_at
    }
}

/// How a reservation was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReservationEnd {
    /// Nothing was used.
    Released {
        /// When.
        at: DateTime<Utc>,
    },
    /// Units were used.
    Committed(Settlement),
}

impl ReservationEnd {
    /// When it was ended.
    #[must_use]
    pub const fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Released { at } | Self::Committed(Settlement { at, .. }) => *at,
        }
    }

    /// The proof for the units that were taken, if there are any.
    #[must_use]
    pub const fn receipt(&self) -> Option<&Receipt> {
        match self {
            Self::Released { .. } => None,
            Self::Committed(settlement) => settlement.receipt.as_ref(),
        }
    }
}

/// What a commit came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Units that were used, as the commit said.
    pub actual: Amount,
    /// When.
    pub at: DateTime<Utc>,
    /// The proof for the units that were taken; `None` if there are none.
    pub receipt: Option<Receipt>,
}

impl Settlement {
    /// Units that were used and could not be taken, since they did not fit.
    ///
    /// Zero, unless more was used than was set aside, or the reservation had expired.
    #[must_use]
    pub fn uncollected(&self) -> Amount {
        self.actual.saturating_sub(self.receipt.as_ref().map_or(Amount::ZERO, |receipt| receipt.amount))
    }
}

/// What became of an attempt to reserve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReserveOutcome {
    /// The units are set aside, just now.
    Reserved(Reservation),
    /// They had been before, by the same key and arguments; nothing changed. This is the reservation as it is now.
    Duplicate(Reservation),
    /// The key had been used before with other arguments, or by a debit; nothing changed.
    Conflict,
    /// They do not fit; nothing changed, and the key stays free.
    Refused,
}

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It is committed, just now.
    Committed(Settlement),
    /// It had been committed before, with as many units; nothing changed.
    Duplicate(Settlement),
    /// It had been committed before, with another number of units; nothing changed.
    Conflict,
    /// It had been released before; nothing changed.
    Released,
}

impl CommitOutcome {
    /// What a commit of `actual` units is that found the reservation ended so.
    #[must_use]
    pub fn of_ended(end: ReservationEnd, actual: Amount) -> Self {
        match end {
            ReservationEnd::Released { .. } => Self::Released,
            ReservationEnd::Committed(settlement) if settlement.actual == actual => {
                Self::Duplicate(settlement)
            }
            ReservationEnd::Committed(_) => Self::Conflict,
        }
    }
}
