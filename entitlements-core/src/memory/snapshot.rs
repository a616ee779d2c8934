//! Reading all facts of a company.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::MemoryStore;
use crate::facts::{AddOnQuantity, Facts, GaugeLevel, Override, UsageCounter};
use crate::id::CompanyId;
use crate::store::{Policies, SnapshotStore, StoreError};

#[async_trait]
impl SnapshotStore for MemoryStore {
    async fn load(&self, company: &CompanyId, now: DateTime<Utc>) -> Result<Facts, StoreError> {
        let state = self.state();
        let mut facts = Facts::empty(company.clone());
        facts.policies_revision = state.policies_revision;
        let Some(known) = state.companies.get(company) else { return Ok(facts) };
        let is_over = |end: Option<DateTime<Utc>>| end.is_some_and(|end| end <= now);

        facts.revision = known.revision;
        facts.subscriptions = known.subscriptions.values().cloned().collect();
        facts.plan_changes.clone_from(&known.plan_changes);
        facts.addons = (known.addons.iter())
            .map(|(addon, &quantity)| AddOnQuantity { addon: addon.clone(), quantity })
            .collect();
        facts.overrides = (known.overrides.iter())
            .map(|(feature, value)| Override { feature: feature.clone(), value: value.clone() })
            .collect();
        facts.grants = (known.grants.values())
            .filter(|grant| grant.voided_at.is_none() && !is_over(grant.ends_at))
            .cloned()
            .collect();
        facts.usage = (known.counters.iter())
            .filter(|(_, count)| !is_over(count.period_end))
            .map(|(key, count)| UsageCounter {
                meter: key.meter.clone(),
                bucket: key.bucket.clone(),
                period_start: key.period_start,
                used: count.used.saturating_sub(known.expired(key, now)),
            })
            .collect();
        facts.gauges = (known.gauges.iter())
            .map(|(gauge, held)| GaugeLevel { gauge: gauge.clone(), used: held.used() })
            .filter(|level| !level.used.is_zero())
            .collect();
        facts.reserved_until = (known.open_reservations.iter()).map(|(end, _)| *end).find(|end| now < *end);
        Ok(facts)
    }

    async fn policies(&self) -> Result<Policies, StoreError> {
        let state = self.state();
        Ok(Policies {
            revision: state.policies_revision,
            policies: state.policies.values().cloned().collect(),
        })
    }
}
