//! One company, some requests: the library and the plain reading must say the same, now and until it expires.

use chrono::TimeDelta;
use entitlements_core::{Catalog, Decision, Snapshot};

use super::boundaries::{fixed, recurring};
use super::calendar::{DAY, Instant, civil, days_in_month, to_text};
use super::catalog::{Kind, What, unreadable};
use super::coverage::Coverage;
use super::engine;
use super::generate::{clamp, near};
use super::generate_policies::ask;
use super::in_effect::{entry_in_effect, present};
use super::random::Random;
use super::spec::decide;
use super::world::{Answer, Ask, MAX, World};

/// How many requests each company makes.
pub(crate) const REQUESTS: usize = 10;

/// Days after which the Gregorian calendar repeats itself.
const FOUR_CENTURIES: i64 = 146_097 * DAY;

/// Two answers to one question.
#[derive(Debug)]
pub(crate) struct Difference {
    /// Which parts differ, for counting.
    pub(crate) class: String,
    /// All of it, for reading.
    pub(crate) text: String,
}

/// One company in both worlds.
pub(crate) struct Trial<'a> {
    pub(crate) world: &'a World,
    pub(crate) catalog: &'a Catalog,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) focus: [Instant; 2],
}

/// A question and both answers.
struct Said {
    ask: Ask,
    now: Instant,
    answer: Answer,
    decision: Decision,
}

