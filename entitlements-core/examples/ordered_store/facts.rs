//! Everything about a company, as one consistent view.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::facts::{AddOnQuantity, Facts, Override, PlanChange, UsageCounter};
use entitlements_core::id::CompanyId;
use entitlements_core::store::{Policies, SnapshotStore, StoreError};

use crate::store::{Company, OrderedStore};

#[async_trait]
impl SnapshotStore for OrderedStore {
    async fn load(&self, company: &CompanyId, now: DateTime<Utc>) -> Result<Facts, StoreError> {
        let state = self.state();
        let mut facts = Facts { policies_revision: state.policies_revision, ..Facts::empty(company.clone()) };
        if let Some(known) = state.companies.get(company) {
            fill(&mut facts, known, now);
        }
        Ok(facts)
    }

    async fn policies(&self) -> Result<Policies, StoreError> {
        let state = self.state();
        let policies = state.policies.values().cloned().collect();
        Ok(Policies { revision: state.policies_revision, policies })
    }
}

/// Leaves out what is over, and nothing else: what starts later is included, and who decides looks at the instants.
fn fill(facts: &mut Facts, company: &Company, now: DateTime<Utc>) {
    let goes_on = |end: Option<DateTime<Utc>>| end.is_none_or(|end| now < end);
    facts.revision = company.revision;
    for (id, history) in &company.subscriptions {
        facts.subscriptions.extend(history.last().map(|(_, present)| present.clone()));
        for ((_, before), (at, after)) in history.iter().zip(history.iter().skip(1)) {
            if before.plan != after.plan {
                let from = before.plan.clone();
                facts.plan_changes.push(PlanChange { subscription: id.clone(), at: *at, from });
            }
        }
    }
    facts.plan_changes.sort_by_key(|change| change.at);
    for (addon, &quantity) in &company.addons {
        facts.addons.push(AddOnQuantity { addon: addon.clone(), quantity });
    }
    for (feature, value) in &company.overrides {
        facts.overrides.push(Override { feature: feature.clone(), value: value.clone() });
    }
    for grant in company.grants.values() {
        if grant.voided_at.is_none() && goes_on(grant.ends_at) {
            facts.grants.push(grant.clone());
        }
    }
    for ((meter, bucket, period_start), count) in &company.counters {
        if goes_on(count.period_end) {
            facts.usage.push(UsageCounter {
                meter: meter.clone(),
                bucket: bucket.clone(),
                period_start: *period_start,
                used: count.used,
            });
        }
    }
}
