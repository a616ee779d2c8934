//! The secret that an endpoint's webhooks are signed with.

use secrecy::{ExposeSecret, SecretString};

/// The secret that an endpoint's webhooks are signed with: the whole text, `whsec_` included.
///
/// It is shown nowhere.
///
/// ```
/// use billing_stripe::signature::SigningSecret;
///
/// let secret = SigningSecret::new("whsec_example")?;
/// assert_eq!(format!("{secret:?}"), "SigningSecret(…)");
/// assert!(SigningSecret::new("  ").is_err());
/// # Ok::<(), billing_stripe::signature::EmptySecret>(())
/// ```
#[derive(Clone)]
pub struct SigningSecret(SecretString);

/// A signing secret is empty, so that anybody could sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signing secret of the webhooks is empty")]
pub struct EmptySecret;

impl SigningSecret {
    /// Takes `text` as a secret.
    ///
    /// # Errors
    ///
    /// When it is empty or blank.
    pub fn new(text: impl Into<String>) -> Result<Self, EmptySecret> {
        let text = text.into();
        if text.trim().is_empty() { Err(EmptySecret) } else { Ok(Self(text.into())) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}
