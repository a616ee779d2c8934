//! The breaker: a dependency that does not answer costs one probe at a time, and nothing else.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// Lets calls through as long as they succeed; after several failures in a row lets nothing through for a while, and
/// then one call, which decides how it goes on.
#[derive(Debug)]
pub(crate) struct Breaker {
    /// How many failures in a row close the way; 0 never does.
    threshold: u32,
    pause: TimeDelta,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// When the way was closed.
    since: Option<DateTime<Utc>>,
    probing: bool,
}

impl Breaker {
    pub(crate) fn new(threshold: u32, pause: TimeDelta) -> Self {
        Self { threshold, pause, state: Mutex::default() }
    }

    /// A pass for one call; `None` if nothing is let through now.
    pub(crate) fn enter(&self, now: DateTime<Utc>) -> Option<Pass<'_>> {
        let mut state = self.lock();
        let probe = match state.since {
            None => false,
            Some(since) => {
                let waited = now.signed_duration_since(since);
                // A clock that went back does not make anybody wait for ever.
                let over = waited >= self.pause || waited < TimeDelta::zero();
                if state.probing || !over {
                    return None;
                }
                state.probing = true;
                true
            }
        };
        Some(Pass { breaker: self, probe, ended: false })
    }

    /// A caller has waited as long as it could.
    pub(crate) fn late(&self, now: DateTime<Utc>) {
        let mut state = self.lock();
        if state.since.is_none() {
            self.fail(&mut state, now);
        }
    }

    /// Whether calls are held back.
    #[cfg(test)]
    pub(crate) fn is_open(&self) -> bool {
        self.lock().since.is_some()
    }

    fn fail(&self, state: &mut State, now: DateTime<Utc>) {
        state.failures = state.failures.saturating_add(1);
        if self.threshold > 0 && state.failures >= self.threshold {
            state.since = Some(now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call that is let through.
#[derive(Debug)]
#[must_use]
pub(crate) struct Pass<'b> {
    breaker: &'b Breaker,
    probe: bool,
    ended: bool,
}

impl Pass<'_> {
    /// How the call ended. A call that is given up says nothing.
    pub(crate) fn end(mut self, reached: bool, now: DateTime<Utc>) {
        self.ended = true;
        let mut state = self.breaker.lock();
        if self.probe {
            state.probing = false;
        }
        if reached {
            state.failures = 0;
            state.since = None;
        } else {
            self.breaker.fail(&mut state, now);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe && !self.ended {
            self.breaker.lock().probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn breaker() -> Breaker {
        Breaker::new(3, TimeDelta::seconds(10))
    }

    fn fail(breaker: &Breaker, second: i64) {
        breaker.enter(at(second)).unwrap().end(false, at(second));
    }

    #[test]
    fn several_failures_in_a_row_close_the_way() {
        let breaker = breaker();
        fail(&breaker, 0);
        fail(&breaker, 0);
        breaker.enter(at(0)).unwrap().end(true, at(0));
        fail(&breaker, 0);
        fail(&breaker, 0);
        assert!(!breaker.is_open());
        fail(&breaker, 0);
        assert!(breaker.is_open());
        assert!(breaker.enter(at(9)).is_none());
    }

    #[test]
    fn one_probe_at_a_time_decides() {
        let breaker = breaker();
        (0..3).for_each(|_| fail(&breaker, 0));
        let probe = breaker.enter(at(10)).unwrap();
        assert!(breaker.enter(at(10)).is_none());
        probe.end(false, at(11));
        assert!(breaker.enter(at(20)).is_none());
        let probe = breaker.enter(at(21)).unwrap();
        probe.end(true, at(21));
        let both = [breaker.enter(at(21)), breaker.enter(at(21))];
        assert!(both.iter().all(Option::is_some));
    }

    #[test]
    fn a_probe_that_is_given_up_makes_way_for_another() {
        let breaker = breaker();
        (0..3).for_each(|_| fail(&breaker, 0));
        drop(breaker.enter(at(10)));
        assert!(breaker.enter(at(10)).is_some());
    }

    #[test]
    fn waiting_too_long_counts_as_a_failure() {
        let breaker = breaker();
        (0..3).for_each(|_| breaker.late(at(0)));
        assert!(breaker.enter(at(5)).is_none());
        // And does not put off the probe.
        breaker.late(at(9));
        assert!(breaker.enter(at(10)).is_some());
    }

    #[test]
    fn a_clock_that_goes_back_makes_nobody_wait() {
        let breaker = breaker();
        (0..3).for_each(|_| fail(&breaker, 100));
        assert!(breaker.enter(at(50)).is_some());
    }
}
