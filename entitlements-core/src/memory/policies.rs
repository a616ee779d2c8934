//! Policies in memory.

use std::ops::Bound;

use async_trait::async_trait;

use super::MemoryStore;
use super::instant::kept_policy;
use crate::facts::Revision;
use crate::id::PolicyId;
use crate::policy::Policy;
use crate::store::{Inserted, MAX_PAGE, Page, PageRequest, PolicyStore, StoreError};

#[async_trait]
impl PolicyStore for MemoryStore {
    async fn insert_policy(&self, policy: &Policy) -> Result<Inserted, StoreError> {
        let mut state = self.state();
        if state.policies.contains_key(&policy.id) {
            return Ok(Inserted::Taken);
        }
        Ok(Inserted::Now(state.change_policies(|policies| {
            policies.insert(policy.id.clone(), kept_policy(policy));
        })))
    }

    async fn replace_policy(&self, policy: &Policy) -> Result<Option<Revision>, StoreError> {
        let mut state = self.state();
        Ok(state.policies.contains_key(&policy.id).then(|| {
            state.change_policies(|policies| {
                policies.insert(policy.id.clone(), kept_policy(policy));
            })
        }))
    }

    async fn remove_policy(&self, id: &PolicyId) -> Result<Option<Revision>, StoreError> {
        let mut state = self.state();
        Ok(state.policies.contains_key(id).then(|| {
            state.change_policies(|policies| {
                policies.remove(id);
            })
        }))
    }

    async fn find_policy(&self, id: &PolicyId) -> Result<Option<Policy>, StoreError> {
        Ok(self.state().policies.get(id).cloned())
    }

    async fn list_policies(&self, page: &PageRequest) -> Result<Page<Policy>, StoreError> {
        let after = page.cursor.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let limit = page.limit.clamp(1, MAX_PAGE);
        let state = self.state();
        let mut rest =
            state.policies.range::<str, _>((after, Bound::Unbounded)).map(|(_, policy)| policy.clone());
        let items: Vec<_> = rest.by_ref().take(limit).collect();
        let next = rest.next().and(items.last()).map(|last| last.id.to_string());
        Ok(Page { items, next })
    }
}
