//! Reading all facts of a company, and all policies: one statement each.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::facts::Facts;
use entitlements_core::id::CompanyId;
use entitlements_core::store::{Policies, SnapshotStore, StoreError, StoreErrorKind};

use crate::rows::{
    AddOnRow, CounterRow, GrantRow, OverrideRow, PlanChangeRow, PolicyRow, SubscriptionRow, many,
};
use crate::sql;
use crate::sqlite::{SqliteStore, revision};

const LOAD: &str = "load a company";
const POLICIES: &str = "read the policies";

type Parts = (i64, i64, String, String, String, String, String, String);

#[async_trait]
impl SnapshotStore for SqliteStore {
    async fn load(&self, company: &CompanyId, now: DateTime<Utc>) -> Result<Facts, StoreError> {
        let query = sqlx::query_as(sql::LOAD).bind(company.as_str()).bind(now.timestamp_micros());
        let parts: Vec<Parts> = self.read(LOAD, query).await?;
        let (of_company, of_policies, subscriptions, plan_changes, addons, overrides, grants, usage) =
            parts.into_iter().next().ok_or(StoreError::new(StoreErrorKind::Corrupt, LOAD))?;
        Ok(Facts {
            company: company.clone(),
            revision: revision(LOAD, of_company)?,
            policies_revision: revision(LOAD, of_policies)?,
            subscriptions: many::<SubscriptionRow, _>(LOAD, &subscriptions)?,
            plan_changes: many::<PlanChangeRow, _>(LOAD, &plan_changes)?,
            addons: many::<AddOnRow, _>(LOAD, &addons)?,
            overrides: many::<OverrideRow, _>(LOAD, &overrides)?,
            grants: many::<GrantRow, _>(LOAD, &grants)?,
            usage: many::<CounterRow, _>(LOAD, &usage)?,
            gauges: Vec::new(),
        })
    }

    async fn policies(&self) -> Result<Policies, StoreError> {
        let rows: Vec<(i64, String)> = self.read(POLICIES, sqlx::query_as(sql::POLICIES)).await?;
        let (of_policies, policies) =
            rows.into_iter().next().ok_or(StoreError::new(StoreErrorKind::Corrupt, POLICIES))?;
        Ok(Policies {
            revision: revision(POLICIES, of_policies)?,
            policies: many::<PolicyRow, _>(POLICIES, &policies)?,
        })
    }
}
