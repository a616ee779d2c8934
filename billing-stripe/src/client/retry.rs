//! When a request is sent again, as Stripe's own libraries do it.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use http::{HeaderMap, StatusCode};

/// The longest wait that Stripe may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How often, and after how long, an attempt is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How many further attempts there are after the first.
    pub retries: u32,
    /// The wait before the second attempt; it doubles with each, and is shortened by up to a half at random.
    pub first_wait: Duration,
    /// The longest such wait.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { retries: 2, first_wait: Duration::from_millis(500), longest_wait: Duration::from_secs(5) }
    }
}

impl RetryPolicy {
    /// One attempt and no more.
    pub const NEVER: Self = Self { retries: 0, first_wait: Duration::ZERO, longest_wait: Duration::ZERO };

    /// The wait before the attempt after number `attempt`, counted from 0, with `random` in place of chance.
    fn wait(&self, attempt: u32, random: u64) -> Duration {
        let doubled = self.first_wait.saturating_mul(2_u32.saturating_pow(attempt)).min(self.longest_wait);
        let half = doubled / 2;
        let part = u32::try_from(random % 1000).unwrap_or_default();
        (half + half * part / 1000).max(self.first_wait)
    }

    /// How long to wait before the next attempt, if there is to be one after number `attempt`, counted from 0.
    pub(super) fn next(&self, attempt: u32, outcome: &Outcome<'_>) -> Option<Duration> {
        if attempt >= self.retries || !outcome.retryable() {
            return None;
        }
        let wait = self.wait(attempt, RandomState::new().hash_one(attempt));
        Some(outcome.asked_wait().map_or(wait, |asked| asked.min(LONGEST_WAIT).max(wait)))
    }
}

/// How an attempt ended.
pub(super) enum Outcome<'a> {
    /// There was no answer: the connection failed, or it took too long.
    NoAnswer,
    /// There was an answer.
    Answer {
        status: StatusCode,
        headers: &'a HeaderMap,
        /// The code of the refusal.
        code: Option<&'a str>,
    },
}

impl Outcome<'_> {
    /// What Stripe says itself wins. Otherwise conflicts and faults are repeated, and so is what was refused for the time
    /// being: a lock that is held, or a limit with a time to wait.
    fn retryable(&self) -> bool {
        let Self::Answer { status, headers, code } = self else { return true };
        match headers.get("stripe-should-retry").map(http::HeaderValue::as_bytes) {
            Some(b"true") => true,
            Some(b"false") => false,
            _ => match *status {
                StatusCode::CONFLICT => true,
                StatusCode::TOO_MANY_REQUESTS => *code == Some("lock_timeout") || self.asked_wait().is_some(),
                status => status.is_server_error(),
            },
        }
    }

    fn asked_wait(&self) -> Option<Duration> {
        let Self::Answer { headers, .. } = self else { return None };
        let seconds = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: u16, headers: &HeaderMap) -> Option<Duration> {
        let status = StatusCode::from_u16(status).unwrap();
        RetryPolicy::default().next(0, &Outcome::Answer { status, headers, code: None })
    }

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), http::HeaderValue::from_static(value))])
    }

    #[test]
    fn conflicts_and_faults_are_repeated_and_refusals_are_not() {
        for (status, again) in [(200, false), (400, false), (402, false), (404, false), (429, false)]
            .into_iter()
            .chain([(409, true), (500, true), (503, true)])
        {
            assert_eq!(outcome(status, &HeaderMap::new()).is_some(), again, "{status}");
        }
    }

    #[test]
    fn what_stripe_says_wins() {
        assert!(outcome(500, &headers("stripe-should-retry", "false")).is_none());
        assert!(outcome(400, &headers("stripe-should-retry", "true")).is_some());
        assert!(outcome(429, &headers("stripe-should-retry", "true")).is_some());
    }

    #[test]
    fn a_lock_that_is_held_is_asked_for_again() {
        let headers = HeaderMap::new();
        let status = StatusCode::TOO_MANY_REQUESTS;
        let held = Outcome::Answer { status, headers: &headers, code: Some("lock_timeout") };
        assert!(RetryPolicy::default().next(0, &held).is_some());
    }

    #[test]
    fn the_wait_that_stripe_asks_for_is_kept_up_to_a_limit() {
        assert_eq!(outcome(429, &headers("retry-after", "7")), Some(Duration::from_secs(7)));
        assert_eq!(outcome(503, &headers("retry-after", "86400")), Some(LONGEST_WAIT));
    }

    #[test]
    fn there_are_no_more_attempts_than_the_policy_says() {
        let policy = RetryPolicy { retries: 2, ..RetryPolicy::default() };
        assert!(policy.next(1, &Outcome::NoAnswer).is_some());
        assert!(policy.next(2, &Outcome::NoAnswer).is_none());
    }

    #[test]
    fn waits_double_within_their_bounds() {
        let policy = RetryPolicy::default();
        for random in [0, 1, 499, 999, u64::MAX] {
            assert!((500..=500).contains(&policy.wait(0, random).as_millis()));
            assert!((500..=1000).contains(&policy.wait(1, random).as_millis()));
            assert!((1000..=2000).contains(&policy.wait(2, random).as_millis()));
            assert!((2500..=5000).contains(&policy.wait(40, random).as_millis()));
        }
    }
}
