//! The policies of this process: loaded and compiled once for all companies, also when all of them begin at the same time.

use std::fmt;
use std::sync::Arc;

use quick_cache::sync::Cache;

use super::Entitlements;
use crate::catalog::{Catalog, CatalogHash};
use crate::facts::Revision;
use crate::policy::PolicySet;
use crate::store::StoreError;

/// Loads of policies under way, by the catalog and the revision that they have to show.
pub(super) struct PolicyLoads(Cache<(CatalogHash, Revision), Arc<PolicySet>>);

impl Default for PolicyLoads {
    fn default() -> Self {
        Self(Cache::new(8))
    }
}

impl fmt::Debug for PolicyLoads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PolicyLoads")
    }
}

impl Entitlements {
    /// Policies that show every write up to `revision`, for that catalog. Whoever needs the same waits for the same load.
    pub(super) async fn policies_of(
        &self,
        revision: Revision,
        catalog: &Catalog,
    ) -> Result<Arc<PolicySet>, StoreError> {
        let fits = |set: &Arc<PolicySet>| revision <= set.revision() && set.catalog() == catalog.hash();
        if let Some(set) = self.0.policies.load_full().filter(fits) {
            return Ok(set);
        }
        let load = async {
            // Somebody may have ended a load meanwhile.
            if let Some(set) = self.0.policies.load_full().filter(fits) {
                return Ok(set);
            }
            let set = Arc::new(PolicySet::compile(&self.0.store.policies().await?, catalog));
            self.0.policies.store(Some(Arc::clone(&set)));
            Ok::<_, StoreError>(set)
        };
        let key = (catalog.hash(), revision);
        let set = self.0.policy_loads.0.get_or_insert_async(&key, load).await?;
        // It is kept elsewhere, and only as long as it is the newest.
        self.0.policy_loads.0.remove(&key);
        Ok(set)
    }
}
