//! A dictionary: texts by number, made once and asked on every request.

use std::hash::Hasher as _;

use rustc_hash::{FxHashSet, FxHasher};

/// Distinct texts, numbered from 0 in the order in which they were given.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    /// A power of two of them, at least half of them vacant; none without texts.
    slots: Box<[Slot]>,
    texts: Box<[Box<str>]>,
}

/// A text and its number. Short texts are compared without reading them again.
#[derive(Clone, Copy, Debug)]
struct Slot {
    head: u64,
    tail: u64,
    length: u32,
    number: u32,
}

const VACANT: u32 = u32::MAX;

/// Up to so many bytes, the two ends of a text and its length are all of it.
const SHORT: usize = 16;

impl Dictionary {
    /// The dictionary of `texts`; of equal texts the first counts.
    pub(crate) fn of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut met = FxHashSet::default();
        let texts: Box<[Box<str>]> =
            texts.into_iter().filter(|text| met.insert(*text)).map(Box::from).collect();
        let size = if texts.is_empty() { 0 } else { (texts.len() * 2).next_power_of_two() };
        let mut slots = vec![Slot { head: 0, tail: 0, length: 0, number: VACANT }; size];
        for (number, text) in (0..VACANT).zip(&texts) {
            let ends = Ends::of(text);
            let first = ends.hash();
            let mut places = (0..size).map(|step| first.wrapping_add(step) & (size - 1));
            let free = places.find(|at| slots.get(*at).is_some_and(|slot| slot.number == VACANT));
            if let Some(slot) = free.and_then(|at| slots.get_mut(at)) {
                *slot = Slot { head: ends.head, tail: ends.tail, length: ends.length, number };
            }
        }
        Self { slots: slots.into(), texts }
    }

    /// The number of `text`, if it is in the dictionary.
    #[inline]
    pub(crate) fn get(&self, text: &str) -> Option<u32> {
        if text.len() > SHORT {
            return self.get_long(text);
        }
        self.find(Ends::of_short(text), |_| true)
    }

    #[inline(never)]
    fn get_long(&self, text: &str) -> Option<u32> {
        self.find(Ends::of(text), |number| self.is_text(number, text))
    }

    #[inline]
    fn find(&self, ends: Ends, is_text: impl Fn(u32) -> bool) -> Option<u32> {
        let last = self.slots.len().checked_sub(1)?;
        let mut at = ends.hash();
        loop {
            let slot = self.slots.get(at & last)?;
            if slot.number == VACANT {
                return None;
            }
            if slot.holds(ends) && is_text(slot.number) {
                return Some(slot.number);
            }
            at = at.wrapping_add(1);
        }
    }

    fn is_text(&self, number: u32, text: &str) -> bool {
        self.texts.get(number as usize).is_some_and(|kept| **kept == *text)
    }
}

impl Slot {
    const fn holds(&self, ends: Ends) -> bool {
        self.head == ends.head && self.tail == ends.tail && self.length == ends.length
    }
}

/// A text that others are compared with.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    text: Box<str>,
    ends: Ends,
}

impl Label {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.into(), ends: Ends::of(text) }
    }

    pub(crate) const fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `text` is the same.
    #[inline]
    pub(crate) fn is(&self, text: &str) -> bool {
        text.len() == self.text.len()
            && if text.len() > SHORT { *text == *self.text } else { Ends::of_short(text) == self.ends }
    }
}

/// The two ends of a text, which overlap in a short one; of a text that is not short, a hash of all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    head: u64,
    tail: u64,
    length: u32,
}

impl Ends {
    #[inline]
    fn of(text: &str) -> Self {
        if text.len() > SHORT {
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            return Self { head: hash_of(text), tail: 0, length };
        }
        Self::of_short(text)
    }

    #[inline]
    fn of_short(text: &str) -> Self {
        let bytes = text.as_bytes();
        let (head, tail) = if let (Some(head), Some(tail)) = (bytes.first_chunk::<8>(), bytes.last_chunk()) {
            (u64::from_le_bytes(*head), u64::from_le_bytes(*tail))
        } else if let (Some(head), Some(tail)) = (bytes.first_chunk::<4>(), bytes.last_chunk()) {
            (u32::from_le_bytes(*head).into(), u32::from_le_bytes(*tail).into())
        } else {
            match *bytes {
                [] => (0, 0),
                [one] => (one.into(), 0),
                [first, second] => (first.into(), second.into()),
                [first, second, third, ..] => (first.into(), u64::from(second) << 8 | u64::from(third)),
            }
        };
        Self { head, tail, length: u32::try_from(bytes.len()).unwrap_or(u32::MAX) }
    }

    /// Where to begin to look.
    #[inline]
    fn hash(self) -> usize {
        const LEFT: u64 = 0x9e37_79b9_7f4a_7c15;
        const RIGHT: u64 = 0xd1b5_4a32_d192_ed03;
        // Every bit of the two ends reaches the middle of the product.
        let product = u128::from(self.head ^ LEFT) * u128::from(self.tail ^ RIGHT ^ u64::from(self.length));
        usize::try_from(product >> 64 & MIDDLE ^ product & MIDDLE).unwrap_or_default()
    }
}

const MIDDLE: u128 = u64::MAX as u128;

fn hash_of(text: &str) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(text.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_has_its_own_number_and_no_other_text_has_one() {
        // Every length around the borders, with neighbours that differ in one byte at each place.
        let mut texts = vec![String::new()];
        for length in 1..40 {
            let base = "a".repeat(length);
            for place in 0..length {
                let mut text = base.clone();
                text.replace_range(place..=place, "b");
                texts.push(text);
            }
            texts.push(base);
        }
        let (known, unknown): (Vec<_>, Vec<_>) = texts.iter().enumerate().partition(|(at, _)| at % 2 == 0);
        let dictionary = Dictionary::of(known.iter().map(|(_, text)| text.as_str()));
        for (number, (_, text)) in (0..).zip(&known) {
            assert_eq!(dictionary.get(text), Some(number), "{text}");
        }
        for (_, text) in unknown {
            assert_eq!(dictionary.get(text), None, "{text}");
        }
    }

    #[test]
    fn a_label_is_its_own_text_only() {
        for length in 1..40 {
            let base = "a".repeat(length);
            let label = Label::new(&base);
            assert!(label.is(&base) && !label.is(&format!("{base}a")) && !label.is(""), "{length}");
            for place in 0..length {
                let mut other = base.clone();
                other.replace_range(place..=place, "b");
                assert!(!label.is(&other), "{other}");
            }
        }
        assert!(Label::new("").is(""));
    }

    #[test]
    fn of_equal_texts_the_first_is_numbered() {
        let dictionary = Dictionary::of(["a", "b", "a", "c", "a long text that is not short", "c"]);
        let numbers = ["a", "b", "c", "a long text that is not short"].map(|text| dictionary.get(text));
        assert_eq!(numbers, [Some(0), Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn an_empty_dictionary_knows_nothing() {
        assert_eq!(Dictionary::default().get(""), None);
        assert_eq!(Dictionary::of([]).get("a"), None);
    }
}
