//! Casbin: plans are roles, conditions are expressions in a column of the policy.

use std::cell::RefCell;

use casbin::rhai::Dynamic;
use casbin::{
    CachedApi, CachedEnforcer, CoreApi, DefaultCache, DefaultModel, Enforcer, MemoryAdapter, MgmtApi,
};
use tokio::runtime::Runtime;

use super::Engine;
use crate::Failure;
use crate::world::{IN_PLANS, PLANS, Question, REQUESTS, Rule, World, feature};

const MODEL: &str = r#"
[request_definition]
r = sub, obj, act, region, seats, tier

[policy_definition]
p = sub, obj, act, cond, eft

[role_definition]
g = _, _

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = r.obj == p.obj && r.act == p.act && (p.sub == "any" || g(r.sub, p.sub)) && eval(p.cond)
"#;

/// Casbin, evaluating, or answering from its cache of answers.
pub(crate) struct Casbin(Way);

enum Way {
    Plain(Box<Enforcer>),
    Cached(RefCell<Box<CachedEnforcer>>),
}

impl Casbin {
    pub(crate) fn plain(world: &World, runtime: &Runtime) -> Result<Self, Failure> {
        let enforcer = runtime.block_on(async {
            let model = DefaultModel::from_str(MODEL).await?;
            let mut enforcer = Enforcer::new(model, MemoryAdapter::default()).await?;
            fill(&mut enforcer, world).await?;
            Ok::<_, Failure>(enforcer)
        })?;
        Ok(Self(Way::Plain(Box::new(enforcer))))
    }

    /// With a cache that has room for all questions; by default it has 200 places.
    pub(crate) fn cached(world: &World, runtime: &Runtime) -> Result<Self, Failure> {
        let enforcer = runtime.block_on(async {
            let model = DefaultModel::from_str(MODEL).await?;
            let mut enforcer = CachedEnforcer::new(model, MemoryAdapter::default()).await?;
            fill(&mut enforcer, world).await?;
            enforcer.set_cache(Box::new(DefaultCache::new(2 * REQUESTS)));
            Ok::<_, Failure>(enforcer)
        })?;
        Ok(Self(Way::Cached(RefCell::new(Box::new(enforcer)))))
    }
}

impl Engine for Casbin {
    type Input = Vec<Dynamic>;

    fn input(&self, world: &World, question: &Question) -> Result<Vec<Dynamic>, Failure> {
        Ok(vec![
            world.company(question).to_owned().into(),
            question.feature.clone().into(),
            question.action.as_str().into(),
            question.region.clone().into(),
            i32::try_from(question.seats)?.into(),
            question.tier.into(),
        ])
    }

    fn decide(&self, input: &Vec<Dynamic>) -> Result<bool, Failure> {
        Ok(match &self.0 {
            Way::Plain(enforcer) => enforcer.enforce(input.clone())?,
            Way::Cached(enforcer) => enforcer.borrow_mut().enforce_mut(input.clone())?,
        })
    }
}

async fn fill(enforcer: &mut impl MgmtApi, world: &World) -> Result<(), Failure> {
    let mut policies = Vec::new();
    for (plan, many) in PLANS {
        for number in 0..many {
            for action in IN_PLANS {
                policies.push(
                    [plan, &feature(number), action.as_str(), "true", "allow"].map(str::to_owned).to_vec(),
                );
            }
        }
    }
    policies.extend(world.rules.iter().map(of_rule));
    enforcer.add_policies(policies).await?;
    let role = |(number, plan): (usize, &usize)| {
        let company = world.subjects.get(number)?.company.as_str();
        Some(vec![company.to_owned(), PLANS.get(*plan)?.0.to_owned()])
    };
    let roles = world.plans.iter().enumerate().filter_map(role).collect();
    enforcer.add_grouping_policies(roles).await?;
    Ok(())
}

fn of_rule(rule: &Rule) -> Vec<String> {
    let tier = rule.tier.map(|tier| format!(r#" && r.tier == "{tier}""#)).unwrap_or_default();
    let condition = format!(r#"r.region == "{}" && r.seats < {}{tier}"#, rule.region, rule.seats_below);
    vec![
        "any".to_owned(),
        feature(rule.feature),
        rule.action.to_string(),
        condition,
        if rule.allow { "allow" } else { "deny" }.to_owned(),
    ]
}
