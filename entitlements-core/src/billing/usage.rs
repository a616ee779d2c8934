//! Usage that the billing provider charges for: written down in the step that counts it, and reported from there.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Amount;
use crate::id::{CompanyId, FeatureKey, ReceiptId, UsageRecordId};
use crate::store::StoreError;

/// How far a record of usage has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageRecordState {
    /// It is to be reported.
    Pending,
    /// The provider has taken it.
    Sent,
    /// It was given back after it had been reported: the report is to be taken back.
    Correcting,
    /// The report was taken back.
    Corrected,
    /// It was given back before it was reported.
    Canceled,
    /// It cannot be reported: the note says why.
    Refused,
    /// It was given back, and the report cannot be taken back: the note says why.
    Uncorrected,
}

impl UsageRecordState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Sent,
        Self::Correcting,
        Self::Corrected,
        Self::Canceled,
        Self::Refused,
        Self::Uncorrected,
    ];

    /// The state's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Correcting => "correcting",
            Self::Corrected => "corrected",
            Self::Canceled => "canceled",
            Self::Refused => "refused",
            Self::Uncorrected => "uncorrected",
        }
    }

    /// Whether something is left to do with it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Correcting)
    }

    /// Whether what the provider counts differs from what was used, as far as is known.
    #[must_use]
    pub const fn is_unsettled(self) -> bool {
        matches!(self, Self::Pending | Self::Correcting | Self::Refused | Self::Uncorrected)
    }
}

/// Usage that the provider is to be told of: one for each receipt of a meter that is billed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRecord {
    /// Names it at the provider. It is made once and never changes, so that a report that is repeated counts once.
    pub id: UsageRecordId,
    /// Who used it.
    pub company: CompanyId,
    /// The receipt.
    pub receipt: ReceiptId,
    /// What was used.
    pub meter: FeatureKey,
    /// How much, in whole units; at least 1.
    pub amount: Amount,
    /// When it was used.
    pub at: DateTime<Utc>,
    /// How far it has come.
    pub state: UsageRecordState,
    /// How many attempts were begun.
    pub attempts: u32,
    /// Since when the provider may have it: when the first attempt began of which that is not known.
    pub tried_at: Option<DateTime<Utc>>,
    /// Why the last attempt failed, or why it is refused or uncorrected.
    pub note: Option<String>,
}

/// How an attempt to report a record, or to take the report back, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageOutcome {
    /// The provider has it.
    Sent,
    /// It cannot be reported.
    Refused {
        /// Why.
        why: String,
        /// Since when the provider may have it all the same; `None` if it certainly has not.
        tried_at: Option<DateTime<Utc>>,
    },
    /// The report was taken back.
    Corrected,
    /// The report cannot be taken back; why.
    Uncorrected(String),
    /// The attempt failed.
    Failed {
        /// Why, without secrets.
        error: String,
        /// When to try again.
        retry_at: DateTime<Utc>,
        /// Since when the provider may have it; `None` if it certainly has not.
        tried_at: Option<DateTime<Utc>>,
    },
}

impl UsageOutcome {
    /// Whether it can end an attempt at a record in that state.
    #[must_use]
    pub const fn fits(&self, state: UsageRecordState) -> bool {
        match self {
            Self::Sent | Self::Refused { .. } => matches!(state, UsageRecordState::Pending),
            Self::Corrected | Self::Uncorrected(_) => matches!(state, UsageRecordState::Correcting),
            Self::Failed { .. } => state.is_open(),
        }
    }
}

/// Records of one meter in one state that is [unsettled](UsageRecordState::is_unsettled).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnsettledUsage {
    /// The meter.
    pub meter: FeatureKey,
    /// The state.
    pub state: UsageRecordState,
    /// How many records there are.
    pub records: u64,
    /// The sum of their units, at most [`Amount::MAX`].
    pub amount: Amount,
    /// When the oldest of them was used.
    pub oldest: DateTime<Utc>,
}

/// Keeps what the billing provider is to be told of usage: an outbox.
///
/// # Contract
///
/// **Written in the step that counts.** From [`bill_meters`](Self::bill_meters) on, every receipt of a named meter has one
/// record, made in the same atomic step as the receipt: of a debit, alone, in a group or in a transaction of the caller's,
/// of usage that was recorded, and of a reservation that was committed (none while it is only held, with what was taken
/// of it). A duplicate makes none.
///
/// **Given back.** A refund cancels a record that was not tried, or that was refused without the provider possibly having
/// it; of one that was sent, or may have been, it has the report taken back: at once
/// ([`Correcting`](UsageRecordState::Correcting)), or when it is found to be sent.
///
/// **Claims.** A claim is in force until its instant; a record has at most one at a time, and `finish_usage` counts only
/// for that one, and only if the outcome [fits](UsageOutcome::fits) the state: otherwise it is `false` and changes nothing.
/// Records are claimed in the order in which they are due, then in that of their making. A claim of a pending record
/// remembers since when it may have been reported, unless an earlier one is remembered.
///
/// Records go with their company when that is erased, and with their receipt when that expires, which it does not while
/// something is left to do with its record: so the id of a receipt that has a record is never free, and no other receipt can
/// come to the record. Instants are kept to the microsecond.
#[async_trait]
pub trait UsageOutbox: Debug + Send + Sync + 'static {
    /// Says which meters are billed from now on: exactly these. Records that there are stay.
    async fn bill_meters(&self, meters: &[FeatureKey]) -> Result<(), StoreError>;

    /// Claims up to `limit` records with which something is left to do, until an instant.
    async fn claim_usage(
        &self,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<UsageRecord>, StoreError>;

    /// Ends the attempt of that number at a record; `false` if it is not in force any more, or cannot end so.
    async fn finish_usage(
        &self,
        id: &UsageRecordId,
        attempt: u32,
        outcome: &UsageOutcome,
    ) -> Result<bool, StoreError>;

    /// Marks a record that was sent as refused, because the provider found out later that it cannot count it; `false` if
    /// there is none that was sent.
    async fn refuse_usage(&self, id: &UsageRecordId, why: &str) -> Result<bool, StoreError>;

    /// The record of that id.
    async fn usage_record(&self, id: &UsageRecordId) -> Result<Option<UsageRecord>, StoreError>;

    /// What the provider does not count as it was used, in ascending order of (meter, state's word).
    async fn unsettled_usage(&self) -> Result<Vec<UnsettledUsage>, StoreError>;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: UsageOutbox + ?Sized> UsageOutbox for Arc<S> {
    async fn bill_meters(&self, meters: &[FeatureKey]) -> Result<(), StoreError> {
        (**self).bill_meters(meters).await
    }

    async fn claim_usage(
        &self,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<UsageRecord>, StoreError> {
        (**self).claim_usage(until, now, limit).await
    }

    async fn finish_usage(
        &self,
        id: &UsageRecordId,
        attempt: u32,
        outcome: &UsageOutcome,
    ) -> Result<bool, StoreError> {
        (**self).finish_usage(id, attempt, outcome).await
    }

    async fn refuse_usage(&self, id: &UsageRecordId, why: &str) -> Result<bool, StoreError> {
        (**self).refuse_usage(id, why).await
    }

    async fn usage_record(&self, id: &UsageRecordId) -> Result<Option<UsageRecord>, StoreError> {
        (**self).usage_record(id).await
    }

    async fn unsettled_usage(&self) -> Result<Vec<UnsettledUsage>, StoreError> {
        (**self).unsettled_usage().await
    }
}
