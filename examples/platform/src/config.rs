//! Configuration: what the environment says, checked as a whole before anything is opened.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use entitlements_redis::RedisConfig;
use entitlements_tower::FailMode;
use secrecy::{ExposeSecret, SecretString};

use crate::database::Database;
use crate::environment::Environment;
use crate::retention::Retention;
use crate::start_error::StartError;
use crate::stripe_config::StripeSettings;

const DEFAULT_ADDRESS: &str = "127.0.0.1:8080";

/// The shortest secret that HS256 should have, in bytes.
const GOOD_SECRET: usize = 32;

/// The longest that a decision may wait: a minute.
const MOST_MILLISECONDS: u64 = 60_000;

/// The longest retention, in days: a century.
const MOST_DAYS: i64 = 36_500;

/// How the platform is to run.
///
/// | variable | means |
/// |---|---|
/// | `BIND_ADDR` | where to listen; `127.0.0.1:8080` |
/// | `DATABASE_URL` | `sqlite:///absolute/path`, `sqlite://relative/path` or `postgres://user:password@host/database`; the file `.data/platform.db` |
/// | `JWT_SECRET` | the HS256 secret of the tokens; without it the platform runs in development mode |
/// | `PLATFORM_DEV` | `1`: development mode; `0`: never |
/// | `CATALOG_PATH` | a catalog file instead of the built-in one |
/// | `ENTITLEMENT_FAIL_MODE` | `closed` (default), `last-known` or `open` |
/// | `ENTITLEMENT_DEADLINE_MS` | how long a decision waits for the facts it needs, in milliseconds, 1 to 60000; 50 |
/// | `AUDIT_RETENTION_DAYS` | how long decisions are kept in the audit log, 1 to 36500; for ever |
/// | `RECEIPT_RETENTION_DAYS` | how long receipts and idempotency keys are kept, 35 to 36500; for ever |
/// | `STRIPE_SECRET_KEY` | Stripe's key; without it a fake Stripe runs inside |
/// | `STRIPE_API_BASE` | where Stripe is, instead of its own address |
/// | `STRIPE_WEBHOOK_SECRET` | what webhooks are signed with; several between commas are all accepted |
/// | `STRIPE_METERS` | meters whose usage Stripe bills, between commas: `reports_generated` or `reports_generated=its_event_name` |
/// | `STRIPE_PRICE_ID_STARTER`, `…_PRO`, `…_ENTERPRISE` | prices of plans; they win over those of the catalog |
/// | `APP_URL` | where customers find the application, and come back to from the billing portal |
/// | `REDIS_URL` | `redis://` or `rediss://`: processes share decisions, and tell each other what changes; without it they do the latter over PostgreSQL, if that is the database |
#[derive(Debug)]
pub struct Config {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) database: Database,
    pub(crate) secret: Option<SecretString>,
    pub(crate) development: bool,
    pub(crate) catalog: Option<PathBuf>,
    pub(crate) fail_mode: FailMode,
    /// How long a decision waits for facts, unless it is the library's default.
    pub(crate) deadline: Option<Duration>,
    pub(crate) redis: Option<RedisConfig>,
    pub(crate) retention: Retention,
    pub(crate) stripe: StripeSettings,
    /// For `${NAME}` in the catalog.
    pub(crate) environment: Environment,
    /// What is accepted and probably not meant, to be logged.
    pub(crate) warnings: Vec<String>,
}

