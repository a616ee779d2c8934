//! The world of the decision benchmark: 13 features × 7 actions, 3 plans, and any number of policies.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use entitlements_core::facts::Facts;
use entitlements_core::id::{CompanyId, PlanKey, SubscriptionId, UserId};
use entitlements_core::policy::{Policy, PolicySet};
use entitlements_core::store::Policies;
use entitlements_core::{
    Action, Catalog, Context, Request, Snapshot, Subject, Subscription, SubscriptionStatus,
};
use serde_json::{Value, json};

use crate::Failure;
use crate::random::Random;

/// Features that can be asked for.
pub(crate) const FEATURES: usize = 13;
/// Plans, each with more features than the one before.
pub(crate) const PLANS: [(&str, usize); 3] = [("starter", 3), ("pro", 6), ("enterprise", 9)];
/// How many companies are asked for in turn.
pub(crate) const COMPANIES: usize = 1000;
/// How many requests a round asks.
pub(crate) const REQUESTS: usize = 4096;
/// How many seats a context may name, at most.
const SEATS: u64 = 100;

/// A policy in plain words, from which each side builds its own form.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) priority: i64,
    pub(crate) allow: bool,
    pub(crate) feature: usize,
    pub(crate) action: Action,
    pub(crate) region: String,
    pub(crate) seats_below: u64,
    pub(crate) tier: Option<&'static str>,
}

/// One question, prebuilt.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) company: usize,
    pub(crate) feature: String,
    pub(crate) action: Action,
    pub(crate) context: Context,
}

/// Everything both sides answer from.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: DateTime<Utc>,
    pub(crate) catalog: Catalog,
    pub(crate) rules: Vec<Rule>,
    pub(crate) policies: Vec<Policy>,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) plans: Vec<usize>,
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) questions: Vec<Question>,
}

pub(crate) fn feature(index: usize) -> String {
    format!("feature_{index:02}")
}

impl World {
    /// A world with `count` policies, the same for the same `seed`.
    pub(crate) fn new(count: usize, seed: u64) -> Result<Self, Failure> {
        let mut random = Random::new(seed);
        let now = "2026-11-24T12:00:00Z".parse()?;
        let catalog = catalog()?;
        let rules = rules(count, &mut random);
        let policies = rules.iter().map(policy).collect::<Result<Vec<_>, _>>()?;
        let listed = Policies { policies: policies.clone(), ..Policies::default() };
        let set = Arc::new(PolicySet::compile(&listed, &catalog));
        let (mut subjects, mut plans, mut snapshots) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..COMPANIES {
            let company = CompanyId::new(format!("company-{number}"))?;
            let plan = number % PLANS.len();
            let mut facts = Facts::empty(company.clone());
            facts.subscriptions.push(subscription(&company, plan, now)?);
            snapshots.push(Snapshot::new(facts, Arc::clone(&set), &catalog));
            subjects.push(Subject::user(company, UserId::new("user-1")?));
            plans.push(plan);
        }
        let mut world =
            Self { now, catalog, rules, policies, subjects, plans, snapshots, questions: Vec::new() };
        world.questions = world.half_allowed(&mut random);
        Ok(world)
    }

    /// The request of a question.
    pub(crate) fn request<'a>(&'a self, question: &'a Question) -> Option<Request<'a>> {
        let subject = self.subjects.get(question.company)?;
        Some(Request::new(subject, &question.feature, question.action).with_context(&question.context))
    }

    /// Questions of which half are allowed, in random order.
    fn half_allowed(&self, random: &mut Random) -> Vec<Question> {
        let (mut allowed, mut denied) = (Vec::new(), Vec::new());
        while allowed.len() < REQUESTS / 2 || denied.len() < REQUESTS / 2 {
            let question = self.question(random);
            let Some(request) = self.request(&question) else { continue };
            let Some(snapshot) = self.snapshots.get(question.company) else { continue };
            let decision = entitlements_core::evaluate(&request, snapshot, &self.catalog, self.now);
            let side = if decision.is_allowed() { &mut allowed } else { &mut denied };
            if side.len() < REQUESTS / 2 {
                side.push(question);
            }
        }
        let mut questions = allowed;
        questions.append(&mut denied);
        random.shuffle(&mut questions);
        questions
    }

    fn question(&self, random: &mut Random) -> Question {
        let seats = random.below(SEATS);
        let tier = TIERS.get(random.index(TIERS.len())).copied().unwrap_or_default();
        // Half of the questions are about some policy, so that policies decide often.
        let rule = self.rules.get(random.index(self.rules.len().max(1)));
        let (feature_index, action, region) = match rule {
            Some(rule) if random.below(2) == 0 => (rule.feature, rule.action, rule.region.clone()),
            _ => (random.index(FEATURES), action(random), region(random, self.rules.len())),
        };
        Question {
            company: random.index(COMPANIES),
            feature: feature(feature_index),
            action,
            context: Context::default().with("region", region).with("seats", seats).with("tier", tier),
        }
    }
}

const TIERS: [&str; 3] = ["gold", "silver", "bronze"];

fn region(random: &mut Random, policies: usize) -> String {
    let many = u64::try_from(policies / (FEATURES * Action::ALL.len())).unwrap_or_default().max(4);
    format!("region-{}", random.below(many))
}

fn action(random: &mut Random) -> Action {
    Action::ALL.get(random.index(Action::ALL.len())).copied().unwrap_or(Action::View)
}

fn rules(count: usize, random: &mut Random) -> Vec<Rule> {
    (0..count)
        .map(|number| Rule {
            id: format!("policy-{number:05}"),
            priority: i64::try_from(random.below(10)).unwrap_or_default(),
            allow: random.below(3) > 0,
            feature: random.index(FEATURES),
            action: action(random),
            region: region(random, count),
            seats_below: random.below(SEATS),
            tier: (random.below(2) == 0).then(|| TIERS.get(random.index(3)).copied().unwrap_or_default()),
        })
        .collect()
}

fn policy(rule: &Rule) -> Result<Policy, Failure> {
    let mut all = vec![
        json!({"eq": ["context.region", rule.region]}),
        json!({"lt": ["context.seats", rule.seats_below]}),
    ];
    all.extend(rule.tier.map(|tier| json!({"eq": ["context.tier", tier]})));
    let value: Value = json!({
        "id": rule.id,
        "priority": rule.priority,
        "effect": if rule.allow { "allow" } else { "deny" },
        "target": {"features": [feature(rule.feature)], "actions": [rule.action]},
        "condition": {"all": all},
    });
    Ok(Policy::from_json(&value)?)
}

fn subscription(company: &CompanyId, plan: usize, now: DateTime<Utc>) -> Result<Subscription, Failure> {
    let plan = PLANS.get(plan).map_or("starter", |(name, _)| name);
    Ok(Subscription {
        id: SubscriptionId::new(format!("sub-{company}"))?,
        company: company.clone(),
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

/// The catalog of the world.
pub(crate) fn catalog() -> Result<Catalog, Failure> {
    Ok(catalog_text().parse()?)
}

fn catalog_text() -> String {
    use std::fmt::Write as _;

    let mut text = "schema = 1\npast_due_grace = \"7d\"\n[features]\n".to_owned();
    for index in 0..FEATURES {
        let _ = writeln!(text, "{} = {{ type = \"flag\" }}", feature(index));
    }
    for (plan, features) in PLANS {
        let _ = writeln!(text, "[plans.{plan}.grants]");
        for index in 0..features {
            let _ = writeln!(text, "{} = {{ actions = [\"view\", \"create\", \"update\"] }}", feature(index));
        }
    }
    text
}
