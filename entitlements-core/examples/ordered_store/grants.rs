//! Grants, which never change but for being voided.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::Grant;
use entitlements_core::facts::Revision;
use entitlements_core::id::{CompanyId, GrantId};
use entitlements_core::store::{GrantStore, Inserted, Page, PageRequest, StoreError, StoreErrorKind};

use crate::store::{OrderedStore, State, kept, page};

#[async_trait]
impl GrantStore for OrderedStore {
    async fn insert_grant(&self, grant: &Grant) -> Result<Inserted, StoreError> {
        let grant = to_microseconds(grant);
        let mut state = self.state();
        if find(&state, &grant.id).is_some() {
            return Ok(Inserted::Taken);
        }
        let company = grant.company.clone();
        Ok(Inserted::Now(state.change(&company, |company| {
            company.grants.insert(place(&grant), grant);
        })))
    }

    async fn find_grant(&self, id: &GrantId) -> Result<Option<Grant>, StoreError> {
        Ok(find(&self.state(), id).cloned())
    }

    async fn void_grant(&self, id: &GrantId, at: DateTime<Utc>) -> Result<Option<Revision>, StoreError> {
        let mut state = self.state();
        let Some(mut grant) = find(&state, id).cloned().filter(|grant| grant.voided_at.is_none()) else {
            return Ok(None);
        };
        grant.voided_at = Some(kept(at));
        let company = grant.company.clone();
        Ok(Some(state.change(&company, |company| {
            company.grants.insert(place(&grant), grant);
        })))
    }

    async fn list_grants(
        &self,
        company: &CompanyId,
        request: &PageRequest,
    ) -> Result<Page<Grant>, StoreError> {
        let state = self.state();
        let mut grants = state.companies.get(company).into_iter().flat_map(|known| known.grants.values());
        // Grants stay for ever, so the last of a page is found again; what is not found was no page's last.
        if let Some(cursor) = &request.cursor
            && !grants.any(|grant| cursor_of(grant) == *cursor)
        {
            return Err(StoreError::new(StoreErrorKind::Unsupported, "list grants from such a cursor"));
        }
        Ok(page(grants.cloned(), request, cursor_of))
    }
}

/// A grant by its id, of whichever company it is.
fn find<'a>(state: &'a State, id: &GrantId) -> Option<&'a Grant> {
    state.companies.values().flat_map(|company| company.grants.values()).find(|grant| grant.id == *id)
}

/// Where a grant is in its company's list.
fn place(grant: &Grant) -> (DateTime<Utc>, GrantId) {
    (grant.created_at, grant.id.clone())
}

fn cursor_of(grant: &Grant) -> String {
    format!("{}:{}", grant.created_at.timestamp_micros(), grant.id)
}

fn to_microseconds(grant: &Grant) -> Grant {
    Grant {
        starts_at: kept(grant.starts_at),
        ends_at: grant.ends_at.map(kept),
        created_at: kept(grant.created_at),
        voided_at: grant.voided_at.map(kept),
        ..grant.clone()
    }
}
