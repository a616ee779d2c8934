//! Numbers of rounds: medians, quartiles and ratios.

/// The middle of some numbers, and the quartiles around it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// Of numbers in any order; all zero if there are none.
    pub(crate) fn of(numbers: &[f64]) -> Self {
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |quarters: usize| {
            let last = sorted.len().saturating_sub(1);
            sorted.get((last * quarters + 2) / 4).copied().unwrap_or_default()
        };
        Self { low: at(1), median: at(2), high: at(3) }
    }

    /// A number that has no spread, such as a count.
    pub(crate) const fn exactly(number: f64) -> Self {
        Self { low: number, median: number, high: number }
    }

    /// Of the ratios of the rounds of one side to the same rounds of another.
    pub(crate) fn of_ratios(numbers: &[f64], base: &[f64]) -> Self {
        let ratios: Vec<f64> = numbers.iter().zip(base).map(|(number, base)| number / base).collect();
        Self::of(&ratios)
    }
}

/// A count as a number to calculate with. What is counted here stays far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn float(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or(u64::MAX) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_quartiles_do_not_depend_on_the_order() {
        let spread = Spread::of(&[5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!(spread, Spread { low: 2.0, median: 3.0, high: 4.0 });
        assert_eq!(Spread::of(&[]), Spread::exactly(0.0));
        assert_eq!(Spread::of(&[7.0]), Spread::exactly(7.0));
    }

    #[test]
    fn a_round_that_was_slow_for_both_sides_does_not_change_the_ratio() {
        let ratios = Spread::of_ratios(&[2.0, 200.0, 2.0], &[1.0, 100.0, 1.0]);
        assert_eq!(ratios, Spread::exactly(2.0));
    }
}
