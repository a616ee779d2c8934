//! Gauges: what is held at one time, by named holders or as a level that the application reports.

use chrono::{DateTime, Utc};

use crate::Amount;
use crate::id::HolderId;

/// Who holds one unit of a gauge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The holder.
    pub holder: HolderId,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// What became of an acquisition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcquireOutcome {
    /// The holder has a unit, just now; so many units are used with it.
    Acquired(Amount),
    /// The holder had a unit before; nothing changed. So many units are used.
    Held(Amount),
    /// It does not fit; nothing changed.
    Refused,
}

/// What became of a report of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LevelOutcome {
    /// It is the level now; so many units are used.
    Set(Amount),
    /// It does not fit; nothing changed.
    Refused,
}