impl Config {
    /// Reads the configuration.
    ///
    /// # Errors
    ///
    /// A line for every bad value, each beginning with the variable's name.
    ///
    /// ```
    /// use platform::{Config, Environment};
    ///
    /// let environment = Environment::from_iter([("ENTITLEMENT_FAIL_MODE", "shut")]);
    /// let error = Config::read(environment).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "ENTITLEMENT_FAIL_MODE: unknown fail mode `shut`, expected one of closed, last-known, open"
    /// );
    /// ```
    pub fn read(environment: Environment) -> Result<Self, StartError> {
        let mut lines = Vec::new();
        let addresses = kept(&mut lines, "BIND_ADDR", addresses(&environment));
        let database = kept(&mut lines, "DATABASE_URL", Database::read(environment.get("DATABASE_URL")));
        let secret = kept(&mut lines, "JWT_SECRET", secret(&environment));
        let dev = kept(&mut lines, "PLATFORM_DEV", development(&environment));
        let fail_mode = kept(&mut lines, "ENTITLEMENT_FAIL_MODE", fail_mode(&environment));
        let deadline = kept(&mut lines, "ENTITLEMENT_DEADLINE_MS", deadline(&environment));
        let catalog = kept(&mut lines, "CATALOG_PATH", catalog(&environment));
        let audit = kept(&mut lines, "AUDIT_RETENTION_DAYS", days(&environment, "AUDIT_RETENTION_DAYS", 1));
        let receipts =
            kept(&mut lines, "RECEIPT_RETENTION_DAYS", days(&environment, "RECEIPT_RETENTION_DAYS", 35));
        let retention = Retention { audit: audit.flatten(), receipts: receipts.flatten() };
        let stripe = StripeSettings::read(&environment, &mut lines);
        let redis = kept(&mut lines, "REDIS_URL", redis(&environment));

        let has_secret = !matches!(secret, Some(None));
        let development = match dev {
            Some(Some(wanted)) => wanted,
            _ => !has_secret,
        };
        if !development && !has_secret {
            lines.push("JWT_SECRET: must be set when PLATFORM_DEV is 0".into());
        }
        if let Some(open) =
            addresses.iter().flatten().find(|address| development && !address.ip().is_loopback())
        {
            lines.push(format!(
                "BIND_ADDR: {open} is not a loopback address, and development mode listens on nothing else; \
                 set JWT_SECRET and leave PLATFORM_DEV out"
            ));
        }
        let (Some(addresses), Some(database), Some(secret), Some(fail_mode), Some(catalog), true) =
            (addresses, database, secret, fail_mode, catalog, lines.is_empty())
        else {
            return Err(StartError::all(lines));
        };
        let mut warnings = warnings(secret.as_ref());
        warnings.extend(stripe.warnings(&environment));
        Ok(Self {
            addresses,
            database,
            secret,
            development,
            catalog,
            fail_mode,
            deadline: deadline.flatten(),
            redis: redis.flatten(),
            retention,
            stripe,
            environment,
            warnings,
        })
    }
}

/// The value, or a line that says what is wrong with the variable.
fn kept<T>(lines: &mut Vec<String>, name: &str, value: Result<T, String>) -> Option<T> {
    value.map_err(|problem| lines.push(format!("{name}: {problem}"))).ok()
}

fn addresses(environment: &Environment) -> Result<Vec<SocketAddr>, String> {
    let text = environment.get("BIND_ADDR").unwrap_or(DEFAULT_ADDRESS);
    match text.to_socket_addrs().map(Vec::from_iter) {
        Ok(addresses) if !addresses.is_empty() => Ok(addresses),
        _ => Err(format!("`{text}` is not an address with a port, such as {DEFAULT_ADDRESS}")),
    }
}

fn secret(environment: &Environment) -> Result<Option<SecretString>, String> {
    match environment.get("JWT_SECRET") {
        None => Ok(None),
        Some("") => Err("must not be empty; leave it out for development mode".into()),
        Some(secret) => Ok(Some(SecretString::from(secret))),
    }
}

fn development(environment: &Environment) -> Result<Option<bool>, String> {
    match environment.get("PLATFORM_DEV") {
        None | Some("") => Ok(None),
        Some("1") => Ok(Some(true)),
        Some("0") => Ok(Some(false)),
        Some(other) => Err(format!("`{other}` is neither 1 nor 0")),
    }
}

fn fail_mode(environment: &Environment) -> Result<FailMode, String> {
    environment
        .get("ENTITLEMENT_FAIL_MODE")
        .map_or(Ok(FailMode::Closed), |word| word.parse::<FailMode>().map_err(|error| error.to_string()))
}

fn deadline(environment: &Environment) -> Result<Option<Duration>, String> {
    let name = "ENTITLEMENT_DEADLINE_MS";
    let Some(text) = environment.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    match text.parse() {
        Ok(milliseconds @ 1..=MOST_MILLISECONDS) => Ok(Some(Duration::from_millis(milliseconds))),
        _ => Err(format!("`{text}` is not a whole number of milliseconds from 1 to {MOST_MILLISECONDS}")),
    }
}

/// A number of days, if the variable is set.
fn days(environment: &Environment, name: &str, least: i64) -> Result<Option<TimeDelta>, String> {
    let Some(text) = environment.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    match text.parse() {
        Ok(days) if (least..=MOST_DAYS).contains(&days) => Ok(Some(TimeDelta::days(days))),
        _ => Err(format!("`{text}` is not a whole number of days from {least} to {MOST_DAYS}")),
    }
}

