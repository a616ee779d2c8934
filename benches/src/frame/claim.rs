//! What a path promises, and whether the run kept it.

use super::Spread;
use super::table::number;

/// What a measured number may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

/// One promise about the speed or the size of one path.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    /// The path, as the table of targets calls it.
    pub(crate) path: &'static str,
    /// What is measured, and against what.
    pub(crate) what: String,
    pub(crate) target: Target,
    /// What follows every number of this claim, such as ` ×` or ` ns`.
    pub(crate) unit: &'static str,
    pub(crate) measured: Spread,
    /// What stands in the way when the target is missed.
    pub(crate) limit: &'static str,
}

impl Claim {
    /// A claim in multiples of something else.
    pub(crate) fn ratio(
        path: &'static str,
        what: impl Into<String>,
        target: Target,
        measured: Spread,
        limit: &'static str,
    ) -> Self {
        Self { path, what: what.into(), target, unit: " ×", measured, limit }
    }

    /// A claim in some unit.
    pub(crate) fn count(
        path: &'static str,
        what: impl Into<String>,
        target: Target,
        unit: &'static str,
        measured: f64,
        limit: &'static str,
    ) -> Self {
        Self { path, what: what.into(), target, unit, measured: Spread::exactly(measured), limit }
    }

    /// Whether the median keeps the target.
    pub(crate) fn is_kept(&self) -> bool {
        match self.target {
            Target::AtMost(most) => self.measured.median <= most,
            Target::AtLeast(least) => self.measured.median >= least,
        }
    }

    pub(crate) fn target(&self) -> String {
        match self.target {
            Target::AtMost(most) => format!("≤ {}{}", number(most), self.unit),
            Target::AtLeast(least) => format!("≥ {}{}", number(least), self.unit),
        }
    }

    pub(crate) fn measured(&self) -> String {
        format!("{}{}", number(self.measured.median), self.unit)
    }

    /// The quartiles, or nothing for a number that has none.
    pub(crate) fn spread(&self) -> String {
        let Spread { low, high, .. } = self.measured;
        if low.total_cmp(&high).is_eq() {
            return String::new();
        }
        format!("{}–{}", number(low), number(high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(target: Target, measured: f64) -> Claim {
        Claim::ratio("path", "what", target, Spread::exactly(measured), "")
    }

    #[test]
    fn a_target_is_kept_at_its_bound_and_missed_beyond_it() {
        assert!(claim(Target::AtMost(1.5), 1.5).is_kept());
        assert!(!claim(Target::AtMost(1.5), 1.51).is_kept());
        assert!(claim(Target::AtLeast(10.0), 10.0).is_kept());
        assert!(!claim(Target::AtLeast(10.0), 9.99).is_kept());
    }

    #[test]
    fn numbers_carry_their_unit() {
        let claim = claim(Target::AtMost(1.5), 1.25);
        assert_eq!((claim.target().as_str(), claim.measured().as_str()), ("≤ 1.5 ×", "1.25 ×"));
        assert_eq!(claim.spread(), "");
    }
}
