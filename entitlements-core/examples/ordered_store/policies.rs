//! Policies: every change takes a revision for all of them.

use std::ops::Bound;

use async_trait::async_trait;
use entitlements_core::facts::Revision;
use entitlements_core::id::PolicyId;
use entitlements_core::policy::Policy;
use entitlements_core::store::{Inserted, Page, PageRequest, PolicyStore, StoreError};

use crate::store::{OrderedStore, kept, page};

#[async_trait]
impl PolicyStore for OrderedStore {
    async fn insert_policy(&self, policy: &Policy) -> Result<Inserted, StoreError> {
        let mut state = self.state();
        if state.policies.contains_key(&policy.id) {
            return Ok(Inserted::Taken);
        }
        Ok(Inserted::Now(state.change_policies(|policies| {
            policies.insert(policy.id.clone(), to_microseconds(policy));
        })))
    }

    async fn replace_policy(&self, policy: &Policy) -> Result<Option<Revision>, StoreError> {
        let mut state = self.state();
        if !state.policies.contains_key(&policy.id) {
            return Ok(None);
        }
        Ok(Some(state.change_policies(|policies| {
            policies.insert(policy.id.clone(), to_microseconds(policy));
        })))
    }

    async fn remove_policy(&self, id: &PolicyId) -> Result<Option<Revision>, StoreError> {
        let mut state = self.state();
        if !state.policies.contains_key(id) {
            return Ok(None);
        }
        Ok(Some(state.change_policies(|policies| {
            policies.remove(id);
        })))
    }

    async fn find_policy(&self, id: &PolicyId) -> Result<Option<Policy>, StoreError> {
        Ok(self.state().policies.get(id).cloned())
    }

    async fn list_policies(&self, request: &PageRequest) -> Result<Page<Policy>, StoreError> {
        // A cursor is an id. What comes after it is the same when the policy of that id is removed.
        let after = request.cursor.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.state();
        let rest = state.policies.range::<str, _>((after, Bound::Unbounded));
        Ok(page(rest.map(|(_, policy)| policy.clone()), request, |last| last.id.to_string()))
    }
}

fn to_microseconds(policy: &Policy) -> Policy {
    Policy { starts_at: policy.starts_at.map(kept), ends_at: policy.ends_at.map(kept), ..policy.clone() }
}
