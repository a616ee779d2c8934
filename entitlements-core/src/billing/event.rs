//! The ledger of events: what the billing provider told us, and what became of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::id::EventId;

/// An event as it arrived, after its signature was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// The provider's id; an event is stored once.
    pub id: EventId,
    /// The provider's word for what happened, for example `invoice.paid`; at most 255 bytes.
    pub kind: String,
    /// Whether it is about real money.
    pub livemode: bool,
    /// The id of the object that it is about, if it names one.
    pub object: Option<String>,
    /// The provider's id of the customer that it is about, if it names one: what is in the event goes when the company of the
    /// customer is erased.
    pub customer: Option<String>,
    /// When it happened, as the provider says.
    pub created_at: DateTime<Utc>,
    /// The bytes that were signed, as text; empty when the company of the customer has been erased.
    pub payload: String,
}

/// How far an event has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    /// It is stored, and nobody works on it.
    Received,
    /// Somebody works on it, until the lease ends.
    Processing,
    /// Everything that follows from it is stored.
    Processed,
    /// The last attempt failed; it is due again.
    Failed,
    /// It concerns nothing that is kept here.
    Ignored,
}

impl EventState {
    /// Every state.
    pub const ALL: [Self; 5] =
        [Self::Received, Self::Processing, Self::Processed, Self::Failed, Self::Ignored];

    /// The state's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Processing => "processing",
            Self::Processed => "processed",
            Self::Failed => "failed",
            Self::Ignored => "ignored",
        }
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Processed | Self::Ignored)
    }
}

/// An event of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillingEvent {
    /// The event as it arrived first.
    pub event: NewEvent,
    /// How far it has come.
    pub state: EventState,
    /// How many attempts were begun.
    pub attempts: u32,
    /// Why the last attempt failed, or why it was ignored.
    pub note: Option<String>,
    /// When it arrived first.
    pub received_at: DateTime<Utc>,
    /// When it was processed or ignored.
    pub finished_at: Option<DateTime<Utc>>,
    /// From when on another attempt may be made: the end of a lease, or the time to try again.
    pub due_at: Option<DateTime<Utc>>,
}

/// What became of the arrival of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It was unknown, and is stored now.
    Now,
    /// It had arrived before, and has come this far.
    Before(EventState),
}

/// What became of an attempt to work on an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is the caller's until the lease ends; the event's [`attempts`](BillingEvent::attempts) name the claim.
    Taken(BillingEvent),
    /// Somebody else works on it.
    Busy,
    /// Nothing is left to do.
    Finished(EventState),
    /// There is no such event.
    Unknown,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventOutcome {
    /// Everything that follows from it is stored.
    Processed,
    /// It concerns nothing that is kept here; says why.
    Ignored(String),
    /// The attempt failed.
    Failed {
        /// Why, without secrets.
        error: String,
        /// When to try again.
        retry_at: DateTime<Utc>,
    },
}
