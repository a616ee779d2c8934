//! How Stripe is reached.

use std::net::IpAddr;
use std::time::Duration;

use http::HeaderValue;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::RetryPolicy;

/// Where Stripe is.
const STRIPE: &str = "https://api.stripe.com";

/// How Stripe is reached. The key is shown nowhere.
#[derive(Clone, Debug)]
pub struct StripeConfig {
    pub(super) secret_key: SecretString,
    pub(super) base_url: String,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) retry: RetryPolicy,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The key cannot be a key.
    #[error("the Stripe key must begin with sk_test_, sk_live_, rk_test_ or rk_live_")]
    Key,
    /// The address is none.
    #[error("the address of Stripe is no absolute URL without user, query and fragment")]
    BaseUrl,
    /// The address would send the key in the clear.
    #[error("the address of Stripe must begin with https://, unless it is on this machine")]
    Insecure,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StripeConfig {
    /// Stripe itself, with the key `secret_key`, 30 seconds for each attempt and two further attempts.
    #[must_use]
    pub fn new(secret_key: impl Into<SecretString>) -> Self {
        Self {
            secret_key: secret_key.into(),
            base_url: STRIPE.into(),
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            retry: RetryPolicy::default(),
        }
    }

    /// Another address, for example of a counterpart on this machine.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// How long one attempt may take.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often, and after how long, an attempt is repeated.
    #[must_use]
    pub const fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The address, if it is one that the key may be sent to.
    pub(super) fn checked_base(&self) -> Result<Url, ConfigError> {
        let url = Url::parse(self.base_url.trim_end_matches('/')).map_err(|_| ConfigError::BaseUrl)?;
        let bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        let host = url.host_str().filter(|_| bare).ok_or(ConfigError::BaseUrl)?;
        let bracketless = host.trim_start_matches('[').trim_end_matches(']');
        let here = host == "localhost" || bracketless.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        match url.scheme() {
            "https" => Ok(url),
            "http" if here => Ok(url),
            "http" => Err(ConfigError::Insecure),
            _ => Err(ConfigError::BaseUrl),
        }
    }

    /// The header with the key, which is shown nowhere, and whether the key is of the live mode.
    pub(super) fn authorization(&self) -> Result<(HeaderValue, bool), ConfigError> {
        let key = self.secret_key.expose_secret();
        let live = key.starts_with("sk_live_") || key.starts_with("rk_live_");
        let test = key.starts_with("sk_test_") || key.starts_with("rk_test_");
        if !live && !test {
            return Err(ConfigError::Key);
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| ConfigError::Key)?;
        header.set_sensitive(true);
        Ok((header, live))
    }
}
