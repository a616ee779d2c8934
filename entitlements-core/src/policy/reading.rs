//! Reading: the attributes of one request, by number, each looked up at most once.

use rustc_hash::FxHashMap;
use serde_json::Value;

use super::attribute::{Found, Number};
use super::dispatch::Requirement;
use super::essence::comparisons;
use super::operand::Scalar;
use super::{Attributes, Path, Policy};
use crate::dictionary::{Dictionary, Label};

/// How many attributes are kept; what others say is looked up each time.
const KEPT: usize = 8;

/// How many attributes have a number.
const NUMBERED: usize = Slot::MAX as usize + 1;

/// The attributes and the texts that the policies of a book are about, numbered.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    /// The most frequent first.
    paths: Box<[Place]>,
    texts: Dictionary,
}

/// Where an attribute stands.
#[derive(Debug)]
enum Place {
    /// In the context, inside of nothing.
    Named(Label),
    Elsewhere(Path),
}

impl Place {
    fn of(path: &Path) -> Self {
        match path {
            Path::Context(name, inner) if inner.is_empty() => Self::Named(Label::new(name)),
            path => Self::Elsewhere(path.clone()),
        }
    }

    fn is(&self, path: &Path) -> bool {
        match (self, path) {
            (Self::Named(label), Path::Context(name, inner)) => inner.is_empty() && label.as_str() == &**name,
            (Self::Named(_), _) => false,
            (Self::Elsewhere(own), path) => own == path,
        }
    }
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
            paths: paths.into_iter().take(NUMBERED).map(|(path, _)| Place::of(path)).collect(),
            texts: Dictionary::of(texts),
        }
    }

    /// The number of a path; none for what is too rare to have one.
    pub(super) fn slot(&self, path: &Path) -> Option<Slot> {
        Slot::try_from(self.paths.iter().position(|known| known.is(path))?).ok()
    }

    /// The number of a text.
    pub(super) fn text(&self, text: &str) -> Option<u32> {
        self.texts.get(text)
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
    /// What has been read.
    kinds: [Kind; KEPT],
    bits: [i64; KEPT],
}

impl<'r> Reading<'r> {
    #[inline]
    pub(super) const fn new(attributes: &'r Attributes<'r>, vocabulary: &'r Vocabulary) -> Self {
        Self { attributes, vocabulary, kinds: [Kind::Unread; KEPT], bits: [0; KEPT] }
    }

    /// What is at the path of that number.
    #[inline]
    pub(super) fn at(&mut self, slot: Slot) -> Seen {
        let slot = usize::from(slot);
        match (self.kinds.get(slot), self.bits.get(slot)) {
            (Some(kind), Some(bits)) if *kind != Kind::Unread => Seen { kind: *kind, bits: *bits },
            _ => self.read(slot),
        }
    }

    #[inline(never)]
    fn read(&mut self, slot: usize) -> Seen {
        let seen = match self.vocabulary.paths.get(slot) {
            Some(Place::Named(label)) => self.see_value(self.attributes.request.context.attribute(label)),
            Some(Place::Elsewhere(path)) => self.see_elsewhere(path),
            None => Seen::MISSING,
        };
        if let (Some(kind), Some(bits)) = (self.kinds.get_mut(slot), self.bits.get_mut(slot)) {
            (*kind, *bits) = (seen.kind, seen.bits);
        }
        seen
    }

    #[inline]
    fn see_value(&self, value: Option<&Value>) -> Seen {
        match value {
            Some(Value::String(text)) => self.see_text(text),
            Some(Value::Number(number)) => number.as_i64().map_or(Seen::OTHER, Seen::whole),
            Some(Value::Bool(flag)) => Seen::flag(*flag),
            Some(Value::Array(_) | Value::Object(_)) => Seen::OTHER,
            Some(Value::Null) | None => Seen::MISSING,
        }
    }

    #[inline(never)]
    fn see_elsewhere(&self, path: &Path) -> Seen {
        match path.find(self.attributes) {
            None => Seen::MISSING,
            Some(Found::Text(text)) => self.see_text(text),
            Some(Found::Bool(flag)) => Seen::flag(flag),
            Some(Found::Number(Number::Whole(whole))) => {
                i64::try_from(whole).map_or(Seen::OTHER, Seen::whole)
            }
            Some(_) => Seen::OTHER,
        }
    }

    #[inline]
    fn see_text(&self, text: &str) -> Seen {
        Seen { kind: Kind::Text, bits: self.vocabulary.texts.get(text).map_or(NO_TEXT, i64::from) }
    }
}
