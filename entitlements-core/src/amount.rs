//! Amounts: whole units of a meter or gauge.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number of units of a meter or a gauge: 0 to 2^63 − 1, so that every store can hold it.
///
/// Arithmetic is checked or saturating, never wrapping.
///
/// ```
/// use entitlements_core::Amount;
///
/// let ten = Amount::new(10).unwrap();
/// assert_eq!(ten.checked_add(Amount::ONE).map(Amount::get), Some(11));
/// assert_eq!(Amount::MAX.checked_add(Amount::ONE), None);
/// assert_eq!(Amount::new(u64::MAX), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Amount(u64);

/// A number that is no [`Amount`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an amount must be at most 9223372036854775807")]
pub struct InvalidAmount;

impl Amount {
    /// No units.
    pub const ZERO: Self = Self(0);
    /// One unit.
    pub const ONE: Self = Self(1);
    /// The largest amount: 2^63 − 1.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// An amount of `units`, if that is not more than [`Amount::MAX`].
    #[must_use]
    pub const fn new(units: u64) -> Option<Self> {
        if units <= Self::MAX.0 { Some(Self(units)) } else { None }
    }

    /// The number of units.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number of units as a database holds it.
    #[must_use]
    pub const fn as_i64(self) -> i64 {
        self.0.cast_signed()
    }

    /// Whether there are no units.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, unless it is more than [`Amount::MAX`].
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        Self::new(self.0 + other.0)
    }

    /// The sum, or [`Amount::MAX`] if it is more than that.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        match self.checked_add(other) {
            Some(sum) => sum,
            None => Self::MAX,
        }
    }

    /// The difference, or zero if `other` is more.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The product, or [`Amount::MAX`] if it is more than that.
    #[must_use]
    pub const fn saturating_mul(self, times: u64) -> Self {
        match Self::new(self.0.saturating_mul(times)) {
            Some(product) => product,
            None => Self::MAX,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u32> for Amount {
    fn from(units: u32) -> Self {
        Self(units.into())
    }
}

impl TryFrom<u64> for Amount {
    type Error = InvalidAmount;

    fn try_from(units: u64) -> Result<Self, InvalidAmount> {
        Self::new(units).ok_or(InvalidAmount)
    }
}

impl TryFrom<i64> for Amount {
    type Error = InvalidAmount;

    fn try_from(units: i64) -> Result<Self, InvalidAmount> {
        u64::try_from(units).ok().and_then(Self::new).ok_or(InvalidAmount)
    }
}

impl From<Amount> for u64 {
    fn from(amount: Amount) -> Self {
        amount.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_never_leaves_the_range() {
        assert_eq!(Amount::MAX.saturating_add(Amount::MAX), Amount::MAX);
        assert_eq!(Amount::ZERO.saturating_sub(Amount::ONE), Amount::ZERO);
        assert_eq!(Amount::MAX.saturating_mul(u64::MAX), Amount::MAX);
        assert_eq!(Amount::MAX.as_i64(), i64::MAX);
    }

    #[test]
    fn json_beyond_the_range_is_refused() {
        assert!(serde_json::from_str::<Amount>("9223372036854775808").is_err());
        assert!(serde_json::from_str::<Amount>("-1").is_err());
        assert!(serde_json::from_str::<Amount>("1.5").is_err());
    }
}
