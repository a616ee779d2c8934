//! The decision, written down once more in the plainest way: step by step, nothing prepared, nothing shared with the
//! library.

use serde_json::Value as Json;

use super::allowance::{gauge_limit, of_gauge, of_meter, uncapped};
use super::calendar::{Instant, from_text};
use super::catalog::{Entry, Feature, Kind, What};
use super::conditions::{Scene, Seen, Truth, evaluate};
use super::in_effect::{Present, entry_in_effect, present};
use super::world::{Answer, Ask, Award, MAX, Rule, Shown, World};

/// The answer to `ask` at `now`, with the plans that would help.
pub(crate) fn decide(world: &World, ask: &Ask, now: Instant, seen: &Seen) -> Answer {
    let present = present(world, now);
    let mut answer = decide_under(world, &world.rules, ask, &present, now, seen);
    let sold = ["no_subscription", "subscription_inactive", "feature_not_in_plan", "quota_exceeded"];
    // A plan helps if it would allow by itself, whatever policies say.
    if sold.contains(&answer.reason) {
        for plan in &world.catalog.plans {
            let is_considered = present.plan != Some(&plan.key);
            let wish = Present { sub: present.sub, inactive: None, plan: Some(&plan.key), is_considered };
            if decide_under(world, &[], ask, &wish, now, seen).reason.starts_with("allowed") {
                answer.upgrade.push(plan.key.clone());
            }
        }
    }
    answer
}

/// The steps, under one plan in effect.
fn decide_under(
    world: &World,
    rules: &[Rule],
    ask: &Ask,
    present: &Present<'_>,
    now: Instant,
    seen: &Seen,
) -> Answer {
    let answer = |reason: &'static str, source: String, value: Option<Json>, quota: Option<Shown>| Answer {
        feature: ask.feature.clone(),
        action: ask.action.clone(),
        reason,
        source,
        plan: present.plan.map(String::from),
        value,
        quota,
        upgrade: Vec::new(),
    };
    let plan_source = |plan: Option<&str>| plan.map_or("default".into(), |plan| format!("plan {plan}"));
    let scene = Scene {
        context: &ask.context,
        company: &world.company,
        user: ask.user.as_deref(),
        resource: ask.resource.as_deref(),
        plan: present.plan,
        now,
        seen,
    };
    let rules: Vec<&Rule> = rules.iter().filter(|rule| applies(rule, ask, &scene)).collect();

    // 0. Known?
    let Some(feature) = world.catalog.feature(&ask.feature) else {
        return answer("unknown_feature", "default".into(), None, None);
    };

    // 1. Guardrails.
    if let Some(id) = rules.iter().filter(|rule| is_guardrail(rule)).map(|rule| rule_id(rule)).min() {
        return answer("policy_denied", format!("guardrail {id}"), None, None);
    }

    // What the plan gives, and what grants add.
    let counted = world.catalog.counted(feature);
    let named = entry_in_effect(world, present, counted, now);
    let included = named.as_ref().filter(|entry| entry.includes(&ask.action));
    let grants: Vec<&Award> = world.awards.iter().filter(|grant| covers(grant, ask, counted, now)).collect();
    let (limited, unlimited): (Vec<&Award>, Vec<&Award>) =
        grants.iter().partition(|grant| grant.amount.is_some());
    let allowance = match feature.kind {
        Kind::Meter { .. } => of_meter(world, present, counted, included, &limited, now),
        _ => None,
    };
    let without_limit = || match feature.kind {
        Kind::Meter { .. } => {
            Some(uncapped(world, present, counted, named.as_ref(), allowance.as_ref(), now))
        }
        Kind::Gauge { .. } => Some(of_gauge(world, feature, None)),
        Kind::Flag | Kind::Value { .. } => None,
    };

    // 2. Grants.
    if let Some(id) = unlimited.iter().map(|grant| &grant.id).min() {
        return answer("allowed_by_grant", format!("grant {id}"), value(feature, included), without_limit());
    }

    // 3. Plan, with the grants that add to its allowance.
    match (&feature.kind, included) {
        (Kind::Value { .. }, None) => {
            return answer("allowed_by_default", "default".into(), value(feature, None), None);
        }
        (Kind::Value { .. } | Kind::Flag, Some(_)) => {
            return answer("allowed_by_plan", plan_source(present.plan), value(feature, included), None);
        }
        (Kind::Gauge { .. }, Some(Entry { what: What::Gauge(limit), .. })) => {
            let shown = of_gauge(world, feature, gauge_limit(present, feature, *limit));
            let room = shown.remaining.unwrap_or(MAX - shown.used);
            let fits = ask.amount == 0 || ask.amount <= room;
            let reason = if fits { "allowed_by_plan" } else { "quota_exceeded" };
            return answer(reason, plan_source(present.plan), None, Some(shown));
        }
        _ => {}
    }
    if let Some(allowance) = allowance {
        let room: i128 = allowance.buckets.iter().map(|bucket| bucket.room).sum();
        if ask.amount == 0 || ask.amount <= room {
            let first =
                allowance.buckets.iter().find(|bucket| bucket.room > 0).unwrap_or(&allowance.buckets[0]);
            return answer(first.reason, first.source.clone(), None, Some(allowance.shown));
        }
        let source = match present.plan {
            Some(plan) => format!("plan {plan}"),
            None => allowance.buckets[0].source.clone(),
        };
        return answer("quota_exceeded", source, None, Some(allowance.shown));
    }

    // 4. Policies.
    let mut others: Vec<&&Rule> = rules.iter().filter(|rule| !is_guardrail(rule)).collect();
    others.sort_by_key(|rule| (-priority(rule), rule.json["effect"] == "allow", rule_id(rule)));
    if let Some(rule) = others.first() {
        let source = format!("policy {}", rule_id(rule));
        return match rule.json["effect"].as_str().unwrap() {
            "allow" => answer("allowed_by_policy", source, None, without_limit()),
            _ => answer("policy_denied", source, None, None),
        };
    }

    // 5. Default deny.
    if !world.catalog.is_sold(counted, &ask.action) {
        return answer("not_granted", "default".into(), None, None);
    }
    if let Some(sub) = present.inactive {
        let plan = world.catalog.plan(&sub.plan).map(|plan| plan.key.as_str());
        let entry = plan.and_then(|plan| world.catalog.plan_entry(plan, counted));
        if entry.is_some_and(|entry| entry.includes(&ask.action)) || world.catalog.default_plan.is_none() {
            return answer("subscription_inactive", plan_source(plan), None, None);
        }
    } else if present.sub.is_none() && present.plan.is_none() {
        return answer("no_subscription", "default".into(), None, None);
    }
    answer("feature_not_in_plan", plan_source(present.plan), None, None)
}

