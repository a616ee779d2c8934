//! A small world to decide in: a catalog, one company, and a fluent way to ask.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use entitlements_core::bucket::Bucket;
use entitlements_core::facts::{AddOnQuantity, Facts, GaugeLevel, Override, PlanChange, UsageCounter};
use entitlements_core::id::{AddOnKey, CompanyId, FeatureKey, GrantId, PlanKey, SubscriptionId, UserId};
use entitlements_core::policy::{Policy, PolicySet};
use entitlements_core::store::Policies;
use entitlements_core::{
    Action, ActionSet, Amount, Catalog, Context, Decision, Grant, GrantKind, Request, Snapshot, Subject,
    Subscription, SubscriptionStatus, evaluate,
};
use serde_json::{Value, json};

pub(crate) const CATALOG: &str = r#"
schema = 1
past_due_grace = "7d"

[features]
report_builder = { type = "flag" }
boardroom      = { type = "flag" }
secret         = { type = "flag" }
sso            = { type = "flag" }
reports        = { type = "meter" }
soft           = { type = "meter" }
burst          = { type = "meter" }
ai_tokens      = { type = "meter" }
ai_in          = { type = "meter", pool = "ai_tokens" }
ai_out         = { type = "meter", pool = "ai_tokens" }
fresh          = { type = "meter", on_plan_change = "reset" }
rolling        = { type = "meter" }
prorated       = { type = "meter", on_plan_change = "prorate" }
seats          = { type = "gauge", limit_from = "seats" }
storage        = { type = "gauge", counts = "level" }
upload_mb      = { type = "value", default = 10 }

[plans.starter.grants]
report_builder = { actions = ["view", "create"] }
reports = { limit = 10, every = "month" }
soft    = { limit = 10, every = "month", over = "allow" }
burst   = [{ limit = 5, every = "hour" }, { limit = 20, every = "month" }]
fresh   = { limit = 10, every = "month" }
rolling = { limit = 10, every = "month", rollover = 4 }
prorated = { limit = 10, every = "month" }
seats   = 5

[plans.pro]
extends = "starter"
[plans.pro.grants]
report_builder = true
boardroom = true
reports   = { limit = 100, every = "month" }
fresh     = { limit = 100, every = "month" }
ai_tokens = { limit = 1000, every = "month" }
prorated  = { limit = 100, every = "month" }
seats     = 25
storage   = 100
upload_mb = 50

[plans.enterprise]
extends = "pro"
[plans.enterprise.grants]
reports = "unlimited"
seats   = "unlimited"

[addons.pack.grants]
reports = { add = 50 }
[addons.single_sign_on.grants]
sso = true
"#;

pub(crate) const NOW: &str = "2026-11-24T12:00:00Z";

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(crate) fn amount(units: u32) -> Amount {
    units.into()
}

pub(crate) struct World {
    pub(crate) catalog: Catalog,
    pub(crate) facts: Facts,
    pub(crate) policies: Vec<Policy>,
    pub(crate) now: DateTime<Utc>,
}

impl World {
    /// A company without anything.
    pub(crate) fn new() -> Self {
        Self::with_catalog(CATALOG)
    }

    /// The same with a default plan.
    pub(crate) fn with_default_plan(plan: &str) -> Self {
        Self::with_catalog(&CATALOG.replace("schema = 1", &format!("schema = 1\ndefault_plan = \"{plan}\"")))
    }

    fn with_catalog(text: &str) -> Self {
        Self {
            catalog: text.parse().unwrap(),
            facts: Facts::empty(CompanyId::new("acme").unwrap()),
            policies: Vec::new(),
            now: at(NOW),
        }
    }

    /// A company with an active subscription that began on the tenth.
    pub(crate) fn on(plan: &str) -> Self {
        Self::new().subscribed(plan, SubscriptionStatus::Active)
    }

    pub(crate) fn subscribed(self, plan: &str, status: SubscriptionStatus) -> Self {
        self.subscription(plan, status, |_| {})
    }

    pub(crate) fn subscription(
        mut self,
        plan: &str,
        status: SubscriptionStatus,
        change: impl FnOnce(&mut Subscription),
    ) -> Self {
        let start = at("2026-11-10T09:00:00Z");
        let mut subscription = Subscription {
            id: SubscriptionId::new(format!("sub_{}", self.facts.subscriptions.len())).unwrap(),
            company: self.facts.company.clone(),
            plan: PlanKey::new(plan).unwrap(),
            status,
            seats: None,
            started_at: start,
            anchor: start,
            current_period_start: start,
            current_period_end: at("2026-12-10T09:00:00Z"),
            trial_end: None,
            past_due_since: None,
            cancel_at: None,
            cancel_at_period_end: false,
            created_at: start,
        };
        change(&mut subscription);
        self.facts.subscriptions.push(subscription);
        self
    }

