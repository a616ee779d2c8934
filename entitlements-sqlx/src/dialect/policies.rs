//! Policies: one statement per write.

use async_trait::async_trait;
use entitlements_core::facts::Revision;
use entitlements_core::id::PolicyId;
use entitlements_core::policy::Policy;
use entitlements_core::store::{Inserted, MAX_PAGE, Page, PageRequest, PolicyStore, StoreError};

use super::{Store, Typed, sql};
use crate::paging::{one_more, page_of};
use crate::rows::{PolicyRow, one, target_json};

const INSERT: &str = "store a policy";
const REPLACE: &str = "replace a policy";
const REMOVE: &str = "remove a policy";
const FIND: &str = "read a policy";
const LIST: &str = "list policies";

#[async_trait]
impl PolicyStore for Store {
    async fn insert_policy(&self, policy: &Policy) -> Result<Inserted, StoreError> {
        let query = bound(INSERT, sql::INSERT_POLICY, policy)?;
        Ok(self.change(INSERT, query).await?.map_or(Inserted::Taken, Inserted::Now))
    }

    async fn replace_policy(&self, policy: &Policy) -> Result<Option<Revision>, StoreError> {
        let query = bound(REPLACE, sql::REPLACE_POLICY, policy)?;
        self.change(REPLACE, query).await
    }

    async fn remove_policy(&self, id: &PolicyId) -> Result<Option<Revision>, StoreError> {
        self.change(REMOVE, sqlx::query_as(sql::REMOVE_POLICY).bind(id.as_str())).await
    }

    async fn find_policy(&self, id: &PolicyId) -> Result<Option<Policy>, StoreError> {
        let query = sqlx::query_as(sql::FIND_POLICY).bind(id.as_str());
        let rows: Vec<(String,)> = self.read(FIND, query).await?;
        rows.first().map(|(json,)| one::<PolicyRow, _>(FIND, json)).transpose()
    }

    async fn list_policies(&self, page: &PageRequest) -> Result<Page<Policy>, StoreError> {
        let limit = page.limit.clamp(1, MAX_PAGE);
        // Before every policy: no id is empty.
        let after = page.cursor.as_deref().unwrap_or_default();
        let query = sqlx::query_as(sql::LIST_POLICIES).bind(after).bind(one_more(limit));
        let rows: Vec<(String,)> = self.read(LIST, query).await?;
        let items = rows.iter().map(|(json,)| one::<PolicyRow, _>(LIST, json)).collect::<Result<_, _>>()?;
        Ok(page_of(items, limit, |last: &Policy| last.id.to_string()))
    }
}

/// A statement with every column of a policy.
fn bound<'q>(
    operation: &'static str,
    statement: &'static str,
    policy: &'q Policy,
) -> Result<Typed<'q, (i64,)>, StoreError> {
    Ok(sqlx::query_as(statement)
        .bind(policy.id.as_str())
        .bind(policy.name.as_deref())
        .bind(policy.priority)
        .bind(policy.effect.as_str())
        .bind(policy.guardrail)
        .bind(policy.enabled)
        .bind(policy.starts_at.map(|at| at.timestamp_micros()))
        .bind(policy.ends_at.map(|at| at.timestamp_micros()))
        .bind(target_json(operation, &policy.target)?)
        .bind(policy.when.to_stored()))
}
