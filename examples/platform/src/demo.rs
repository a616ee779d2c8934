//! Demo companies: one for each plan of the seed catalog, subscribed for as long as development mode is on.

use billing_stripe::StripeErrorKind;
use chrono::{DateTime, SubsecRound, Utc};
use entitlements_core::billing::{BillingError, BillingErrorKind, BillingProvider, NewSubscription};
use entitlements_core::id::{CompanyId, InvalidId, PlanKey, SubscriptionId};
use entitlements_core::period::Interval;
use entitlements_core::store::{SharedStore, StoreError, StoreErrorKind};
use entitlements_core::{Catalog, Subscription, SubscriptionStatus};

use crate::app::App;

/// The companies, each with its plan.
pub(crate) const COMPANIES: [(&str, &str); 3] =
    [("starter-co", "starter"), ("pro-co", "pro"), ("enterprise-co", "enterprise")];

/// Subscribes the companies that are not subscribed yet: at the fake Stripe, which also renews them, or, where the real one
/// is in use, in the database alone.
///
/// A company whose plan the catalog does not have is left out. Usage and periods are left as they are.
pub(crate) async fn ensure(app: &App) -> Result<(), BillingError> {
    let Some(fake) = &app.billing.fake else { return renew(app).await.map_err(BillingError::from) };
    // What happens here is stored as it happens: nobody needs to be told.
    fake.hold_webhooks();
    fake.catch_up();
    let before: Vec<_> = fake.pending_webhooks().into_iter().map(|webhook| webhook.event_id).collect();
    let mut outcome = Ok(());
    for (company, plan) in offered(&app.entitlements.catalog()) {
        outcome = subscribe(app, company, plan).await;
        if outcome.is_err() {
            break;
        }
    }
    for webhook in fake.pending_webhooks() {
        if outcome.is_ok() && !before.contains(&webhook.event_id) {
            fake.lose(&webhook.event_id);
        }
    }
    fake.release_webhooks();
    outcome
}

/// Renews the companies up to now, where the fake Stripe does not do so.
pub(crate) async fn renew(app: &App) -> Result<(), StoreError> {
    if app.billing.fake.is_some() {
        return Ok(());
    }
    store_all(&app.store, &app.entitlements.catalog(), app.entitlements.now()).await
}

/// The companies whose plans the catalog has.
fn offered(catalog: &Catalog) -> Vec<(&'static str, &'static str)> {
    let offered = |(company, plan): &(&'static str, &'static str)| {
        let known = catalog.plan(plan).is_some();
        if !known {
            tracing::warn!(company, plan, "the demo company is left out: the catalog does not have its plan");
        }
        known
    };
    COMPANIES.into_iter().filter(offered).collect()
}

/// Subscribes a company at the fake, unless the fake knows it already, whatever it did there since.
async fn subscribe(app: &App, name: &str, plan: &str) -> Result<(), BillingError> {
    let billing = &app.billing;
    let company = CompanyId::new(name).map_err(unusable)?;
    if let Some(customer) = billing.ledger.customer_of(&company).await? {
        match billing.client.customer(customer.id.as_str()).await {
            Ok(shown) if !shown.deleted => return Ok(()),
            Err(error) if error.kind() != StripeErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        // It was the customer of a fake that was thrown away.
        billing.provider.reconcile(&company).await?;
        billing.ledger.delete_customer(&customer.id, app.entitlements.now()).await?;
    }
    let stored = SubscriptionId::new(format!("demo-{name}")).map_err(unusable)?;
    if let Some(known) = app.store.subscription(&stored).await? {
        // It was made while another Stripe was in use.
        let now = app.entitlements.now();
        let ended = Subscription {
            status: SubscriptionStatus::Canceled,
            cancel_at: known.cancel_at.or(Some(now)),
            ..known
        };
        app.store.put_subscription(&ended, now).await?;
    }
    let new = NewSubscription {
        company: company.clone(),
        plan: PlanKey::new(plan).map_err(unusable)?,
        seats: None,
        trial_days: Some(0),
        payment_method: Some("pm_card_visa".into()),
    };
    billing.provider.subscribe(&new).await?;
    // With the invoices.
    billing.provider.reconcile(&company).await?;
    Ok(())
}

fn unusable(error: InvalidId) -> BillingError {
    BillingError::new(BillingErrorKind::Internal, "a demo company cannot be named").with_source(error)
}

/// Subscribes the companies in the database alone, and renews them up to `now`.
async fn store_all(store: &SharedStore, catalog: &Catalog, now: DateTime<Utc>) -> Result<(), StoreError> {
    for (company, plan) in offered(catalog) {
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
        store_all(&store, &catalog(), start).await.unwrap();
        let first = stored(&store).await;
        store_all(&store, &catalog(), start + chrono::TimeDelta::days(3)).await.unwrap();
        assert_eq!(stored(&store).await, first);
        assert_eq!(store.subscription_history(&first.id).await.unwrap().len(), 1);
        assert_eq!(first.current_period_end.to_rfc3339(), "2026-02-28T09:00:00.123456+00:00");
    }

    #[tokio::test]
    async fn a_later_month_renews_and_keeps_the_anchor() {
        let store: SharedStore = Arc::new(MemoryStore::default());
        store_all(&store, &catalog(), "2026-01-31T09:00:00Z".parse().unwrap()).await.unwrap();
        store_all(&store, &catalog(), "2026-03-31T09:00:00Z".parse().unwrap()).await.unwrap();
        let renewed = stored(&store).await;
        assert_eq!(renewed.current_period_start.to_rfc3339(), "2026-03-31T09:00:00+00:00");
        assert_eq!(renewed.current_period_end.to_rfc3339(), "2026-04-30T09:00:00+00:00");
        assert_eq!(renewed.anchor.to_rfc3339(), "2026-01-31T09:00:00+00:00");
    }

    #[tokio::test]
    async fn a_company_without_its_plan_is_left_out() {
        let store: SharedStore = Arc::new(MemoryStore::default());
        let text = "schema = 1\npast_due_grace = \"7d\"\n[features]\na = { type = \"flag\" }\n[plans.pro]";
        store_all(&store, &text.parse().unwrap(), DateTime::UNIX_EPOCH).await.unwrap();
        assert_eq!(stored(&store).await.plan.as_str(), "pro");
        let starter = SubscriptionId::new("demo-starter-co").unwrap();
        assert!(store.subscription(&starter).await.unwrap().is_none());
    }
}
