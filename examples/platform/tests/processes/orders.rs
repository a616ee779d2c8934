//! What nodes are told to do, and what they answer: a line of JSON each.

use std::time::Duration;

use entitlements_redis::RedisHealth;
use serde::{Deserialize, Serialize};

/// Microseconds since 1970. All processes are on one machine, and read one clock.
pub(crate) type Micros = i64;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Give the company the plan that has the feature, or take it away; there are two ways to do that.
    Flip { company: String, has: bool, cancel: bool },
    /// Ask whether the company has the feature, as of a revision or later.
    Check { company: String, at_least: Option<u64> },
    /// Ask again and again, until the answer is this one.
    Watch { company: String, until: bool, limit: Duration },
    /// Ask about these companies at random for so long, by so many tasks. The even ones have the feature.
    Load { companies: u64, time: Duration, tasks: u64, pause: Duration },
    /// How the connection to Redis does.
    Health,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Flipped { committed: Micros, revision: u64 },
    Checked { allowed: bool, degraded: bool },
    Watched(Watched),
    Loaded(Loaded),
    Health { connected: bool, failures: u64 },
}

/// What became of a watch. Instants are those at which checks began.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Watched {
    /// The last that answered otherwise.
    pub(crate) last_other: Option<Micros>,
    /// The first that answered as it should; `None` if none did within the limit.
    pub(crate) first: Option<Micros>,
    pub(crate) checks: u64,
    /// How many were answered without live facts, or not at all.
    pub(crate) troubled: u64,
}

/// What became of a load.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Loaded {
    /// How long each check took, in microseconds.
    pub(crate) took: Vec<u32>,
    pub(crate) wrong: u64,
    pub(crate) degraded: u64,
    pub(crate) errors: u64,
    /// How many decisions came from the shared cache.
    pub(crate) shared: u64,
}

impl From<RedisHealth> for Reply {
    fn from(health: RedisHealth) -> Self {
        let failures = health.failures;
        Self::Health {
            connected: health.connected,
            failures: failures.timeouts + failures.connection + failures.refused + failures.garbage,
        }
    }
}
