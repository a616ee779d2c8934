//! What goes wrong with requests, on demand.

use std::time::Duration;

use http::Method;

/// Requests that are to go wrong.
#[derive(Clone, Debug)]
pub struct RequestFault {
    pub(super) kind: FaultKind,
    pub(super) times: u32,
    pub(super) method: Option<Method>,
    pub(super) path: String,
}

/// How a request goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// It is refused before anything is done.
    Refuse {
        /// The status.
        status: u16,
        /// The code of the refusal, for example `lock_timeout`.
        code: Option<&'static str>,
        /// What `Stripe-Should-Retry` says.
        should_retry: Option<bool>,
        /// What `Retry-After` says.
        retry_after: Option<Duration>,
    },
    /// Nothing is done, it is answered 500, and so is every later request with the same key.
    Break,
    /// It is done, but the caller does not get the reply.
    LoseReply,
    /// It takes longer.
    Delay(Duration),
}

impl RequestFault {
    /// The next request goes wrong.
    #[must_use]
    pub const fn next(kind: FaultKind) -> Self {
        Self { kind, times: 1, method: None, path: String::new() }
    }

    /// The next request is refused with `status`.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self::next(FaultKind::Refuse { status, code: None, should_retry: None, retry_after: None })
    }

    /// It happens `times` times.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// It happens only to requests with this method, whose path contains `path`.
    #[must_use]
    pub fn on(mut self, method: Method, path: impl Into<String>) -> Self {
        self.method = Some(method);
        self.path = path.into();
        self
    }
}
