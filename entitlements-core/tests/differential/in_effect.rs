//! Which subscription counts, which plan is in effect, and what it gives with add-ons and overrides.

use super::calendar::{HOUR, Instant, Span, calendar_period, period};
use super::catalog::{Catalog, Entry, Feature, Quota, What, actions, entry};
use super::proration::limit;
use super::world::{MAX, Sub, World};

/// What a company has at one instant.
#[derive(Clone, Debug)]
pub(crate) struct Present<'w> {
    /// The subscription that gives access.
    pub(crate) sub: Option<&'w Sub>,
    /// Without one: the newest of the others.
    pub(crate) inactive: Option<&'w Sub>,
    /// The plan in effect.
    pub(crate) plan: Option<&'w str>,
    /// Whether the plan is only considered, as an upgrade.
    pub(crate) is_considered: bool,
}

/// The instant from which a subscription gives no access without any write; `None` if it gives none at all.
pub(crate) fn access_ends(sub: &Sub, catalog: &Catalog) -> Option<Instant> {
    let mut end = match sub.status.as_str() {
        "trialing" | "active" => Instant::MAX,
        "past_due" => sub.past_due_since? + catalog.grace_hours * HOUR,
        _ => return None,
    };
    if let Some(cancel) = sub.cancel_at {
        end = end.min(cancel);
    }
    if sub.cancel_at_period_end {
        end = end.min(sub.period_end);
    }
    Some(end)
}

pub(crate) fn present(world: &World, now: Instant) -> Present<'_> {
    let mut subs: Vec<&Sub> = world.subs.iter().collect();
    subs.sort_by(|a, b| b.created_at.cmp(&a.created_at).then(a.id.cmp(&b.id)));
    let has_access = |sub: &&Sub| access_ends(sub, &world.catalog).is_some_and(|end| now < end);
    match subs.iter().copied().find(has_access) {
        Some(sub) => {
            let plan = world.catalog.plan(&sub.plan).map(|plan| plan.key.as_str());
            Present { sub: Some(sub), inactive: None, plan, is_considered: false }
        }
        None => Present {
            sub: None,
            inactive: subs.first().copied(),
            plan: world.catalog.default_plan.as_deref(),
            is_considered: false,
        },
    }
}

/// What the plan in effect gives of a feature, with the company's add-ons and overrides.
pub(crate) fn entry_in_effect(
    world: &World,
    present: &Present<'_>,
    feature: &Feature,
    now: Instant,
) -> Option<Entry> {
    let plan = present.plan?;
    if let Some((_, value)) = world.overrides.iter().find(|(key, _)| *key == feature.key) {
        return entry(feature, value);
    }
    let mut sum = world.catalog.plan_entry(plan, feature);
    if let Some(Entry { what: What::Meter(quotas), .. }) = &mut sum {
        for quota in quotas {
            quota.limit = limit(world, present, feature, quota, now);
        }
    }
    for addon in &world.catalog.addons {
        let Some((_, quantity)) = world.addons.iter().find(|(key, _)| *key == addon.key) else { continue };
        let Some((_, value)) = addon.grants.iter().find(|(key, _)| *key == feature.key) else { continue };
        if *quantity > 0 {
            let add =
                value.get("add").map_or(0, |add| i128::from(add.as_u64().unwrap()) * i128::from(*quantity));
            let every = value.get("every").map_or("month", |every| every.as_str().unwrap());
            sum = Some(with_addon(sum, feature, add, every, actions(value)));
        }
    }
    sum
}

fn with_addon(base: Option<Entry>, feature: &Feature, add: i128, every: &str, more: Vec<String>) -> Entry {
    use super::catalog::Kind;
    let mut entry = base.unwrap_or_else(|| {
        let quota =
            Quota { limit: Some(0), every: every.to_owned(), calendar: false, soft: false, rollover: 0 };
        let what = match feature.kind {
            Kind::Meter { .. } => What::Meter(vec![quota]),
            Kind::Gauge { .. } => What::Gauge(Some(0)),
            _ => What::Flag,
        };
        Entry { actions: Vec::new(), what }
    });
    entry.actions.extend(more);
    let raise = |limit: &mut Option<i128>| *limit = limit.map(|units| (units + add).min(MAX));
    match &mut entry.what {
        What::Meter(quotas) => quotas.iter_mut().for_each(|quota| raise(&mut quota.limit)),
        What::Gauge(limit) => raise(limit),
        What::Flag | What::Value(_) => {}
    }
    entry
}

/// The period of a quota that holds `now`, the one just before if there was one, and the name of its counter.
pub(crate) fn quota_period(
    quota: &Quota,
    sub: Option<&Sub>,
    reset_for: Option<&str>,
    now: Instant,
) -> (Span, Option<Span>, String) {
    let every = quota.every.as_str();
    let suffix = reset_for.map_or(String::new(), |plan| format!("/{plan}"));
    if every == "lifetime" {
        return (period(0, every, now), None, format!("plan/lifetime/calendar{suffix}"));
    }
    let anchor = if quota.calendar { "calendar" } else { "subscription" };
    let name = format!("plan/{every}/{anchor}{suffix}");
    match sub {
        Some(sub) if !quota.calendar => {
            let span = period(sub.anchor, every, now);
            // A period that is over before the subscription starts has nothing to clip.
            let clipped = |span: Span| match span.end {
                Some(end) if sub.started_at < end => Span { start: span.start.max(sub.started_at), ..span },
                _ => span,
            };
            let before = period(sub.anchor, every, span.start - 1);
            let has_before = span.start > sub.started_at;
            (clipped(span), has_before.then(|| clipped(before)), name)
        }
        _ => {
            let span = calendar_period(every, now);
            let before = calendar_period(every, span.start - 1);
            (span, Some(before), name)
        }
    }
}
