//! Cedar: plans are groups of companies and of features, policies are text.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression,
};
use entitlements_core::Action;

use super::Engine;
use crate::Failure;
use crate::world::{FEATURES, PLANS, Question, Rule, World, feature};

/// Cedar with all policies in one set, or with a set for each feature and action, as who has many policies slices them.
pub(crate) struct Cedar {
    authorizer: Authorizer,
    entities: Entities,
    company: EntityTypeName,
    features: HashMap<String, EntityUid>,
    actions: HashMap<Action, EntityUid>,
    policies: Policies,
}

enum Policies {
    Whole(PolicySet),
    Sliced(HashMap<(String, Action), PolicySet>),
}

/// A request, and the number of its slice.
pub(crate) struct Input {
    request: Request,
    slice: (String, Action),
}

impl Cedar {
    pub(crate) fn whole(world: &World) -> Result<Self, Failure> {
        let mut text = of_plans();
        world.rules.iter().for_each(|rule| text.push_str(&of_rule(rule)));
        Self::with(world, Policies::Whole(text.parse()?))
    }

    pub(crate) fn sliced(world: &World) -> Result<Self, Failure> {
        let mut texts: HashMap<(String, Action), String> = HashMap::new();
        for number in 0..FEATURES {
            for action in Action::ALL {
                texts.insert((feature(number), action), of_plans());
            }
        }
        for rule in &world.rules {
            texts.entry((feature(rule.feature), rule.action)).or_default().push_str(&of_rule(rule));
        }
        let parsed = texts.into_iter().map(|(slice, text)| Ok((slice, text.parse()?)));
        Self::with(world, Policies::Sliced(parsed.collect::<Result<_, Failure>>()?))
    }

    fn with(world: &World, policies: Policies) -> Result<Self, Failure> {
        let mut entities = Vec::new();
        for (plan, _) in PLANS {
            entities.push(Entity::new_no_attrs(uid("Plan", plan)?, HashSet::new()));
        }
        for (subject, plan) in world.subjects.iter().zip(&world.plans) {
            let plan = PLANS.get(*plan).map_or("", |(plan, _)| plan);
            let company = uid("Company", subject.company.as_str())?;
            entities.push(Entity::new_no_attrs(company, HashSet::from([uid("Plan", plan)?])));
        }
        let mut features = HashMap::new();
        for number in 0..FEATURES {
            let of = uid("Feature", &feature(number))?;
            let plans = PLANS.iter().filter(|(_, many)| number < *many);
            let plans = plans.map(|(plan, _)| uid("Plan", plan)).collect::<Result<_, _>>()?;
            entities.push(Entity::new_no_attrs(of.clone(), plans));
            features.insert(feature(number), of);
        }
        let actions = Action::ALL.into_iter().map(|action| Ok((action, uid("Action", action.as_str())?)));
        Ok(Self {
            authorizer: Authorizer::new(),
            entities: Entities::from_entities(entities, None)?,
            company: "Company".parse()?,
            features,
            actions: actions.collect::<Result<_, Failure>>()?,
            policies,
        })
    }
}

impl Engine for Cedar {
    type Input = Input;

    fn input(&self, world: &World, question: &Question) -> Result<Input, Failure> {
        let company = world.company(question);
        let principal = EntityUid::from_type_name_and_id(self.company.clone(), EntityId::new(company));
        let action = self.actions.get(&question.action).ok_or("no such action")?;
        let resource = self.features.get(&question.feature).ok_or("no such feature")?;
        let seats = i64::try_from(question.seats)?;
        let context = Context::from_pairs([
            ("region".to_owned(), RestrictedExpression::new_string(question.region.clone())),
            ("seats".to_owned(), RestrictedExpression::new_long(seats)),
            ("tier".to_owned(), RestrictedExpression::new_string(question.tier.to_owned())),
        ])?;
        let request = Request::new(principal, action.clone(), resource.clone(), context, None)?;
        Ok(Input { request, slice: (question.feature.clone(), question.action) })
    }

    fn decide(&self, input: &Input) -> Result<bool, Failure> {
        let policies = match &self.policies {
            Policies::Whole(policies) => policies,
            Policies::Sliced(slices) => slices.get(&input.slice).ok_or("no such slice")?,
        };
        let response = self.authorizer.is_authorized(&input.request, policies, &self.entities);
        Ok(response.decision() == Decision::Allow)
    }
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, Failure> {
    Ok(EntityUid::from_type_name_and_id(kind.parse()?, EntityId::new(id)))
}

fn of_plans() -> String {
    PLANS.iter().fold(String::new(), |mut text, (plan, _)| {
        let actions = r#"[Action::"view", Action::"create", Action::"update"]"#;
        let _ = writeln!(
            text,
            r#"permit(principal in Plan::"{plan}", action in {actions}, resource in Plan::"{plan}");"#
        );
        text
    })
}

fn of_rule(rule: &Rule) -> String {
    let effect = if rule.allow { "permit" } else { "forbid" };
    let tier = rule.tier.map(|tier| format!(r#" && context.tier == "{tier}""#)).unwrap_or_default();
    format!(
        "@id(\"{}\")\n{effect}(principal, action == Action::\"{}\", resource == Feature::\"{}\") when {{\n    \
         context.region == \"{}\" && context.seats < {}{tier}\n}};\n",
        rule.id,
        rule.action,
        feature(rule.feature),
        rule.region,
        rule.seats_below,
    )
}
