//! Facts: everything a store knows about one company at one instant.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Amount;
use crate::bucket::Bucket;
use crate::grant::Grant;
use crate::id::{AddOnKey, CompanyId, FeatureKey, PlanKey, SubscriptionId};
use crate::subscription::Subscription;

/// How far a company's facts have come: it grows with every write that changes what the company may do.
///
/// It is the freshness token: a check that has seen revision `n` has seen every write up to `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Everything a store knows about one company at one instant.
///
/// A company that the store has never heard of has empty facts, not an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// The company.
    pub company: CompanyId,
    /// The revision of the last write to this company; [`Revision`] 0 if there was none.
    pub revision: Revision,
    /// The revision of the last write to any policy. Revisions of companies and policies come out of one sequence.
    pub policies_revision: Revision,
    /// The company's subscriptions, ended ones included, in any order.
    pub subscriptions: Vec<Subscription>,
    /// The times at which a subscription of the company changed plans, oldest first, none of them in the future.
    pub plan_changes: Vec<PlanChange>,
    /// The add-ons the company has, with how many of each.
    pub addons: Vec<AddOnQuantity>,
    /// What differs for this company from its plan.
    pub overrides: Vec<Override>,
    /// Grants that are not voided and have not ended; those that start later are included.
    pub grants: Vec<Grant>,
    /// Counted usage of periods that have not ended, and of the lifetime of grants.
    pub usage: Vec<UsageCounter>,
    /// How much of each gauge is held.
    pub gauges: Vec<GaugeLevel>,
    /// The next instant at which a reservation expires, so that its units are free without any write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved_until: Option<DateTime<Utc>>,
}

impl Facts {
    /// The facts of a company of which nothing is known.
    #[must_use]
    pub const fn empty(company: CompanyId) -> Self {
        Self {
            company,
            revision: Revision(0),
            policies_revision: Revision(0),
            subscriptions: Vec::new(),
            plan_changes: Vec::new(),
            addons: Vec::new(),
            overrides: Vec::new(),
            grants: Vec::new(),
            usage: Vec::new(),
            gauges: Vec::new(),
            reserved_until: None,
        }
    }
}

/// A subscription changed plans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanChange {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// When.
    pub at: DateTime<Utc>,
    /// The plan it had until then.
    pub from: PlanKey,
}

/// How many of an add-on a company has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddOnQuantity {
    /// The add-on.
    pub addon: AddOnKey,
    /// How many of it.
    pub quantity: u32,
}

/// What a company has of one feature instead of what its plan gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// The feature.
    pub feature: FeatureKey,
    /// A value as in a plan's grants; `false` takes the feature away.
    pub value: serde_json::Value,
}

/// How many units of a meter have been used out of one bucket in one period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageCounter {
    /// The meter.
    pub meter: FeatureKey,
    /// The bucket.
    pub bucket: Bucket,
    /// The first instant of the period.
    pub period_start: DateTime<Utc>,
    /// Units used.
    pub used: Amount,
}

/// How much of a gauge is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GaugeLevel {
    /// The gauge.
    pub gauge: FeatureKey,
    /// Units held.
    pub used: Amount,
}
