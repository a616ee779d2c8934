//! Reading: the attributes of one request, by number, each looked up at most once.

use rustc_hash::FxHashMap;
use serde_json::Value;

use super::attribute::Found;
use super::dispatch::Requirement;
use super::essence::comparisons;
use super::operand::Scalar;
use super::{Attributes, Path, Policy};
use crate::dictionary::Dictionary;

/// How many attributes are kept; what others say is looked up each time.
const KEPT: usize = 8;

/// The attributes and the texts that the policies of a book are about, numbered.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    /// The most frequent first.
    paths: Box<[Path]>,
    texts: Dictionary,
}

/// An attribute's number in a vocabulary.
pub(super) type Slot = u8;

impl Vocabulary {
    pub(super) fn of(policies: &[Policy]) -> Self {
        let mut paths: FxHashMap<&Path, u64> = FxHashMap::default();
        let mut texts = Vec::new();
        for policy in policies {
            for requirement in Requirement::all_of(policy) {
                *paths.entry(requirement.path).or_default() += 1;
                texts.extend(requirement.texts);
            }
            for (_, path, scalar) in comparisons(policy).into_iter().flatten() {
                *paths.entry(path).or_default() += 1;
                if let Scalar::Text(text) = scalar {
                    texts.push(text);
                }
            }
        }
        let mut paths: Vec<_> = paths.into_iter().collect();
        paths.sort_unstable_by(|(left, a), (right, b)| b.cmp(a).then_with(|| left.cmp(right)));
        Self {
            paths: paths.into_iter().map(|(path, _)| path.clone()).collect(),
            texts: Dictionary::of(texts),
        }
    }

    /// The number of a path; none for what is too rare to have one.
    pub(super) fn slot(&self, path: &Path) -> Option<Slot> {
        Slot::try_from(self.paths.iter().position(|known| known == path)?).ok()
    }

    /// The number of a text.
    pub(super) fn text(&self, text: &str) -> Option<u32> {
        self.texts.get(text)
    }

    fn read(&self, slot: Slot, attributes: &Attributes<'_>) -> Seen {
        let text = |text: &str| Seen { kind: Kind::Text, bits: self.text(text).map_or(NO_TEXT, i64::from) };
        let Some(path) = self.paths.get(usize::from(slot)) else { return Seen::MISSING };
        if let Path::Context(name, inner) = path {
            return match Path::inside(attributes.request.context, name, inner) {
                None => Seen::MISSING,
                Some(Value::String(found)) => text(found),
                Some(Value::Number(number)) => number.as_i64().map_or(Seen::OTHER, Seen::whole),
                Some(Value::Bool(flag)) => Seen::flag(*flag),
                Some(_) => Seen::OTHER,
            };
        }
        match path.find(attributes) {
            None => Seen::MISSING,
            Some(Found::Text(found)) => text(found),
            Some(_) => Seen::OTHER,
        }
    }
}

/// The number of every text that is not in the vocabulary.
const NO_TEXT: i64 = -1;

/// What was found at a path: enough to compare it with a literal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) kind: Kind,
    /// A text's number, a whole number, or 0 and 1 for a boolean.
    pub(super) bits: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Unread,
    Missing,
    Text,
    Whole,
    Flag,
    /// A list, an object, or a number that is not whole or too large.
    Other,
}

impl Seen {
    const UNREAD: Self = Self { kind: Kind::Unread, bits: 0 };
    const MISSING: Self = Self { kind: Kind::Missing, bits: 0 };
    const OTHER: Self = Self { kind: Kind::Other, bits: 0 };

    pub(super) const fn whole(whole: i64) -> Self {
        Self { kind: Kind::Whole, bits: whole }
    }

    pub(super) const fn flag(flag: bool) -> Self {
        Self { kind: Kind::Flag, bits: flag as i64 }
    }
}

/// The attributes of one request.
#[derive(Debug)]
pub(super) struct Reading<'r> {
    pub(super) attributes: &'r Attributes<'r>,
    vocabulary: &'r Vocabulary,
    kept: [Seen; KEPT],
}

impl<'r> Reading<'r> {
    #[inline]
    pub(super) const fn new(attributes: &'r Attributes<'r>, vocabulary: &'r Vocabulary) -> Self {
        Self { attributes, vocabulary, kept: [Seen::UNREAD; KEPT] }
    }

    /// What is at the path of that number.
    #[inline]
    pub(super) fn at(&mut self, slot: Slot) -> Seen {
        let kept = self.kept.get_mut(usize::from(slot));
        if let Some(seen) = &kept
            && seen.kind != Kind::Unread
        {
            return **seen;
        }
        let seen = self.vocabulary.read(slot, self.attributes);
        if let Some(kept) = kept {
            *kept = seen;
        }
        seen
    }
}
