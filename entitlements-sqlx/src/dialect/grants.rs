//! Grants: one statement per write.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::facts::Revision;
use entitlements_core::grant::Grant;
use entitlements_core::id::{CompanyId, GrantId, UserId};
use entitlements_core::store::{GrantStore, Inserted, MAX_PAGE, Page, PageRequest, StoreError};
use entitlements_core::{Action, Amount};

use super::transaction::Run;
use super::{Store, sql};
use crate::paging::{after_grant, grant_cursor, one_more, page_of};
use crate::rows::{GrantRow, one};

const INSERT: &str = "store a grant";
const FIND: &str = "read a grant";
const VOID: &str = "void a grant";
const LIST: &str = "list grants";

#[async_trait]
impl GrantStore for Store {
    async fn insert_grant(&self, grant: &Grant) -> Result<Inserted, StoreError> {
        insert_on(&mut &*self, grant).await
    }

    async fn find_grant(&self, id: &GrantId) -> Result<Option<Grant>, StoreError> {
        find_on(&mut &*self, id).await
    }

    async fn void_grant(&self, id: &GrantId, at: DateTime<Utc>) -> Result<Option<Revision>, StoreError> {
        void_on(&mut &*self, id, at).await
    }

    async fn list_grants(&self, company: &CompanyId, page: &PageRequest) -> Result<Page<Grant>, StoreError> {
        let (created_at, id) = after_grant(page.cursor.as_deref())?;
        let limit = page.limit.clamp(1, MAX_PAGE);
        let query = sqlx::query_as(sql::LIST_GRANTS)
            .bind(company.as_str())
            .bind(created_at)
            .bind(id)
            .bind(one_more(limit));
        let rows: Vec<(String,)> = self.read(LIST, query).await?;
        let items = rows.iter().map(|(json,)| one::<GrantRow, _>(LIST, json)).collect::<Result<_, _>>()?;
        Ok(page_of(items, limit, grant_cursor))
    }
}

/// Stores a grant where the statement runs.
pub(super) async fn insert_on(run: &mut impl Run, grant: &Grant) -> Result<Inserted, StoreError> {
    let actions: Vec<_> = grant.actions.iter().map(Action::as_str).collect();
    let query = sqlx::query_as(sql::INSERT_GRANT)
        .bind(grant.id.as_str())
        .bind(grant.company.as_str())
        .bind(grant.user.as_ref().map(UserId::as_str))
        .bind(grant.feature.as_str())
        .bind(serde_json::json!(actions).to_string())
        .bind(grant.resource.as_ref().map(ToString::to_string))
        .bind(grant.amount.map(Amount::as_i64))
        .bind(grant.kind.as_str())
        .bind(grant.starts_at.timestamp_micros())
        .bind(grant.ends_at.map(|end| end.timestamp_micros()))
        .bind(grant.reason.as_deref())
        .bind(grant.created_at.timestamp_micros())
        .bind(grant.voided_at.map(|at| at.timestamp_micros()));
    Ok(run.change(INSERT, query).await?.map_or(Inserted::Taken, Inserted::Now))
}

/// Reads a grant where the statement runs.
pub(super) async fn find_on(run: &mut impl Run, id: &GrantId) -> Result<Option<Grant>, StoreError> {
    let query = sqlx::query_as(sql::FIND_GRANT).bind(id.as_str());
    let rows: Vec<(String,)> = run.read(FIND, query).await?;
    rows.first().map(|(json,)| one::<GrantRow, _>(FIND, json)).transpose()
}

/// Voids a grant where the statement runs.
pub(super) async fn void_on(
    run: &mut impl Run,
    id: &GrantId,
    at: DateTime<Utc>,
) -> Result<Option<Revision>, StoreError> {
    let query = sqlx::query_as(sql::VOID_GRANT).bind(id.as_str()).bind(at.timestamp_micros());
    run.change(VOID, query).await
}
