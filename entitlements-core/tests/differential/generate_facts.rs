//! Facts by chance: what one company has, has been given and has used.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::calendar::{Instant, boundary, calendar_period};
use super::catalog::{ACTIONS, Catalog, Quota, What, unreadable};
use super::generate::{
    ADDONS, FLAGS, GAUGES, METERS, PARTS, VALUES, clamp, entries, near, some_actions, units,
};
use super::generate_policies::rules;
use super::in_effect::{Present, entry_in_effect, present, quota_period};
use super::random::Random;
use super::world::{Award, Change, Count, MAX, Sub, World};

/// A company, and the instants around which its facts are.
pub(crate) fn world(random: &mut Random, catalog: &Rc<Catalog>) -> (World, [Instant; 2]) {
    let first = super::generate::instant(random);
    let focus = [first, near(random, first)];
    let mut world = World {
        catalog: catalog.clone(),
        company: (*random.pick(&["acme", "Acme", "é:%"])).into(),
        subs: Vec::new(),
        changes: Vec::new(),
        addons: Vec::new(),
        overrides: Vec::new(),
        awards: Vec::new(),
        rules: Vec::new(),
        counts: Vec::new(),
        levels: Vec::new(),
    };
    for _ in 0..*random.pick(&[0, 1, 1, 1, 1, 1, 1, 2, 2, 3]) {
        let sub = sub(random, &world, focus);
        world.subs.push(sub);
    }
    world.changes = changes(random, &world, focus);
    for addon in ADDONS.iter().chain(&["gone"]) {
        if random.chance(25) {
            world.addons.push(((*addon).into(), *random.pick(&[0, 1, 1, 1, 2, 3, u32::MAX])));
        }
    }
    random.shuffle(&mut world.addons);
    if random.chance(40) {
        world.overrides = entries(random, &catalog.features, true, 25);
        for (_, value) in &mut world.overrides {
            if random.chance(5) {
                *value = unreadable();
            }
        }
    }
    for id in random.some(&["g1", "g2", "G3", "é", "g10", "a"]) {
        if random.chance(60) {
            world.awards.push(award(random, id, focus));
        }
    }
    random.shuffle(&mut world.awards);
    world.rules = rules(random, focus);
    for gauge in GAUGES {
        if random.chance(80) {
            world.levels.push((gauge.into(), units(random)));
        }
    }
    world.counts = counts(random, &world, focus);
    (world, focus)
}

fn some_near(random: &mut Random, focus: [Instant; 2]) -> Instant {
    let other = *random.pick(&focus);
    near(random, other)
}

fn maybe_near(random: &mut Random, focus: [Instant; 2], percent: usize) -> Option<Instant> {
    random.chance(percent).then(|| some_near(random, focus))
}

fn sub(random: &mut Random, world: &World, focus: [Instant; 2]) -> Sub {
    let status = match random.below(20) {
        0..9 => "active",
        9..12 => "trialing",
        12..15 => "past_due",
        15 => "canceled",
        _ => *random.pick(&["incomplete", "incomplete_expired", "unpaid", "paused", "Active", "brand_new"]),
    };
    let plan = match random.below(20) {
        0 => "retired",
        _ => &random.pick(&world.catalog.plans).key,
    };
    let started_at = some_near(random, focus);
    let started_at = if random.chance(75) { started_at.min(focus[0]) } else { started_at };
    let trial_end = random.chance(40).then(|| near(random, started_at));
    let anchor = match (trial_end, random.below(3)) {
        (Some(end), 0 | 1) => end,
        (_, 0) => some_near(random, focus),
        _ => started_at,
    };
    let period_start = some_near(random, focus);
    let seats = random.chance(50).then(|| units(random));
    // Two that were created at the same instant are told apart by their ids.
    let created_at = if random.chance(40) { focus[0] } else { started_at };
    Sub {
        id: format!("sub_{}{}", random.pick(&["b", "B", "a"]), world.subs.len()),
        plan: plan.into(),
        status: status.into(),
        seats,
        started_at,
        anchor,
        period_start,
        period_end: clamp(boundary(period_start, "month", 1)),
        trial_end,
        past_due_since: if status == "past_due" {
            maybe_near(random, focus, 85)
        } else {
            maybe_near(random, focus, 10)
        },
        cancel_at: maybe_near(random, focus, 25),
        cancel_at_period_end: random.chance(25),
        created_at,
    }
}

/// Plan changes; also of subscriptions that do not count.
fn changes(random: &mut Random, world: &World, focus: [Instant; 2]) -> Vec<Change> {
    let mut changes = Vec::new();
    if random.chance(50) {
        return changes;
    }
    for sub in &world.subs {
        for _ in 0..*random.pick(&[0, 1, 1, 2, 3]) {
            let at = match random.below(8) {
                0 => sub.started_at,
                1 => sub.anchor,
                2 => focus[0],
                _ => some_near(random, focus).min(focus[0]),
            };
            let from = if random.chance(10) { "retired" } else { &random.pick(&world.catalog.plans).key };
            changes.push(Change { sub: sub.id.clone(), at, from: from.into() });
        }
    }
    changes.sort_by_key(|change| change.at);
    changes
}

