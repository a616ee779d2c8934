//! Grants in memory.

use std::ops::Bound;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::MemoryStore;
use super::instant::{kept, kept_grant};
use super::state::GrantPlace;
use crate::facts::Revision;
use crate::grant::Grant;
use crate::id::{CompanyId, GrantId};
use crate::store::{GrantStore, Inserted, MAX_PAGE, Page, PageRequest, StoreError, StoreErrorKind};

#[async_trait]
impl GrantStore for MemoryStore {
    async fn insert_grant(&self, grant: &Grant) -> Result<Inserted, StoreError> {
        let grant = kept_grant(grant);
        let mut state = self.state();
        if state.grants.contains_key(&grant.id) {
            return Ok(Inserted::Taken);
        }
        let place = GrantPlace { company: grant.company.clone(), created_at: grant.created_at };
        state.grants.insert(grant.id.clone(), place);
        let company = grant.company.clone();
        Ok(Inserted::Now(state.change(&company, |company| {
            company.grants.insert((grant.created_at, grant.id.clone()), grant);
        })))
    }

    async fn find_grant(&self, id: &GrantId) -> Result<Option<Grant>, StoreError> {
        let state = self.state();
        let Some(place) = state.grants.get(id) else { return Ok(None) };
        let company = state.companies.get(&place.company);
        Ok(company.and_then(|company| company.grants.get(&(place.created_at, id.clone()))).cloned())
    }

    async fn void_grant(&self, id: &GrantId, at: DateTime<Utc>) -> Result<Option<Revision>, StoreError> {
        let mut state = self.state();
        let Some(place) = state.grants.get(id) else { return Ok(None) };
        let (company, key) = (place.company.clone(), (place.created_at, id.clone()));
        let open = (state.companies.get(&company))
            .and_then(|company| company.grants.get(&key))
            .is_some_and(|grant| grant.voided_at.is_none());
        Ok(open.then(|| {
            state.change(&company, |company| {
                if let Some(grant) = company.grants.get_mut(&key) {
                    grant.voided_at = Some(kept(at));
                }
            })
        }))
    }

    async fn list_grants(&self, company: &CompanyId, page: &PageRequest) -> Result<Page<Grant>, StoreError> {
        let after = match &page.cursor {
            Some(cursor) => Bound::Excluded(parse_cursor(cursor)?),
            None => Bound::Unbounded,
        };
        let limit = page.limit.clamp(1, MAX_PAGE);
        let state = self.state();
        let Some(company) = state.companies.get(company) else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let mut rest = company.grants.range((after, Bound::Unbounded)).map(|(_, grant)| grant.clone());
        let items: Vec<_> = rest.by_ref().take(limit).collect();
        let next = rest.next().and(items.last()).map(cursor);
        Ok(Page { items, next })
    }
}

/// The place of a grant in the list.
fn cursor(last: &Grant) -> String {
    format!("{}:{}", last.created_at.timestamp_micros(), last.id)
}

fn parse_cursor(cursor: &str) -> Result<(DateTime<Utc>, GrantId), StoreError> {
    (cursor.split_once(':'))
        .and_then(|(micros, id)| {
            let created_at = DateTime::from_timestamp_micros(micros.parse().ok()?)?;
            Some((created_at, GrantId::new(id).ok()?))
        })
        .ok_or(StoreError::new(StoreErrorKind::Unsupported, "list grants from such a cursor"))
}
