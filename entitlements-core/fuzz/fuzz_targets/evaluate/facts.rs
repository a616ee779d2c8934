//! A company by chance, its policies, and what it asks.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use entitlements_core::bucket::Bucket;
use entitlements_core::catalog::{Anchor, Feature};
use entitlements_core::facts::{
    AddOnQuantity, Facts, GaugeLevel, Override, PlanChange, Revision, UsageCounter,
};
use entitlements_core::id::{AddOnKey, CompanyId, FeatureKey, GrantId, PlanKey, SubscriptionId, UserId};
use entitlements_core::period::Interval;
use entitlements_core::policy::PolicySet;
use entitlements_core::store::Policies;
use entitlements_core::{
    Amount, Catalog, Context, Grant, GrantKind, Request, Snapshot, Subject, Subscription, SubscriptionStatus,
};
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::policies;

pub(crate) const FEATURES: [&str; 12] = [
    "reports",
    "calls",
    "minutes",
    "tokens",
    "tokens_in",
    "tokens_out",
    "export",
    "sso",
    "seats",
    "storage",
    "size",
    "beta",
];
const PLANS: [&str; 5] = ["starter", "pro", "enterprise", "free", "retired"];
pub(crate) const USERS: [&str; 2] = ["ann", "bob"];
pub(crate) const RESOURCES: [&str; 3] = ["report:7", "report:", "x"];

pub(crate) struct World {
    pub(crate) facts: Facts,
    pub(crate) policies: Policies,
    pub(crate) questions: Vec<Question>,
}

/// What is asked, and when.
pub(crate) struct Question {
    pub(crate) subject: Subject,
    pub(crate) feature: &'static str,
    pub(crate) action: entitlements_core::Action,
    pub(crate) resource: Option<&'static str>,
    pub(crate) amount: Amount,
    pub(crate) context: Context,
    pub(crate) now: DateTime<Utc>,
}

impl Question {
    pub(crate) fn request(&self) -> Request<'_> {
        Request {
            subject: &self.subject,
            feature: self.feature,
            action: self.action,
            resource: self.resource,
            amount: self.amount,
            context: &self.context,
        }
    }
}

pub(crate) fn feature(name: &str) -> FeatureKey {
    FeatureKey::new(name).expect("a name")
}

fn company() -> CompanyId {
    CompanyId::new("acme").expect("an id")
}

impl World {
    pub(crate) fn any(dice: &mut Dice<'_>, catalog: &Catalog) -> Self {
        let questions = (0..=dice.below(3)).map(|_| question(dice)).collect::<Vec<_>>();
        let mut facts = Facts::empty(company());
        facts.revision = Revision(dice.byte().into());
        facts.subscriptions = (0..dice.below(4)).map(|number| subscription(dice, number)).collect();
        // Nobody writes down a change before it happens.
        let first = questions.iter().map(|question| question.now).min();
        facts.plan_changes = (0..dice.below(3)).map(|_| change(dice)).collect();
        facts.plan_changes.retain(|change| first.is_some_and(|first| change.at <= first));
        facts.plan_changes.sort_by_key(|change| change.at);
        facts.grants = (0..dice.below(5)).map(|number| grant(dice, number)).collect();
        facts.addons = ["pack", "boost", "gone"].iter().filter_map(|addon| quantity(dice, addon)).collect();
        let mut named = BTreeSet::new();
        for _ in 0..dice.below(4) {
            let name = dice.pick(&FEATURES);
            if named.insert(name) {
                facts.overrides.push(Override { feature: feature(name), value: value(dice) });
            }
        }
        for gauge in ["seats", "storage"] {
            if let Some(used) = dice.maybe(100, Dice::amount) {
                facts.gauges.push(GaugeLevel { gauge: feature(gauge), used });
            }
        }
        // Few are looked at one by one, many are found by what they require.
        let most = dice.pick(&[3, 6, 9, 24]);
        let policies = (0..dice.below(most)).map(|number| policies::any(dice, number)).collect();
        let mut world = Self {
            facts,
            policies: Policies { revision: Revision(dice.byte().into()), policies },
            questions,
        };
        world.count(dice, catalog);
        world
    }