fn catalog(environment: &Environment) -> Result<Option<PathBuf>, String> {
    match environment.get("CATALOG_PATH") {
        None => Ok(None),
        Some("") => Err("must not be empty; leave it out for the built-in catalog".into()),
        Some(path) => Ok(Some(path.into())),
    }
}

/// The server of the shared cache and the bus, if there is to be one.
fn redis(environment: &Environment) -> Result<Option<RedisConfig>, String> {
    let Some(url) = environment.get("REDIS_URL").filter(|url| !url.is_empty()) else { return Ok(None) };
    // What it says is not repeated: it may hold a password.
    let wrong = || "must be an address that begins with redis:// or rediss://".to_owned();
    if !url.starts_with("redis://") && !url.starts_with("rediss://") {
        return Err(wrong());
    }
    RedisConfig::new(url).map(Some).map_err(|_| wrong())
}

fn warnings(secret: Option<&SecretString>) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(secret) = secret
        && secret.expose_secret().len() < GOOD_SECRET
    {
        warnings.push(format!("JWT_SECRET is shorter than {GOOD_SECRET} bytes: it can be guessed"));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, String> {
        Config::read(variables.iter().copied().collect()).map_err(|error| error.to_string())
    }

    const SECRET: (&str, &str) = ("JWT_SECRET", "0123456789abcdef0123456789abcdef");

    #[test]
    fn without_variables_it_runs_in_development_mode_on_loopback() {
        let config = read(&[]).unwrap();
        assert!(config.development && config.secret.is_none());
        assert_eq!(config.addresses, ["127.0.0.1:8080".parse().unwrap()]);
        assert_eq!(config.database.to_string(), "SQLite at .data/platform.db");
        assert_eq!(config.fail_mode, FailMode::Closed);
    }

    #[test]
    fn a_secret_ends_development_mode_unless_it_is_asked_for() {
        assert!(!read(&[SECRET]).unwrap().development);
        assert!(read(&[SECRET, ("PLATFORM_DEV", "1")]).unwrap().development);
    }

    #[test]
    fn development_mode_listens_on_loopback_only() {
        let line = read(&[("BIND_ADDR", "0.0.0.0:8080")]).unwrap_err();
        assert!(line.starts_with("BIND_ADDR: 0.0.0.0:8080 is not a loopback address"), "{line}");
        assert!(read(&[("BIND_ADDR", "[::1]:8080")]).is_ok());
        assert!(read(&[SECRET, ("BIND_ADDR", "0.0.0.0:8080")]).is_ok());
        assert!(read(&[SECRET, ("BIND_ADDR", "0.0.0.0:8080"), ("PLATFORM_DEV", "1")]).is_err());
    }

    #[test]
    fn every_bad_value_has_its_line() {
        let lines = read(&[
            ("BIND_ADDR", "8080"),
            ("DATABASE_URL", "mysql://root:hunter2@db/x"),
            ("JWT_SECRET", ""),
            ("PLATFORM_DEV", "yes"),
            ("CATALOG_PATH", ""),
            ("ENTITLEMENT_FAIL_MODE", "Open"),
            ("ENTITLEMENT_DEADLINE_MS", "0"),
            ("APP_URL", "example.com"),
            ("REDIS_URL", "localhost"),
        ])
        .unwrap_err();
        let names: Vec<_> = lines.lines().map(|line| line.split(':').next().unwrap()).collect();
        assert_eq!(
            names,
            [
                "BIND_ADDR",
                "DATABASE_URL",
                "JWT_SECRET",
                "PLATFORM_DEV",
                "ENTITLEMENT_FAIL_MODE",
                "ENTITLEMENT_DEADLINE_MS",
                "CATALOG_PATH",
                "APP_URL",
                "REDIS_URL"
            ]
        );
        assert!(!lines.contains("hunter2"), "{lines}");
    }

    #[test]
    fn without_development_mode_a_secret_is_needed() {
        assert_eq!(
            read(&[("PLATFORM_DEV", "0")]).unwrap_err(),
            "JWT_SECRET: must be set when PLATFORM_DEV is 0"
        );
    }

    #[test]
    fn a_short_secret_is_warned_of_and_no_secret_is_shown() {
        let config = read(&[("JWT_SECRET", "short"), ("REDIS_URL", "redis://:hunter2@r")]).unwrap();
        assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
        let shown = format!("{config:?}");
        assert!(!shown.contains("short\"") && !shown.contains("hunter2"), "{config:?}");
    }
}
