//! The clock of development mode: it can be moved forwards, and stays moved when the platform starts again.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use entitlements_core::{Clock, OffsetClock};
use tokio::sync::Mutex;

use crate::start_error::StartError;

/// The latest instant that the clock may show: before years have five digits.
const LATEST: DateTime<Utc> = match DateTime::from_timestamp(221_845_392_000, 0) {
    Some(year_9000) => year_9000,
    None => DateTime::UNIX_EPOCH,
};

/// A clock that is ahead of the machine's by what a file says: beside the database, or in the name of the server's.
#[derive(Debug)]
pub(crate) struct DevClock {
    clock: Arc<OffsetClock>,
    file: PathBuf,
    /// Held while the clock is moved, so that the file and the clock agree.
    moving: Mutex<()>,
}

/// Why the clock was not moved.
#[derive(Debug)]
pub(crate) enum NotMoved {
    TooFar,
    Unwritten(std::io::Error),
}

impl fmt::Display for NotMoved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFar => f.write_str("would move the clock beyond the year 9000"),
            Self::Unwritten(_) => f.write_str("the clock's file cannot be written"),
        }
    }
}

impl DevClock {
    /// The clock of the platform whose files are named after `database`.
    pub(crate) fn open(database: &Path) -> Result<Self, StartError> {
        let file = beside(database, ".clock");
        let offset = match std::fs::read_to_string(&file) {
            Ok(text) => text.trim().parse().ok().filter(|micros| *micros >= 0).ok_or_else(|| {
                StartError::one(format!(
                    "DATABASE_URL: `{}` holds no number of microseconds; remove it to set the clock back",
                    file.display()
                ))
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => {
                let line = format!("DATABASE_URL: cannot read `{}`: {error}", file.display());
                return Err(StartError::one(line));
            }
        };
        let clock = OffsetClock::default();
        clock.advance(TimeDelta::microseconds(offset));
        Ok(Self { clock: Arc::new(clock), file, moving: Mutex::new(()) })
    }

    /// The clock, for the handle.
    pub(crate) fn shared(&self) -> Arc<OffsetClock> {
        Arc::clone(&self.clock)
    }

    /// Moves the clock forwards, and returns what it shows then.
    pub(crate) async fn advance(&self, by: TimeDelta) -> Result<DateTime<Utc>, NotMoved> {
        let _moving = self.moving.lock().await;
        let ahead = self.clock.now().checked_add_signed(by).filter(|then| *then < LATEST);
        let offset = self.clock.offset().checked_add(&by).and_then(|offset| offset.num_microseconds());
        let (Some(_), Some(offset)) = (ahead, offset) else { return Err(NotMoved::TooFar) };
        if let Some(folder) = self.file.parent() {
            tokio::fs::create_dir_all(folder).await.map_err(NotMoved::Unwritten)?;
        }
        // Written beside and renamed, so that the file is never half written.
        let new = beside(&self.file, ".new");
        tokio::fs::write(&new, offset.to_string()).await.map_err(NotMoved::Unwritten)?;
        tokio::fs::rename(&new, &self.file).await.map_err(NotMoved::Unwritten)?;
        self.clock.advance(by);
        Ok(self.clock.now())
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_clock_stays_moved() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("p.db");
        let clock = DevClock::open(&database).unwrap();
        clock.advance(TimeDelta::days(31)).await.unwrap();
        clock.advance(TimeDelta::hours(1)).await.unwrap();
        let again = DevClock::open(&database).unwrap();
        assert_eq!(again.clock.offset(), TimeDelta::days(31) + TimeDelta::hours(1));
    }

    #[tokio::test]
    async fn the_clock_does_not_leave_the_calendar() {
        let folder = tempfile::tempdir().unwrap();
        let clock = DevClock::open(&folder.path().join("p.db")).unwrap();
        assert!(matches!(clock.advance(TimeDelta::days(365 * 7000)).await, Err(NotMoved::TooFar)));
        assert_eq!(clock.clock.offset(), TimeDelta::zero());
    }

    #[test]
    fn a_broken_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("p.db");
        for text in ["soon", "-5", ""] {
            std::fs::write(beside(&database, ".clock"), text).unwrap();
            let line = DevClock::open(&database).unwrap_err().to_string();
            assert!(line.contains("p.db.clock` holds no number"), "{line}");
        }
    }
}
