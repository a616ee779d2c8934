//! Reading all facts of a company, and all policies: one statement each.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::facts::Facts;
use entitlements_core::id::CompanyId;
use entitlements_core::store::{Policies, SnapshotStore, StoreError};

use super::transaction::Run;
use super::{Store, sql};
use crate::facts::{facts, policies};

const LOAD: &str = "load a company";
const POLICIES: &str = "read the policies";

#[async_trait]
impl SnapshotStore for Store {
    async fn load(&self, company: &CompanyId, now: DateTime<Utc>) -> Result<Facts, StoreError> {
        load_on(&mut &*self, company, now).await
    }

    async fn policies(&self) -> Result<Policies, StoreError> {
        policies_on(&mut &*self).await
    }
}

/// Reads a company where the statement runs.
pub(super) async fn load_on(
    run: &mut impl Run,
    company: &CompanyId,
    now: DateTime<Utc>,
) -> Result<Facts, StoreError> {
    let query = sqlx::query_as(sql::LOAD).bind(company.as_str()).bind(now.timestamp_micros());
    facts(LOAD, company, run.read(LOAD, query).await?)
}

/// Reads the policies where the statement runs.
pub(super) async fn policies_on(run: &mut impl Run) -> Result<Policies, StoreError> {
    policies(POLICIES, run.read(POLICIES, sqlx::query_as(sql::POLICIES)).await?)
}
