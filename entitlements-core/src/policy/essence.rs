//! Essences: what most requests need of a policy, in one line of memory.

use std::cmp::Ordering;

use super::comparison::Comparison;
use super::operand::Scalar;
use super::reading::{Kind, Reading, Seen, Slot, Vocabulary};
use super::{Effect, Path, Policy, Truth, When};
use crate::id::PolicyId;

/// How many comparisons fit.
const MOST: usize = 4;

/// What decides whether a policy applies, and what it says then.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Essence {
    pub(super) id: PolicyId,
    /// What the attributes are compared with.
    bounds: [i64; MOST],
    tests: [Test; MOST],
    pub(super) shape: Shape,
    pub(super) effect: Effect,
    /// Whether the target names something beside features and actions.
    pub(super) is_narrow: bool,
}

/// Where to look for the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Settled(Truth),
    /// The first so many tests must hold.
    Tests(u8),
    /// The policy's condition.
    Condition,
    /// The policy says different things at different times.
    InTime,
}

/// A comparison of an attribute with a literal.
#[derive(Clone, Copy, Debug)]
struct Test {
    slot: Slot,
    kind: Kind,
    /// The orderings in which it holds: 1 if the attribute is less, 2 if it is equal, 4 if it is greater.
    orderings: u8,
}

/// The comparisons of attributes with literals that a policy's condition consists of, all of which must hold; `None` if
/// there is anything else in it.
pub(super) fn comparisons(policy: &Policy) -> Option<Vec<(Comparison, &Path, &Scalar)>> {
    match &policy.when {
        When::Holds(condition) => condition.comparisons(),
        When::Always | When::Broken { .. } => None,
    }
}

impl Essence {
    pub(super) fn of(policy: &Policy, vocabulary: &Vocabulary) -> Self {
        let target = &policy.target;
        let vacant = Test { slot: 0, kind: Kind::Missing, orderings: 0 };
        let mut essence = Self {
            id: policy.id.clone(),
            bounds: [0; MOST],
            tests: [vacant; MOST],
            shape: match &policy.when {
                _ if policy.is_time_dependent() => Shape::InTime,
                When::Always => Shape::Settled(Truth::True),
                When::Holds(_) => Shape::Condition,
                When::Broken { .. } => Shape::Settled(Truth::Unknown),
            },
            effect: policy.effect,
            is_narrow: target.companies.is_some() || target.users.is_some() || target.resources.is_some(),
        };
        if essence.shape == Shape::Condition {
            essence.take_tests(policy, vocabulary);
        }
        essence
    }

    /// Takes the tests of the condition, if they fit.
    fn take_tests(&mut self, policy: &Policy, vocabulary: &Vocabulary) {
        let tests: Option<Vec<_>> = comparisons(policy).and_then(|comparisons| {
            comparisons
                .into_iter()
                .map(|(comparison, path, scalar)| Test::of(comparison, path, scalar, vocabulary))
                .collect()
        });
        let Some(tests) = tests.filter(|tests| tests.len() <= MOST) else { return };
        self.shape = Shape::Tests(0);
        for ((count, (test, bound)), (to, bounds)) in
            (1..).zip(tests).zip(self.tests.iter_mut().zip(&mut self.bounds))
        {
            (*to, *bounds) = (test, bound);
            self.shape = Shape::Tests(count);
        }
    }

    /// Whether the first `count` tests hold; `None` if the condition has to be asked.
    #[inline]
    pub(super) fn test(&self, count: u8, reading: &mut Reading<'_>) -> Option<Truth> {
        let mut truth = Truth::True;
        for (test, bound) in self.tests.iter().zip(&self.bounds).take(count.into()) {
            match test.compare(reading.at(test.slot), *bound)? {
                Truth::True => {}
                Truth::False => return Some(Truth::False),
                Truth::Unknown => truth = Truth::Unknown,
            }
        }
        Some(truth)
    }
}

impl Test {
    /// The test, and what the attribute is compared with.
    fn of(
        comparison: Comparison,
        path: &Path,
        scalar: &Scalar,
        vocabulary: &Vocabulary,
    ) -> Option<(Self, i64)> {
        let seen = match scalar {
            Scalar::Text(text) => Seen { kind: Kind::Text, bits: vocabulary.text(text)?.into() },
            Scalar::Integer(whole) => Seen::whole(*whole),
            Scalar::Bool(flag) => Seen::flag(*flag),
            Scalar::Float(_) => return None,
        };
        let orderings = match comparison {
            Comparison::Eq => 2,
            Comparison::Ne => 5,
            // Only numbers have an order.
            _ if seen.kind != Kind::Whole => return None,
            Comparison::Lt => 1,
            Comparison::Le => 3,
            Comparison::Gt => 4,
            Comparison::Ge => 6,
            _ => return None,
        };
        Some((Self { slot: vocabulary.slot(path)?, kind: seen.kind, orderings }, seen.bits))
    }

    /// Whether it holds for what was found; `None` for what only the condition itself can compare.
    #[inline]
    fn compare(self, seen: Seen, bound: i64) -> Option<Truth> {
        if seen.kind == self.kind {
            let ordering = match seen.bits.cmp(&bound) {
                Ordering::Less => 1,
                Ordering::Equal => 2,
                Ordering::Greater => 4,
            };
            return Some((self.orderings & ordering != 0).into());
        }
        // Of two types, or missing.
        (seen.kind != Kind::Other).then_some(Truth::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_essence_is_one_line_of_memory() {
        assert_eq!(size_of::<Essence>(), 64);
    }
}
