//! What if: the same company on another plan.

use chrono::{DateTime, Utc};

use crate::catalog::Catalog;
use crate::id::{InvalidId, PlanKey, SubscriptionId};
use crate::snapshot::Snapshot;
use crate::subscription::{Subscription, SubscriptionStatus};

impl Snapshot {
    /// The same company as if it were on `plan`: its newest subscription changed to that plan and active, or, if it has
    /// none, a new one that begins `now`. Grants, add-ons, overrides and usage stay.
    ///
    /// ```
    /// use entitlements_core::facts::Facts;
    /// use entitlements_core::id::{CompanyId, PlanKey};
    /// use entitlements_core::{Action, Catalog, Request, Snapshot, Subject, evaluate};
    ///
    /// let catalog: Catalog = r#"
    ///     schema = 1
    ///     past_due_grace = "7d"
    ///     [features]
    ///     export = { type = "flag" }
    ///     [plans.pro.grants]
    ///     export = true
    /// "#.parse()?;
    /// let acme = Subject::company(CompanyId::new("acme")?);
    /// let now = "2026-11-24T00:00:00Z".parse()?;
    /// let snapshot = Snapshot::new(Facts::empty(acme.company.clone()), Default::default(), &catalog);
    /// let request = Request::new(&acme, "export", Action::Export);
    ///
    /// assert!(!evaluate(&request, &snapshot, &catalog, now).is_allowed());
    /// let on_pro = snapshot.on_plan(&PlanKey::new("pro")?, &catalog, now)?;
    /// assert!(evaluate(&request, &on_pro, &catalog, now).is_allowed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// None in practice: the name of the new subscription is always an id.
    pub fn on_plan(&self, plan: &PlanKey, catalog: &Catalog, now: DateTime<Utc>) -> Result<Self, InvalidId> {
        let mut facts = self.facts().clone();
        // Snapshots keep the newest first.
        match facts.subscriptions.first_mut() {
            Some(subscription) => {
                subscription.plan = plan.clone();
                subscription.status = SubscriptionStatus::Active;
                subscription.cancel_at = None;
                subscription.cancel_at_period_end = false;
            }
            None => facts.subscriptions.push(Subscription {
                id: SubscriptionId::new("what-if")?,
                company: facts.company.clone(),
                plan: plan.clone(),
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
            }),
        }
        Ok(self.with_facts(facts, catalog))
    }
}
