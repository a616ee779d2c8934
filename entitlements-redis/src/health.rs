//! How the connection does, in numbers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::FailureKind;

/// How often something failed, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// The server did not answer in time.
    pub timeouts: u64,
    /// There was no connection, or it broke.
    pub connection: u64,
    /// The server refused.
    pub refused: u64,
    /// An answer, or something stored, could not be read.
    pub garbage: u64,
}

/// How a connection to Redis does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RedisHealth {
    /// Whether there is a connection now.
    pub connected: bool,
    /// How often there was a new one.
    pub connects: u64,
    /// What went wrong so far.
    pub failures: Failures,
}

#[derive(Debug, Default)]
pub(crate) struct Health {
    connected: AtomicBool,
    connects: AtomicU64,
    timeouts: AtomicU64,
    connection: AtomicU64,
    refused: AtomicU64,
    garbage: AtomicU64,
}

impl Health {
    pub(crate) fn connected(&self) {
        self.connected.store(true, Ordering::Relaxed);
        self.connects.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn disconnected(&self) {
        self.connected.store(false, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, kind: FailureKind) {
        let counter = match kind {
            FailureKind::Timeout => &self.timeouts,
            FailureKind::Connection => &self.connection,
            FailureKind::Refused => &self.refused,
            FailureKind::Garbage => &self.garbage,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn report(&self) -> RedisHealth {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RedisHealth {
            connected: self.connected.load(Ordering::Relaxed),
            connects: count(&self.connects),
            failures: Failures {
                timeouts: count(&self.timeouts),
                connection: count(&self.connection),
                refused: count(&self.refused),
                garbage: count(&self.garbage),
            },
        }
    }
}
