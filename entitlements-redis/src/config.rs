//! Where Redis is, and how long to wait for it.

use std::fmt;
use std::time::Duration;

use redis::{Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};

use crate::error::InvalidRedisConfig;

/// Where Redis is, under which keys, and how long to wait.
///
/// ```
/// use std::time::Duration;
/// use entitlements_redis::RedisConfig;
///
/// let config = RedisConfig::new("rediss://:secret@cache.internal:6380/2")?
///     .with_prefix("staging:")?
///     .with_read_timeout(Duration::from_millis(10));
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), entitlements_redis::InvalidRedisConfig>(())
/// ```
#[derive(Clone)]
pub struct RedisConfig {
    info: ConnectionInfo,
    prefix: String,
    connect_timeout: Duration,
    read_timeout: Duration,
    write_timeout: Duration,
    #[cfg(feature = "tls")]
    root: Option<Vec<u8>>,
}

impl RedisConfig {
    /// The server at an address: `redis://[[user]:password@]host[:port][/database]`, or `rediss://` for TLS.
    ///
    /// # Errors
    ///
    /// When it is no such address.
    pub fn new(url: &str) -> Result<Self, InvalidRedisConfig> {
        let info = url.into_connection_info().map_err(|_| InvalidRedisConfig::Address)?;
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        Ok(Self {
            info: info.set_redis_settings(settings),
            prefix: String::new(),
            connect_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_millis(20),
            write_timeout: Duration::from_millis(100),
            #[cfg(feature = "tls")]
            root: None,
        })
    }

    /// What every key and channel begins with, so that several systems can share a server.
    ///
    /// # Errors
    ///
    /// When the prefix contains braces or control characters.
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self, InvalidRedisConfig> {
        if prefix.chars().any(|char| char.is_control() || matches!(char, '{' | '}')) {
            return Err(InvalidRedisConfig::Prefix);
        }
        self.prefix = prefix.into();
        Ok(self)
    }

    /// How long connecting may take.
    #[must_use]
    pub const fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a look-up may take before it counts as a miss.
    #[must_use]
    pub const fn with_read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// How long keeping, forgetting and announcing may take before they are given up.
    #[must_use]
    pub const fn with_write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// Trusts the certificates in `pem` instead of those that the machine trusts: for servers whose certificates an
    /// organisation signs itself. Only `rediss://` addresses use it.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root = Some(pem.into());
        self
    }

    #[cfg(feature = "tls")]
    pub(crate) fn client(&self) -> Result<Client, InvalidRedisConfig> {
        provide_cryptography();
        let Some(root) = self.root.clone().filter(|_| self.is_tls()) else {
            return Client::open(self.info.clone()).map_err(|_| InvalidRedisConfig::Address);
        };
        if !is_certificates(&root) {
            return Err(InvalidRedisConfig::Certificates);
        }
        let trusted = redis::TlsCertificates { client_tls: None, root_cert: Some(root) };
        Client::build_with_tls(self.info.clone(), trusted).map_err(|_| InvalidRedisConfig::Certificates)
    }

    #[cfg(feature = "tls")]
    fn is_tls(&self) -> bool {
        matches!(self.info.addr(), redis::ConnectionAddr::TcpTls { .. })
    }

    #[cfg(not(feature = "tls"))]
    pub(crate) fn client(&self) -> Result<Client, InvalidRedisConfig> {
        Client::open(self.info.clone()).map_err(|_| InvalidRedisConfig::Address)
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) const fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    pub(crate) const fn read_timeout(&self) -> Duration {
        self.read_timeout
    }

    pub(crate) const fn write_timeout(&self) -> Duration {
        self.write_timeout
    }
}

/// Whether a text holds certificates in PEM. Without one nobody would be trusted, and nobody told.
#[cfg(feature = "tls")]
fn is_certificates(pem: &[u8]) -> bool {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    let mut certificates = CertificateDer::pem_slice_iter(pem).peekable();
    certificates.peek().is_some() && certificates.all(|certificate| certificate.is_ok())
}

/// Without a provider TLS would panic where a program has none, or several to choose from.
#[cfg(feature = "tls")]
fn provide_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Somebody else may have been faster, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}

/// Without user and password.
impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("address", &self.info.addr().to_string())
            .field("prefix", &self.prefix)
            .field("connect_timeout", &self.connect_timeout)
            .field("read_timeout", &self.read_timeout)
            .field("write_timeout", &self.write_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_refused_without_repeating_it() {
        for url in ["", "localhost", "http://localhost:1", "redis://:hidden@host:notaport"] {
            let error = RedisConfig::new(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hidden"), "{error:?}");
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn certificates_that_are_none_are_refused() {
        let config = |url| RedisConfig::new(url).unwrap().with_root_certificates("no certificate");
        assert!(matches!(config("rediss://localhost").client(), Err(InvalidRedisConfig::Certificates)));
        assert!(config("redis://localhost").client().is_ok());
    }

    #[test]
    fn a_prefix_cannot_move_keys_to_another_slot() {
        let config = || RedisConfig::new("redis://localhost").unwrap();
        assert!(config().with_prefix("{a}").is_err());
        assert!(config().with_prefix("a\n").is_err());
        assert_eq!(config().with_prefix("a:").unwrap().prefix(), "a:");
    }
}
