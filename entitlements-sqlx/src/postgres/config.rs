//! Where a PostgreSQL database is, and how it is used.

use std::fmt;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use crate::percent;

/// The parameters of a URL that the driver understands, beside `options[…]`.
const PARAMETERS: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Where a PostgreSQL database is, and how it is used.
///
/// ```
/// use std::time::Duration;
/// use entitlements_sqlx::PostgresConfig;
///
/// let config = PostgresConfig::from_url("postgres://app:secret@db.internal/shop?search_path=entitlements")?
///     .with_connections(20)
///     .with_statement_timeout(Duration::from_secs(2));
/// assert_eq!(config.to_string(), "db.internal:5432/shop, schema entitlements");
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), entitlements_sqlx::InvalidPostgresUrl>(())
/// ```
#[derive(Clone)]
pub struct PostgresConfig {
    options: PgConnectOptions,
    pub(crate) schema: Option<String>,
    pub(crate) connections: u32,
    pub(crate) wait: Duration,
    pub(crate) statement_timeout: Duration,
}

/// A URL that names no PostgreSQL database.
///
/// The message does not repeat the URL: there may be a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPostgresUrl {
    /// Another scheme.
    #[error("the URL of a PostgreSQL database begins with `postgres://` or `postgresql://`")]
    Scheme,
    /// Something that cannot be read as a URL, or a parameter with a value that makes no sense.
    #[error(
        "the URL of a PostgreSQL database looks like `postgres://user:password@host:5432/database`; \
         special characters of a name or password are written as `%` and two hexadecimal digits"
    )]
    Malformed,
    /// A parameter that is not understood.
    #[error(
        "the URL of a PostgreSQL database takes `search_path` and the usual parameters of a connection, such as \
         `sslmode`, `host`, `application_name` or `options`, and no others"
    )]
    Parameter,
}

impl PostgresConfig {
    /// Reads `postgres://user:password@host:port/database?parameters`.
    ///
    /// What the URL leaves out comes from the usual variables (`PGHOST`, `PGUSER`, `PGPASSWORD`, …) and the password
    /// file. `search_path=name` is [`with_schema`](Self::with_schema); `sslmode=verify-full` checks the server's certificate,
    /// against `sslrootcert` if it is given and the well-known authorities if not.
    ///
    /// # Errors
    ///
    /// [`InvalidPostgresUrl`] says what is wrong without repeating the URL.
    ///
    /// ```
    /// use entitlements_sqlx::{InvalidPostgresUrl, PostgresConfig};
    ///
    /// assert!(PostgresConfig::from_url("postgresql://app@%2Frun%2Fpostgresql/shop?sslmode=disable").is_ok());
    /// assert_eq!(PostgresConfig::from_url("sqlite://app.db").unwrap_err(), InvalidPostgresUrl::Scheme);
    /// assert_eq!(PostgresConfig::from_url("postgres://db/shop?ssl=on").unwrap_err(), InvalidPostgresUrl::Parameter);
    /// ```
    pub fn from_url(url: &str) -> Result<Self, InvalidPostgresUrl> {
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        rest.ok_or(InvalidPostgresUrl::Scheme)?;
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        let mut schema = None;
        let mut driver = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').ok_or(InvalidPostgresUrl::Parameter)?;
            let name = percent::decoded(name).ok_or(InvalidPostgresUrl::Malformed)?;
            if name == "search_path" {
                let value = percent::decoded(value).filter(|name| is_identifier(name));
                schema = Some(value.ok_or(InvalidPostgresUrl::Malformed)?);
            } else if PARAMETERS.contains(&name.as_str()) || name.starts_with("options[") {
                driver.push(parameter);
            } else {
                return Err(InvalidPostgresUrl::Parameter);
            }
        }
        let url = format!("{place}?{}", driver.join("&"));
        let options: PgConnectOptions = url.parse().map_err(|_| InvalidPostgresUrl::Malformed)?;
        Ok(Self {
            options,
            schema,
            connections: 10,
            wait: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(5),
        })
    }

    /// Keeps everything in this schema of the database, which is created if it is missing. Without one, the search path of
    /// the server or of the user decides.
    ///
    /// The name is taken as it is: `A` and `a` are two schemas.
    ///
    /// # Errors
    ///
    /// [`InvalidPostgresUrl::Malformed`] if it can be no name: it is empty, or has control characters or more than 63 bytes.
    pub fn with_schema(mut self, name: &str) -> Result<Self, InvalidPostgresUrl> {
        self.schema = Some(name.to_owned()).filter(|name| is_identifier(name));
        if self.schema.is_some() { Ok(self) } else { Err(InvalidPostgresUrl::Malformed) }
    }

    /// How many connections there may be: at least 1, 10 by default. They are opened when they are needed.
    #[must_use]
    pub const fn with_connections(mut self, connections: u32) -> Self {
        self.connections = if connections == 0 { 1 } else { connections };
        self
    }

    /// How long a call waits for a connection: 5 seconds by default.
    #[must_use]
    pub const fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// How long the server works on one statement, waiting for locks included, before it gives up without having changed
    /// anything: 5 seconds by default, zero is for ever. Whole milliseconds. The store waits for an answer a second longer.
    #[must_use]
    pub const fn with_statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    /// How to connect to do the work of the store.
    pub(crate) fn working(&self) -> PgConnectOptions {
        // A limit below a millisecond must not become none.
        let limit = self.statement_timeout.as_micros().div_ceil(1000);
        // Plans are kept as long as connections: one that is made while a table is small must not read all of it later. No
        // statement does so much that it is worth compiling.
        let options = self.patient().options([("enable_seqscan", "off"), ("jit", "off")]);
        options.options([("statement_timeout", limit.to_string())])
    }

    /// How to connect for what may take its time.
    pub(crate) fn patient(&self) -> PgConnectOptions {
        let options = self.options.clone().disable_statement_logging();
        // The functions count on it, whatever the default of the database or the user is.
        let options = options.options([("default_transaction_isolation", "read committed")]);
        match &self.schema {
            Some(name) => options.options([("search_path", quoted(name))]),
            None => options,
        }
    }
}

