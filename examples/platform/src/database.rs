//! The database: which one `DATABASE_URL` names, and opening it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use billing_stripe::BillingLedger;
use entitlements_core::store::SharedStore;
use entitlements_sqlx::{PostgresBus, PostgresConfig, PostgresStore, SqliteConfig, SqliteStore};
use sha2::{Digest, Sha256};

use crate::start_error::{StartError, chain};

const DEFAULT: &str = ".data/platform.db";
const EXPECTED: &str =
    "expected sqlite:///absolute/path, sqlite://relative/path or postgres://user:password@host/database";

/// Where everything is kept.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    /// In a file.
    Sqlite(PathBuf),
    /// On a server.
    Postgres(Box<PostgresConfig>),
}

impl Database {
    /// The database of a URL, or the default. The URL is never repeated in a message: it may hold a password.
    pub(crate) fn read(url: Option<&str>) -> Result<Self, String> {
        let Some(url) = url else { return Ok(Self::Sqlite(DEFAULT.into())) };
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let config = PostgresConfig::from_url(url).map_err(|error| error.to_string())?;
            return Ok(Self::Postgres(Box::new(config)));
        }
        let path = url.strip_prefix("sqlite:").ok_or(EXPECTED)?;
        let path = path.strip_prefix("//").unwrap_or(path);
        // A missing file is always created; the parameter that says so may be there.
        let path = path.strip_suffix("?mode=rwc").unwrap_or(path);
        if path.is_empty() || path.ends_with('/') || path == ":memory:" {
            return Err(format!("names no file; {EXPECTED}"));
        }
        if path.contains('?') || path.chars().any(char::is_control) {
            return Err(format!("takes no other parameter than mode=rwc; {EXPECTED}"));
        }
        Ok(Self::Sqlite(path.into()))
    }

    /// Opens it, and makes what is missing.
    pub(crate) async fn open(&self) -> Result<Opened, StartError> {
        let opened = match self {
            Self::Sqlite(path) => SqliteStore::connect(&SqliteConfig::new(path)).await.map(Opened::Sqlite),
            Self::Postgres(config) => PostgresStore::connect(config).await.map(Opened::Postgres),
        };
        opened.map_err(|error| StartError::one(format!("DATABASE_URL: cannot use {self}: {}", chain(&error))))
    }

    /// The file that other files about this database are named after.
    pub(crate) fn file(&self) -> PathBuf {
        match self {
            Self::Sqlite(path) => path.clone(),
            Self::Postgres(config) => {
                let name = const_hex::encode(Sha256::digest(config.to_string()));
                format!(".data/postgres-{}", name.get(..8).unwrap_or(&name)).into()
            }
        }
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "SQLite at {}", path.display()),
            Self::Postgres(config) => write!(f, "PostgreSQL at {config}"),
        }
    }
}

/// A database that is open.
#[derive(Clone, Debug)]
pub(crate) enum Opened {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl Opened {
    /// The store in it.
    pub(crate) fn store(&self) -> SharedStore {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    /// The same, for billing.
    pub(crate) fn ledger(&self) -> Arc<dyn BillingLedger> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    /// How processes on it tell each other what changes, if it can do that.
    pub(crate) fn bus(&self) -> Option<PostgresBus> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(store) => Some(PostgresBus::new(store)),
        }
    }

    /// Waits for calls under way and closes it.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_sqlite_names_a_file() {
        let path = |url| match Database::read(Some(url)) {
            Ok(Database::Sqlite(path)) => Ok(path),
            other => Err(other),
        };
        assert_eq!(path("sqlite:///abs/p.db").unwrap(), PathBuf::from("/abs/p.db"));
        assert_eq!(path("sqlite://rel/p.db").unwrap(), PathBuf::from("rel/p.db"));
        assert_eq!(path("sqlite:p.db").unwrap(), PathBuf::from("p.db"));
        assert_eq!(path("sqlite://p.db?mode=rwc").unwrap(), PathBuf::from("p.db"));
        for url in ["sqlite:", "sqlite://", "sqlite:///", "sqlite::memory:", "sqlite://a?mode=ro", "p.db", ""]
        {
            assert!(Database::read(Some(url)).is_err(), "{url}");
        }
    }

    #[test]
    fn a_url_of_postgres_names_a_server_and_shows_no_password() {
        let database = Database::read(Some("postgres://app:hunter2@db/shop?search_path=tenant")).unwrap();
        assert_eq!(database.to_string(), "PostgreSQL at db:5432/shop, schema tenant");
        assert!(!format!("{database:?}").contains("hunter2"), "{database:?}");
        let problem = Database::read(Some("postgresql://app:hunter2@db:x/shop")).unwrap_err();
        assert!(!problem.contains("hunter2"), "{problem}");
    }

    #[test]
    fn each_database_has_files_of_its_own() {
        let file = |url| Database::read(Some(url)).unwrap().file();
        assert_eq!(file("sqlite:///abs/p.db"), PathBuf::from("/abs/p.db"));
        assert_eq!(file("postgres://a:b@db/shop"), file("postgres://c:d@db:5432/shop"));
        assert_ne!(file("postgres://db/shop"), file("postgres://db/shop?search_path=tenant"));
    }
}