pub(crate) fn award(random: &mut Random, id: &str, focus: [Instant; 2]) -> Award {
    let all = [&FLAGS[..], &METERS, &METERS, &METERS, &PARTS, &GAUGES, &VALUES, &["ghost"]].concat();
    let feature = *random.pick(&all);
    let is_meter = METERS.contains(&feature) || PARTS.contains(&feature);
    // Only meters have amounts; of another kind such a grant gives nothing.
    let amount = random.chance(if is_meter { 80 } else { 5 }).then(|| units(random).max(1));
    let is_limited = amount.is_some();
    let starts_at = some_near(random, focus);
    let starts_at = if random.chance(70) { starts_at.min(focus[0]) } else { starts_at };
    let ends_at =
        maybe_near(random, focus, 60).map(|end| if random.chance(60) { end.max(focus[0]) } else { end });
    Award {
        id: id.into(),
        user: random.chance(30).then(|| (*random.pick(&["u1", "u2"])).into()),
        feature: feature.into(),
        actions: if is_limited || random.chance(50) {
            ACTIONS.map(String::from).into()
        } else {
            some_actions(random)
        },
        resource: (!is_limited && random.chance(40))
            .then(|| (*random.pick(&["*", "report:*", "report:7", "doc:1"])).into()),
        amount,
        starts_at,
        ends_at,
        created_at: if random.chance(40) { focus[0] } else { starts_at },
        voided: random.chance(8),
    }
}

/// Counters of the periods that matter around the focus, and a few that do not.
fn counts(random: &mut Random, world: &World, focus: [Instant; 2]) -> Vec<Count> {
    let mut counts: BTreeMap<(String, String, Instant), i128> = BTreeMap::new();
    for now in focus {
        let plan = present(world, now).plan;
        let other = random.pick(&world.catalog.plans).key.as_str();
        for key in METERS {
            if let Some(plan) = plan {
                add_plan_counts(random, world, &mut counts, now, plan, key);
            }
            if random.chance(40) {
                add_plan_counts(random, world, &mut counts, now, other, key);
            }
            if random.chance(30) {
                let start = calendar_period("month", now).start;
                counts.insert((key.into(), "uncapped".into(), start), small_or_huge(random));
            }
        }
        counts.insert((PARTS[0].into(), "part".into(), calendar_period("month", now).start), 5);
    }
    for grant in &world.awards {
        if let Some(full) = grant.amount.filter(|_| random.chance(70)) {
            let used = *random.pick(&[0, 1, full - 1, full, full, full / 2]);
            counts.insert((grant.feature.clone(), format!("grant/{}", grant.id), 0), used);
        }
    }
    let mut counts: Vec<Count> = counts
        .into_iter()
        .map(|((meter, bucket, start), used)| Count { meter, bucket, start, used })
        .collect();
    random.shuffle(&mut counts);
    counts
}

fn add_plan_counts(
    random: &mut Random,
    world: &World,
    counts: &mut BTreeMap<(String, String, Instant), i128>,
    now: Instant,
    plan: &str,
    key: &str,
) {
    let feature = world.catalog.feature(key).unwrap();
    let present = present(world, now);
    let wish = Present { plan: Some(plan), ..present.clone() };
    let Some(entry) = entry_in_effect(world, &wish, feature, now) else { return };
    let What::Meter(quotas) = entry.what else { return };
    let reset = feature.kind.changes_by("reset").then_some(plan);
    for quota in &quotas {
        let (span, before, bucket) = quota_period(quota, present.sub, reset, now);
        if random.chance(75) {
            counts.insert((key.into(), bucket.clone(), span.start), used(random, quota));
        }
        if let Some(before) = before.filter(|_| quota.rollover > 0 && random.chance(75)) {
            counts.insert((key.into(), bucket, before.start), used(random, quota));
        }
        if random.chance(20) {
            counts.insert((key.into(), "uncapped".into(), span.start), small_or_huge(random));
        }
    }
}

fn small_or_huge(random: &mut Random) -> i128 {
    if random.chance(90) { random.between(0, 20).into() } else { MAX - i128::from(random.between(0, 3)) }
}

fn used(random: &mut Random, quota: &Quota) -> i128 {
    let limit = quota.limit.unwrap_or(5);
    let near = [0, 1, limit / 2, limit - 1, limit, limit, limit + 1, limit + 7, limit + quota.rollover];
    if random.chance(5) { small_or_huge(random) } else { (*random.pick(&near)).clamp(0, MAX) }
}
