//! Observers: a synchronous hook that sees what the handle does, for metrics, traces and audit.

mod turned_away;

use std::fmt::Debug;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Amount;
use crate::bus::Change;
use crate::decision::Decision;
use crate::error::Error;
use crate::gauge::{AcquireOutcome, LevelOutcome};
use crate::id::{CompanyId, ReceiptId};
use crate::request::Request;
use crate::reservation::{CommitOutcome, Reservation, ReserveOutcome};
use crate::store::StoreError;
use crate::usage::{DebitOutcome, RecordOutcome};

pub use turned_away::TurnedAway;

/// Where the facts of a decision came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Tier {
    /// They were in this process's memory.
    Process,
    /// They were in a cache that processes share.
    Shared,
    /// They were loaded, or the store itself decided.
    Store,
    /// They could not be refreshed: they are those of before, or none.
    Degraded,
}

impl Tier {
    /// Every tier.
    pub const ALL: [Self; 4] = [Self::Process, Self::Shared, Self::Store, Self::Degraded];

    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Shared => "shared",
            Self::Store => "store",
            Self::Degraded => "degraded",
        }
    }
}

/// A word that names no tier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown tier `{0}`")]
pub struct UnknownTier(String);

impl FromStr for Tier {
    type Err = UnknownTier;

    fn from_str(word: &str) -> Result<Self, UnknownTier> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == word).ok_or_else(|| UnknownTier(word.into()))
    }
}

/// Something the handle did.
///
/// Units that are taken or given back are told when the store has answered, whatever it has answered, unless it failed:
///
/// | what is called | event |
/// |---|---|
/// | `consume`, `consume_in` | [`Debited`](Self::Debited), also for a refusal of the store, once for each time it is asked |
/// | `refund`, `refund_in` | [`Refunded`](Self::Refunded), if there is such a receipt |
/// | `record` | [`Recorded`](Self::Recorded), once for each usage event |
/// | `reserve` | [`Reserved`](Self::Reserved), once for each time the store is asked |
/// | `commit` | [`Committed`](Self::Committed), if there is such a reservation |
/// | `release_reservation` | [`ReservationReleased`](Self::ReservationReleased), if there is such a reservation |
/// | `acquire` | [`Acquired`](Self::Acquired), once for each time the store is asked |
/// | `release` | [`Released`](Self::Released), if the holder had a unit |
/// | `set_level` | [`LevelSet`](Self::LevelSet), once for each time the store is asked |
/// | a lease | `Reserved` for the units that it takes in advance, `Committed` for those that were served, and [`NotCounted`](Self::NotCounted) for those that were and cannot be counted |
///
/// What is decided without the store, such as a refusal by the facts, is only [`Decided`](Self::Decided).
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// It decided: a check, or a consumption that took units or was refused them.
    Decided {
        /// What was asked.
        request: &'a Request<'a>,
        /// The answer.
        decision: &'a Decision,
        /// Where the facts came from.
        tier: Tier,
        /// When, by the handle's clock.
        at: DateTime<Utc>,
        /// How long it took, loading included.
        took: Duration,
    },
    /// It loaded the facts of a company.
    Loaded {
        /// The company.
        company: &'a CompanyId,
        /// How long it took.
        took: Duration,
        /// The failure, if it failed.
        error: Option<&'a StoreError>,
    },
    /// It asked the shared cache for a decision.
    AskedShared {
        /// Whether it found one that counts.
        hit: bool,
        /// How long it took.
        took: Duration,
    },
    /// It forgot what a change made wrong: a change of its own, or one that was announced.
    Invalidated {
        /// The change.
        change: &'a Change,
    },
    /// It asked the store for a debit.
    Debited {
        /// The company.
        company: &'a CompanyId,
        /// The meter.
        meter: &'a str,
        /// What became of it.
        outcome: &'a DebitOutcome,
    },
    /// It gave a debit back.
    Refunded {
        /// The company.
        company: &'a CompanyId,
        /// The meter.
        meter: &'a str,
        /// Units.
        amount: Amount,
    },
    /// It counted usage that has happened.
    Recorded {
        /// The company.
        company: &'a CompanyId,
        /// The meter.
        meter: &'a str,
        /// Units.
        amount: Amount,
        /// What became of it.
        outcome: RecordOutcome,
    },
    /// It asked the store to set units aside.
    Reserved {
        /// The company.
        company: &'a CompanyId,
        /// The meter.
        meter: &'a str,
        /// What became of it.
        outcome: &'a ReserveOutcome,
    },
    /// It ended a reservation of which so many units were used.
    Committed {
        /// The company.
        company: &'a CompanyId,
        /// The reservation.
        reservation: &'a ReceiptId,
        /// Units that were used. Those that were taken are in the receipt of the outcome.
        actual: Amount,
        /// What became of it.
        outcome: &'a CommitOutcome,
    },
    /// It ended a reservation of which nothing was used.
    ReservationReleased {
        /// The company.
        company: &'a CompanyId,
        /// The reservation as it then was: one that was committed before stays so.
        reservation: &'a Reservation,
    },
    /// Units of a lease were served, and cannot be counted any more: they no longer fit, or the store refuses to hear of them.
    NotCounted {
        /// The company.
        company: &'a CompanyId,
        /// The meter.
        meter: &'a str,
        /// Units.
        amount: Amount,
        /// The failure, if it was one.
        error: Option<&'a Error>,
    },
    /// It asked the store for a unit of a gauge.
    Acquired {
        /// The company.
        company: &'a CompanyId,
        /// The gauge.
        gauge: &'a str,
        /// What became of it.
        outcome: AcquireOutcome,
    },
    /// It took the unit of a holder back.
    Released {
        /// The company.
        company: &'a CompanyId,
        /// The gauge.
        gauge: &'a str,
    },
    /// It asked the store to set the level of a gauge.
    LevelSet {
        /// The company.
        company: &'a CompanyId,
        /// The gauge.
        gauge: &'a str,
        /// The level.
        level: Amount,
        /// What became of it.
        outcome: LevelOutcome,
    },
    /// A request was answered without a decision; an adapter [tells](crate::Entitlements::turned_away) so.
    TurnedAway {
        /// The rule that the request matched, if it did: one of those that the adapter was built with, never what the
        /// request says.
        rule: Option<&'a str>,
        /// Why.
        why: TurnedAway,
    },
}

/// Sees what the handle does.
///
/// # Contract
///
/// `observe` runs on the caller's task: it must neither block nor panic.
pub trait Observer: Debug + Send + Sync + 'static {
    /// Takes note of `event`.
    fn observe(&self, event: &Event<'_>);
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn observe(&self, event: &Event<'_>) {
        (**self).observe(event);
    }
}

/// Shows everything to one observer, and then to another.
#[derive(Debug)]
pub(crate) struct Both(pub(crate) Arc<dyn Observer>, pub(crate) Arc<dyn Observer>);

impl Observer for Both {
    fn observe(&self, event: &Event<'_>) {
        self.0.observe(event);
        self.1.observe(event);
    }
}
