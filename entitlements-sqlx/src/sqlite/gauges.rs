//! Gauges: one statement per write.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::Amount;
use entitlements_core::gauge::{AcquireOutcome, Holder, LevelOutcome};
use entitlements_core::id::{CompanyId, FeatureKey, HolderId};
use entitlements_core::store::{GaugeStore, MAX_PAGE, Page, PageRequest, StoreError, StoreErrorKind};

use super::{SqliteStore, sql};
use crate::gauges::{holders, level_set, units};
use crate::paging::one_more;

const ACQUIRE: &str = "acquire a unit of a gauge";
const RELEASE: &str = "release a unit of a gauge";
const LEVEL: &str = "set the level of a gauge";
const LIST: &str = "list the holders of a gauge";

/// How often a unit is tried to be taken that others give back and take in between.
const ROUNDS: usize = 16;

#[async_trait]
impl GaugeStore for SqliteStore {
    async fn acquire(
        &self,
        company: &CompanyId,
        gauge: &FeatureKey,
        holder: &HolderId,
        limit: Option<Amount>,
        at: DateTime<Utc>,
    ) -> Result<AcquireOutcome, StoreError> {
        for _ in 0..ROUNDS {
            let query = sqlx::query_as(sql::ACQUIRE)
                .bind(company.as_str())
                .bind(gauge.as_str())
                .bind(holder.as_str())
                .bind(limit.map(Amount::as_i64))
                .bind(at.timestamp_micros());
            if let Some((used,)) = self.write::<(i64,)>(ACQUIRE, query).await? {
                return Ok(AcquireOutcome::Acquired(units(ACQUIRE, used)?));
            }
            let query =
                sqlx::query_as(sql::HOLDS).bind(company.as_str()).bind(gauge.as_str()).bind(holder.as_str());
            let rows: Vec<(bool, i64)> = self.read(ACQUIRE, query).await?;
            let (is_held, used) =
                rows.first().copied().ok_or(StoreError::new(StoreErrorKind::Corrupt, ACQUIRE))?;
            let used = units(ACQUIRE, used)?;
            if is_held {
                return Ok(AcquireOutcome::Held(used));
            }
            if used >= limit.unwrap_or(Amount::MAX) {
                return Ok(AcquireOutcome::Refused);
            }
            // It was held, or there was no room, and since then somebody gave a unit back.
        }
        Err(StoreError::new(StoreErrorKind::Contention, ACQUIRE))
    }

    async fn release(
        &self,
        company: &CompanyId,
        gauge: &FeatureKey,
        holder: &HolderId,
    ) -> Result<bool, StoreError> {
        let query =
            sqlx::query_as(sql::RELEASE).bind(company.as_str()).bind(gauge.as_str()).bind(holder.as_str());
        Ok(self.write::<(i64,)>(RELEASE, query).await?.is_some())
    }

    async fn set_level(
        &self,
        company: &CompanyId,
        gauge: &FeatureKey,
        level: Amount,
        limit: Option<Amount>,
    ) -> Result<LevelOutcome, StoreError> {
        let query = sqlx::query_as(sql::SET_LEVEL)
            .bind(company.as_str())
            .bind(gauge.as_str())
            .bind(level.as_i64())
            .bind(limit.map(Amount::as_i64));
        let row = self.write::<(i64,)>(LEVEL, query).await?;
        level_set(LEVEL, row.map(|(used,)| used))
    }

    async fn list_holders(
        &self,
        company: &CompanyId,
        gauge: &FeatureKey,
        page: &PageRequest,
    ) -> Result<Page<Holder>, StoreError> {
        let limit = page.limit.clamp(1, MAX_PAGE);
        let query = sqlx::query_as(sql::LIST_HOLDERS)
            .bind(company.as_str())
            .bind(gauge.as_str())
            // Before every holder: no id is empty.
            .bind(page.cursor.as_deref().unwrap_or_default())
            .bind(one_more(limit));
        holders(LIST, self.read(LIST, query).await?, limit)
    }
}
