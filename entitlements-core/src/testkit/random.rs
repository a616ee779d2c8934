//! Random numbers that a seed decides, and random counters.

use super::fixtures::{december, granted, monthly, units, yearly};
use crate::Amount;
use crate::usage::Counter;

/// A small generator of numbers (splitmix64): the same seed, the same numbers, for ever.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    pub(super) fn one_in(&mut self, chance: u64) -> bool {
        self.below(chance) == 0
    }

    pub(super) fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.index(texts.len())]
    }
}

/// Four letters to name things with.
pub(super) const FEW: [&str; 4] = ["a", "b", "c", "d"];

/// One of few counters, mostly with a small limit.
pub(super) fn random_counter(random: &mut Random) -> Counter {
    let limit = match random.below(12) {
        0 => None,
        1 => Some(Amount::MAX.get()),
        _ => Some(random.below(30)),
    };
    let mut counter = match random.below(4) {
        0 => monthly(limit),
        1 => yearly(limit),
        2 => Counter { period: december(), ..monthly(limit) },
        _ => granted(random.pick(&FEW), limit),
    };
    if random.one_in(2) {
        counter.alerts = vec![(80, units(random.below(30))), (100, units(random.below(30)))];
    }
    counter
}
