//! Timing: rounds of both sides in turn, medians and ratios.

use std::hint::black_box;
use std::time::Instant;

/// Nanoseconds a call, one number a round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    /// The smallest and the largest round.
    pub(crate) fn spread(&self) -> (f64, f64) {
        let smallest = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        (smallest, self.0.iter().copied().fold(0.0, f64::max))
    }
}

/// Runs both sides in turn over all items, `rounds` times each, after one round to warm up.
pub(crate) fn in_turn<T, A, B>(
    rounds: usize,
    items: &[T],
    mut first: impl FnMut(&T) -> A,
    mut second: impl FnMut(&T) -> B,
) -> (Series, Series) {
    let (mut one, mut two) = (Series::default(), Series::default());
    for round in 0..=rounds {
        let (a, b) = (round_of(items, &mut first), round_of(items, &mut second));
        if round > 0 {
            one.0.push(a);
            two.0.push(b);
        }
    }
    (one, two)
}

#[expect(clippy::cast_precision_loss, reason = "a round lasts less than 2^52 nanoseconds")]
fn round_of<T, A>(items: &[T], side: &mut impl FnMut(&T) -> A) -> f64 {
    let begun = Instant::now();
    for item in items {
        black_box(&side(black_box(item)));
    }
    begun.elapsed().as_nanos() as f64 / items.len().max(1) as f64
}
