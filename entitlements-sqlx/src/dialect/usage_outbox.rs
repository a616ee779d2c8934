//! Usage that is billed.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::billing::{UnsettledUsage, UsageOutbox, UsageOutcome, UsageRecord};
use entitlements_core::id::{FeatureKey, UsageRecordId};
use entitlements_core::store::StoreError;

use super::{Store, sql};
use crate::usage_outbox;

#[async_trait]
impl UsageOutbox for Store {
    async fn bill_meters(&self, meters: &[FeatureKey]) -> Result<(), StoreError> {
        let query = sqlx::query(sql::BILL_METERS).bind(usage_outbox::list(meters));
        self.execute(usage_outbox::BILL, query).await
    }

    async fn claim_usage(
        &self,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<UsageRecord>, StoreError> {
        let query = sqlx::query_as(sql::CLAIM_USAGE)
            .bind(until.timestamp_micros())
            .bind(now.timestamp_micros())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        usage_outbox::records(self.write_all(usage_outbox::CLAIM, query).await?)
    }

    async fn finish_usage(
        &self,
        id: &UsageRecordId,
        attempt: u32,
        outcome: &UsageOutcome,
    ) -> Result<bool, StoreError> {
        let (word, note, due_at, tried_at) = usage_outbox::outcome(outcome);
        let query = sqlx::query_as(sql::FINISH_USAGE)
            .bind(id.as_str())
            .bind(i64::from(attempt))
            .bind(word)
            .bind(note)
            .bind(due_at)
            .bind(tried_at);
        let row: Option<(String,)> = self.write(usage_outbox::FINISH, query).await?;
        Ok(row.is_some())
    }

    async fn refuse_usage(&self, id: &UsageRecordId, why: &str) -> Result<bool, StoreError> {
        let query = sqlx::query_as(sql::REFUSE_USAGE).bind(id.as_str()).bind(why);
        let row: Option<(String,)> = self.write(usage_outbox::FINISH, query).await?;
        Ok(row.is_some())
    }

    async fn usage_record(&self, id: &UsageRecordId) -> Result<Option<UsageRecord>, StoreError> {
        let query = sqlx::query_as(sql::FIND_USAGE).bind(id.as_str());
        let rows = self.read(usage_outbox::FIND, query).await?;
        rows.into_iter().next().map(usage_outbox::record).transpose()
    }

    async fn unsettled_usage(&self) -> Result<Vec<UnsettledUsage>, StoreError> {
        let rows = self.read(usage_outbox::SUM, sqlx::query_as(sql::UNSETTLED_USAGE)).await?;
        rows.into_iter().map(usage_outbox::unsettled).collect()
    }
}
