//! Choices, taken from the bytes of the input; all zeros when they are used up.

use arbitrary::Unstructured;
use chrono::{DateTime, TimeDelta, Utc};
use entitlements_core::{Action, ActionSet, Amount};

pub(crate) struct Dice<'b>(Unstructured<'b>);

/// Instants with a history: ends of months, leap days, a leap second, the ends of time.
const MARKS: [(i64, u32); 12] = [
    (1_794_916_800, 0),
    (1_795_515_667, 250_000_000),
    (1_769_851_800, 0),
    (1_709_208_000, 0),
    (951_782_400, 999_999_999),
    (4_107_542_399, 0),
    (1_483_228_799, 1_500_000_000),
    (-62_135_596_800, 0),
    (253_402_300_799, 999_999_999),
    (0, 0),
    (-8_334_601_228_800, 0),
    (8_210_266_876_799, 999_999_999),
];

impl<'b> Dice<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self(Unstructured::new(bytes))
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or_default()
    }

    pub(crate) fn below(&mut self, end: u8) -> u8 {
        self.byte() % end
    }

    /// True for `n` of 256 bytes.
    pub(crate) fn chance(&mut self, n: u8) -> bool {
        self.byte() >= 255 - n
    }

    pub(crate) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::from(self.byte()) % list.len()]
    }

    /// `Some` for `n` of 256 bytes.
    pub(crate) fn maybe<T>(&mut self, n: u8, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.chance(n).then(|| make(self))
    }

    pub(crate) fn instant(&mut self) -> DateTime<Utc> {
        if self.chance(8) {
            let (seconds, nanos): (i64, u32) = self.0.arbitrary().unwrap_or_default();
            return DateTime::from_timestamp(seconds % 8_300_000_000_000, nanos % 2_000_000_000)
                .or_else(|| DateTime::from_timestamp(seconds % 8_000_000_000_000, nanos % 1_000_000_000))
                .unwrap_or(DateTime::UNIX_EPOCH);
        }
        // Most instants are close to the first marks.
        let mark = if self.chance(40) { self.pick(&MARKS) } else { self.pick(&MARKS[..3]) };
        let mark = DateTime::from_timestamp(mark.0, mark.1).unwrap_or(DateTime::UNIX_EPOCH);
        let count = i64::from(self.byte().cast_signed());
        let step = match self.below(8) {
            0 => TimeDelta::nanoseconds(count),
            1 => TimeDelta::microseconds(count),
            2 => TimeDelta::seconds(count),
            3 => TimeDelta::hours(count),
            4 => TimeDelta::days(count),
            5 => TimeDelta::days(31 * count),
            6 => TimeDelta::days(365 * count),
            _ => TimeDelta::zero(),
        };
        mark.checked_add_signed(step).unwrap_or(mark)
    }

    /// An instant as RFC 3339 can write it: of a year of four digits.
    pub(crate) fn written(&mut self) -> String {
        let instant = self.instant();
        let text = instant.to_rfc3339();
        if DateTime::parse_from_rfc3339(&text).is_ok() { text } else { "1970-01-01T00:00:00Z".into() }
    }

    pub(crate) fn amount(&mut self) -> Amount {
        let units = match self.byte() {
            255 => Amount::MAX.get(),
            254 => Amount::MAX.get() - 1,
            253 => u64::from(u32::MAX),
            252 => 0,
            units => u64::from(units % 24),
        };
        Amount::new(units).unwrap_or(Amount::MAX)
    }

    pub(crate) fn action(&mut self) -> Action {
        if self.chance(128) { Action::Create } else { self.pick(&Action::ALL) }
    }

    pub(crate) fn actions(&mut self) -> ActionSet {
        if self.chance(160) {
            return ActionSet::ALL;
        }
        let bits = self.byte() | 1 << self.below(7);
        Action::ALL.into_iter().filter(|action| bits & (1 << action.index()) != 0).collect()
    }
}
