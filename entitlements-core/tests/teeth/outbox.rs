//! Nothing is wrong with usage that is billed.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::billing::{UnsettledUsage, UsageOutbox, UsageOutcome, UsageRecord};
use entitlements_core::id::{FeatureKey, UsageRecordId};

use super::{Result, Store};

#[async_trait]
impl UsageOutbox for Store {
    async fn bill_meters(&self, meters: &[FeatureKey]) -> Result<()> {
        self.memory.bill_meters(meters).await
    }

    async fn claim_usage(
        &self,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<UsageRecord>> {
        self.memory.claim_usage(until, now, limit).await
    }

    async fn finish_usage(&self, id: &UsageRecordId, attempt: u32, outcome: &UsageOutcome) -> Result<bool> {
        self.memory.finish_usage(id, attempt, outcome).await
    }

    async fn refuse_usage(&self, id: &UsageRecordId, why: &str) -> Result<bool> {
        self.memory.refuse_usage(id, why).await
    }

    async fn usage_record(&self, id: &UsageRecordId) -> Result<Option<UsageRecord>> {
        self.memory.usage_record(id).await
    }

    async fn unsettled_usage(&self) -> Result<Vec<UnsettledUsage>> {
        self.memory.unsettled_usage().await
    }
}
