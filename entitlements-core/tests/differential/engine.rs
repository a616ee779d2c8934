//! The same world and the same question in the library's own types, and its answer in ours.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use entitlements_core::facts::{
    AddOnQuantity, Facts, GaugeLevel, Override, PlanChange, Revision, UsageCounter,
};
use entitlements_core::grant::ResourcePattern;
use entitlements_core::id::{AddOnKey, CompanyId, FeatureKey, GrantId, PlanKey, SubscriptionId, UserId};
use entitlements_core::policy::{Effect, Policy, PolicySet, When};
use entitlements_core::store::Policies;
use entitlements_core::{
    Action, Amount, Catalog, Context, Decision, Grant, GrantKind, Request, Snapshot, Subject, Subscription,
    evaluate,
};

use super::calendar::Instant;
use super::world::{Answer, Ask, Award, Rule, Shown, Sub, World};

/// The revision of every company in these tests.
pub(crate) const REVISION: Revision = Revision(42);

pub(crate) fn at(instant: Instant) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(instant).unwrap()
}

fn amount(units: i128) -> Amount {
    Amount::new(units.try_into().unwrap()).unwrap()
}

fn subscription(sub: &Sub, company: &CompanyId) -> Subscription {
    Subscription {
        id: SubscriptionId::new(&sub.id).unwrap(),
        company: company.clone(),
        plan: PlanKey::new(&sub.plan).unwrap(),
        status: sub.status.parse().unwrap(),
        seats: sub.seats.map(amount),
        started_at: at(sub.started_at),
        anchor: at(sub.anchor),
        current_period_start: at(sub.period_start),
        current_period_end: at(sub.period_end),
        trial_end: sub.trial_end.map(at),
        past_due_since: sub.past_due_since.map(at),
        cancel_at: sub.cancel_at.map(at),
        cancel_at_period_end: sub.cancel_at_period_end,
        created_at: at(sub.created_at),
    }
}

fn grant(award: &Award, company: &CompanyId) -> Grant {
    let pattern = |text: &String| text.parse::<ResourcePattern>().unwrap();
    Grant {
        id: GrantId::new(&award.id).unwrap(),
        company: company.clone(),
        user: award.user.as_ref().map(|user| UserId::new(user).unwrap()),
        feature: FeatureKey::new(&award.feature).unwrap(),
        actions: award.actions.iter().map(|word| word.parse::<Action>().unwrap()).collect(),
        resource: award.resource.as_ref().map(pattern),
        amount: award.amount.map(amount),
        kind: GrantKind::Promotional,
        starts_at: at(award.starts_at),
        ends_at: award.ends_at.map(at),
        reason: None,
        created_at: at(award.created_at),
        voided_at: award.voided.then(|| at(award.created_at)),
    }
}

pub(crate) fn facts(world: &World) -> Facts {
    let company = CompanyId::new(&world.company).unwrap();
    let key = |key: &String| FeatureKey::new(key).unwrap();
    Facts {
        revision: REVISION,
        policies_revision: Revision(7),
        subscriptions: world.subs.iter().map(|sub| subscription(sub, &company)).collect(),
        plan_changes: (world.changes.iter())
            .map(|change| PlanChange {
                subscription: SubscriptionId::new(&change.sub).unwrap(),
                at: at(change.at),
                from: PlanKey::new(&change.from).unwrap(),
            })
            .collect(),
        addons: world.addons.iter().map(|(addon, quantity)| addon_quantity(addon, *quantity)).collect(),
        overrides: world
            .overrides
            .iter()
            .map(|(feature, value)| Override { feature: key(feature), value: value.clone() })
            .collect(),
        grants: world.awards.iter().map(|award| grant(award, &company)).collect(),
        usage: world
            .counts
            .iter()
            .map(|count| UsageCounter {
                meter: key(&count.meter),
                bucket: count.bucket.parse().unwrap(),
                period_start: at(count.start),
                used: amount(count.used),
            })
            .collect(),
        gauges: world
            .levels
            .iter()
            .map(|(gauge, used)| GaugeLevel { gauge: key(gauge), used: amount(*used) })
            .collect(),
        reserved_until: None,
        company,
    }
}

fn addon_quantity(addon: &str, quantity: u32) -> AddOnQuantity {
    AddOnQuantity { addon: AddOnKey::new(addon).unwrap(), quantity }
}

pub(crate) fn policy(rule: &Rule) -> Policy {
    let mut json = rule.json.clone();
    json["effect"] = "deny".into();
    let mut policy = Policy::from_json(&json).unwrap_or_else(|error| panic!("{json}\n{error}"));
    // A guardrail that allows cannot be loaded, but it could be stored.
    policy.effect = if rule.json["effect"] == "allow" { Effect::Allow } else { Effect::Deny };
    if rule.broken {
        policy.when = When::Broken { stored: "{".into(), why: "cut off".into() };
    }
    policy
}

pub(crate) fn catalog(model: &super::catalog::Catalog) -> Catalog {
    let text = model.to_toml();
    text.parse().unwrap_or_else(|error| panic!("{text}\n{error}"))
}

pub(crate) fn policies(world: &World) -> Policies {
    Policies { revision: Revision(7), policies: world.rules.iter().map(policy).collect() }
}

pub(crate) fn snapshot(world: &World, catalog: &Catalog) -> Snapshot {
    Snapshot::new(facts(world), Arc::new(PolicySet::compile(&policies(world), catalog)), catalog)
}

/// Asks the library.
pub(crate) fn ask(
    ask: &Ask,
    world: &World,
    snapshot: &Snapshot,
    catalog: &Catalog,
    now: Instant,
) -> Decision {
    with_request(ask, &world.company, |request| evaluate(request, snapshot, catalog, at(now)))
}

/// Lends a question in the library's types.
pub(crate) fn with_request<T>(ask: &Ask, company: &str, read: impl FnOnce(&Request<'_>) -> T) -> T {
    let subject = Subject {
        company: CompanyId::new(company).unwrap(),
        user: ask.user.as_ref().map(|user| UserId::new(user).unwrap()),
    };
    let context = Context::from_json(ask.context.clone()).unwrap();
    read(&Request {
        subject: &subject,
        feature: &ask.feature,
        action: ask.action.parse().unwrap(),
        resource: ask.resource.as_deref(),
        amount: amount(ask.amount),
        context: &context,
    })
}

/// The library's decision, in our words.
pub(crate) fn answer(decision: &Decision) -> Answer {
    let source = match decision.source.id() {
        Some(id) => format!("{} {id}", decision.source.kind()),
        None => decision.source.kind().to_owned(),
    };
    Answer {
        feature: decision.feature.to_string(),
        action: decision.action.to_string(),
        reason: decision.reason.code(),
        source,
        plan: decision.plan.map(String::from),
        value: decision.value.as_ref().map(|value| serde_json::to_value(value).unwrap()),
        quota: decision.quota.as_ref().map(|quota| Shown {
            meter: quota.meter.to_owned(),
            limit: quota.limit.map(|units| units.get().into()),
            used: quota.used.get().into(),
            remaining: quota.remaining.map(|units| units.get().into()),
            overage: quota.overage.get().into(),
            resets_at: quota.resets_at.map(|end| end.timestamp_micros()),
            soft: quota.soft,
        }),
        upgrade: decision.upgrade.iter().map(|plan| (*plan).to_owned()).collect(),
    }
}