/// The value of a `value` feature: the plan's, or else its default.
fn value(feature: &Feature, entry: Option<&Entry>) -> Option<Json> {
    match (&feature.kind, entry) {
        (Kind::Value { .. }, Some(Entry { what: What::Value(value), .. })) => Some(value.clone()),
        (Kind::Value { default }, _) => Some(default.clone()),
        _ => None,
    }
}

fn covers(grant: &Award, ask: &Ask, counted: &Feature, now: Instant) -> bool {
    !grant.voided
        && grant.starts_at <= now
        && grant.ends_at.is_none_or(|end| now < end)
        && (grant.user.is_none() || grant.user == ask.user)
        && (grant.feature == ask.feature || grant.feature == counted.key)
        && grant.actions.contains(&ask.action)
        && grant.resource.as_ref().is_none_or(|pattern| resource_matches(pattern, ask.resource.as_deref()))
}

fn resource_matches(pattern: &str, resource: Option<&str>) -> bool {
    match (pattern.strip_suffix('*'), resource) {
        (Some(""), _) => true,
        (_, None) => false,
        (Some(prefix), Some(resource)) => resource.starts_with(prefix),
        (None, Some(resource)) => resource == pattern,
    }
}

fn rule_id(rule: &Rule) -> &str {
    rule.json["id"].as_str().unwrap()
}

fn priority(rule: &Rule) -> i128 {
    rule.json.get("priority").map_or(0, |number| number.as_i64().unwrap().into())
}

fn is_guardrail(rule: &Rule) -> bool {
    rule.json.get("guardrail") == Some(&Json::Bool(true))
}

/// Whether a policy counts now, is about the request, and its condition lets it apply.
fn applies(rule: &Rule, ask: &Ask, scene: &Scene<'_>) -> bool {
    // A guardrail can only deny.
    if is_guardrail(rule) && rule.json["effect"] == "allow" {
        return false;
    }
    let bound = |key: &str| rule.json.get(key).and_then(Json::as_str).map(|text| from_text(text).unwrap());
    let is_active = rule.json.get("enabled") != Some(&Json::Bool(false))
        && bound("startsAt").is_none_or(|start| start <= scene.now)
        && bound("endsAt").is_none_or(|end| scene.now < end);
    if !is_active || !is_about(rule, ask, scene.company) {
        return false;
    }
    let truth = match rule.json.get("condition") {
        _ if rule.broken => Truth::Unknown,
        Some(condition) if !condition.is_null() => evaluate(condition, scene),
        _ => Truth::True,
    };
    truth == Truth::True || (truth == Truth::Unknown && rule.json["effect"] == "deny")
}

fn is_about(rule: &Rule, ask: &Ask, company: &str) -> bool {
    let names = |list: &str, test: &dyn Fn(&str) -> bool| {
        let list = rule.json.get("target").and_then(|target| target.get(list)).and_then(Json::as_array);
        list.is_none_or(|list| list.iter().any(|name| test(name.as_str().unwrap())))
    };
    names("companies", &|name| name == company)
        && names("users", &|name| Some(name) == ask.user.as_deref())
        && names("features", &|name| name == ask.feature)
        && names("actions", &|name| name == ask.action)
        && names("resources", &|pattern| resource_matches(pattern, ask.resource.as_deref()))
}
