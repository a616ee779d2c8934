//! Demo companies: one for each plan of the seed catalog, subscribed for as long as development mode is on.

use chrono::{DateTime, SubsecRound, Utc};
use entitlements_core::id::{CompanyId, InvalidId, PlanKey, SubscriptionId};
use entitlements_core::period::Interval;
use entitlements_core::store::{SharedStore, StoreError, StoreErrorKind};
use entitlements_core::{Catalog, Subscription, SubscriptionStatus};

/// The companies, each with its plan.
pub(crate) const COMPANIES: [(&str, &str); 3] =
    [("starter-co", "starter"), ("pro-co", "pro"), ("enterprise-co", "enterprise")];

/// Subscribes the companies that are not subscribed yet, and renews the others up to `now`.
///
/// A company whose plan the catalog does not have is left out. Usage and periods are left as they are.
pub(crate) async fn ensure(
    store: &SharedStore,
    catalog: &Catalog,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    for (company, plan) in COMPANIES {
        if catalog.plan(plan).is_none() {
            tracing::warn!(company, plan, "the demo company is left out: the catalog does not have its plan");
            continue;
        }
        let new = subscription(company, plan, now.trunc_subsecs(6)).map_err(|error| {
            StoreError::new(StoreErrorKind::Internal, "name a demo company").with_source(error)
        })?;
        let renewed = renewed(store.subscription(&new.id).await?.unwrap_or(new), now);
        store.put_subscription(&renewed, now).await?;
    }
    Ok(())
}

fn subscription(company: &str, plan: &str, now: DateTime<Utc>) -> Result<Subscription, InvalidId> {
    Ok(Subscription {
        id: SubscriptionId::new(format!("demo-{company}"))?,
        company: CompanyId::new(company)?,
        plan: PlanKey::new(plan)?,
        status: SubscriptionStatus::Active,
        seats: None,
        started_at: now,
        anchor: now,
        current_period_start: now,
        current_period_end: now,
        trial_end: None,
        past_due_since: None,
        cancel_at: None,
        cancel_at_period_end: false,
        created_at: now,
    })
}

/// The subscription in the paid period that contains `now`. A clock that was set back renews nothing.
fn renewed(subscription: Subscription, now: DateTime<Utc>) -> Subscription {
    let now = now.max(subscription.started_at);
    let period = Interval::Month.period(subscription.anchor, now).clipped_at(subscription.started_at);
    if period.contains(subscription.current_period_start) && subscription.current_period_end > now {
        return subscription;
    }
    let end = period.end.unwrap_or(DateTime::<Utc>::MAX_UTC);
    Subscription { current_period_start: period.start, current_period_end: end, ..subscription }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use entitlements_core::MemoryStore;
    use entitlements_core::store::SubscriptionStore;

    use super::*;

    fn catalog() -> Catalog {
        include_str!("../catalog.toml").parse().unwrap()
    }

    async fn stored(store: &SharedStore) -> Subscription {
        store.subscription(&SubscriptionId::new("demo-pro-co").unwrap()).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn starting_again_changes_nothing_within_the_period() {
        let store: SharedStore = Arc::new(MemoryStore::default());
        let start: DateTime<Utc> = "2026-01-31T09:00:00.1234567Z".parse().unwrap();
        ensure(&store, &catalog(), start).await.unwrap();
        let first = stored(&store).await;
        ensure(&store, &catalog(), start + chrono::TimeDelta::days(3)).await.unwrap();
        assert_eq!(stored(&store).await, first);
        assert_eq!(store.subscription_history(&first.id).await.unwrap().len(), 1);
        assert_eq!(first.current_period_end.to_rfc3339(), "2026-02-28T09:00:00.123456+00:00");
    }

    #[tokio::test]
    async fn a_later_month_renews_and_keeps_the_anchor() {
        let store: SharedStore = Arc::new(MemoryStore::default());
        ensure(&store, &catalog(), "2026-01-31T09:00:00Z".parse().unwrap()).await.unwrap();
        ensure(&store, &catalog(), "2026-03-31T09:00:00Z".parse().unwrap()).await.unwrap();
        let renewed = stored(&store).await;
        assert_eq!(renewed.current_period_start.to_rfc3339(), "2026-03-31T09:00:00+00:00");
        assert_eq!(renewed.current_period_end.to_rfc3339(), "2026-04-30T09:00:00+00:00");
        assert_eq!(renewed.anchor.to_rfc3339(), "2026-01-31T09:00:00+00:00");
    }

    #[tokio::test]
    async fn a_company_without_its_plan_is_left_out() {
        let store: SharedStore = Arc::new(MemoryStore::default());
        let text = "schema = 1\npast_due_grace = \"7d\"\n[features]\na = { type = \"flag\" }\n[plans.pro]";
        ensure(&store, &text.parse().unwrap(), DateTime::UNIX_EPOCH).await.unwrap();
        assert_eq!(stored(&store).await.plan.as_str(), "pro");
        let starter = SubscriptionId::new("demo-starter-co").unwrap();
        assert!(store.subscription(&starter).await.unwrap().is_none());
    }
}
