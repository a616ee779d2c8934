//! How long to wait before the next try: longer after every failure, and never the same for all processes.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// How many tries have failed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff(u32);

impl Backoff {
    /// The time to wait after one more failure: a random part of an interval that doubles, at least half of it.
    pub(crate) fn next(&mut self) -> Duration {
        let interval = FIRST.saturating_mul(1 << self.0.min(16)).min(LONGEST);
        self.0 = self.0.saturating_add(1);
        interval / 2 + jitter(interval / 2)
    }
}

/// A random time up to `most`.
pub(crate) fn jitter(most: Duration) -> Duration {
    let Ok(random) = getrandom::u32() else { return most };
    most.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound() {
        let mut backoff = Backoff::default();
        let mut interval = FIRST;
        for _ in 0..40 {
            let wait = backoff.next();
            assert!(interval / 2 <= wait && wait <= interval, "{wait:?} of {interval:?}");
            interval = (interval * 2).min(LONGEST);
        }
    }

    #[test]
    fn two_processes_do_not_wait_equally_long() {
        let waits: std::collections::HashSet<_> = (0..100).map(|_| jitter(LONGEST)).collect();
        assert!(waits.len() > 90);
    }
}