    /// Counts usage in the periods that matter at the instants of the questions.
    fn count(&mut self, dice: &mut Dice<'_>, catalog: &Catalog) {
        let mut named = BTreeSet::new();
        for _ in 0..dice.below(6) {
            let now = self.questions[usize::from(dice.byte()) % self.questions.len()].now;
            let grants = &self.facts.grants;
            if !grants.is_empty() && dice.chance(80) {
                let grant = &grants[usize::from(dice.byte()) % grants.len()];
                let counter = UsageCounter {
                    meter: grant.feature.clone(),
                    bucket: Bucket::Grant(grant.id.clone()),
                    period_start: DateTime::UNIX_EPOCH,
                    used: dice.amount(),
                };
                if named.insert((counter.meter.clone(), counter.bucket.clone(), counter.period_start)) {
                    self.facts.usage.push(counter);
                }
                continue;
            }
            let meter = dice.pick(&FEATURES[..6]);
            let every = dice.pick(&Interval::ALL);
            let anchor = dice.pick(&[Anchor::Subscription, Anchor::Calendar]);
            let start = match (anchor, self.facts.subscriptions.first()) {
                (Anchor::Subscription, Some(subscription)) => {
                    every.period(subscription.anchor, now).clipped_at(subscription.started_at).start
                }
                _ => every.calendar_period(now).start,
            };
            let reset = catalog.feature(meter).map(Feature::on_plan_change);
            let scoped = reset == Some(entitlements_core::catalog::OnPlanChange::Reset);
            let bucket = match dice.below(8) {
                0 => Bucket::Uncapped,
                1 => Bucket::Part,
                _ => Bucket::Plan {
                    every,
                    anchor,
                    plan: scoped.then(|| PlanKey::new(dice.pick(&PLANS)).expect("a name")),
                },
            };
            let counter =
                UsageCounter { meter: feature(meter), bucket, period_start: start, used: dice.amount() };
            if named.insert((counter.meter.clone(), counter.bucket.clone(), counter.period_start)) {
                self.facts.usage.push(counter);
            }
        }
    }

    pub(crate) fn snapshot(&self, catalog: &Catalog) -> Snapshot {
        let policies = Arc::new(PolicySet::compile(&self.policies, catalog));
        Snapshot::new(self.facts.clone(), policies, catalog)
    }
}

fn question(dice: &mut Dice<'_>) -> Question {
    let context = json!({
        "region": dice.pick(&["eu", "us"]), "seats": attribute(dice), "team": attribute(dice), "device": {"trusted": dice.chance(128)},
        "address": "10.1.2.3", "version": "1.4.2", "until": dice.written(),
    });
    let user = dice.maybe(128, |dice| UserId::new(dice.pick(&USERS)).expect("an id"));
    Question {
        subject: Subject { company: company(), user },
        feature: if dice.chance(4) { "unknown" } else { dice.pick(&FEATURES) },
        action: dice.action(),
        resource: dice.maybe(100, |dice| dice.pick(&RESOURCES)),
        amount: dice.amount(),
        context: if dice.chance(60) {
            Context::default()
        } else {
            Context::from_json(context).expect("an object")
        },
        now: dice.instant(),
    }
}

/// An attribute of any type, so that comparisons of two types are common.
fn attribute(dice: &mut Dice<'_>) -> Value {
    match dice.byte() {
        0..90 => json!(dice.below(4)),
        90..150 => json!(dice.pick(&["eu", "us", "ann", ""])),
        150..170 => json!(f64::from(dice.below(8)) / 2.0),
        170..190 => json!(dice.chance(128)),
        190..200 => json!(dice.pick(&[u64::MAX, i64::MAX.cast_unsigned(), 1 << 63, (1 << 53) + 1])),
        200..210 => json!(dice.pick(&[i64::MIN, -1, -(1 << 53) - 1])),
        210..220 => json!(dice.pick(&[1e300, -0.0, 9_223_372_036_854_775_808.0])),
        220..230 => json!([dice.below(4), "eu"]),
        230..240 => json!({"a": 1}),
        _ => Value::Null,
    }
}

