//! Distributions, and the settings of a run.

use std::time::Duration;

/// A number of the environment, or another one.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Times, sorted.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// So many of a thousand are not longer.
    pub(crate) fn of_thousand(&self, thousandths: usize) -> Duration {
        let place = (self.0.len() * thousandths).div_ceil(1000).saturating_sub(1);
        self.0.get(place).copied().unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [half, most, nearly, all] = [500, 990, 999, 1000].map(|part| self.of_thousand(part));
        write!(f, "{} times: p50 {half:.1?}, p99 {most:.1?}, p99.9 {nearly:.1?}, max {all:.1?}", self.len())
    }
}
