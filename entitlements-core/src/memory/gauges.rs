//! Gauges in memory.

use std::ops::Bound;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::MemoryStore;
use super::instant::kept;
use super::state::{Gauge, State};
use crate::Amount;
use crate::gauge::{AcquireOutcome, Holder, LevelOutcome};
use crate::id::{CompanyId, FeatureKey, HolderId};
use crate::store::{GaugeStore, MAX_PAGE, Page, PageRequest, StoreError};

#[async_trait]
impl GaugeStore for MemoryStore {
    async fn acquire(
        &self,
        company: &CompanyId,
        gauge: &FeatureKey,
        holder: &HolderId,
        limit: Option<Amount>,
        at: DateTime<Utc>,
    ) -> Result<AcquireOutcome, StoreError> {
        let mut state = self.state();
        let known = gauge_of(&state, company, gauge);
        let used = known.map_or(Amount::ZERO, Gauge::used);
        if known.is_some_and(|gauge| gauge.holders.contains_key(holder)) {
            return Ok(AcquireOutcome::Held(used));
        }
        let Some(with_it) = used.checked_add(Amount::ONE).filter(|sum| fits(*sum, limit)) else {
            return Ok(AcquireOutcome::Refused);
        };
        let gauges = &mut state.companies.entry(company.clone()).or_default().gauges;
        gauges.entry(gauge.clone()).or_default().holders.insert(holder.clone(), kept(at));
        Ok(AcquireOutcome::Acquired(with_it))
    }

    async fn release(
        &self,
        company: &CompanyId,
        gauge: &FeatureKey,
        holder: &HolderId,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        let known = state.companies.get_mut(company).and_then(|company| company.gauges.get_mut(gauge));
        Ok(known.is_some_and(|gauge| gauge.holders.remove(holder).is_some()))
    }

    async fn set_level(
        &self,
        company: &CompanyId,
        gauge: &FeatureKey,
        level: Amount,
        limit: Option<Amount>,
    ) -> Result<LevelOutcome, StoreError> {
        let mut state = self.state();
        let known = gauge_of(&state, company, gauge);
        let before = known.map_or(Amount::ZERO, |gauge| gauge.level);
        let by_holders = known.map_or(Amount::ZERO, |gauge| gauge.used().saturating_sub(gauge.level));
        let Some(used) = by_holders.checked_add(level).filter(|sum| level <= before || fits(*sum, limit))
        else {
            return Ok(LevelOutcome::Refused);
        };
        let gauges = &mut state.companies.entry(company.clone()).or_default().gauges;
        gauges.entry(gauge.clone()).or_default().level = level;
        Ok(LevelOutcome::Set(used))
    }

    async fn list_holders(
        &self,
        company: &CompanyId,
        gauge: &FeatureKey,
        page: &PageRequest,
    ) -> Result<Page<Holder>, StoreError> {
        let after = page.cursor.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.state();
        let Some(gauge) = gauge_of(&state, company, gauge) else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let mut rest = (gauge.holders.range::<str, _>((after, Bound::Unbounded)))
            .map(|(holder, since)| Holder { holder: holder.clone(), since: *since });
        let items: Vec<_> = rest.by_ref().take(page.limit.clamp(1, MAX_PAGE)).collect();
        let next = rest.next().and(items.last()).map(|last| last.holder.to_string());
        Ok(Page { items, next })
    }
}

fn gauge_of<'a>(state: &'a State, company: &CompanyId, gauge: &FeatureKey) -> Option<&'a Gauge> {
    state.companies.get(company).and_then(|company| company.gauges.get(gauge))
}

fn fits(used: Amount, limit: Option<Amount>) -> bool {
    limit.is_none_or(|limit| used <= limit)
}
