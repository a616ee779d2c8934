//! Gauges: one statement, one round trip each.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::Amount;
use entitlements_core::gauge::{AcquireOutcome, Holder, LevelOutcome};
use entitlements_core::id::{CompanyId, FeatureKey, HolderId};
use entitlements_core::store::{GaugeStore, MAX_PAGE, Page, PageRequest, StoreError, StoreErrorKind};

use super::{PostgresStore, sql};
use crate::gauges::{holders, level_set, units};
use crate::paging::one_more;

const ACQUIRE: &str = "acquire a unit of a gauge";
const RELEASE: &str = "release a unit of a gauge";
const LEVEL: &str = "set the level of a gauge";
const LIST: &str = "list the holders of a gauge";

#[async_trait]
impl GaugeStore for PostgresStore {
    async fn acquire(
        &self,
        company: &CompanyId,
        gauge: &FeatureKey,
        holder: &HolderId,
        limit: Option<Amount>,
        at: DateTime<Utc>,
    ) -> Result<AcquireOutcome, StoreError> {
        let query = sqlx::query_as(sql::ACQUIRE)
            .bind(company.as_str())
            .bind(gauge.as_str())
            .bind(holder.as_str())
            .bind(limit.map(Amount::as_i64))
            .bind(at.timestamp_micros());
        let rows: Vec<(bool, bool, Option<i64>)> = self.read(ACQUIRE, query).await?;
        let (is_held, is_new, used) =
            rows.first().copied().ok_or(StoreError::new(StoreErrorKind::Corrupt, ACQUIRE))?;
        let used = units(ACQUIRE, used.unwrap_or(0))?;
        Ok(match (is_held, is_new) {
            (true, true) => AcquireOutcome::Acquired(used),
            (true, false) => AcquireOutcome::Held(used),
            (false, _) => AcquireOutcome::Refused,
        })
    }

    async fn release(
        &self,
        company: &CompanyId,
        gauge: &FeatureKey,
        holder: &HolderId,
    ) -> Result<bool, StoreError> {
        let query =
            sqlx::query_as(sql::RELEASE).bind(company.as_str()).bind(gauge.as_str()).bind(holder.as_str());
        let rows: Vec<(bool,)> = self.read(RELEASE, query).await?;
        Ok(rows.first().is_some_and(|(released,)| *released))
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
        let rows: Vec<(i64,)> = self.read(LEVEL, query).await?;
        level_set(LEVEL, rows.first().map(|(used,)| *used))
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
