//! What must hold between two decisions of the library, whatever the world is.

use std::rc::Rc;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use entitlements_core::policy::PolicySet;
use entitlements_core::store::Policies;
use entitlements_core::{Catalog, Decision, Snapshot, evaluate};
use serde_json::{Value as Json, json};

use super::calendar::Instant;
use super::engine::{self, facts};
use super::generate;
use super::generate_facts::{award, world};
use super::generate_policies::ask;
use super::random::Random;
use super::world::{Ask, MAX, Rule, World};

/// A world, some questions about it and what the library says to each.
struct Case {
    random: Random,
    world: World,
    catalog: Catalog,
    focus: [Instant; 2],
    asked: Vec<(Ask, Instant, Decision)>,
}

fn decide(world: &World, catalog: &Catalog, ask: &Ask, now: Instant) -> Decision {
    engine::ask(ask, world, &engine::snapshot(world, catalog), catalog, now)
}

/// Runs a test on many worlds; the seed names one of them.
fn for_each_case(property: u64, test: impl Fn(Case)) {
    for number in 0..300 {
        let seed = property << 32 | number;
        let mut random = Random::new(seed);
        let model = generate::catalog(&mut random);
        let catalog = engine::catalog(&model);
        let (world, focus) = world(&mut random, &model);
        let asked = (0..8).map(|_| {
            let mut ask = ask(&mut random, focus);
            ask.amount = *random.pick(&[0, 1, 1, 1, 2, 5, 100, MAX]);
            let now = if random.chance(50) { focus[0] } else { generate::near(&mut random, focus[1]) };
            let decision = decide(&world, &catalog, &ask, now);
            (ask, now, decision)
        });
        let asked = asked.collect();
        println!("seed {seed:#x}");
        test(Case { random, world, catalog, focus, asked });
    }
}

#[test]
fn a_guardrail_always_wins() {
    for_each_case(1, |mut case| {
        let json = json!({"id": "!", "effect": "deny", "guardrail": true, "priority": -9});
        case.world.rules.push(Rule { json, broken: false });
        for (ask, now, before) in &case.asked {
            let after = decide(&case.world, &case.catalog, ask, *now);
            let is_known = case.catalog.feature(&ask.feature).is_some();
            let expected = if is_known {
                ("policy_denied", "guardrail", Some("!"))
            } else {
                ("unknown_feature", "default", None)
            };
            assert_eq!((after.reason.code(), after.source.kind(), after.source.id()), expected, "{before:?}");
            assert_eq!(after.plan, before.plan);
        }
    });
}

#[test]
fn a_grant_takes_nothing_away() {
    for_each_case(2, |mut case| {
        let grant = award(&mut case.random, "new", case.focus);
        let is_limited = grant.amount.is_some();
        case.world.awards.push(grant);
        for (ask, now, before) in case.asked.iter().filter(|(.., before)| before.is_allowed()) {
            // An amount makes a quota, and a quota is final: it then decides before any policy.
            if is_limited && before.source.kind() == "policy" {
                continue;
            }
            let after = decide(&case.world, &case.catalog, ask, *now);
            assert!(after.is_allowed(), "{ask:?}\n{:#?}\n{before:#?}\n{after:#?}", case.world);
        }
    });
}

/// Raises every limit of an entry, perhaps to no limit at all.
fn raise(random: &mut Random, entry: &mut Json, percent_unlimited: usize) {
    match entry {
        Json::Array(quotas) => quotas.iter_mut().for_each(|quota| raise(random, quota, percent_unlimited)),
        Json::Object(fields) => {
            raise(random, &mut fields["limit"], percent_unlimited);
            if fields["limit"] == "unlimited" {
                fields.remove("rollover");
            }
        }
        Json::Number(limit) => {
            let more = limit.as_u64().unwrap() + *random.pick(&[0, 1, 2, 10]);
            let unlimited = random.chance(percent_unlimited);
            *entry = if unlimited { json!("unlimited") } else { json!(more.min(i64::MAX.cast_unsigned())) };
        }
        _ => {}
    }
}

