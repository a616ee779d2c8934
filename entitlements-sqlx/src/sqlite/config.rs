//! Where a SQLite database is, and how it is used.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::percent;

/// Which acknowledged writes survive a loss of power. The end of the process loses none either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// All: each write is on the disk before it is acknowledged. Costs one `fsync` per write.
    #[default]
    Full,
    /// All but perhaps the last ones; what survives is consistent. Many times faster on most disks.
    Normal,
}

/// Where a SQLite database is, and how it is used.
///
/// ```
/// use std::time::Duration;
/// use entitlements_sqlx::{Durability, SqliteConfig};
///
/// let config = SqliteConfig::new("/var/lib/shop/entitlements.db")
///     .with_durability(Durability::Normal)
///     .with_wait(Duration::from_secs(2));
/// assert_ne!(config, SqliteConfig::from_url("sqlite:///var/lib/shop/entitlements.db")?);
/// # Ok::<(), entitlements_sqlx::InvalidSqliteUrl>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteConfig {
    pub(crate) place: Place,
    pub(crate) create_if_missing: bool,
    pub(crate) durability: Durability,
    pub(crate) readers: u32,
    pub(crate) wait: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    File(PathBuf),
    Memory,
}

/// A URL that names no SQLite database.
///
/// The message does not repeat the URL: it may be another database's, with a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSqliteUrl {
    /// Another scheme.
    #[error("the URL of a SQLite database begins with `sqlite:`")]
    Scheme,
    /// No path.
    #[error(
        "the URL of a SQLite database needs a path, as in `sqlite:///var/lib/app.db` or `sqlite::memory:`"
    )]
    Path,
    /// A parameter that is not understood.
    #[error("the URL of a SQLite database takes no parameter but `mode=rw`, `mode=rwc` or `mode=memory`")]
    Parameter,
}

impl SqliteConfig {
    /// A database in a file; the file, and its folder, are created if they are missing.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self::at(Place::File(path.as_ref().into()))
    }

    /// A database in memory that ends with its store.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::at(Place::Memory)
    }

    /// Reads `sqlite:///absolute/path`, `sqlite://relative/path` or `sqlite::memory:`.
    ///
    /// `?mode=rwc` creates a missing file, which is the default; `?mode=rw` does not. `%20` in a path is a blank.
    ///
    /// # Errors
    ///
    /// [`InvalidSqliteUrl`] says what is wrong without repeating the URL.
    ///
    /// ```
    /// use entitlements_sqlx::{InvalidSqliteUrl, SqliteConfig};
    ///
    /// assert_eq!(SqliteConfig::from_url("sqlite:///data/app.db"), Ok(SqliteConfig::new("/data/app.db")));
    /// assert_eq!(SqliteConfig::from_url("sqlite://app.db"), Ok(SqliteConfig::new("app.db")));
    /// assert_eq!(SqliteConfig::from_url("sqlite::memory:"), Ok(SqliteConfig::in_memory()));
    /// assert_eq!(SqliteConfig::from_url("postgres://app@db/app"), Err(InvalidSqliteUrl::Scheme));
    /// ```
    pub fn from_url(url: &str) -> Result<Self, InvalidSqliteUrl> {
        let rest = url.strip_prefix("sqlite:").ok_or(InvalidSqliteUrl::Scheme)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path.strip_prefix("//").unwrap_or(path);
        let mut config = match path {
            "" => return Err(InvalidSqliteUrl::Path),
            ":memory:" => Self::in_memory(),
            path => Self::new(percent::decoded(path).ok_or(InvalidSqliteUrl::Path)?),
        };
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter {
                "mode=rwc" => config.create_if_missing = true,
                "mode=rw" => config.create_if_missing = false,
                "mode=memory" => config.place = Place::Memory,
                _ => return Err(InvalidSqliteUrl::Parameter),
            }
        }
        Ok(config)
    }

    /// Whether a missing file, and its folder, are created. They are by default.
    #[must_use]
    pub const fn with_create_if_missing(mut self, create: bool) -> Self {
        self.create_if_missing = create;
        self
    }

    /// Which acknowledged writes survive a loss of power: [all](Durability::Full) by default.
    #[must_use]
    pub const fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How many connections read beside the one that writes: at least 1, 4 by default. A database in memory has one
    /// connection for everything.
    #[must_use]
    pub const fn with_readers(mut self, readers: u32) -> Self {
        self.readers = if readers == 0 { 1 } else { readers };
        self
    }

    /// How long a call waits for a connection, and for another process that writes: 5 seconds by default.
    #[must_use]
    pub const fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    const fn at(place: Place) -> Self {
        Self {
            place,
            create_if_missing: true,
            durability: Durability::Full,
            readers: 4,
            wait: Duration::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_file() {
        for (url, path) in [
            ("sqlite:///abs/path.db", "/abs/path.db"),
            ("sqlite://rel.db", "rel.db"),
            ("sqlite:rel.db", "rel.db"),
            ("sqlite://./a/b.db?mode=rwc", "./a/b.db"),
            ("sqlite:///with%20blank/%C3%A9.db", "/with blank/é.db"),
        ] {
            assert_eq!(SqliteConfig::from_url(url), Ok(SqliteConfig::new(path)), "{url}");
        }
    }

    #[test]
    fn the_mode_of_a_url_says_whether_to_create() {
        let config = SqliteConfig::from_url("sqlite://a.db?mode=rw").unwrap();
        assert_eq!(config, SqliteConfig::new("a.db").with_create_if_missing(false));
        let config = SqliteConfig::from_url("sqlite://a.db?mode=memory").unwrap();
        assert_eq!(config, SqliteConfig::in_memory());
    }

    #[test]
    fn a_url_of_something_else_is_refused_without_repeating_it() {
        for (url, error) in [
            ("postgres://app:secret@db/app", InvalidSqliteUrl::Scheme),
            ("/var/lib/app.db", InvalidSqliteUrl::Scheme),
            ("sqlite:", InvalidSqliteUrl::Path),
            ("sqlite://", InvalidSqliteUrl::Path),
            ("sqlite://a%2.db", InvalidSqliteUrl::Path),
            ("sqlite://a%FF.db", InvalidSqliteUrl::Path),
            ("sqlite://a.db?mode=ro", InvalidSqliteUrl::Parameter),
            ("sqlite://a.db?cache=shared", InvalidSqliteUrl::Parameter),
        ] {
            assert_eq!(SqliteConfig::from_url(url), Err(error), "{url}");
            assert!(!error.to_string().contains("secret"));
        }
    }
}