/// Whether a text can name something in PostgreSQL.
fn is_identifier(name: &str) -> bool {
    !name.is_empty() && name.len() <= 63 && !name.chars().any(char::is_control)
}

/// A name as it is written in SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Where the database is: host, port, name and schema; no user and no password.
impl fmt::Display for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.options.get_socket() {
            Some(socket) => write!(f, "{}", socket.display())?,
            None => f.write_str(self.options.get_host())?,
        }
        let name = self.options.get_database().unwrap_or(self.options.get_username());
        write!(f, ":{}/{name}", self.options.get_port())?;
        match &self.schema {
            Some(schema) => write!(f, ", schema {schema}"),
            None => Ok(()),
        }
    }
}

/// Without the user and the password.
impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("place", &format_args!("{self}"))
            .field("connections", &self.connections)
            .field("wait", &self.wait)
            .field("statement_timeout", &self.statement_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> String {
        PostgresConfig::from_url(url).unwrap().working().get_options().unwrap().to_owned()
    }

    #[test]
    fn a_url_names_a_database() {
        let config = PostgresConfig::from_url("postgres://app:p%40ss@db:6432/shop?sslmode=require").unwrap();
        assert_eq!(config.to_string(), "db:6432/shop");
        let config = PostgresConfig::from_url("postgresql://app@db/shop?search_path=Tenant%20A").unwrap();
        assert_eq!(config.to_string(), "db:5432/shop, schema Tenant A");
        let config = PostgresConfig::from_url("postgres://app@%2Frun%2Fpg/shop").unwrap();
        assert_eq!(config.to_string(), "/run/pg:5432/shop");
    }

    #[test]
    fn the_schema_is_the_search_path() {
        let plain = options("postgres://db/shop");
        assert!(!plain.contains("search_path"), "{plain}");
        let named = options("postgres://db/shop?search_path=a%22b%20c");
        assert!(named.contains(r#"-c search_path="a""b\ c""#), "{named}");
        let of_url = options("postgres://db/shop?options=-c%20search_path%3Dx");
        assert!(of_url.starts_with("-c search_path=x "), "{of_url}");
    }

    #[test]
    fn every_connection_reads_what_is_committed_and_the_limit_is_in_milliseconds() {
        let config = PostgresConfig::from_url("postgres://db/shop").unwrap();
        let options = |config: &PostgresConfig| config.working().get_options().unwrap().to_owned();
        let expected = r"-c default_transaction_isolation=read\ committed -c enable_seqscan=off -c jit=off -c statement_timeout=5000";
        assert_eq!(options(&config), expected);
        let config = config.with_statement_timeout(Duration::from_micros(1));
        assert!(options(&config).ends_with("statement_timeout=1"));
        let config = config.with_statement_timeout(Duration::ZERO);
        assert!(options(&config).ends_with("statement_timeout=0"));
    }

    #[test]
    fn a_url_of_something_else_is_refused_without_repeating_it() {
        for (url, error) in [
            ("sqlite://secret.db", InvalidPostgresUrl::Scheme),
            ("postgres:secret", InvalidPostgresUrl::Scheme),
            ("postgres://app:secret@db:port/shop", InvalidPostgresUrl::Malformed),
            ("postgres://app:sec#ret@db/shop", InvalidPostgresUrl::Malformed),
            ("postgres://db/shop?sslmode=secret", InvalidPostgresUrl::Malformed),
            ("postgres://db/shop?search_path=", InvalidPostgresUrl::Malformed),
            ("postgres://db/shop?search_path=%00secret", InvalidPostgresUrl::Malformed),
            ("postgres://app:pass?secret@db/shop", InvalidPostgresUrl::Parameter),
            ("postgres://db/shop?passwd=secret", InvalidPostgresUrl::Parameter),
        ] {
            assert_eq!(PostgresConfig::from_url(url).unwrap_err(), error, "{url}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn debug_shows_no_password() {
        let url = "postgres://app:hunter2@db/shop?password=hunter3";
        let text = format!("{:?}", PostgresConfig::from_url(url).unwrap());
        assert!(text.contains("db:5432/shop") && !text.contains("hunter") && !text.contains("app"), "{text}");
    }
}
