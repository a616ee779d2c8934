//! Dispatch: which of many policies can apply to a request, found by looking up a few of its texts.
//!
//! Most policies can apply only when one attribute is one of a few texts: they name companies or users, or their
//! condition begins with `{"eq": ["context.region", "eu"]}`. An [`Index`] keeps those under their texts, so that a
//! request meets its own policies and none of the others.

use rustc_hash::{FxHashMap, FxHashSet};

use super::reading::{Kind, Reading, Slot, Vocabulary};
use super::table::Table;
use super::{Effect, Path, Policy, When};

/// Up to this many policies, looking at each is faster than looking up.
const SCANNED: usize = 4;

/// On how many attributes one index dispatches.
const ATTRIBUTES: usize = 4;

/// How many lists two indexes can yield: for each attribute one, and one of the policies that need none.
const LISTS: usize = 2 * (ATTRIBUTES + 1);

/// A policy that may apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The policy's place among all, best first.
    pub(super) rank: u32,
    /// What the lookup has proved, and need not be tested again.
    pub(super) proved: Proved,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proved {
    Nothing,
    /// The request is by one of the companies of the target.
    Company,
    /// The request is by one of the users of the target.
    User,
    /// This part of the condition holds.
    Part(u16),
}

/// Policies by what they require. Every list is in ascending order of ranks.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Policies that always have to be looked at.
    rest: Box<[Entry]>,
    dispatches: Box<[Dispatch]>,
}

#[derive(Debug)]
struct Dispatch {
    slot: Slot,
    texts: Table,
    /// For requests without a text at the path: denials whose condition is then unknown, which is enough for them.
    others: Box<[Entry]>,
}

impl Dispatch {
    /// The policies under the text that the request has.
    #[inline]
    fn list(&self, reading: &mut Reading<'_>) -> &[Entry] {
        let seen = reading.at(self.slot);
        if seen.kind == Kind::Text {
            return u32::try_from(seen.bits).map_or(&[], |number| self.texts.get(number));
        }
        &self.others
    }
}

/// A policy applies only if the attribute at `path` is one of `texts`.
pub(super) struct Requirement<'p> {
    pub(super) path: &'p Path,
    pub(super) texts: Vec<&'p str>,
    proved: Proved,
    /// Whether the policy may apply as well when there is no text at the path.
    or_no_text: bool,
}

impl Requirement<'_> {
    pub(super) fn all_of(policy: &Policy) -> Vec<Requirement<'_>> {
        let target = &policy.target;
        let mut all = Vec::new();
        let mut add = |path, mut texts: Vec<_>, proved, or_no_text| {
            texts.sort_unstable();
            texts.dedup();
            all.push(Requirement { path, texts, proved, or_no_text });
        };
        if let Some(companies) = &target.companies {
            add(&Path::Company, companies.iter().map(AsRef::as_ref).collect(), Proved::Company, false);
        }
        if let Some(users) = &target.users {
            add(&Path::User, users.iter().map(AsRef::as_ref).collect(), Proved::User, false);
        }
        if let When::Holds(condition) = &policy.when {
            for (part, path, texts) in condition.required_texts() {
                let proved = u16::try_from(part).map_or(Proved::Nothing, Proved::Part);
                add(path, texts, proved, policy.effect == Effect::Deny);
            }
        }
        all
    }
}

