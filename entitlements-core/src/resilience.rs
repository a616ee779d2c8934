//! What to do when a dependency fails: how long to wait, how old facts may be, how often to try again.

use std::time::Duration;

/// How the handle behaves while the store does not answer.
///
/// A check waits for live facts until its deadline. Then the last facts of the company count, if they are not older than
/// `last_known` and nothing newer is known, and the decision says how old they are. Otherwise the check is an error. After
/// several failures in a row the store is left alone, but for one probe at a time.
///
/// Deadlines need a [`Runtime`](crate::Runtime).
///
/// ```
/// use std::time::Duration;
/// use entitlements_core::Resilience;
///
/// let resilience = Resilience::default();
/// assert_eq!(resilience.deadline(), Duration::from_millis(50));
/// assert_eq!(resilience.last_known(), Duration::from_mins(15));
/// assert_eq!(resilience.with_last_known(Duration::ZERO).last_known(), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resilience {
    deadline: Duration,
    load_timeout: Duration,
    write_timeout: Duration,
    last_known: Duration,
    failures: u32,
    pause: Duration,
}

impl Resilience {
    /// How long a check waits for facts.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long a load may take. One that outlives the deadline of its check goes on in the background until then, so
    /// that the next check finds its facts.
    #[must_use]
    pub const fn with_load_timeout(mut self, timeout: Duration) -> Self {
        self.load_timeout = timeout;
        self
    }

    /// How long a consumption may take in the store. Afterwards it is not known what became of it.
    #[must_use]
    pub const fn with_write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// How old facts may be that count while there are no live ones; zero for not at all.
    #[must_use]
    pub const fn with_last_known(mut self, max_age: Duration) -> Self {
        self.last_known = max_age;
        self
    }

    /// After how many failures in a row the store is left alone, and for how long; 0 never.
    #[must_use]
    pub const fn with_breaker(mut self, failures: u32, pause: Duration) -> Self {
        self.failures = failures;
        self.pause = pause;
        self
    }

    /// How long a check waits for facts.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// How long a load may take.
    #[must_use]
    pub const fn load_timeout(&self) -> Duration {
        self.load_timeout
    }

    /// How long a consumption may take.
    #[must_use]
    pub const fn write_timeout(&self) -> Duration {
        self.write_timeout
    }

    /// How old facts may be that count while there are no live ones.
    #[must_use]
    pub const fn last_known(&self) -> Duration {
        self.last_known
    }

    pub(crate) const fn breaker(&self) -> (u32, Duration) {
        (self.failures, self.pause)
    }
}

impl Default for Resilience {
    /// 50 ms for a check, 2 s for a load, 5 s for a consumption, 15 minutes, and 5 failures for 1 s.
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(50),
            load_timeout: Duration::from_secs(2),
            write_timeout: Duration::from_secs(5),
            last_known: Duration::from_mins(15),
            failures: 5,
            pause: Duration::from_secs(1),
        }
    }
}
