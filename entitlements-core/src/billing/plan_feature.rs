//! Plan features: what each plan gives, written down where those who bill can read it.

use serde::{Deserialize, Serialize};

use crate::id::{FeatureKey, PlanKey};

/// What a plan gives of one feature, as the catalog in force says.
///
/// Decisions never read it: it is a copy for reports, and for queries beside the other billing tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanFeature {
    /// The plan.
    pub plan: PlanKey,
    /// The feature.
    pub feature: FeatureKey,
    /// What the plan gives of it, inherited or its own, in the form of a catalog's grants.
    pub value: serde_json::Value,
}
