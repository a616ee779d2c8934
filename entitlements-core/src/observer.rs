//! Observers: a synchronous hook that sees what the handle does, for metrics, traces and audit.

use std::fmt::Debug;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::bus::Change;
use crate::decision::Decision;
use crate::id::CompanyId;
use crate::request::Request;
use crate::store::StoreError;
use crate::usage::DebitOutcome;

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
        amount: crate::Amount,
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
