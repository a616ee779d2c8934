//! The world of the decision benchmark: 1,000 companies, 3 plans, 13 features × 7 actions, and any number of policies.
//!
//! Every engine has to be able to say what it says, also those without priorities: what denies has a higher priority than
//! what allows, and is about actions that no plan includes.

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
pub const FEATURES: usize = 13;
/// Plans, each with more features than the one before.
pub const PLANS: [(&str, usize); 3] = [("starter", 3), ("pro", 6), ("enterprise", 9)];
/// The actions that plans include.
pub const IN_PLANS: [Action; 3] = [Action::View, Action::Create, Action::Update];
/// How many companies are asked for in turn.
pub const COMPANIES: usize = 1000;
/// How many requests a round asks.
pub const REQUESTS: usize = 4096;
/// How many seats a context may name, at most.
const SEATS: u64 = 100;

/// A policy in plain words, from which each side builds its own form.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name.
    pub id: String,
    /// The larger, the earlier.
    pub priority: i64,
    /// Whether it allows or denies.
    pub allow: bool,
    /// The number of the feature that it is about.
    pub feature: usize,
    /// The action that it is about.
    pub action: Action,
    /// The region that the context has to name.
    pub region: String,
    /// The seats of the context have to be fewer.
    pub seats_below: u64,
    /// The tier that the context has to name, if it matters.
    pub tier: Option<&'static str>,
}

/// One question, prebuilt.
#[derive(Debug)]
pub struct Question {
    /// The number of the company.
    pub company: usize,
    /// The feature.
    pub feature: String,
    /// The action.
    pub action: Action,
    /// The region of the context.
    pub region: String,
    /// The seats of the context.
    pub seats: u64,
    /// The tier of the context.
    pub tier: &'static str,
    /// The three above, as a context.
    pub context: Context,
}

/// Everything both sides answer from.
#[derive(Debug)]
pub struct World {
    /// The instant of all decisions.
    pub now: DateTime<Utc>,
    /// What is sold.
    pub catalog: Catalog,
    /// The policies in plain words.
    pub rules: Vec<Rule>,
    /// The policies as the library reads them.
    pub policies: Vec<Policy>,
    /// A user of each company.
    pub subjects: Vec<Subject>,
    /// The number of the plan of each company.
    pub plans: Vec<usize>,
    /// The facts of each company.
    pub snapshots: Vec<Snapshot>,
    /// What is asked.
    pub questions: Vec<Question>,
}

/// The name of a feature by its number.
#[must_use]
pub fn feature(index: usize) -> String {
    format!("feature_{index:02}")
}

impl World {
    /// A world with `count` policies, the same for the same `seed`.
    ///
    /// # Errors
    ///
    /// When the library refuses what is in it, which is a mistake of the benchmark.
    pub fn new(count: usize, seed: u64) -> Result<Self, Failure> {
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

    /// The name of the company of a question.
    #[must_use]
    pub fn company(&self, question: &Question) -> &str {
        self.subjects.get(question.company).map_or("", |subject| subject.company.as_str())
    }

    /// The request of a question.
    #[must_use]
    pub fn request<'a>(&'a self, question: &'a Question) -> Option<Request<'a>> {
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
        let company = random.index(COMPANIES);
        let context = context(&region, seats, tier);
        Question { company, feature: feature(feature_index), action, region, seats, tier, context }
    }
}

/// What a request is about, beside the subject and the feature.
#[must_use]
pub fn context(region: &str, seats: u64, tier: &str) -> Context {
    Context::default().with("region", region).with("seats", seats).with("tier", tier)
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
    let rule = |number| {
        let action = action(random);
        let allow = IN_PLANS.contains(&action) || random.below(2) == 0;
        Rule {
            id: format!("policy-{number:05}"),
            priority: i64::try_from(random.below(5)).unwrap_or_default() + if allow { 0 } else { 5 },
            allow,
            feature: random.index(FEATURES),
            action,
            region: region(random, count),
            seats_below: random.below(SEATS),
            tier: (random.below(2) == 0).then(|| TIERS.get(random.index(3)).copied().unwrap_or_default()),
        }
    };
    (0..count).map(rule).collect()
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
///
/// # Errors
///
/// When the library refuses it, which is a mistake of the benchmark.
pub fn catalog() -> Result<Catalog, Failure> {
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
