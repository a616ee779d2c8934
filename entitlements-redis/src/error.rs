//! What goes wrong with Redis, sorted by what it means. Nothing of it ever reaches a caller as an error.

use std::fmt;

use redis::RedisError;

/// A kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// The server did not answer in time.
    Timeout,
    /// There is no connection, or it broke.
    Connection,
    /// The server refused: a wrong password, a read-only replica, no memory left.
    Refused,
    /// The answer, or what is stored, is not what this version writes.
    Garbage,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Timeout, Self::Connection, Self::Refused, Self::Garbage];

    /// A stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::Refused => "refused",
            Self::Garbage => "garbage",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The only place that reads the errors of the driver.
pub(crate) fn classify(error: &RedisError) -> FailureKind {
    if error.is_timeout() {
        return FailureKind::Timeout;
    }
    if error.is_io_error() || error.is_connection_dropped() || error.is_connection_refusal() {
        return FailureKind::Connection;
    }
    match error.kind() {
        redis::ErrorKind::Parse | redis::ErrorKind::UnexpectedReturnType => FailureKind::Garbage,
        _ => FailureKind::Refused,
    }
}

/// A configuration that cannot be meant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRedisConfig {
    /// The address is none of a Redis server. What it says is left out: it may hold a password.
    #[error("the address is no redis:// or rediss:// address")]
    Address,
    /// The certificates to trust cannot be read.
    #[error("the root certificates are no certificates in PEM")]
    Certificates,
    /// The prefix has characters that decide where keys are kept.
    #[error("a key prefix must not contain braces or control characters")]
    Prefix,
}