impl Index {
    /// Indexes policies given in ascending order of their ranks.
    pub(super) fn build(policies: &[(u32, &Policy)], vocabulary: &Vocabulary) -> Self {
        let requirements: Vec<Vec<_>> = match policies {
            few if few.len() <= SCANNED => few.iter().map(|_| Vec::new()).collect(),
            many => many
                .iter()
                .map(|(_, policy)| {
                    let all = Requirement::all_of(policy).into_iter();
                    all.filter_map(|one| Some((vocabulary.slot(one.path)?, one))).collect()
                })
                .collect(),
        };
        let mut dispatches: Vec<_> = best_slots(&requirements)
            .into_iter()
            .map(|slot| (slot, FxHashMap::default(), Vec::new()))
            .collect();
        let mut rest = Vec::new();
        for ((rank, _), requirements) in policies.iter().zip(&requirements) {
            // The first slot tells the policies apart best.
            let chosen = dispatches.iter_mut().find_map(|dispatch| {
                let (_, requirement) = requirements.iter().find(|(slot, _)| *slot == dispatch.0)?;
                Some((dispatch, requirement))
            });
            let Some(((_, texts, others), requirement)) = chosen else {
                rest.push(Entry { rank: *rank, proved: Proved::Nothing });
                continue;
            };
            for number in requirement.texts.iter().filter_map(|text| vocabulary.text(text)) {
                let list: &mut Vec<Entry> = texts.entry(number).or_default();
                list.push(Entry { rank: *rank, proved: requirement.proved });
            }
            if requirement.or_no_text {
                others.push(Entry { rank: *rank, proved: Proved::Nothing });
            }
        }
        dispatches.retain(|(_, texts, _)| !texts.is_empty());
        let dispatches = dispatches.into_iter().map(|(slot, texts, others)| Dispatch {
            slot,
            texts: Table::of(texts),
            others: others.into(),
        });
        Self { rest: rest.into(), dispatches: dispatches.collect() }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty() && self.dispatches.is_empty()
    }

    /// The policies that can apply to the request, if they stand in one list.
    #[inline]
    pub(super) fn one_list(&self, reading: &mut Reading<'_>) -> Option<&[Entry]> {
        match (&*self.rest, &*self.dispatches) {
            (rest, []) => Some(rest),
            ([], [dispatch]) => Some(dispatch.list(reading)),
            _ => None,
        }
    }

    /// Adds the lists of policies that can apply to the request.
    pub(super) fn select<'s>(&'s self, reading: &mut Reading<'_>, selection: &mut Selection<'s>) {
        selection.add(&self.rest);
        for dispatch in &self.dispatches {
            selection.add(dispatch.list(reading));
        }
    }

    /// The rank of every policy in the index, some of them more than once, in no order.
    pub(super) fn ranks(&self) -> impl Iterator<Item = u32> {
        let dispatched = self.dispatches.iter().flat_map(|dispatch| dispatch.texts.entries());
        self.rest.iter().chain(dispatched).map(|entry| entry.rank)
    }
}

/// The attributes worth a dispatch: those with the most different texts, best first.
fn best_slots(requirements: &[Vec<(Slot, Requirement<'_>)>]) -> Vec<Slot> {
    let mut texts: FxHashMap<Slot, FxHashSet<&str>> = FxHashMap::default();
    for (slot, requirement) in requirements.iter().flatten() {
        texts.entry(*slot).or_default().extend(&requirement.texts);
    }
    let mut slots: Vec<_> = texts.into_iter().map(|(slot, texts)| (texts.len(), slot)).collect();
    slots.sort_unstable_by(|(a, left), (b, right)| b.cmp(a).then_with(|| left.cmp(right)));
    slots.into_iter().take(ATTRIBUTES).map(|(_, slot)| slot).collect()
}

/// Lists of policies, merged into one by rank. No policy is in two of the lists of one request: an index keeps each
/// under one path, and a policy is in one index.
#[derive(Debug, Default)]
pub(super) struct Selection<'s> {
    lists: [&'s [Entry]; LISTS],
    used: usize,
}

impl<'s> Selection<'s> {
    fn add(&mut self, list: &'s [Entry]) {
        if !list.is_empty()
            && let Some(free) = self.lists.get_mut(self.used)
        {
            *free = list;
            self.used += 1;
        }
    }
}

impl Iterator for Selection<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let lists = self.lists.iter_mut().take(self.used);
        let (_, list) =
            lists.filter_map(|list| Some((list.first()?.rank, list))).min_by_key(|(rank, _)| *rank)?;
        let (first, others) = list.split_first()?;
        *list = others;
        Some(*first)
    }
}