#[test]
fn a_higher_limit_denies_nothing() {
    for_each_case(3, |mut case| {
        let mut model = (*case.world.catalog).clone();
        for feature in &model.features {
            if !generate::METERS.contains(&&*feature.key) && !generate::GAUGES.contains(&&*feature.key) {
                continue;
            }
            // In a mean of limits an unlimited one counts as the present one, which may be less than it was.
            let percent_unlimited = if feature.kind.changes_by("prorate") { 0 } else { 20 };
            for (key, entry) in model.plans.iter_mut().flat_map(|plan| &mut plan.grants) {
                if *key == feature.key {
                    raise(&mut case.random, entry, percent_unlimited);
                }
            }
        }
        let catalog = engine::catalog(&model);
        case.world.catalog = Rc::new(model);
        for (ask, now, before) in case.asked.iter().filter(|(.., before)| before.is_allowed()) {
            let after = decide(&case.world, &catalog, ask, *now);
            assert!(after.is_allowed(), "{ask:?}\n{:#?}\n{before:#?}\n{after:#?}", case.world);
        }
    });
}

#[test]
fn the_order_of_facts_and_policies_does_not_matter() {
    for_each_case(4, |mut case| {
        let (random, world) = (&mut case.random, &mut case.world);
        random.shuffle(&mut world.subs);
        random.shuffle(&mut world.addons);
        random.shuffle(&mut world.overrides);
        random.shuffle(&mut world.awards);
        random.shuffle(&mut world.rules);
        random.shuffle(&mut world.counts);
        random.shuffle(&mut world.levels);
        for (ask, now, before) in &case.asked {
            let after = decide(&case.world, &case.catalog, ask, *now);
            assert_eq!(after, *before, "{ask:?}\n{:#?}", case.world);
        }
    });
}

#[test]
fn a_snapshot_bound_again_to_the_same_catalog_decides_the_same() {
    for_each_case(5, |case| {
        let again = engine::catalog(&case.world.catalog);
        let snapshot = engine::snapshot(&case.world, &case.catalog);
        let (same, other) = (snapshot.rebind(&case.catalog), snapshot.rebind(&again));
        for (ask, now, before) in &case.asked {
            assert_eq!(engine::ask(ask, &case.world, &same, &case.catalog, *now), *before);
            assert_eq!(engine::ask(ask, &case.world, &other, &again, *now), *before);
            // Also a snapshot that was bound to a catalog of the same meaning.
            assert_eq!(engine::ask(ask, &case.world, &snapshot, &again, *now), *before);
        }
    });
}

#[test]
fn a_snapshot_bound_to_another_catalog_is_bound_anew() {
    for_each_case(6, |mut case| {
        let other = engine::catalog(&generate::catalog(&mut case.random));
        let snapshot = engine::snapshot(&case.world, &other);
        let with_facts = engine::snapshot(&World { subs: Vec::new(), ..case.world.clone() }, &case.catalog)
            .with_facts(facts(&case.world), &case.catalog);
        for (ask, now, before) in &case.asked {
            assert_eq!(engine::ask(ask, &case.world, &snapshot, &case.catalog, *now), *before);
            assert_eq!(engine::ask(ask, &case.world, &with_facts, &case.catalog, *now), *before);
        }
    });
}

/// Puts an instant at one of the ends of time, or leaves it.
fn stretch(random: &mut Random, instant: &mut DateTime<Utc>) {
    match random.below(4) {
        0 => *instant = DateTime::<Utc>::MIN_UTC,
        1 => *instant = DateTime::<Utc>::MAX_UTC,
        _ => {}
    }
}

#[test]
fn the_ends_of_time_are_no_danger() {
    for_each_case(7, |mut case| {
        let mut facts = facts(&case.world);
        let mut policies: Policies = engine::policies(&case.world);
        let mut stretch = |instant: &mut DateTime<Utc>| stretch(&mut case.random, instant);
        for sub in &mut facts.subscriptions {
            stretch(&mut sub.started_at);
            stretch(&mut sub.anchor);
            stretch(&mut sub.current_period_end);
            stretch(&mut sub.created_at);
            for instant in [&mut sub.trial_end, &mut sub.past_due_since, &mut sub.cancel_at] {
                instant.as_mut().map(&mut stretch);
            }
        }
        for grant in &mut facts.grants {
            stretch(&mut grant.starts_at);
            grant.ends_at.as_mut().map(&mut stretch);
        }
        for policy in &mut policies.policies {
            policy.starts_at.as_mut().map(&mut stretch);
            policy.ends_at.as_mut().map(&mut stretch);
        }
        let snapshot =
            Snapshot::new(facts, Arc::new(PolicySet::compile(&policies, &case.catalog)), &case.catalog);
        for (ask, now, _) in &case.asked {
            engine::with_request(ask, &case.world.company, |request| {
                for now in [engine::at(*now), DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
                    let decision = evaluate(request, &snapshot, &case.catalog, now);
                    assert!(decision.expires_at.is_none_or(|end| end > now), "{now}\n{decision:#?}");
                }
            });
        }
    });
}
