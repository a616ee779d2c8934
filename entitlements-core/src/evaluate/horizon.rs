//! The horizon: until when an answer holds without any write.

use chrono::{DateTime, Utc};

/// Collects the instants at which an answer could change by itself, and keeps the earliest one that is still to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Horizon {
    now: DateTime<Utc>,
    earliest: Option<DateTime<Utc>>,
}

impl Horizon {
    /// Nothing is known to change after `now`.
    pub(crate) const fn new(now: DateTime<Utc>) -> Self {
        Self { now, earliest: None }
    }

    /// The answer could change at `instant`. The past, and `now` itself, do not matter.
    pub(crate) fn at(&mut self, instant: DateTime<Utc>) {
        if instant > self.now && self.earliest.is_none_or(|earliest| instant < earliest) {
            self.earliest = Some(instant);
        }
    }

    /// The earliest instant after `now` at which the answer could change.
    pub(crate) const fn earliest(&self) -> Option<DateTime<Utc>> {
        self.earliest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn the_earliest_instant_after_now_is_kept() {
        let mut horizon = Horizon::new(at(10));
        assert_eq!(horizon.earliest(), None);
        for second in [10, 9, 30, 20, 40] {
            horizon.at(at(second));
        }
        assert_eq!(horizon.earliest(), Some(at(20)));
    }
}