    pub(crate) fn granted(mut self, id: &str, feature: &str, change: impl FnOnce(&mut Grant)) -> Self {
        let mut grant = Grant {
            id: GrantId::new(id).unwrap(),
            company: self.facts.company.clone(),
            user: None,
            feature: FeatureKey::new(feature).unwrap(),
            actions: ActionSet::ALL,
            resource: None,
            amount: None,
            kind: GrantKind::Manual,
            starts_at: self.now - TimeDelta::days(1),
            ends_at: None,
            reason: None,
            created_at: self.now - TimeDelta::days(1),
            voided_at: None,
        };
        change(&mut grant);
        self.facts.grants.push(grant);
        self
    }

    pub(crate) fn policy(mut self, policy: &Value) -> Self {
        self.policies.push(Policy::from_json(policy).unwrap());
        self
    }

    pub(crate) fn used(mut self, meter: &str, bucket: &str, period_start: &str, used: u32) -> Self {
        self.facts.usage.push(UsageCounter {
            meter: FeatureKey::new(meter).unwrap(),
            bucket: bucket.parse::<Bucket>().unwrap(),
            period_start: at(period_start),
            used: used.into(),
        });
        self
    }

    /// Units used of the plan's monthly allowance in the present period of the subscription.
    pub(crate) fn used_monthly(self, meter: &str, used: u32) -> Self {
        self.used(meter, "plan/month/subscription", "2026-11-10T09:00:00Z", used)
    }

    pub(crate) fn held(mut self, gauge: &str, used: u32) -> Self {
        self.facts.gauges.push(GaugeLevel { gauge: FeatureKey::new(gauge).unwrap(), used: used.into() });
        self
    }

    pub(crate) fn addon(mut self, addon: &str, quantity: u32) -> Self {
        self.facts.addons.push(AddOnQuantity { addon: AddOnKey::new(addon).unwrap(), quantity });
        self
    }

    /// The first subscription had another plan until `at_text`.
    pub(crate) fn changed_from(mut self, plan: &str, at_text: &str) -> Self {
        self.facts.plan_changes.push(PlanChange {
            subscription: SubscriptionId::new("sub_0").unwrap(),
            at: at(at_text),
            from: PlanKey::new(plan).unwrap(),
        });
        self
    }

    pub(crate) fn overridden(mut self, feature: &str, value: Value) -> Self {
        self.facts.overrides.push(Override { feature: FeatureKey::new(feature).unwrap(), value });
        self
    }

    pub(crate) fn later(mut self, instant: &str) -> Self {
        self.now = at(instant);
        self
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut policies = self.policies.clone();
        policies.sort_by(|a, b| a.id.cmp(&b.id));
        let policies = Policies { policies, ..Policies::default() };
        Snapshot::new(
            self.facts.clone(),
            Arc::new(PolicySet::compile(&policies, &self.catalog)),
            &self.catalog,
        )
    }

    pub(crate) fn decide(&self, request: &Request<'_>) -> Decision {
        evaluate(request, &self.snapshot(), &self.catalog, self.now)
    }

    pub(crate) fn ask(&self, feature: &str, action: Action) -> Decision {
        self.decide(&Request::new(&self.company(), feature, action))
    }

    pub(crate) fn ask_amount(&self, feature: &str, units: u32) -> Decision {
        let subject = self.company();
        self.decide(&Request::new(&subject, feature, Action::Create).with_amount(units.into()))
    }

    pub(crate) fn ask_as(&self, user: &str, feature: &str, action: Action) -> Decision {
        let subject = Subject::user(self.facts.company.clone(), UserId::new(user).unwrap());
        self.decide(&Request::new(&subject, feature, action))
    }

    pub(crate) fn ask_about(&self, feature: &str, action: Action, resource: &str) -> Decision {
        self.decide(&Request::new(&self.company(), feature, action).with_resource(resource))
    }

    pub(crate) fn ask_in(&self, feature: &str, action: Action, context: Value) -> Decision {
        let context = Context::from_json(context).unwrap();
        self.decide(&Request::new(&self.company(), feature, action).with_context(&context))
    }

    pub(crate) fn company(&self) -> Subject {
        Subject::company(self.facts.company.clone())
    }
}

/// Reason and source, as `allowed_by_plan plan pro`.
pub(crate) fn why(decision: &Decision) -> String {
    let id = decision.source.id().unwrap_or("-");
    format!("{} {} {id}", decision.reason, decision.source.kind())
}

/// Limit, used, remaining, overage; `-` is unlimited.
pub(crate) fn numbers(decision: &Decision) -> String {
    let quota = decision.quota.unwrap();
    let show = |number: Option<Amount>| number.map_or("-".to_owned(), |number| number.to_string());
    format!("{}/{}/{}/{}", show(quota.limit), quota.used, show(quota.remaining), quota.overage)
}

/// A policy about one feature, with whatever else is given.
pub(crate) fn policy(id: &str, effect: &str, feature: &str, rest: &Value) -> Value {
    let mut policy = json!({"id": id, "effect": effect, "target": {"features": [feature]}});
    let (policy_members, more) = (policy.as_object_mut().unwrap(), rest.as_object().unwrap());
    policy_members.extend(more.clone());
    policy
}
