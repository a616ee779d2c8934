//! Rego, by regorus: one small policy over data that is keyed by feature and action, compiled for its register machine.

use std::cell::RefCell;

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{PolicyModule, Value, compile_policy_with_entrypoint};
use serde_json::{Map, json};

use super::Engine;
use crate::Failure;
use crate::world::{IN_PLANS, PLANS, Question, World, feature};

const ALLOW: &str = "data.bench.allow";

const POLICY: &str = r"
package bench

import rego.v1

default allow := false

allow if {
    not denied
    included
}

allow if {
    not denied
    some rule in data.rules[input.feature][input.action].allow
    holds(rule)
}

included if {
    data.plans[data.companies[input.company]][input.feature][input.action]
}

denied if {
    some rule in data.rules[input.feature][input.action].deny
    holds(rule)
}

holds(rule) if {
    rule.region == input.region
    input.seats < rule.seats_below
    tier_fits(rule)
}

tier_fits(rule) if rule.tier == input.tier

tier_fits(rule) if not rule.tier
";

/// A machine that is used again for every decision.
pub(crate) struct Rego(RefCell<RegoVM>);

impl Rego {
    pub(crate) fn new(world: &World) -> Result<Self, Failure> {
        let data: Value = data(world).into();
        let module = PolicyModule { id: "bench.rego".into(), content: POLICY.into() };
        let policy = compile_policy_with_entrypoint(data.clone(), &[module], ALLOW.into())?;
        let program = Compiler::compile_from_policy(&policy, &[ALLOW])?;
        let mut machine = RegoVM::new();
        machine.load_program(program);
        machine.set_data(data)?;
        Ok(Self(RefCell::new(machine)))
    }
}

impl Engine for Rego {
    type Input = Value;

    fn input(&self, world: &World, question: &Question) -> Result<Value, Failure> {
        let mut input = Value::new_object();
        let fields = input.as_object_mut()?;
        let mut set = |name: &str, value: Value| fields.insert(name.into(), value);
        set("company", world.company(question).into());
        set("feature", question.feature.as_str().into());
        set("action", question.action.as_str().into());
        set("region", question.region.as_str().into());
        set("seats", question.seats.into());
        set("tier", question.tier.into());
        Ok(input)
    }

    fn decide(&self, input: &Value) -> Result<bool, Failure> {
        let mut machine = self.0.borrow_mut();
        machine.set_input(input.clone());
        Ok(*machine.execute()?.as_bool()?)
    }
}

fn data(world: &World) -> serde_json::Value {
    let plan = |(plan, many): (&str, usize)| {
        let actions: Map<_, _> = IN_PLANS.iter().map(|action| (action.to_string(), json!(true))).collect();
        let features: Map<_, _> = (0..many).map(|number| (feature(number), json!(actions))).collect();
        (plan.to_owned(), json!(features))
    };
    let company = |(number, plan): (usize, &usize)| {
        let company = world.subjects.get(number)?.company.as_str();
        Some((company.to_owned(), json!(PLANS.get(*plan)?.0)))
    };
    let mut rules = json!({});
    for rule in &world.rules {
        let effect = if rule.allow { "allow" } else { "deny" };
        let mut condition = json!({"region": rule.region, "seats_below": rule.seats_below});
        if let Some(tier) = rule.tier {
            condition["tier"] = json!(tier);
        }
        let place = &mut rules[feature(rule.feature)][rule.action.as_str()][effect];
        match place.as_array_mut() {
            Some(list) => list.push(condition),
            None => *place = json!([condition]),
        }
    }
    json!({
        "plans": PLANS.into_iter().map(plan).collect::<Map<_, _>>(),
        "companies": world.plans.iter().enumerate().filter_map(company).collect::<Map<_, _>>(),
        "rules": rules,
    })
}