fn subscription(dice: &mut Dice<'_>, number: u8) -> Subscription {
    let status = match dice.byte() {
        0..120 => SubscriptionStatus::Active,
        120..150 => SubscriptionStatus::Trialing,
        150..200 => SubscriptionStatus::PastDue,
        200..230 => SubscriptionStatus::Canceled,
        _ => "a word of tomorrow".parse().expect("every word is a status"),
    };
    let started_at = dice.instant();
    Subscription {
        id: SubscriptionId::new(format!("sub_{number}")).expect("an id"),
        company: company(),
        plan: PlanKey::new(dice.pick(&PLANS)).expect("a name"),
        status,
        seats: dice.maybe(80, Dice::amount),
        started_at,
        anchor: if dice.chance(128) { started_at } else { dice.instant() },
        current_period_start: started_at,
        current_period_end: dice.instant(),
        trial_end: dice.maybe(80, Dice::instant),
        past_due_since: dice.maybe(160, Dice::instant),
        cancel_at: dice.maybe(60, Dice::instant),
        cancel_at_period_end: dice.chance(60),
        created_at: if dice.chance(60) { dice.instant() } else { started_at },
    }
}

fn change(dice: &mut Dice<'_>) -> PlanChange {
    PlanChange {
        subscription: SubscriptionId::new(format!("sub_{}", dice.below(2))).expect("an id"),
        at: dice.instant(),
        from: PlanKey::new(dice.pick(&PLANS)).expect("a name"),
    }
}

fn grant(dice: &mut Dice<'_>, number: u8) -> Grant {
    let name = dice.pick(&FEATURES);
    let amount = dice.maybe(140, |dice| dice.amount().saturating_add(Amount::ONE));
    Grant {
        id: GrantId::new(format!("g{}", number ^ 2)).expect("an id"),
        company: company(),
        user: dice.maybe(60, |dice| UserId::new(dice.pick(&USERS)).expect("an id")),
        feature: feature(name),
        actions: dice.actions(),
        resource: dice
            .maybe(60, |dice| dice.pick(&["*", "report:*", "report:7"]).parse().expect("a pattern")),
        amount,
        kind: GrantKind::Manual,
        starts_at: dice.instant(),
        ends_at: dice.maybe(140, Dice::instant),
        reason: None,
        created_at: dice.instant(),
        voided_at: dice.maybe(20, Dice::instant),
    }
}

fn quantity(dice: &mut Dice<'_>, addon: &str) -> Option<AddOnQuantity> {
    let addon = AddOnKey::new(addon).expect("a name");
    let quantity = dice.maybe(60, |dice| if dice.chance(20) { u32::MAX } else { dice.below(4).into() })?;
    Some(AddOnQuantity { addon, quantity })
}

/// What an override says; most of them fit only some features.
fn value(dice: &mut Dice<'_>) -> Value {
    match dice.below(9) {
        0 => json!(true),
        1 => json!(false),
        2 => json!("unlimited"),
        3 => json!(dice.amount().get()),
        4 => json!({"limit": dice.amount().get(), "every": dice.pick(&Interval::ALL).as_str()}),
        5 => json!([{"limit": dice.amount().get(), "every": "day", "anchor": "calendar"},
                    {"limit": dice.amount().get(), "every": "month", "rollover": dice.amount().get(), "over": "allow"}]),
        6 => json!({"actions": ["view"]}),
        7 => json!({"limit": 4, "actions": ["create"]}),
        _ => json!(null),
    }
}
