//! Plan features: what each plan gives, written down where those who bill can read it.

use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::id::{FeatureKey, InvalidId, PlanKey};

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

impl PlanFeature {
    /// What every plan of `catalog` gives, in the order of its plans and features.
    ///
    /// # Errors
    ///
    /// When a name of the catalog is too long for a store.
    pub fn of(catalog: &Catalog) -> Result<Vec<Self>, InvalidId> {
        let mut all = Vec::new();
        for plan in catalog.plans() {
            for feature in catalog.features() {
                let Some(entry) = plan.entry(feature.index()) else { continue };
                all.push(Self {
                    plan: PlanKey::new(plan.key())?,
                    feature: FeatureKey::new(feature.key())?,
                    value: entry.to_json(),
                });
            }
        }
        Ok(all)
    }
}
