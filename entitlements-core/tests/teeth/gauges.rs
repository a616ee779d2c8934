//! What is wrong with gauges.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::Amount;
use entitlements_core::gauge::{AcquireOutcome, Holder, LevelOutcome};
use entitlements_core::id::{CompanyId, FeatureKey, HolderId};
use entitlements_core::store::{GaugeStore, Page, PageRequest, SnapshotStore, StoreError, StoreErrorKind};

use super::{Result, Store, Wrong};

const GAUGES: &str = "use gauges";

impl Store {
    /// Refuses every call, as a store does that has no gauges and says so.
    fn do_without_gauges(&self) -> Result<()> {
        match self.wrong {
            Wrong::RefusesWhatItClaims | Wrong::DoesWhatItRefuses => {
                Err(StoreError::new(StoreErrorKind::Unsupported, GAUGES))
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl GaugeStore for Store {
    async fn acquire(
        &self,
        company: &CompanyId,
        gauge: &FeatureKey,
        holder: &HolderId,
        limit: Option<Amount>,
        at: DateTime<Utc>,
    ) -> Result<AcquireOutcome> {
        if self.is(Wrong::DoesWhatItRefuses) {
            self.memory.acquire(company, gauge, holder, limit, at).await?;
        }
        self.do_without_gauges()?;
        if self.is(Wrong::RefusesHolders) || self.is(Wrong::ReadsGaugesThenWrites) {
            let facts = self.memory.load(company, at).await?;
            let known = facts.gauges.iter().find(|level| level.gauge == *gauge);
            let used = known.map_or(Amount::ZERO, |level| level.used);
            if limit.is_some_and(|limit| used >= limit) {
                return Ok(AcquireOutcome::Refused);
            }
        }
        if self.is(Wrong::ReadsGaugesThenWrites) {
            self.give_way().await;
            return self.memory.acquire(company, gauge, holder, None, at).await;
        }
        let outcome = self.memory.acquire(company, gauge, holder, limit, at).await?;
        if self.is(Wrong::CountsHoldersAgain) && matches!(outcome, AcquireOutcome::Held(_)) {
            self.notes.lock().unwrap().again += 1;
        }
        Ok(outcome)
    }

    async fn release(&self, company: &CompanyId, gauge: &FeatureKey, holder: &HolderId) -> Result<bool> {
        self.do_without_gauges()?;
        let released = self.memory.release(company, gauge, holder).await?;
        Ok(released || self.is(Wrong::ReleasesAnybody))
    }

    async fn set_level(
        &self,
        company: &CompanyId,
        gauge: &FeatureKey,
        level: Amount,
        limit: Option<Amount>,
    ) -> Result<LevelOutcome> {
        self.do_without_gauges()?;
        if self.is(Wrong::RefusesLowerLevels) && limit.is_some_and(|limit| level > limit) {
            return Ok(LevelOutcome::Refused);
        }
        self.memory.set_level(company, gauge, level, limit).await
    }

    async fn list_holders(
        &self,
        company: &CompanyId,
        gauge: &FeatureKey,
        page: &PageRequest,
    ) -> Result<Page<Holder>> {
        self.do_without_gauges()?;
        self.memory.list_holders(company, gauge, page).await
    }
}