impl Trial<'_> {
    /// Asks several questions.
    pub(crate) fn run(&self, random: &mut Random, coverage: &mut Coverage) -> Vec<Difference> {
        self.note_world(coverage);
        let fixed = fixed(self.world);
        let mut differences = Vec::new();
        for _ in 0..REQUESTS {
            let now = self.now(random, &fixed, coverage);
            let mut ask = ask(random, self.focus);
            self.choose_amount(random, &mut ask, now, coverage);
            let answer = decide(self.world, &ask, now, &coverage.seen);
            self.note(&answer, &ask, now, coverage);
            let decision = engine::ask(&ask, self.world, self.snapshot, self.catalog, now);
            let said = Said { ask, now, answer, decision };
            let difference = self.compare(&said).or_else(|| self.outlive(random, &said, &fixed, coverage));
            differences.extend(difference);
        }
        differences
    }

    /// A moment: in the focus, at a boundary or a microsecond beside it, or anywhere near.
    fn now(
        &self,
        random: &mut Random,
        fixed: &[(&'static str, Instant)],
        coverage: &mut Coverage,
    ) -> Instant {
        let focus = *random.pick(&self.focus);
        let now = match random.below(20) {
            0..8 => focus,
            8..16 => {
                let recurring = recurring(self.world, focus);
                let from = if random.chance(60) && !fixed.is_empty() { fixed } else { &recurring };
                let (kind, instant) = *random.pick(from);
                coverage.add("instant", kind);
                clamp(instant.saturating_add(random.between(-1, 1)))
            }
            _ => near(random, focus),
        };
        // A plan change is only known when it has been made.
        now.max(self.world.changes.last().map_or(now, |change| change.at))
    }

    fn choose_amount(&self, random: &mut Random, ask: &mut Ask, now: Instant, coverage: &mut Coverage) {
        let (class, amount) = match random.below(20) {
            0..2 => ("nothing", 0),
            2..8 => ("one", 1),
            8..10 => ("more", *random.pick(&[2, 5, 100, MAX - 1, MAX])),
            class => {
                ask.amount = 0;
                let left =
                    decide(self.world, ask, now, &coverage.seen).quota.and_then(|quota| quota.remaining);
                match left {
                    None => ("one", 1),
                    Some(left) if class < 15 => ("exactly what is left", left),
                    Some(left) => ("one more than is left", (left + 1).min(MAX)),
                }
            }
        };
        coverage.add("amount", class);
        ask.amount = amount;
    }

    fn compare(&self, said: &Said) -> Option<Difference> {
        let Said { answer, decision, .. } = said;
        let mut parts = answer.differs_from(&engine::answer(decision));
        let mut part = |name: &str, same: bool| {
            if !same {
                parts.push(name.to_owned());
            }
        };
        part("revision", decision.as_of == engine::REVISION);
        part("catalog", decision.catalog == self.catalog.hash());
        part("degraded", decision.degraded.is_none());
        (!parts.is_empty()).then(|| {
            let class = format!("{} | of {}", parts.join(", "), answer.reason);
            let text = format!("plain reading: {answer:#?}\nlibrary: {decision:#?}");
            Difference { class, text: self.describe(said, &text) }
        })
    }

    /// Until `expires_at` the whole answer must stay as it is.
    fn outlive(
        &self,
        random: &mut Random,
        said: &Said,
        fixed: &[(&'static str, Instant)],
        coverage: &mut Coverage,
    ) -> Option<Difference> {
        let Said { ask, now, answer, decision } = said;
        let now = *now;
        // The library counts nanoseconds; the first whole microsecond that is not before is meant.
        let expires = decision.expires_at.map(|end| (end + TimeDelta::nanoseconds(999)).timestamp_micros());
        let mut candidates: Vec<(&'static str, Instant)> = recurring(self.world, now);
        candidates.extend(fixed);
        if expires.is_none() {
            candidates.extend(recurring(self.world, now + FOUR_CENTURIES));
        }
        candidates.retain(|(_, at)| *at > now && expires.is_none_or(|end| *at < end));
        let mut samples: Vec<(&'static str, Instant)> = Vec::new();
        for _ in 0..3.min(candidates.len()) {
            samples.push(candidates.swap_remove(random.below(candidates.len())));
        }
        match expires {
            None => {
                coverage.add("expires", "never");
                samples.push(("four centuries later", now + FOUR_CENTURIES));
            }
            Some(end) => {
                if end <= now {
                    let text = format!("expires_at {} is not after now\n{decision:#?}", to_text(clamp(end)));
                    return Some(Difference {
                        class: "expires_at in the past".into(),
                        text: self.describe(said, &text),
                    });
                }
                samples.push(("last moment", end - 1));
                let changed = decide(self.world, ask, end, &coverage.seen) != *answer;
                coverage.add("expires", if changed { "with a change" } else { "without a change" });
                if !changed {
                    coverage.add("expires without a change", answer.reason);
                }
            }
        }
        for (kind, at) in samples {
            let later = decide(self.world, ask, at, &coverage.seen);
            if later != *answer {
                let parts = answer.differs_from(&later).join(", ");
                let class = format!("expires_at too late: {parts} | of {}", answer.reason);
                let text = format!(
                    "at {at} ({kind}) the plain reading says {later:#?}\nbut now {answer:#?}\nlibrary {decision:#?}"
                );
                return Some(Difference { class, text: self.describe(said, &text) });
            }
        }
        None
    }

    fn describe(&self, Said { ask, now, .. }: &Said, text: &str) -> String {
        let toml = self.world.catalog.to_toml();
        let World { catalog: _, company, subs, changes, addons, overrides, awards, rules, counts, levels } =
            self.world;
        format!(
            "catalog:\n{toml}\ncompany {company}\nsubscriptions {subs:#?}\nplan changes {changes:?}\nadd-ons {addons:?}\noverrides {overrides:?}\n\
             grants {awards:#?}\npolicies {rules:?}\ncounters {counts:#?}\nlevels {levels:?}\n\
             now {now} = {}\n{ask:?}\n{text}\n",
            to_text(*now)
        )
    }

    fn note_world(&self, coverage: &mut Coverage) {
        let world = self.world;
        if world.subs.is_empty() {
            coverage.add("status", "no subscription");
        }
        for sub in &world.subs {
            coverage.add("status", sub.status.clone());
        }
        let mut add = |what: &str, has: bool| {
            if has {
                coverage.add("world", what);
            }
        };
        add("add-on", !world.addons.is_empty());
        add("override that cannot be read", world.overrides.iter().any(|(_, value)| *value == unreadable()));
        add("override", !world.overrides.is_empty());
        add(
            "override takes away",
            world.overrides.iter().any(|(key, value)| key != "beta" && *value == false),
        );
        add("broken policy", world.rules.iter().any(|rule| rule.broken));
        let priority = |at: usize| world.rules[at].json.get("priority");
        add("tie of priorities", (1..world.rules.len()).any(|at| priority(at) == priority(at - 1)));
        add("default plan", world.catalog.default_plan.is_some());
        add("plan the catalog does not know", world.subs.iter().any(|sub| sub.plan == "retired"));
        add("anchor in the future", world.subs.iter().any(|sub| sub.anchor > self.focus[0]));
    }

    fn note(&self, answer: &Answer, ask: &Ask, now: Instant, coverage: &mut Coverage) {
        coverage.add("reason", answer.reason);
        coverage.add("source", answer.source.split(' ').next().unwrap());
        let feature = self.world.catalog.feature(&ask.feature);
        coverage.add(
            "kind",
            match feature.map(|feature| &feature.kind) {
                None => "unknown",
                Some(Kind::Flag) => "flag",
                Some(Kind::Meter { pool: None, .. }) => "meter",
                Some(Kind::Meter { .. }) => "member of a pool",
                Some(Kind::Gauge { .. }) => "gauge",
                Some(Kind::Value { .. }) => "value",
            },
        );
        coverage.add("upgrade", if answer.upgrade.is_empty() { "none" } else { "some" });
        let (year, month, day, _) = civil(now);
        coverage.add(
            "day",
            match (year, month, day) {
                (1, ..) => "year 1",
                (9999, ..) => "year 9999",
                (_, 2, 29) => "29 February",
                _ if day == days_in_month(year, month) => "last of its month",
                _ => "another",
            },
        );
        let Some(quota) = &answer.quota else { return coverage.add("quota", "none") };
        let mut add = |what: &str, has: bool| {
            if has {
                coverage.add("quota", what);
            }
        };
        add("limited", quota.limit.is_some());
        add("unlimited", quota.limit.is_none());
        add("soft", quota.soft);
        add("overage", quota.overage > 0);
        add("nothing left", quota.remaining == Some(0));
        add("largest amount used", quota.used == MAX);
        add("resets", quota.resets_at.is_some());
        add("never resets", quota.resets_at.is_none());
        self.note_entry(answer, ask, now, coverage);
    }

    fn note_entry(&self, answer: &Answer, ask: &Ask, now: Instant, coverage: &mut Coverage) {
        if !answer.source.starts_with("plan") {
            return;
        }
        let catalog = &self.world.catalog;
        let counted = catalog.counted(catalog.feature(&ask.feature).unwrap());
        let present = present(self.world, now);
        let Some(entry) = entry_in_effect(self.world, &present, counted, now) else { return };
        let mut add = |what: &str, has: bool| {
            if has {
                coverage.add("world", what);
            }
        };
        if let What::Meter(quotas) = &entry.what {
            add("parallel quotas", quotas.len() > 1);
            add("rollover", quotas.iter().any(|quota| quota.rollover > 0));
        }
        if let (Some(What::Meter(plain)), What::Meter(quotas)) = (
            present.plan.and_then(|plan| catalog.plan_entry(plan, counted)).map(|entry| entry.what),
            &entry.what,
        ) {
            add("prorated", counted.kind.changes_by("prorate") && plain[0].limit != quotas[0].limit);
        }
        add("reset on change", counted.kind.changes_by("reset"));
        let seats = present.sub.and_then(|sub| sub.seats);
        add("limit from seats", matches!(counted.kind, Kind::Gauge { seats: true, .. }) && seats.is_some());
    }
}
